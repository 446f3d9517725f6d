"""200 seeded curves whose truth is known: how often verdicts are right, and the table of it.

`python -m tests.verdict_simulation` writes the table into docs/learning.md; `test_verdicts.py`
fails when the share of right verdicts falls or the table is out of date.

A change is clear where it is about four times the standard error that the noise gives it, and
more; a curve without one is clear where a change of a tenth of its level could not hide in the
noise. Unclear are curves whose noise is as large as the changes that matter, or larger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dashboard.contracts import Run, Series
from dashboard.diagnostics.epoch_findings import find_in_epochs
from dashboard.diagnostics.folds import FoldScores
from dashboard.diagnostics.mismatch import judge_apart
from dashboard.diagnostics.size_curves import SizeCurve
from dashboard.diagnostics.verdicts import judge, judge_size_curves

Floats = npt.NDArray[np.float64]
Pair = tuple[Floats, Floats]

DOCS = Path(__file__).parent.parent / "docs" / "learning.md"
BEGIN, END = "<!-- verdicts -->", "<!-- end of verdicts -->"
UNCLEAR = "undecided"
SEED = 2026


@dataclass(frozen=True)
class Outcome:
    """One simulated curve: by "size", "epoch" or on rows kept "apart"; what it is, what is said."""

    kind: str
    truth: str
    case: str
    verdict: str


# -- by training size -----------------------------------------------------------------------------

_SIZES = np.array([100, 200, 400, 800])


@dataclass(frozen=True)
class _Fits:
    """What a model does on every fold: error at the largest size, gap and noise as shares of it."""

    error: float
    gap: float
    noise: float
    splits: int = 5
    repeats: int = 5
    memorises: bool = False

    def curve(self, rng: np.random.Generator, name: str, is_accuracy: bool) -> SizeCurve:
        """Errors fall by a power law; a fifth of the noise is common to all folds."""
        folds = self.splits * self.repeats
        fall = (1 + 0.6 * ((_SIZES / _SIZES[-1]) ** -0.7 - 1))[:, None]
        level = self.error * (1 + 0.2 * self.noise * rng.normal())
        shocks = self.noise * self.error * rng.normal(size=(2, len(_SIZES), folds))
        validation = level * fall + shocks[0]
        train = (1 - self.gap) * level * (2 - fall).clip(0.2) + 0.3 * shocks[1]
        train = np.maximum(0.0 * train if self.memorises else train, 0.0)
        if is_accuracy:  # an error of 1 is a fifth of the rows
            train, validation = 1 - 0.2 * train, np.clip(1 - 0.2 * validation, 0, 1)
        return SizeCurve(
            model=name,
            metric="accuracy" if is_accuracy else "rmse",
            title="Accuracy" if is_accuracy else "RMSE",
            larger_is_better=is_accuracy,
            sizes=_SIZES,
            train=train,
            validation=validation,
            fit_seconds=np.zeros(validation.shape),
            n_given=1_000,
            independent=self.splits,
            n_done=validation.size,
            n_fits=validation.size,
        )


def _size_cases(rng: np.random.Generator) -> list[tuple[str, str, _Fits]]:
    """Truth, the kind of case, and the model; a new draw at each call."""
    u = rng.uniform
    calm = {
        "noise": u(0.02, 0.15),
        "repeats": int(rng.choice([3, 5, 10])),
        "splits": int(rng.choice([5, 10])),
    }
    return [
        ("overfitting", "a gap of 25 to 60 %", _Fits(1.2, u(0.25, 0.6), **calm)),
        ("overfitting", "not repeated", _Fits(1.2, u(0.4, 0.6), u(0.02, 0.06), repeats=1)),
        ("underfitting", "far behind", _Fits(u(1.5, 2.5), u(0.0, 0.03), **calm)),
        ("about_right", "a gap up to 5 %", _Fits(1.0, u(0.0, 0.05), **calm)),
        ("memorised", "no training error", _Fits(1.3, 1.0, **calm, memorises=True)),
        (UNCLEAR, "one wild cross-validation", _Fits(1.0, u(0.15, 0.3), u(0.5, 0.8), repeats=1)),
        (UNCLEAR, "one split", _Fits(1.0, u(0.1, 0.4), u(0.1, 0.5), splits=1, repeats=1)),
        (
            UNCLEAR,
            "a gap at the limit",
            _Fits(1.0, u(0.1, 0.15), u(0.2, 0.4), splits=int(rng.choice([3, 5])), repeats=1),
        ),
    ]


def _by_size(rng: np.random.Generator, n: int) -> Iterator[Outcome]:
    """A model beside a good one, on the same folds."""
    for k in range(n):
        cases = _size_cases(rng)
        truth, case, fits = cases[k % len(cases)]
        is_accuracy = bool(rng.random() < 0.4)
        own = fits.curve(rng, "m", is_accuracy)
        good = replace(fits, error=1.0, gap=0.03, memorises=False).curve(rng, "good", is_accuracy)
        found = judge([one for one in judge_size_curves([own, good]) if one.subject == "m"])
        yield Outcome("size", truth, case, found[0].code if found else "nothing")


# -- on rows kept apart ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Apart:
    """Errors of the folds around 1, and of the rows kept apart by `harder` above it.

    `noise` : standard deviation of a fold's error; that of rows kept apart falls with their number.
    """

    harder: float
    noise: float
    splits: int
    repeats: int
    n_apart: int

    def scores(self, rng: np.random.Generator, is_accuracy: bool) -> FoldScores:
        """A fifth of the noise is common to all folds, as the rows learned from are."""
        folds, n_fold = self.splits * self.repeats, 1_000 // self.splits
        validation = 1 + self.noise * (0.2 * rng.normal() + rng.normal(size=folds))
        one = 1 + self.harder + self.noise * np.sqrt(n_fold / self.n_apart) * rng.normal()
        train, apart = 0.98 * validation, max(float(one), 0.0)
        if is_accuracy:  # an error of 1 is a tenth of the rows
            train, validation, apart = 1 - 0.1 * train, 1 - 0.1 * validation, 1 - 0.1 * apart
        return FoldScores(
            model="m",
            metric="accuracy" if is_accuracy else "rmse",
            title="Accuracy" if is_accuracy else "RMSE",
            larger_is_better=is_accuracy,
            train=train,
            validation=validation,
            fit_seconds=np.zeros(folds),
            n_train=np.full(folds, 1_000 - n_fold),
            n_validation=np.full(folds, n_fold),
            repeats=np.repeat(np.arange(self.repeats), self.splits),
            failures=("",) * folds,
            n_done=folds + 1,
            n_fits=folds + 1,
            apart=apart,
            n_apart=self.n_apart,
        )


def _by_apart(rng: np.random.Generator, n: int) -> Iterator[Outcome]:
    for k in range(n):
        u = rng.uniform
        folds = {
            "splits": int(rng.choice([5, 10])),
            "repeats": int(rng.choice([1, 3])),
            "n_apart": int(rng.choice([200, 500, 1_000])),
        }
        cases = [
            ("data_mismatch", "harder", _Apart(u(0.4, 1.2), u(0.02, 0.08), **folds)),
            ("as_expected", "the same rows", _Apart(0.0, u(0.005, 0.025), **folds)),
            (UNCLEAR, "a little harder, noisy", _Apart(u(0.05, 0.25), u(0.15, 0.4), **folds)),
            (UNCLEAR, "noisy", _Apart(0.0, u(0.15, 0.4), **folds)),
        ]
        truth, case, apart = cases[k % len(cases)]
        found = judge_apart(apart.scores(rng, bool(rng.random() < 0.5)))
        yield Outcome("apart", truth, case, found[0].code if found else "nothing")


# -- by epoch -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shape:
    """Curves without noise, and the noise of the validation part as a share of its best level.

    Training losses are means over all batches of an epoch: `calm` times as noisy.
    """

    truth: str
    case: str
    draw: Callable[[np.random.Generator, int], Pair]
    epochs: tuple[int, int] = (20, 150)
    noise: tuple[float, float] = (0.002, 0.035)
    calm: float = 0.3


def _settling(rng: np.random.Generator, n: int) -> Pair:
    """Falls within the first third and stays."""
    at, level = np.arange(n) / n, rng.uniform(0.1, 0.6)
    fall = rng.uniform(0.5, 2.3) * np.exp(-at * rng.uniform(15, 40))
    return level * rng.uniform(0.7, 0.95) + fall, level + fall


def _later(n: int, start: float) -> Floats:
    """0 until `start` of the epochs, then a line up to 1."""
    return np.asarray(np.clip((np.arange(n) / n - start) / (1 - start), 0, None))


def _overfitting(rng: np.random.Generator, n: int) -> Pair:
    train, validation = _settling(rng, n)
    start, level = rng.uniform(0.2, 0.5), validation[-1]
    return (
        train * (1 - rng.uniform(0.3, 0.8) * _later(n, start)),
        validation + rng.uniform(0.15, 1.0) * level * _later(n, start),
    )


def _from_the_first(rng: np.random.Generator, n: int) -> Pair:
    at = np.arange(n) / n
    return 0.2 + 0.4 * np.exp(-at * rng.uniform(5, 15)), 0.6 + rng.uniform(0.2, 1.0) * at


def _by_heart(rng: np.random.Generator, n: int) -> Pair:
    """Training error falls to nothing, validation stays where it is far from that."""
    at, level = np.arange(n) / n, rng.uniform(0.4, 0.8)
    fall = rng.uniform(0.8, 1.5) * np.exp(-at * rng.uniform(15, 40))
    return (level + fall[0]) * np.exp(-at * rng.uniform(12, 30)), level + fall


def _falling(rng: np.random.Generator, n: int) -> Pair:
    at = np.arange(n) / n
    fall = rng.uniform(1, 2) * np.exp(-at * rng.uniform(0.8, 2.5))
    return 0.2 + fall, 0.25 + fall


def _diverging(rng: np.random.Generator, n: int) -> Pair:
    rise = rng.uniform(0.5, 20) * (np.arange(n) / n) ** rng.uniform(1, 3)
    return 1.5 + rise, 1.6 + rise


def _stalling(rng: np.random.Generator, n: int) -> Pair:
    """The training loss jumps by a tenth of its fall and more, as with a rate that is too high."""
    train, validation = _settling(rng, n)
    jumps = rng.uniform(0.12, 0.3) * (train[0] - train[-1]) * rng.normal(size=n)
    jumps[0] = 0.0
    return train + jumps, validation + jumps


def _creeping(rng: np.random.Generator, n: int) -> Pair:
    train = rng.uniform(1, 3) * (1 - rng.uniform(0.03, 0.15) * np.arange(n) / n)
    return train, train * 1.02


def _drifting(rng: np.random.Generator, n: int) -> Pair:
    """A rise or a fall of a tenth of the level and less, after the middle."""
    train, validation = _settling(rng, n)
    return train, validation * (1 + rng.uniform(-0.1, 0.1) * _later(n, 0.5))


_SHAPES = (
    _Shape("converged", "level from a third on", _settling, (25, 150), (0.002, 0.02)),
    _Shape("converged", "level, few epochs", _settling, (12, 25), (0.002, 0.01)),
    _Shape("overfitting", "rises after its best", _overfitting),
    _Shape("overfitting", "from the first epochs", _from_the_first),
    _Shape("memorised", "no training error", _by_heart),
    _Shape("not_converged", "still falls", _falling),
    _Shape("diverging", "rises throughout", _diverging),
    _Shape("rate_too_high", "falls, then jumps", _stalling, (30, 150)),
    _Shape("rate_too_low", "a slow line", _creeping, (20, 150), (0.0005, 0.003)),
    _Shape(UNCLEAR, "level, but noisy", _settling, (20, 100), (0.12, 0.4), 0.1),
    _Shape(UNCLEAR, "a drift within the noise", _drifting, (20, 60), (0.1, 0.3), 0.1),
    _Shape(UNCLEAR, "few and noisy epochs", _settling, (6, 10), (0.1, 0.3), 0.1),
)


def _run(rng: np.random.Generator, shape: _Shape) -> Run:
    n = int(rng.integers(*shape.epochs))
    train, validation = shape.draw(rng, n)
    noise = rng.uniform(*shape.noise) * float(np.abs(validation).min())
    train = np.maximum(train + shape.calm * noise * rng.normal(size=n), 0.0)
    validation = validation + noise * rng.normal(size=n)
    logged = [("loss", "train", train), ("loss", "validation", validation)]
    if rng.random() < 0.5:  # an accuracy beside the loss, with noise of its own
        for part, loss in (("train", train), ("validation", validation)):
            share = np.exp(-0.5 * np.abs(loss)) + 0.3 * noise * rng.normal(size=n)
            logged.append(("accuracy", part, np.clip(share, 0, 0.99)))
    series = (Series(metric, part, np.arange(n), y, "epoch") for metric, part, y in logged)
    return Run("run", "simulated", tuple(series))


def _by_epoch(rng: np.random.Generator, n: int) -> Iterator[Outcome]:
    for k in range(n):
        shape = _SHAPES[k % len(_SHAPES)]
        found = judge(find_in_epochs(_run(rng, shape)))
        yield Outcome("epoch", shape.truth, shape.case, found[0].code if found else "nothing")


# -- the table ------------------------------------------------------------------------------------


def simulate(n: int = 200, seed: int = SEED) -> list[Outcome]:
    rng, n_apart = np.random.default_rng(seed), n // 5
    n_size = (n - n_apart) // 2
    return [
        *_by_size(rng, n_size),
        *_by_apart(rng, n_apart),
        *_by_epoch(rng, n - n_apart - n_size),
    ]


def right(outcomes: list[Outcome], *, clear: bool, kind: str = "") -> float:
    """Share of right verdicts among the curves whose truth is clear, or among the others."""
    some = [one for one in outcomes if (one.truth != UNCLEAR) is clear and kind in ("", one.kind)]
    return sum(one.truth == one.verdict for one in some) / len(some)


def by_case(outcomes: list[Outcome]) -> str:
    """What is said of each kind of case, to look at."""
    counted = Counter((one.kind, one.truth, one.case, one.verdict) for one in outcomes)
    return "\n".join(f"{' | '.join(key)}: {n}" for key, n in sorted(counted.items()))


def table(outcomes: list[Outcome]) -> str:
    """Truth by verdict, as Markdown."""
    lines = []
    titles = {"size": "By training size", "apart": "On rows kept apart", "epoch": "By epoch"}
    for kind, title in titles.items():
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
