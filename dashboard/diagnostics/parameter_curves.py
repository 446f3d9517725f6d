"""Scores by the value of one parameter: one curve of one model and metric."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Finding, SearchParameter
from ..contracts.searches import NOTHING
from ..errors import ParameterError
from ..wording import number, plural
from .folds import MeanInterval, corrected_interval
from .parameter_edges import edge_of
from .searches import Inside, edge_finding

__all__ = ["ParameterCurve", "find_in_parameter_curve"]

Floats = npt.NDArray[np.float64]
Value = bool | int | float | str | None


@dataclass(frozen=True, eq=False)
class ParameterCurve:
    """Scores of one model fitted anew with other values of one parameter.

    Attributes
    ----------
    model : its display name; parameter : as `set_params` takes it.
    metric : a name in `metrics.METRICS`; title : as people read it.
    values : what was tried, in the order drawn: numbers by size, then the rest.
    current : the value that the model has; `has_current` : it is known.
    train, validation : `(v, f)` score of each fold on the rows it was fitted on and on the others;
        NaN where a fold is not done, failed, or has no value.
    fit_seconds : `(v, f)`, NaN where unknown.
    n_train, n_given : rows of the smallest fold that is learned from, and of the data.
    ratio : rows judged over rows learned from, the mean over the folds.
    folds : how they were divided, in a sentence; digest : of all positions.
    n_done, n_fits : fits that are done, failed ones among them, and all.
    notes : what failed or was set anew.
    """

    model: str
    parameter: str
    metric: str
    title: str
    larger_is_better: bool
    values: tuple[Value, ...]
    train: Floats
    validation: Floats
    fit_seconds: Floats
    current: Value = None
    has_current: bool = False
    n_train: int = 0
    n_given: int = 0
    ratio: float = 0.0
    folds: str = ""
    digest: str = ""
    n_done: int = 0
    n_fits: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.validation.shape
        if len(shape) != 2 or shape[0] != len(self.values):
            raise ParameterError(
                f"A curve of {len(self.values)} values has validation scores of shape {shape}; "
                "(values, folds) is needed."
            )
        if self.train.shape != shape or self.fit_seconds.shape != shape:
            raise ParameterError("Training scores and fit times must have the shape of the others.")

    @property
    def is_complete(self) -> bool:
        return self.n_done >= self.n_fits

    @property
    def axis(self) -> SearchParameter:
        """The values as a parameter of a search: numbers, texts and how they are spaced."""
        texts = tuple(NOTHING if value is None else value for value in self.values)
        return SearchParameter(self.parameter, texts)

    @property
    def validation_mean(self) -> Floats:
        """`(v,)` mean over the folds that have a score; nan without any."""
        return means_of(self.validation)

    @property
    def train_mean(self) -> Floats:
        return means_of(self.train)

    @property
    def validation_sd(self) -> Floats:
        """`(v,)` population standard deviation over the folds; nan with fewer than two."""
        return spreads_of(self.validation)

    @property
    def train_sd(self) -> Floats:
        return spreads_of(self.train)

    @property
    def best(self) -> int | None:
        """The place of the best mean, the first of equals; None while there is none."""
        known = self.validation_mean * (1 if self.larger_is_better else -1)
        return int(np.nanargmax(known)) if np.isfinite(known).any() else None

    @property
    def place_of_current(self) -> int | None:
        """Where among the values the model's own is."""
        same = [
            k
            for k, value in enumerate(self.values)
            if type(value) is type(self.current) and value == self.current
        ]
        return same[0] if self.has_current and same else None

    def difference(self, first: int, second: int, level: float = 0.95) -> MeanInterval:
        """The validation scores of one value minus those of another in the same folds."""
        return corrected_interval(
            self.validation[first] - self.validation[second], self.ratio, level
        )

    def frame(self) -> pd.DataFrame:
        """A row for each value and fold: model, parameter, value, metric, fold, train, validation,
        fit_seconds."""
        n_values, n_folds = self.validation.shape
        axis = self.axis
        plain = axis.is_number and NOTHING not in axis.values
        values = axis.numbers if plain else [axis.text(k) for k in range(n_values)]
        return pd.DataFrame(
            {
                "model": self.model,
                "parameter": self.parameter,
                "value": np.repeat(np.asarray(values), n_folds),
                "metric": self.metric,
                "fold": np.tile(np.arange(n_folds), n_values),
                "train": self.train.ravel(),
                "validation": self.validation.ravel(),
                "fit_seconds": self.fit_seconds.ravel(),
            }
        )


def means_of(scores: Floats) -> Floats:
    """`(v,)` means over the finite folds."""
    known = np.isfinite(scores)
    total, n = np.where(known, scores, 0.0).sum(axis=1), known.sum(axis=1)
    out = np.full(len(scores), np.nan)
    np.divide(total, n, out=out, where=n > 0)
    return out


def spreads_of(scores: Floats) -> Floats:
    """`(v,)` population standard deviations over the finite folds; nan with fewer than two."""
    known = np.isfinite(scores)
    squares = np.where(known, (scores - means_of(scores)[:, None]) ** 2, 0.0).sum(axis=1)
    n = known.sum(axis=1)
    out = np.full(len(scores), np.nan)
    np.divide(squares, n, out=out, where=n > 1)
    return np.asarray(np.sqrt(out))


def find_in_parameter_curve(curve: ParameterCurve) -> list[Finding]:
    """What the curve says to do, judged against the folds.

    Codes: "best_at_edge"; "better_value" (another value than the model's own is better beyond the
    spread) or "value_holds" (none is); "does_not_matter" (no value is told from the best one);
    "undecided" while fewer than two folds are done.
    """
    best = curve.best
    if best is None:
        return []
    subject = f"{curve.model}: {curve.parameter}"
    done = np.isfinite(curve.validation).sum(axis=1)
    if done[best] < 2:
        return [
            Finding(
                "undecided",
                "info",
                subject,
                "Fewer than two folds are done, so no value can be called better.",
                chart="parameter_curve",
            )
        ]
    flat = _flat(curve, best, subject)
    found = [_edge(curve, best, subject), flat or _own(curve, best, subject)]
    return [one for one in found if one is not None]


def _edge(curve: ParameterCurve, best: int, subject: str) -> Finding | None:
    axis, means = curve.axis, curve.validation_mean
    if not axis.is_number or not np.isfinite(axis.numbers[best]):
        return None
    tried = np.where(np.isfinite(means), axis.numbers, np.nan)
    value = float(axis.numbers[best])
    edge = edge_of(curve.parameter, tried, value, log=axis.scale == "log")
    if edge is None or not edge.possible:
        return None
    sign = 1 if curve.larger_is_better else -1
    inside = np.isfinite(tried) & ~edge.outer
    second = int(np.argmax(np.where(inside, sign * means, -np.inf)))
    gap = curve.difference(best, second)
    low, high = sorted((sign * gap.low, sign * gap.high))
    loss = sign * gap.mean
    if not inside.any() or loss <= 0:
        return None
    return edge_finding(
        subject=subject,
        parameter=curve.parameter,
        value=axis.brief(best),
        edge=edge,
        tried=plural(int(np.isfinite(tried).sum()), "value"),
        score=f"{curve.title} {number(float(means[best]))}",
        inside=Inside(axis.brief(second), loss, low, high),
        metric=curve.title,
        chart="parameter_curve",
        at=value,
        evidence={"best": float(means[best]), "best_inside": float(means[second])},
    )


def _own(curve: ParameterCurve, best: int, subject: str) -> Finding | None:
    """The model's own value against the best one."""
    own, axis = curve.place_of_current, curve.axis
    if own is None or not np.isfinite(curve.validation_mean[own]):
        return None
    gap = curve.difference(best, own)
    sign = 1 if curve.larger_is_better else -1
    low, high = sorted((sign * gap.low, sign * gap.high))
    if own == best or not low > 0:
        less = f" (the best is {axis.brief(best)}, by {number(sign * gap.mean)})" * (own != best)
        return Finding(
            "value_holds",
            "good",
            subject,
            f"No value tried is better than the model's own {axis.brief(own)} beyond the spread of "
            f"{plural(gap.n, 'fold')}{less}.",
            evidence={"gain": sign * gap.mean, "folds": gap.n},
            chart="parameter_curve",
        )
    return Finding(
        "better_value",
        "warning",
        subject,
        f"{curve.parameter} = {axis.brief(best)} is better than the model's own "
        f"{axis.brief(own)}: by {number(sign * gap.mean)} [{number(low)}, {number(high)}] "
        f"{curve.title} over {plural(gap.n, 'fold')}.",
        evidence={"gain": sign * gap.mean, "low": low, "high": high, "folds": gap.n},
        remedies=(
            f"Fit it with {curve.parameter} = {axis.brief(best)}; then score it on rows that had "
            "no part in the choice.",
        ),
        chart="parameter_curve",
        at=float(axis.numbers[best]) if np.isfinite(axis.numbers[best]) else None,
    )


def _flat(curve: ParameterCurve, best: int, subject: str) -> Finding | None:
    others = [
        k for k in range(len(curve.values)) if k != best and np.isfinite(curve.validation_mean[k])
    ]
    sign = 1 if curve.larger_is_better else -1
    gaps = [curve.difference(best, k) for k in others]
    lows = [min(sign * gap.low, sign * gap.high) for gap in gaps]
    if not others or any(not low <= 0 for low in lows):
        return None
    widest = max(sign * gap.mean for gap in gaps)
    return Finding(
        "does_not_matter",
        "info",
        subject,
        f"None of the {len(others) + 1} values of {curve.parameter} is told from the best one: "
        f"they differ by at most {number(widest)} {curve.title}, less than the folds spread.",
        evidence={"widest": widest, "values": len(others) + 1},
        remedies=("Take the simplest or fastest value; look at other parameters.",),
        chart="parameter_curve",
    )
