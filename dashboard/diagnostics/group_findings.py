"""Which configuration is best, judged against what another seed changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..contracts import Finding
from ..wording import in_sentence, number, plural
from .run_groups import RunGroup

__all__ = ["find_in_groups"]


def find_in_groups(groups: Sequence[RunGroup]) -> list[Finding]:
    """The best configuration, or that the seeds leave it undecided; nothing for a single one.

    The means of the runs' best values are compared by twice the standard error of their
    difference (Welch). Runs that were chosen by their best epoch are all a little too good, of
    both groups alike.
    """
    known = [one for one in groups if np.isfinite(one.best_values).any()]
    if len(known) < 2:
        return []
    first = known[0].curves[0]
    sign = -1.0 if first.larger_is_better else 1.0
    order = sorted(known, key=lambda one: sign * float(np.nanmean(one.best_values)))
    best, second = order[0], order[1]
    values = [one.best_values[np.isfinite(one.best_values)] for one in (best, second)]
    means = [float(one.mean()) for one in values]
    name = f"best {first.best_from} {in_sentence(first.title)}".replace("train ", "training ")
    said = (
        f"{best.name} has a {name} of {number(means[0])} ({plural(len(values[0]), 'run')}), "
        f"{second.name} {number(means[1])} ({plural(len(values[1]), 'run')})"
    )
    if min(len(one) for one in values) < 2:
        return [_alone(best, said, means)]
    spread = 2 * float(np.sqrt(sum(one.var(ddof=1) / len(one) for one in values)))
    return [_compared(best, said, abs(means[1] - means[0]), spread)]


def _alone(best: RunGroup, said: str, means: Sequence[float]) -> Finding:
    return Finding(
        "undecided",
        "info",
        best.name,
        f"{said}. Without a second run of each, what another seed changes is unknown: undecided.",
        {"difference": abs(means[1] - means[0])},
        ("repeat each configuration with two more seeds or so",),
        "epochs",
    )


def _compared(best: RunGroup, said: str, difference: float, spread: float) -> Finding:
    clear = difference > spread
    judged = (
        f"They differ by {number(difference)}, where seeds allow {number(spread)}: "
        f"{'more than chance' if clear else 'too close to call'}."
    )
    return Finding(
        "best_configuration" if clear else "undecided",
        "good" if clear else "info",
        best.name,
        f"{said}. {judged}",
        {"difference": difference, "spread": spread},
        () if clear else ("take the simpler or faster one", "repeat both with more seeds"),
        "epochs",
    )
