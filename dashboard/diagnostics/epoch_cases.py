"""One run's curves as findings judge them, and what is to be said of the log itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..contracts import Finding, Severity
from ..wording import count, in_sentence, number
from .epoch_trends import LEAST, Trend
from .epochs import EpochCurve, units

__all__ = ["MATERIAL", "EpochCase", "about_the_log", "chance", "size_of", "too_short"]

MATERIAL = 0.01  # of the level: smaller changes are left alone, however clear
PATIENCE = 10  # where none was chosen


@dataclass(frozen=True, eq=False)
class EpochCase:
    """One run: the curve that is judged and the others of the same run."""

    curve: EpochCurve
    others: tuple[EpochCurve, ...]
    train: Trend | None
    validation: Trend | None

    @property
    def sign(self) -> float:
        return -1.0 if self.curve.larger_is_better else 1.0

    @property
    def name(self) -> str:
        return in_sentence(self.curve.title)

    @property
    def watched(self) -> Trend | None:
        return self.validation or self.train

    @property
    def patience(self) -> int:
        """The one that the curve is drawn with."""
        stop = self.curve.early_stop
        return PATIENCE if stop is None else stop.patience

    def shown(self, value: float) -> str:
        """A level as it was logged."""
        return number(self.sign * value)

    def step(self, trend: Trend, place: int) -> float:
        return float(trend.steps[place])

    def at(self, step: float) -> str:
        return f"{self.curve.unit} {count(round(step))}"

    def best_of(self, watched: Trend) -> tuple[float, bool]:
        """The step of the best level, and whether it is the one that charts mark as the best.

        That one is of the best single value; where it lies far from the window of the best level,
        it is the middle of the window instead.
        """
        first = watched.steps[watched.lowest]
        last = watched.steps[watched.lowest + watched.window - 1]
        reach, best = last - first, self.curve.best
        if best is not None and first - reach <= best <= last + reach:
            return float(best), True
        return self.step(watched, watched.lowest + watched.window // 2), False

    def finding(
        self,
        code: str,
        severity: Severity,
        sentence: str,
        remedies: Sequence[str] = (),
        at: float | None = None,
        **evidence: float | int | str,
    ) -> Finding:
        return Finding(
            code, severity, self.curve.run, sentence, evidence, tuple(remedies), "epochs", at
        )


def chance(spread: float) -> str:
    """What a change is judged against, in a sentence about it."""
    return f"ups and downs alone explain {number(spread)}"


def size_of(trend: Trend) -> float:
    """What a change is compared with: the best level, and where that is near 0, the fall to it."""
    return max(abs(trend.best), 0.05 * abs(trend.start - trend.best))


# What the log itself lacks


def about_the_log(case: EpochCase) -> Iterator[Finding]:
    curve = case.curve
    if curve.n_bad:
        yield _not_finite(case)
    notes = [note for part in curve.parts for note in part.notes]
    if notes:
        yield case.finding("restarted", "info", " ".join(notes), n_notes=len(notes))
    if curve.validation is None:
        yield case.finding(
            "no_validation",
            "info",
            f"{curve.run} logged its {case.name} on training rows only, so that overfitting cannot "
            "be seen.",
            ["log a validation part too (validation_data or validation_split in Keras)"],
        )


def _not_finite(case: EpochCase) -> Finding:
    curve = case.curve
    part = next(one for one in curve.parts if one.gaps)
    gap = part.gaps[0]
    n_bad = int((~part.finite).sum())
    before = part.values[(part.steps < gap.first) & part.finite]
    to_the_end = gap.last == int(part.steps[-1])
    last = f"; the last finite value before is {number(float(before[-1]))}" if len(before) else ""
    trains = part.part == "train"
    is_loss = not curve.larger_is_better
    return case.finding(
        "non_finite",
        "problem" if trains or is_loss else "warning",
        f"The {part.part} {case.name} of {curve.run} is {gap.kind} from {case.at(gap.first)} on"
        f"{'' if to_the_end else f' to {case.at(gap.last)}'}{last}. Not finite are {count(n_bad)} "
        f"of {count(len(part.steps))} values.",
        [
            "divide the learning rate by 10"
            if trains
            else "look at the validation rows: missing "
            "values, logarithms or divisions by zero in the metric",
            "clip the gradients (clipnorm)",
            "look for missing or huge values in the inputs and scale them",
        ],
        float(gap.first),
        first=gap.first,
        n_not_finite=n_bad,
        n=len(part.steps),
        part=part.part,
    )


def too_short(case: EpochCase, trend: Trend) -> Finding:
    n = len(trend) * trend.block
    one = n == 1
    return case.finding(
        "one_epoch" if one else "too_short",
        "info",
        f"{case.curve.run} logged {units(n, case.curve.unit)} with a finite {case.name}; a trend "
        f"cannot be told from ups and downs before {units(LEAST, case.curve.unit)}. Undecided.",
        ["train for longer, with early stopping"],
        n=n,
    )
