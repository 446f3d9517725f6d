"""Whether a parameter's best value sits on the edge of what was tried, and could go further."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Edge", "edge_of"]

Floats = npt.NDArray[np.float64]
Side = Literal["lowest", "highest"]

FEW_VALUES = 12  # up to so many distinct values are a grid, of which only the ends are edges
OUTER = 0.05  # of a continuous range; a random draw never hits the end itself
_LEAST: tuple[tuple[re.Pattern[str], float], ...] = (
    (re.compile(r"min_samples_split$"), 2.0),
    (
        re.compile(
            r"(max_depth|depth|min_samples_leaf|n_neighbors|k|degree|layers|units|num_leaves|"
            r"min_child_samples|n_components|epochs|batch_size|patience)(_\d+)?$"
        ),
        1.0,
    ),
    (
        re.compile(
            r"(alpha|l1|l2|lambda|lambda_l1|lambda_l2|reg_alpha|reg_lambda|ccp_alpha|gamma|"
            r"min_impurity_decrease|min_split_gain|weight_decay|noise|momentum|dropout|"
            r"dropout_rate|l1_ratio|l2_regularization|l2_leaf_reg)(_\d+)?$"
        ),
        0.0,
    ),
)
_MOST: tuple[tuple[re.Pattern[str], float], ...] = (
    (
        re.compile(
            r"(subsample|colsample_\w+|feature_fraction|bagging_fraction|l1_ratio|momentum|"
            r"dropout|dropout_rate|max_samples|max_features)(_\d+)?$"
        ),
        1.0,
    ),
)


class Edge(NamedTuple):
    """Where the best value sits.

    Attributes
    ----------
    side : of the range.
    end : the end of the range there.
    possible : values beyond it make sense.
    outer : `(n,)` which trials sit at the same edge.
    """

    side: Side
    end: float
    possible: bool
    outer: npt.NDArray[np.bool_]


def edge_of(
    name: str,
    values: Floats,
    best: float,
    *,
    log: bool = False,
    declared: tuple[float, float] | None = None,
) -> Edge | None:
    """The edge that the best value sits on, or None.

    Parameters
    ----------
    values : `(n,)` the numbers that were tried and scored; NaN for trials without one.
    best : one of them.
    log : distances are those of logarithms.
    declared : the ends of the search's own range; those of the values where None.

    Notes
    -----
    Of up to 12 distinct values the first and the last are edges; of more, the outer 5 % of the
    range. Fewer than three distinct values have no inside.
    """
    known = np.unique(values[np.isfinite(values)])
    if len(known) < 3 or not math.isfinite(best):
        return None
    low, high = declared if declared is not None else (float(known[0]), float(known[-1]))
    if not low < high:
        return None
    if len(known) <= FEW_VALUES:
        inner = (float(known[0]), float(known[-1]))
        near_low = values <= (inner[0] if _reaches(inner[0], low, low, high, log) else -np.inf)
        near_high = values >= (inner[1] if _reaches(inner[1], high, low, high, log) else np.inf)
        at_low, at_high = best <= inner[0], best >= inner[1]
    else:
        places = _places(values, low, high, log)
        near_low, near_high = places <= OUTER, places >= 1 - OUTER
        place = float(_places(np.array([best]), low, high, log)[0])
        at_low, at_high = place <= OUTER, place >= 1 - OUTER
    if at_low and near_low.any():
        return Edge("lowest", low, _beyond(name, low, known, _LEAST, -1), near_low)
    if at_high and near_high.any():
        return Edge("highest", high, _beyond(name, high, known, _MOST, 1), near_high)
    return None


def _reaches(value: float, end: float, low: float, high: float, log: bool) -> bool:
    """Few values of a wide declared range need not come near its ends."""
    place = _places(np.array([value, end]), low, high, log)
    return bool(abs(place[0] - place[1]) <= 2 * OUTER)


def _places(values: Floats, low: float, high: float, log: bool) -> Floats:
    """0 at the low end, 1 at the high one."""
    if log and low > 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((np.log(values) - np.log(low)) / (np.log(high) - np.log(low)))
    return np.asarray((values - low) / (high - low))


def _beyond(
    name: str,
    end: float,
    known: Floats,
    limits: tuple[tuple[re.Pattern[str], float], ...],
    way: int,
) -> bool:
    """Whether values beyond an end make sense for a parameter of this name."""
    bare = name.rpartition("__")[2].rpartition("/")[2].lower()
    limit = next((at for pattern, at in limits if pattern.match(bare)), None)
    if limit is None:
        return True
    # max_features and max_samples are shares up to 1 and counts beyond
    if way > 0 and known[-1] > 1:
        return True
    return way * (limit - end) > 1e-12 * max(1.0, abs(limit))
