"""What the last step of a model was given for one row, after its own preprocessing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from components.asking import Asked
from dashboard.contracts import Model
from dashboard.data import EvalSet
from dashboard.effects import asked_of
from dashboard.evaluation import rows_for
from dashboard.explainers.asking import ask
from dashboard.frames import Frame, FrameError, plain_text, untag_values

__all__ = ["ask_prepared"]

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
