"""Whether a model reaches the score that a person wants, judged by what other rows would change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..contracts import Finding
from ..wording import count, in_sentence, number, plural, threshold
from .folds import MeanInterval
from .projections import Projection
from .size_cases import beyond, errors_of, held_out
from .size_curves import SizeCurve

__all__ = ["behind_wanted", "judge_wanted", "when_reached"]


def behind_wanted(curve: SizeCurve, wanted: float, level: float) -> MeanInterval:
    """How much larger its error is than wanted, at the largest size; below zero where smaller."""
    return beyond(curve, held_out(curve) - errors_of(curve, np.array([wanted])), level)


def judge_wanted(curve: SizeCurve, wanted: float, level: float = 0.95) -> list[Finding]:
    """One finding: wanted_reached, wanted_missed or wanted_unclear, at the largest size.

    Returns
    -------
    list : nothing while the largest size has no score.
    """
    known = np.isfinite(curve.validation[-1])
    if not known.any():
        return []
    behind, own = behind_wanted(curve, wanted, level), float(curve.validation[-1][known].mean())
    title, n = in_sentence(curve.title), int(known.sum())
    against = f"{title} {number(own)} on rows it did not learn from, against {threshold(wanted)}"
    far = f"{number(abs(behind.mean))} ({_ends(behind)} with other rows)"
    remedies: tuple[str, ...] = ()
    if n < 2 or not np.isfinite(behind.low):
        code, said = "wanted_unclear", f"on {plural(n, 'fold')} it cannot be told: {against}"
        remedies = ("Use more folds.",)
    elif behind.high <= 0:
        code, said = "wanted_reached", f"yes: {against}, better by {far}"
    elif behind.low > 0:
        code, said = "wanted_missed", f"no: {against}, short by {far}.{_seen(curve, wanted)}"
        remedies = _ways(curve, wanted)
    else:
        short = "short" if behind.mean > 0 else "better"
        code, said = "wanted_unclear", f"too close to call: {against}, {short} by {far}"
        remedies = ("Repeat the cross-validation, or use more folds.",)
    severity = {"wanted_reached": "good", "wanted_missed": "warning"}.get(code, "info")
    return [
        Finding(
            code,
            severity,  # type: ignore[arg-type]
            curve.model,
            f"Does {curve.model} reach the score wanted? {said[:1].upper()}{said[1:].rstrip('.')}.",
            {
                "metric": curve.metric,
                "wanted": wanted,
                "validation": own,
                "short": behind.mean,
                "short_low": behind.low,
                "short_high": behind.high,
                "folds": n,
            },
            remedies,
            "size_curve",
            float(curve.sizes[-1]),
        )
    ]


def _ends(behind: MeanInterval) -> str:
    """The interval of the distance, which is written without its sign."""
    ends = (behind.low, behind.high) if behind.mean > 0 else (-behind.high, -behind.low)
    return f"{number(ends[0])} to {number(ends[1])}"


def _reached_in_training(curve: SizeCurve, wanted: float) -> bool | None:
    train = curve.train[-1][np.isfinite(curve.train[-1])]
    if not len(train):
        return None
    return bool(errors_of(curve, train).mean() <= errors_of(curve, np.array([wanted]))[0])


def _seen(curve: SizeCurve, wanted: float) -> str:
    reached = _reached_in_training(curve, wanted)
    if reached is None:
        return ""
    own = number(float(np.nanmean(curve.train[-1])))
    return (
        f" On the rows it learned from it does ({own})"
        if reached
        else f" Even on the rows it learned from it does not ({own})"
    )


def _ways(curve: SizeCurve, wanted: float) -> tuple[str, ...]:
    if _reached_in_training(curve, wanted) is False:
        return ("Use a richer model.", "Give it better features.", "More rows alone will not do.")
    return ("Get more rows, or cleaner ones.", "Regularise, or use a simpler model.")


# ---- with more rows ----------------------------------------------------------------------------


def when_reached(law: Projection, wanted: float) -> str:
    """At how many rows a continued curve reaches the score; "" where it does so already."""
    sign = 1 if law.larger_is_better else -1
    beyond_base = law.sizes >= law.base
    sizes = law.sizes[beyond_base]
    likely, early, late = (
        _crossing(sizes, sign * (ends[beyond_base] - wanted))
        for ends in (law.values, *((law.high, law.low) if sign > 0 else (law.low, law.high)))
    )
    if likely is not None and likely <= law.base:
        return ""
    what = f"the {threshold(wanted)} that is wanted"
    upto = count(law.furthest)
    if likely is None:
        hope = f", though it may with {_about(early)} rows" if early is not None else ""
        return f"Continued up to {upto} rows, {law.model} does not reach {what}{hope}."
    ends = f"{_about(early or law.base)} to "
    ends += _about(late) if late is not None else f"more than {upto}"
    return f"Continued, {law.model} reaches {what} with about {_about(likely)} rows ({ends})."


def _crossing(sizes: npt.NDArray[np.float64], above: npt.NDArray[np.float64]) -> float | None:
    """The first size from which it is above zero, between two of them on a log axis."""
    found = np.flatnonzero(above >= 0)
    if not len(found):
        return None
    k = int(found[0])
    if k == 0:
        return float(sizes[0])
    share = -above[k - 1] / (above[k] - above[k - 1])
    return float(np.exp(np.interp(share, [0, 1], np.log(sizes[k - 1 : k + 1]))))


def _about(rows: float) -> str:
    """Two digits: more would pretend to be known."""
    return count(float(f"{rows:.1e}"))
