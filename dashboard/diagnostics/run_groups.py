"""Runs of one configuration that differ only in their seed: median and band over them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts.runs import Scalar
from ..wording import number
from .epochs import EpochCurve, LoggedPart

__all__ = ["Band", "RunGroup", "group_runs"]

Floats = npt.NDArray[np.float64]

FEW = 5  # runs; with fewer, the band reaches from the lowest to the highest
OUTER = 10  # percent left out on each side of the band from there on
MOST_STEPS = 2_000  # of a band: what is finer than a pixel is interpolated
_SEED = re.compile(r"(^|_|\.|/| )(random_?(state|seed)|seed|rng|trial|repeat|replicate|fold)$")
_IN_NAME = re.compile(
    r"[\s_./=:-]*(random_?state|seed|repeat|replicate)[\s_=:-]*\d+", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class Band:
    """Several runs' values of one part over common steps.

    Attributes
    ----------
    part : "train", "validation" or "test".
    places : `(s,)` where they are drawn.
    median, low, high : `(s,)`; NaN where no run has a finite value.
    n : `(s,)` runs with a value there: fewer where some ended early or have gaps.
    sentence : what the band is.
    """

    part: str
    places: Floats
    median: Floats
    low: Floats
    high: Floats
    n: npt.NDArray[np.int64]
    sentence: str


@dataclass(frozen=True, eq=False)
class RunGroup:
    """Runs of one configuration.

    Attributes
    ----------
    name : what sets the group apart: its configuration, or what its runs' names share.
    runs : their names.
    config : what they share; seeds left out.
    curves : one for each run.
    train, validation : None where no run logged them.
    best_values : `(n_runs,)` NaN where a run has none.
    """

    name: str
    runs: tuple[str, ...]
    config: dict[str, Scalar]
    curves: tuple[EpochCurve, ...]
    train: Band | None
    validation: Band | None
    best_values: Floats

    @property
    def bands(self) -> tuple[Band, ...]:
        return tuple(one for one in (self.train, self.validation) if one is not None)

    def frame(self) -> pd.DataFrame:
        """Columns group, part, drawn_at, median, low, high, n."""
        columns = ["group", "part", "drawn_at", "median", "low", "high", "n"]
        tables = [
            pd.DataFrame(
                {
                    "group": self.name,
                    "part": one.part,
                    "drawn_at": one.places,
                    "median": one.median,
                    "low": one.low,
                    "high": one.high,
                    "n": one.n,
                }
            )
            for one in self.bands
        ]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def group_runs(curves: Sequence[EpochCurve]) -> list[RunGroup]:
    """Curves grouped by configuration, in order of the first of each group.

    Two runs belong together when their hyper-parameters agree but for seeds (`seed`,
    `random_state`, `trial`, `repeat`, `fold`); where a log holds none, when their names agree but
    for "seed 3" or the like in them. A run without either is a group of its own.
    """
    found: dict[Any, list[EpochCurve]] = {}
    for curve in curves:
        found.setdefault(_key(curve), []).append(curve)
    groups = list(found.values())
    names = _names(groups)
    return [_group(name, members) for name, members in zip(names, groups, strict=True)]


def _shared(curve: EpochCurve) -> dict[str, Scalar]:
    return {
        name: value for name, value in curve.config.items() if not _SEED.search(name.casefold())
    }


def _key(curve: EpochCurve) -> Any:
    if shared := _shared(curve):  # a seed alone is no configuration: names tell more
        return tuple(sorted((name, repr(value)) for name, value in shared.items()))
    stem = _IN_NAME.sub("", curve.run)
    return stem if stem != curve.run else (curve.run,)


def _names(groups: Sequence[Sequence[EpochCurve]]) -> list[str]:
    """By what differs between the groups' configurations, else by the names of their runs."""
    configs = [_shared(group[0]) for group in groups]
    every = list(dict.fromkeys(name for one in configs for name in one))
    differ = [name for name in every if len({repr(one.get(name)) for one in configs}) > 1]
    names = []
    for group, config in zip(groups, configs, strict=True):
        said = [f"{name} {_value(config[name])}" for name in differ if name in config]
        stem = _IN_NAME.sub("", group[0].run).strip(" _-./")
        names.append(", ".join(said) or (group[0].run if len(group) == 1 else stem or "runs"))
    doubled = {name for name in names if names.count(name) > 1}
    return [
        f"{name} ({group[0].run})" if name in doubled else name
        for name, group in zip(names, groups, strict=True)
    ]


def _value(value: Scalar) -> str:
    if isinstance(value, float) and not value.is_integer():
        return number(value)
    return str(int(value)) if isinstance(value, float) else str(value)


def _group(name: str, members: Sequence[EpochCurve]) -> RunGroup:
    return RunGroup(
        name,
        tuple(one.run for one in members),
        _shared(members[0]),
        tuple(members),
        _band([one.train for one in members if one.train is not None]),
        _band([one.validation for one in members if one.validation is not None]),
        np.array([one.best_value for one in members]),
    )


def _band(parts: Sequence[LoggedPart]) -> Band | None:
    """Smoothed values interpolated to common places, each run only between its own ends."""
    if not parts:
        return None
    places = np.unique(np.concatenate([one.places for one in parts]))
    if len(places) > MOST_STEPS:
        places = np.linspace(places[0], places[-1], MOST_STEPS)
    values = np.array([_at(one, places) for one in parts])
    n = np.isfinite(values).sum(axis=0)
    few = len(parts) < FEW
    levels = [0, 50, 100] if few else [OUTER, 50, 100 - OUTER]
    low, median, high = (_quantile(np.sort(values, axis=0), n, level / 100) for level in levels)
    sentence = (
        "lowest to highest run" if few else f"{OUTER} % to {100 - OUTER} % of {len(parts)} runs"
    )
    return Band(parts[0].part, places, median, low, high, n, sentence)


def _quantile(ordered: Floats, n: npt.NDArray[np.int64], level: float) -> Floats:
    """Of the first n of each column, interpolated as numpy does; NaN (sorted last) where n is 0."""
    place = level * np.maximum(n - 1, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    low, high = (np.take_along_axis(ordered, at[None, :], axis=0)[0] for at in (below, above))
    found: Floats = low + (place - below) * (high - low)
    return found


def _at(part: LoggedPart, places: Floats) -> Floats:
    """Interpolated between logged steps; NaN outside of them and beside what is not finite."""
    values = np.where(np.isfinite(part.smoothed), part.smoothed, np.nan)
    if len(part.places) == 1:
        return np.where(places == part.places[0], values[0], np.nan)
    found: Floats = np.interp(places, part.places, values, left=np.nan, right=np.nan)
    exact = np.searchsorted(part.places, places).clip(0, len(part.places) - 1)
    same = part.places[exact] == places
    found[same] = values[exact[same]]  # a NaN beside it does not reach a logged value
    return found
