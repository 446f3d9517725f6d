"""200 seeded curves whose truth is known: how often verdicts are right, and the table of it.

`python -m tests.verdict_simulation` writes the table into docs/learning.md; `test_verdicts.py`
fails when the share of right verdicts falls or the table is out of date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dashboard.contracts import Run, Series
from dashboard.diagnostics.epoch_findings import find_in_epochs
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.verdicts import judge_size_curves

Floats = npt.NDArray[np.float64]

DOCS = Path(__file__).parent.parent / "docs" / "learning.md"
BEGIN, END = "<!-- verdicts -->", "<!-- end of verdicts -->"
UNCLEAR = "undecided"
# What several findings of the same meaning count as.
_SAME = {
    "rate_too_high": "diverging",
    "validation_better": "converged",
    "stuck": "rate_too_low",
    "no_better_than_baseline": "underfitting",
}
_EPOCHS = ("overfitting", "not_converged", "converged", "diverging", "undecided", "rate_too_low")


@dataclass(frozen=True)
class Outcome:
    """One simulated curve: by "size" or by "epoch", what it is, and what is said of it."""

    kind: str
    truth: str
    verdict: str


# -- by training size -----------------------------------------------------------------------------

_SPLITS, _REPEATS = 5, 5
_SIZES = np.array([100, 200, 400, 800])


def _size_curve(
    rng: np.random.Generator, name: str, error: float, gap: float, noise: float, repeats: int
) -> SizeCurve:
    """Errors that fall to `error` by a power law, training errors below by `gap` of it.

    `noise` of the folds, as a share of the error; a fifth of it is that of the rows as a whole.
    """
    folds = _SPLITS * repeats
    fall = 1 + 0.6 * (_SIZES / _SIZES[-1]) ** -0.7 - 0.6
    level = error * (1 + 0.2 * noise * rng.normal())
    shocks = noise * error * rng.normal(size=(len(_SIZES), folds))
    validation = level * fall[:, None] + shocks
    train = (1 - gap) * level * (2 - fall[:, None]).clip(0.2) + 0.3 * noise * error * rng.normal(
        size=(len(_SIZES), folds)
    )
    return SizeCurve(
        model=name,
        metric="rmse",
        title="RMSE",
        larger_is_better=False,
        sizes=_SIZES,
        train=np.maximum(train, 0.0),
        validation=validation,
        fit_seconds=np.zeros(validation.shape),
        n_given=1_000,
        independent=_SPLITS,
        n_done=validation.size,
        n_fits=validation.size,
    )


def _by_size(rng: np.random.Generator, n: int) -> Iterator[Outcome]:
    """A model beside a good one, on the same folds."""
    truths = ("overfitting", "underfitting", "about_right", "memorised", UNCLEAR)
    for k in range(n):
        truth = truths[k % len(truths)]
        gap, error, noise, repeats = {
            "overfitting": (rng.uniform(0.3, 0.6), 1.2, 0.05, _REPEATS),
            "underfitting": (rng.uniform(0.0, 0.03), rng.uniform(1.5, 2.5), 0.05, _REPEATS),
            "about_right": (rng.uniform(0.0, 0.05), 1.0, 0.05, _REPEATS),
            "memorised": (1.0, 1.3, 0.05, _REPEATS),
            UNCLEAR: (rng.uniform(0.15, 0.3), 1.0, rng.uniform(0.5, 0.8), 1),
        }[truth]
        own = _size_curve(rng, "m", error, gap, noise, repeats)
        if truth == "memorised":
            own = SizeCurve(**{**own.__dict__, "train": np.zeros_like(own.train)})
        good = _size_curve(rng, "good", 1.0, 0.03, noise, repeats)
        verdict = next(one.code for one in judge_size_curves([own, good]) if one.subject == "m")
        yield Outcome("size", truth, _SAME.get(verdict, verdict))


# -- by epoch -------------------------------------------------------------------------------------


def _losses(rng: np.random.Generator, truth: str, n: int) -> tuple[Floats, Floats]:
    at = np.arange(n)
    noise = 0.01
    fall = np.exp(-at / rng.uniform(4, 8))
    train, validation = 0.2 + fall, 0.25 + fall
    if truth == "overfitting":
        start = rng.uniform(0.25, 0.45) * n
        rise = rng.uniform(0.3, 0.8) * np.maximum(0, at - start) / n
        train, validation = train - 0.15 * np.maximum(0, at - start) / n, validation + rise
    elif truth == "not_converged":
        fall = np.exp(-at / (1.2 * n))
        train, validation = 0.2 + fall, 0.25 + fall
    elif truth == "diverging":
        rise = np.exp(np.minimum(at / rng.uniform(5, 8), 8)) / 20
        train, validation = 0.5 + rise, 0.6 + rise
    elif truth == UNCLEAR:
        noise = rng.uniform(0.08, 0.15)
        rise = rng.uniform(0.05, 0.08) * np.maximum(0, at - 0.5 * n) / n
        validation = validation + rise
    return train + 0.3 * noise * rng.normal(size=n), validation + noise * rng.normal(size=n)


def _by_epoch(rng: np.random.Generator, n: int) -> Iterator[Outcome]:
    truths = ("overfitting", "not_converged", "converged", "diverging", UNCLEAR)
    for k in range(n):
        truth = truths[k % len(truths)]
        epochs = int(rng.integers(40, 80))
        train, validation = _losses(rng, truth, epochs)
        steps = np.arange(epochs)
        run = Run(
            "run",
            "simulated",
            tuple(
                Series("loss", part, steps, values, "epoch")
                for part, values in (("train", train), ("validation", validation))
            ),
        )
        said = [_SAME.get(one.code, one.code) for one in find_in_epochs(run)]
        yield Outcome("epoch", truth, next((one for one in said if one in _EPOCHS), "nothing"))


# -- the table ------------------------------------------------------------------------------------


def simulate(n: int = 200) -> list[Outcome]:
    rng = np.random.default_rng(2026)
    return [*_by_size(rng, n // 2), *_by_epoch(rng, n - n // 2)]


def right(outcomes: list[Outcome], *, clear: bool) -> float:
    """Share of right verdicts among the curves whose truth is clear, or among the others."""
    some = [one for one in outcomes if (one.truth != UNCLEAR) is clear]
    return sum(one.truth == one.verdict for one in some) / len(some)


def table(outcomes: list[Outcome]) -> str:
    """Truth by verdict, as Markdown."""
    lines = []
    for kind, title in (("size", "By training size"), ("epoch", "By epoch")):
        counted = Counter((one.truth, one.verdict) for one in outcomes if one.kind == kind)
        truths = list(dict.fromkeys(one.truth for one in outcomes if one.kind == kind))
        said = [*truths, *sorted({verdict for _, verdict in counted} - set(truths))]
        lines += [f"| {title}: truth ↓ verdict → | {' | '.join(map(_words, said))} |"]
        lines += ["|---" * (len(said) + 1) + "|"]
        for truth in truths:
            cells = [str(counted[truth, verdict] or "·") for verdict in said]
            lines.append(f"| {_words(truth)} | {' | '.join(cells)} |")
        lines.append("")
    clear, unclear = right(outcomes, clear=True), right(outcomes, clear=False)
    lines.append(
        f"{clear:.0%} of {sum(one.truth != UNCLEAR for one in outcomes)} clear curves are judged "
        f"right, and {unclear:.0%} of {sum(one.truth == UNCLEAR for one in outcomes)} unclear ones "
        'are called "undecided".'
    )
    return "\n".join(lines)


def _words(code: str) -> str:
    return code.replace("_", " ")


def written(text: str, outcomes: list[Outcome]) -> str:
    """The text of docs/learning.md with the table of these outcomes."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(outcomes)}\n{END}{after}"


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text(encoding="utf-8"), simulate()), encoding="utf-8")
