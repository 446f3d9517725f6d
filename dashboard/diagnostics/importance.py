"""Feature importances in one form: `Importance`, with intervals and ranks that say their ties.

`compute_shap_importance` makes one from attributions; the others come from the model itself
(`dashboard.importance`). Agreement between several is in `importance_comparison`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from ..contracts import Attributions, OutputSpace
from ..errors import ParameterError
from ..wording import count, percent, shorten
from .intervals import check_level, percentile_interval, resampled_sums

__all__ = ["NEAR_ZERO", "Importance", "compute_shap_importance"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEAR_ZERO, UNCLEAR = 0.01, 0.05
"""Up to this share of the largest importance a feature counts as hardly used; up to the second
where its interval reaches zero as well."""


@dataclass(frozen=True, eq=False)
class Importance:
    """How much one model relies on each feature, by one method.

    Attributes
    ----------
    model : the display name.
    method : the key: "permutation", "drop-column", "shap", "impurity", "gain", "split",
        "coefficient", …; `title` is for people.
    unit : what one unit of `values` is, "drop of ROC AUC", "share of the impurity decrease".
    features : the person's own columns (or groups of them), in the order of the data.
    values, low, high : `(n_features,)` float64; bounds are nan where there are none.
    n, n_given : rows used, of the rows there are; n 0 where all comes from the training.
    level : of the intervals.
    repeats : `(n_features, n_repeats)` single repeats, or None.
    signs : `(n_features,)` 1 raises, -1 lowers the answer, 0 neither or both; None = no signs.
    deviations : `(b, n_features)`, whose mean products are the covariances of the errors of
        `values`; None where there is no error to know.
    freedom : degrees of freedom of these covariances.
    metric, baseline : the metric that was watched, and its value with nothing changed.
    part : "training", "evaluation" or "": which rows.
    warning : one sentence on what the method cannot see.
    """

    model: str
    method: str
    title: str
    unit: str
    features: tuple[str, ...]
    values: Floats
    low: Floats
    high: Floats
    n: int
    n_given: int
    level: float = 0.95
    repeats: Floats | None = None
    signs: Ints | None = None
    deviations: Floats | None = None
    freedom: float = np.inf
    metric: str = ""
    baseline: float = np.nan
    part: str = ""
    warning: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        m = len(self.features)
        given: dict[str, npt.NDArray[Any]] = {
            "values": self.values,
            "low": self.low,
            "high": self.high,
        }
        given |= {} if self.signs is None else {"signs": self.signs}
        given |= {} if self.repeats is None else {"repeats": self.repeats}
        for name, values in given.items():
            if len(values) != m:
                raise ParameterError(f"{name} has {len(values)} entries for {m} features.")
        if self.deviations is not None and self.deviations.shape[1:] != (m,):
            raise ParameterError(
                f"deviations has shape {self.deviations.shape} for {m} features; needed is one "
                "column for each."
            )

    @cached_property
    def ranks(self) -> Floats:
        """`(n_features,)` places from 1, equal values share the best one; nan without a value."""
        return _places(self.values[:, None] < self.values[None, :], self.values)

    @cached_property
    def rank_bounds(self) -> tuple[Floats, Floats]:
        """Best and worst place of each feature, where only clear differences separate.

        Two features are apart when the difference of their values exceeds its own sampling error
        at `level` (each pair by itself; both were measured on the same rows, which counts).
        Without errors only equal values tie.
        """
        apart = self._clearly_smaller()
        worse = (apart.T).sum(axis=1)
        known = ~np.isnan(self.values)
        high = np.where(known, known.sum() - worse, np.nan).astype(float)
        return _places(apart, self.values), high

    def _clearly_smaller(self) -> npt.NDArray[np.bool_]:
        """`(f, f)`: whether the feature of the row is clearly below that of the column."""
        with np.errstate(invalid="ignore"):
            difference = self.values[None, :] - self.values[:, None]
            return np.asarray(difference > self._reach())

    def _reach(self) -> Any:
        """The half-width of the interval of each difference, `(f, f)`, or 0."""
        if self.deviations is None:
            return 0.0
        product = self.deviations.T @ self.deviations / len(self.deviations)
        spread = np.diag(product)
        variance = np.maximum(spread[:, None] + spread[None, :] - 2 * product, 0)
        return stdtrit(self.freedom, (1 + self.level) / 2) * np.sqrt(variance)

    @cached_property
    def near_zero(self) -> npt.NDArray[np.bool_]:
        """`(n_features,)` hardly used: up to 1 % of the largest, or 5 % and not clearly above 0."""
        largest = np.nanmax(np.abs(self.values), initial=0.0)
        with np.errstate(invalid="ignore"):
            small = self.values <= NEAR_ZERO * largest
            unclear = (self.low <= 0) & (self.values <= UNCLEAR * largest)
        return np.asarray(small | unclear | np.isnan(self.values))

    @property
    def shares(self) -> Floats:
        """`(n_features,)` the part of the sum of all positive values, to set methods side by side.

        Zero where nothing is positive.
        """
        positive = np.nan_to_num(np.maximum(self.values, 0.0))
        total = positive.sum()
        return np.asarray(positive / total if total > 0 else positive)

    def order(self) -> Ints:
        """`(n_features,)` positions from the most important down; equal ones as in the data."""
        return np.argsort(-np.where(np.isnan(self.values), -np.inf, self.values), kind="stable")

    def take(self, at: Any) -> Importance:
        """Some of the features, by position. Ranks are then among these."""
        from dataclasses import replace

        at = np.asarray(at, dtype=np.int64)
        return replace(
            self,
            features=tuple(self.features[place] for place in at),
            values=self.values[at],
            low=self.low[at],
            high=self.high[at],
            repeats=None if self.repeats is None else self.repeats[at],
            signs=None if self.signs is None else self.signs[at],
            deviations=None if self.deviations is None else self.deviations[:, at],
        )

    def frame(self) -> pd.DataFrame:
        """One row per feature, the most important first.

        Columns `model, method, feature, value, low, high, sign, rank, rank_low, rank_high,
        near_zero, n`, and `repeat_1 …` where there are repeats.
        """
        best, worst = self.rank_bounds
        places = {"rank": self.ranks, "rank_low": best, "rank_high": worst}
        table = pd.DataFrame(
            {
                "model": self.model,
                "method": self.method,
                "feature": list(self.features),
                "value": self.values,
                "low": self.low,
                "high": self.high,
                "sign": np.zeros(len(best), np.int64) if self.signs is None else self.signs,
                **{name: pd.array(_whole(place), "Int64") for name, place in places.items()},
                "near_zero": self.near_zero,
                "n": self.n,
            }
        )
        for k in range(0 if self.repeats is None else self.repeats.shape[1]):
            table[f"repeat_{k + 1}"] = self.repeats[:, k]  # type: ignore[index]
        return table.iloc[self.order()].reset_index(drop=True)


def _places(below: npt.NDArray[np.bool_], values: Floats) -> Floats:
    return np.where(np.isnan(values), np.nan, 1.0 + below.sum(axis=1))


def _whole(places: Floats) -> list[int | None]:
    return [None if np.isnan(place) else int(place) for place in places]


def compute_shap_importance(
    attributions: Attributions,
    output: int | None = None,
    *,
    level: float = 0.95,
    n_bootstrap: int = 1_000,
    random_state: int = 0,
) -> Importance:
    """Mean size of a feature's contribution, with bootstrap intervals over the explained rows.

    Parameters
    ----------
    output : position of one output; None = the mean over all outputs.

    Raises
    ------
    ParameterError : no such output; level outside (0, 1); n_bootstrap below 2.
    """
    if n_bootstrap < 2:
        raise ParameterError(f"n_bootstrap must be at least 2, got {n_bootstrap}.")
    check_level(level)
    sizes = _mean_sizes(attributions.values, attributions.output_names, output)
    n, m = sizes.shape
    values = sizes.mean(axis=0) if n else np.full(m, np.nan)
    low, high = np.full(m, np.nan), np.full(m, np.nan)
    deviations = None
    if n > 1:
        drawn = resampled_sums(sizes, n_bootstrap=n_bootstrap, random_state=random_state) / n
        low, high = percentile_interval(drawn, level)
        deviations = drawn - values
    return Importance(
        model=attributions.model,
        method="shap",
        title=_title(attributions, output),
        unit=f"mean size of the contribution, {_unit(attributions, output)}",
        features=attributions.feature_names,
        values=values,
        low=low,
        high=high,
        n=n,
        n_given=attributions.n_given,
        level=level,
        deviations=deviations,
        warning=(
            "What the model's answers rely on, right or wrong; not what drives the outcome. "
            "Features that vary together share their importance."
        ),
        notes=(*_notes(attributions, output), *attributions.notes),
    )


def _title(attributions: Attributions, output: int | None) -> str:
    kind = "Mean |SHAP|" if attributions.exact else "Mean |contribution|"
    names = attributions.output_names
    if len(names) < 2:
        return kind
    return f"{kind} over {len(names)} outputs" if output is None else f"{kind} for {names[output]}"


def _unit(attributions: Attributions, output: int | None) -> str:
    """The unit in words: the target's own name, where all values are of one target."""
    names = attributions.output_names
    if attributions.space is not OutputSpace.TARGET or (output is None and len(names) > 1):
        return str(attributions.space.value)
    return shorten(str(names[output or 0]), 40)


def _mean_sizes(values: Any, outputs: tuple[Any, ...], output: int | None) -> Floats:
    """`(n, f)` sizes of the contributions to one output, or their mean over all."""
    if output is None:
        return np.asarray(np.abs(values).mean(axis=2), dtype=np.float64)
    if not 0 <= output < len(outputs):
        raise ParameterError(
            f"Argument output must be a position from 0 to {len(outputs) - 1}, got {output}."
        )
    return np.asarray(np.abs(values[:, :, output]), dtype=np.float64)


def _notes(attributions: Attributions, output: int | None) -> list[str]:
    notes = [
        f"{attributions.method}; {count(attributions.n)} of {count(attributions.n_given)} rows."
    ]
    k = len(attributions.output_names)
    if output is None and k > 1:
        notes.append(f"The mean over all {k} outputs.")
    if attributions.errors is not None:
        errors = attributions.errors if output is None else attributions.errors[:, :, [output]]
        # the mean size of pure noise of standard deviation s is s · sqrt(2/π)
        noise = float(np.sqrt(2 / np.pi) * errors.mean()) if errors.size else 0.0
        largest = float(np.abs(attributions.values).mean(axis=(0, 2)).max(initial=0.0))
        if largest > 0:
            notes.append(
                "Contributions are sampled: a feature that does nothing would still show about "
                f"{percent(noise / largest)} of the largest importance."
            )
    return notes
