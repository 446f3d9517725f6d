"""The threshold engine against what it replaces, each checked for equal results first.

`python -m benchmarks.thresholds [--quick]`. Seconds are processor time (`time.process_time`,
all threads), medians of runs in which ours and theirs take turns; a ratio is the median of the
ratios of such pairs. Peak memory is what was allocated on top of the inputs (`tracemalloc`, in
a run of its own). A result that is not equal stops the run.
"""

from __future__ import annotations

import argparse
import math
import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from dashboard.contracts import Predictions, ScoreKind, Target, Task
from dashboard.diagnostics.curves import compute_precision_recall, compute_roc
from dashboard.diagnostics.histograms import ScoreHistogram, bootstrap_areas
from dashboard.diagnostics.thresholds import ThresholdTable, delong_interval

Row = dict[str, object]
Truth = npt.NDArray[np.bool_]
Scores = npt.NDArray[Any]
Work = Callable[[], Any]

SLIDER_LIMIT = 0.005
PIXELS = 1_000


def sample(
    n: int, share: float = 0.08, dtype: Any = np.float64, seed: int = 0
) -> tuple[Truth, Scores]:
    """Truth and probabilities of a model that is good but not perfect."""
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < share
    logit = rng.normal(size=n) + 2 * truth - 3
    return truth, (1 / (1 + np.exp(-logit))).astype(dtype)


def check(what: str, error: float, limit: float) -> float:
    if not error <= limit:
        raise AssertionError(f"{what}: off by {error}, at most {limit} is allowed.")
    return error


def seconds(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def peak_mb(work: Work) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def rounded(value: float) -> float:
    """Three significant digits."""
    return float(f"{value:.3g}")


def paired(name: str, rows: int, ours: Work, theirs: Work, repeats: int, **more: object) -> Row:
    """One line of the table; both are run once before they are timed."""
    memory = peak_mb(ours), peak_mb(theirs)
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    return {
        "name": name,
        "rows": f"{rows:,}",
        "ours_seconds": rounded(median(pair[0] for pair in pairs)),
        "theirs_seconds": rounded(median(pair[1] for pair in pairs)),
        "ratio": rounded(median(pair[1] / max(pair[0], 1e-9) for pair in pairs)),
        "ours_peak_mb": rounded(memory[0]),
        "theirs_peak_mb": rounded(memory[1]),
        **more,
    }


# ------------------------------------------------------------------ everything, first build


def build(truth: Truth, scores: Scores) -> dict[str, Any]:
    """Every curve and figure of the eight calls below, from one table."""
    table = ThresholdTable.from_scores(truth, scores)
    return {
        "roc": table.roc(),
        "auc": table.roc_auc,
        "pr": table.precision_recall(),
        "ap": table.average_precision,
        "calibration": table.calibration(10)[:2],
        "confusion": table.at(0.5).matrix(),
        "brier": table.brier(),
        "log loss": table.log_loss(),
    }


def eight_calls(truth: Truth, scores: Scores) -> dict[str, Any]:
    return {
        "roc": sk.roc_curve(truth, scores),
        "auc": sk.roc_auc_score(truth, scores),
        "pr": sk.precision_recall_curve(truth, scores),
        "ap": sk.average_precision_score(truth, scores),
        "calibration": calibration_curve(truth, scores, n_bins=10),
        "confusion": sk.confusion_matrix(truth, scores >= 0.5),
        "brier": sk.brier_score_loss(truth, scores),
        "log loss": sk.log_loss(truth, scores),
    }


def largest_difference(truth: Truth, scores: Scores) -> float:
    """Between ours and theirs; scikit-learn's float32 losses are compared in float64."""
    ours, theirs = build(truth, scores), eight_calls(truth, scores)
    theirs["roc"] = sk.roc_curve(truth, scores, drop_intermediate=False)
    if scores.dtype == np.float32:
        wide = scores.astype(np.float64)
        theirs["brier"] = sk.brier_score_loss(truth, wide)
        theirs["calibration"] = calibration_curve(truth, wide, n_bins=10)
        low = np.finfo(np.float32).eps
        theirs["log loss"] = sk.log_loss(truth, np.clip(wide, low, 1 - low))
    worst = 0.0
    for name, ours_found in ours.items():
        both = (ours_found, theirs[name])
        single = not isinstance(ours_found, tuple)
        for left, right in zip(*(((found,) if single else found) for found in both), strict=True):
            left, right = np.asarray(left, float), np.asarray(right, float)
            finite = np.isfinite(left)
            if left.shape != right.shape or (finite != np.isfinite(right)).any():
                raise AssertionError(f"{name}: shapes or infinities differ.")
            worst = max(worst, float(np.abs(left[finite] - right[finite]).max(initial=0.0)))
    return worst


def first_build(n: int, dtype: Any, repeats: int) -> Row:
    truth, scores = sample(n, dtype=dtype)
    error = check(f"first build, {n} rows", largest_difference(truth, scores), 1e-12)
    return paired(
        f"every curve and figure, {np.dtype(dtype).name}",
        n,
        lambda: build(truth, scores),
        lambda: eight_calls(truth, scores),
        repeats,
        error=f"{error:.1g}",
        against="eight scikit-learn calls",
    )


# --------------------------------------------------------------------------- 100-point grid


def grid_best(truth: Truth, scores: Scores, points: int = 100) -> tuple[float, float]:
    """Best F1, and best recall at precision .5, on equal steps of the threshold."""
    best_f1 = best_recall = 0.0
    positives = int(truth.sum())
    for cut in np.linspace(0, 1, points):
        hit = scores >= cut
        tp, flagged = int((hit & truth).sum()), int(hit.sum())
        best_f1 = max(best_f1, 2 * tp / (flagged + positives))
        if flagged and tp / flagged >= 0.5:
            best_recall = max(best_recall, tp / positives)
    return best_f1, best_recall


def exact_best(truth: Truth, scores: Scores) -> tuple[float, float]:
    table = ThresholdTable.from_scores(truth, scores)
    cut = table.threshold_for_precision(0.5)
    return table.at(table.best("f1")).f1, 0.0 if cut is None else table.at(cut).recall


def grid(n: int, repeats: int) -> Row:
    """100 positives, whose scores a rare-event model puts below .02."""
    rng = np.random.default_rng(0)
    truth = np.arange(n) < 100
    scores = 1 / (1 + np.exp(-(1.2 * rng.normal(size=n) + 5.5 * truth - 11)))
    ours, theirs = exact_best(truth, scores), grid_best(truth, scores)
    precision, recall, _ = sk.precision_recall_curve(truth, scores)
    f1 = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-300))
    check("best F1", abs(ours[0] - f1), 1e-12)
    check("recall at precision .5", abs(ours[1] - recall[precision >= 0.5].max()), 1e-12)
    return paired(
        "best F1 and recall at precision .5, 100 positives",
        n,
        lambda: exact_best(truth, scores),
        lambda: grid_best(truth, scores),
        repeats,
        error=f"ours 0; grid: F1 {theirs[0]:.3g} for {ours[0]:.3g}, "
        f"recall {theirs[1]:.3g} for {ours[1]:.3g}",
        against="100 equal steps of the threshold",
    )


# ------------------------------------------------------------------------------ slider move


def as_predictions(truth: Truth, scores: Scores) -> Predictions:
    target = Target(Task.BINARY, "y", ("no", "yes"), truth.astype(np.int64), pos_label=1)
    rows = np.arange(len(truth))
    kind = ScoreKind.PROBABILITY
    return Predictions("model", target, None, scores, kind, None, rows, len(truth))


def slider(n: int, repeats: int) -> Row:
    """Matrix, rates and both curves with their marks at a threshold that moves each time."""
    truth, scores = sample(n)
    given = as_predictions(truth, scores)
    steps = iter(np.tile(np.linspace(0.01, 0.99, 97), 100))

    def move() -> None:
        cut = float(next(steps))
        for curve in (
            compute_roc(given, threshold=cut),
            compute_precision_recall(given, threshold=cut),
        ):
            curve.drawn()
        assert curve.operating is not None
        for name in ("precision", "recall", "f1", "accuracy", "mcc", "balanced_accuracy"):
            curve.operating.rate(name)

    def theirs() -> None:
        hit = scores >= float(next(steps))
        sk.confusion_matrix(truth, hit)

    matrix = compute_roc(given, threshold=0.3).operating
    assert matrix is not None
    expected = sk.confusion_matrix(truth, scores >= 0.3)
    error = check("matrix", float(np.abs(matrix.matrix() - expected).max()), 0)
    move()
    row = paired("one threshold move", n, move, theirs, 9 * repeats, error=f"{error:.1g}")
    slowest = max(seconds(move) for _ in range(50))
    check("slowest of 50 moves, seconds", slowest, SLIDER_LIMIT)
    return row | {"against": "one confusion_matrix call", "slowest_of_50": rounded(slowest)}


# ------------------------------------------------------------------------- mergeable engine


def mergeable(n: int, repeats: int) -> list[Row]:
    truth, scores = sample(n)
    exact = ThresholdTable.from_scores(truth, scores).roc_auc
    blocks = np.array_split(np.arange(n), 10)
    found = []
    for scale in ("probability", "any"):
        whole = ScoreHistogram.from_scores(truth, scores, scale=scale)
        parts = [ScoreHistogram.from_scores(truth[b], scores[b], scale=scale) for b in blocks]
        merged = parts[0]
        for part in parts[1:]:
            merged = merged + part
        check("merged counts", float(np.abs(merged.weights - whole.weights).max()), 0)
        error = check("area", abs(whole.table().roc_auc - exact), whole.auc_error_bound)

        def ours(scale: Any = scale) -> float:
            return ScoreHistogram.from_scores(truth, scores, scale=scale).table().roc_auc

        found.append(
            paired(
                f"area under ROC from bins ({scale})",
                n,
                ours,
                lambda: ThresholdTable.from_scores(truth, scores).roc_auc,
                repeats,
                error=f"{error:.1g} (bound {whole.auc_error_bound:.1g})",
                against="our exact engine",
            )
        )
    return found


# -------------------------------------------------------------------------------- intervals


def delong_from_ranks(truth: Truth, scores: Scores) -> tuple[float, float]:
    """Area and standard error from midranks (Sun & Xu 2014)."""
    positive, negative = scores[truth], scores[~truth]
    p, n = len(positive), len(negative)
    together = rankdata(np.concatenate((positive, negative)))
    v10 = (together[:p] - rankdata(positive)) / n
    v01 = 1 - (together[p:] - rankdata(negative)) / p
    return float(v10.mean()), math.sqrt(v10.var(ddof=1) / p + v01.var(ddof=1) / n)


def naive_bootstrap(truth: Truth, scores: Scores, times: int) -> list[float]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(times):
        rows = rng.integers(0, len(truth), len(truth))
        found.append(sk.roc_auc_score(truth[rows], scores[rows]))
    return found


def intervals(n: int, repeats: int) -> list[Row]:
    truth, scores = sample(n)
    table = ThresholdTable.from_scores(truth, scores)
    histogram = ScoreHistogram.from_scores(truth, scores)
    auc, se = delong_from_ranks(truth, scores)

    def fresh() -> tuple[float, float, float, float]:
        return delong_interval(ThresholdTable(table.steps, table.n_rows))

    error = max(abs(fresh()[0] - auc), abs(fresh()[1] - se) / se)
    check("DeLong from the table", error, 1e-9)
    binned = abs(histogram.delong_interval()[1] - se) / se
    check("DeLong from the histogram", binned, 1e-4)
    theirs = lambda: delong_from_ranks(truth, scores)  # noqa: E731
    rows = [
        paired("DeLong interval from the table", n, fresh, theirs, repeats)
        | {"error": f"{error:.1g} of the standard error", "against": "DeLong from midranks"},
        paired("DeLong interval from the histogram", n, histogram.delong_interval, theirs, repeats)
        | {"error": f"{binned:.1g} of the standard error", "against": "DeLong from midranks"},
    ]
    ten = seconds(lambda: naive_bootstrap(truth, scores, 10)) * 100
    spread = float(bootstrap_areas(table, 1_000).roc_auc.std())
    check("bootstrap against DeLong", abs(spread / se - 1), 0.1)
    for name, work, error in (
        ("DeLong interval from the table", fresh, 0.0),
        (
            "both areas, 1,000 replicates on 2,048 bins",
            lambda: bootstrap_areas(table),
            spread / se - 1,
        ),
    ):
        ours = median(seconds(work) for _ in range(repeats))
        rows.append(
            {
                "name": name,
                "rows": f"{n:,}",
                "ours_seconds": rounded(ours),
                "theirs_seconds": rounded(ten),
                "ratio": rounded(ten / ours),
                "ours_peak_mb": rounded(peak_mb(work)),
                "theirs_peak_mb": rounded(peak_mb(lambda: naive_bootstrap(truth, scores, 1))),
                "error": f"{error:.1%} of the standard error",
                "against": "1,000 naive bootstraps, extrapolated from 10",
            }
        )
    return rows


# ---------------------------------------------------------------------------------- drawing


def drawing(n: int, share: float, repeats: int) -> list[Row]:
    """Marks of both curves; what they stand for is every distinct score."""
    truth, scores = sample(n, share)
    given = as_predictions(truth, scores)
    found = []
    for name, curve in (
        ("ROC", compute_roc(given)),
        ("precision-recall", compute_precision_recall(given)),
    ):

        def draw(curve: Any = curve) -> Any:
            curve.table.memo.clear()
            return curve.drawn()

        x, _, _, error = draw()
        found.append(
            {
                "name": f"marks of the {name} curve, {share:.0%} positive",
                "rows": f"{n:,}",
                "ours_seconds": rounded(median(seconds(draw) for _ in range(repeats))),
                "ours_peak_mb": rounded(peak_mb(draw)),
                "error": f"{error * PIXELS:.2g} px at {PIXELS:,} px, {len(x):,} marks",
            }
        )
    return found


def run(quick: bool = False) -> list[Row]:
    """All measurements; `quick` leaves out 10⁷ rows and repeats less."""
    repeats = 3 if quick else 9
    sizes = (10_000, 100_000, 1_000_000) + (() if quick else (10_000_000,))
    rows = [first_build(n, np.float64, 3 if n > 1_000_000 else repeats) for n in sizes]
    rows.append(first_build(1_000_000, np.float32, repeats))
    rows += [grid(n, 3 if n > 1_000_000 else repeats) for n in sizes]
    rows.append(slider(1_000_000, repeats))
    rows += mergeable(1_000_000, repeats)
    rows += intervals(1_000_000, repeats)
    for share in (0.01, 0.5):
        rows += drawing(1_000_000, share, repeats)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.thresholds", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="no 10⁷ rows, fewer repeats")
    for row in run(parser.parse_args().quick):
        print("; ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
