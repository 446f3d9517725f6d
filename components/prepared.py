"""What the last step of a model was given for one row, after its own preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from components.asking import Asked
from dashboard.contracts import Attributions, Model
from dashboard.data import EvalSet
from dashboard.effects import asked_of
from dashboard.evaluation import rows_for
from dashboard.explainers.asking import ask
from dashboard.frames import Frame, FrameError, plain_text, untag_values
from dashboard.wording import number

__all__ = ["ask_prepared", "beside_own", "is_unchanged"]

_LONGEST = 20_000


def ask_prepared(
    row: int, model: Callable[[], Model], evalset: EvalSet, asked: Asked[pd.DataFrame]
) -> None:
    """Posts columns `column, value, made of`: one line for each prepared column."""
    with asked.turn(0, 0):
        opened = model()
        rows = rows_for(opened, evalset)
        told = {"rows": [row], "asked": asked_of(evalset.target).to_json()}
        asked.post(ask(opened, "prepared", told, {"X": rows}, read=partial(_read, evalset)))


def beside_own(prepared: pd.DataFrame, explained: Attributions) -> pd.DataFrame:
    """Each prepared column and its value, and what it was made of; as people write them.

    `explained`: the model's explanation of this one row, in the person's own columns.
    """
    data = explained.data
    cells = data.iloc[0].tolist() if isinstance(data, pd.DataFrame) else data[0].reshape(-1)
    own = {name: _text(cell) for name, cell in zip(explained.feature_names, cells, strict=True)}
    made_of = [f"{one} = {own[one]}" if one in own else one for one in prepared["made of"]]
    return pd.DataFrame(
        {
            "column": prepared["column"],
            "value": [_text(value) for value in prepared["value"]],
            "made of": made_of,
        }
    )


def is_unchanged(beside: pd.DataFrame) -> bool:
    """Whether the model is given the row as it is."""
    return bool((beside["column"] + " = " + beside["value"] == beside["made of"]).all())


def _text(value: object) -> str:
    """Numbers to four digits, whole ones as such; anything else as it is written."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value == round(value) and abs(value) < 1e15:
        return f"{value:.0f}"
    return number(value, 4) if isinstance(value, float) else str(value)


def _read(evalset: EvalSet, frame: Frame) -> pd.DataFrame:
    """The answer of a worker, believed only where it fits."""
    header = frame.header
    names, features, cells = (header.get(key) for key in ("columns", "features", "cells"))
    sources = header.get("sources")
    sound = all(isinstance(one, list) for one in (names, features, cells, sources))
    if not sound or len(cells) != 1 or not isinstance(cells[0], list):  # type: ignore[arg-type,index]
        raise FrameError("It is no prepared row.")
    if not len(names) == len(sources) == len(cells[0]):  # type: ignore[arg-type,index]
        raise FrameError("The columns of the prepared row are of different lengths.")
    known = [plain_text(one, _LONGEST) for one in features]  # type: ignore[union-attr]
    return pd.DataFrame(
        {
            "column": [plain_text(one, _LONGEST) for one in names],  # type: ignore[union-attr]
            "value": [str(one) for one in untag_values(cells[0], _LONGEST)],  # type: ignore[index]
            "made of": [_source(one, known) for one in sources],  # type: ignore[union-attr]
        }
    )


def _source(place: object, known: list[str]) -> str:
    if type(place) is not int or place >= len(known):
        raise FrameError("A prepared column is made of a feature that is not there.")
    return known[place] if place >= 0 else "several"
