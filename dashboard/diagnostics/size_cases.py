"""One size of a curve by training size as its errors over the folds, and intervals of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..wording import plural
from .folds import MeanInterval, corrected_interval
from .size_curves import SizeCurve

__all__ = ["REPEATED", "SizeCase", "beyond", "case_of", "errors_of", "held_out"]

Floats = npt.NDArray[np.float64]

REPEATED = 3  # repetitions from which their means are judged


@dataclass(frozen=True, eq=False)
class SizeCase:
    """The largest size of one curve, in errors: lower is better, 0 is perfect where that is known.

    Attributes
    ----------
    train, validation : `(f,)` of the folds that have both, or of repetitions, means of theirs.
    ratio : rows judged over rows learned from; 0 for repetitions, which judge all rows.
    over : what they are over, in words.
    """

    curve: SizeCurve
    train: Floats
    validation: Floats
    ratio: float
    over: str

    @property
    def n(self) -> int:
        return len(self.validation)

    @property
    def error(self) -> float:
        return float(self.validation.mean())

    @property
    def train_error(self) -> float:
        return float(self.train.mean())

    @property
    def spread(self) -> float:
        """Standard deviation of the validation error over the folds or repetitions."""
        return float(self.validation.std(ddof=1)) if self.n > 1 else np.nan

    def interval(self, differences: Floats, level: float) -> MeanInterval:
        return corrected_interval(differences, self.ratio, level)


def errors_of(curve: SizeCurve, scores: Floats) -> Floats:
    return 1 - scores if curve.larger_is_better else scores


def case_of(curve: SizeCurve, place: int = -1) -> SizeCase:
    train, ratio, over = _spread_over(curve, errors_of(curve, curve.train[place]))
    validation, _, _ = _spread_over(curve, errors_of(curve, curve.validation[place]))
    both = np.isfinite(train) & np.isfinite(validation)
    n = int(both.sum())
    return SizeCase(curve, train[both], validation[both], ratio, over.format(plural(n, "fold"), n))


def held_out(curve: SizeCurve, place: int = -1) -> Floats:
    """Validation errors `(f,)` of the folds at a size."""
    return errors_of(curve, curve.validation[place])


def beyond(curve: SizeCurve, differences: Floats, level: float) -> MeanInterval:
    """A mean over folds with an interval for other rows of the same kind."""
    folds = curve.independent or curve.n_folds
    return corrected_interval(differences[np.isfinite(differences)], 1 / max(1, folds - 1), level)


def _spread_over(curve: SizeCurve, errors: Floats) -> tuple[Floats, float, str]:
    """Errors of the folds, or the means of the repetitions; the correction; a template of words."""
    folds = curve.independent or curve.n_folds
    repeats = curve.n_folds // folds if folds else 0
    if repeats < REPEATED or repeats * folds != curve.n_folds:
        return errors, 1 / max(1, folds - 1), "{0}"
    # a repetition counts where all its folds have a score
    return errors.reshape(repeats, folds).mean(axis=1), 0.0, f"{{1}} repetitions of {folds} folds"
