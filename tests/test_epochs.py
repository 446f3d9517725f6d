"""Curves by epoch: smoothing by TensorBoard's formula, best epochs, early stopping, gaps, seeds."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.contracts import Run, Series
from dashboard.diagnostics.epochs import compute_epoch_curves, units
from dashboard.diagnostics.logged_metrics import larger_is_better, metric_title
from dashboard.diagnostics.run_groups import group_runs
from dashboard.diagnostics.smoothing import robust_limits, smooth
from dashboard.errors import NotApplicable, ParameterError
from dashboard.logs import read_runs
from tests.logged import SAMPLES, falling, logged, sample_run


def _tensorboard(values: list[float], weight: float) -> list[float]:
    """`classicSmoothing` of TensorBoard's line chart, written down as it stands there."""
    last, n, smoothed = 0.0, 0, []
    constant = all(value == values[0] for value in values)
    for value in values:
        if constant or not np.isfinite(value):
            smoothed.append(value)
            continue
        last = last * weight + (1 - weight) * value
        n += 1
        smoothed.append(last / (1 - weight**n))
    return smoothed


def test_smoothing_by_hand() -> None:
    # 1, then (.5 · 1 + 2) / 1.5, then (.25 · 1 + .5 · 2 + 4) / 1.75
    found = smooth([0, 1, 2], [1.0, 2.0, 4.0], 0.5)
    assert found == pytest.approx([1, 2.5 / 1.5, 5.25 / 1.75], rel=1e-14)
    assert smooth([0, 1, 2], [1.0, 2.0, 4.0], 0.0).tolist() == [1, 2, 4]
    assert smooth([0, 1, 2], [0.1, 0.1, 0.1], 0.99).tolist() == [0.1] * 3


@pytest.mark.parametrize("weight", [0.3, 0.6, 0.99, 0.999])
def test_smoothing_is_that_of_tensorboard(weight: float) -> None:
    values = np.random.default_rng(0).normal(size=1_000).cumsum()
    found = smooth(np.arange(1_000) * 7, values, weight)
    assert found == pytest.approx(_tensorboard(values.tolist(), weight), rel=1e-10, abs=1e-10)


def test_smoothing_knows_missing_steps() -> None:
    # 4 lies three steps behind 2: (1 · .5⁴ + 2 · .5³ + 4) / (.5⁴ + .5³ + 1)
    found = smooth([0, 1, 4, 5], [1.0, 2.0, 4.0, 4.0], 0.5)
    assert found[2] == pytest.approx((1 / 16 + 2 / 8 + 4) / (1 / 16 + 1 / 8 + 1), rel=1e-14)


def test_what_is_not_finite_stays_and_touches_nothing() -> None:
    found = smooth([0, 1, 2, 3], [1.0, np.nan, np.inf, 4.0], 0.5)
    assert np.isnan(found[1]) and found[2] == np.inf
    assert found[3] == pytest.approx((1 / 8 + 4) / (1 / 8 + 1), rel=1e-14)
    assert smooth([0, 1], [np.nan, -np.inf], 0.9)[1] == -np.inf
    with pytest.raises(ParameterError, match="below 1"):
        smooth([0], [1.0], 1.0)


def test_a_sample_of_keras() -> None:
    curve = compute_epoch_curves([sample_run("loans")])[0]
    assert (curve.best, curve.best_from) == (12, "validation")
    assert curve.best_value == 0.16580742597579956
    assert curve.early_stop is not None
    assert (curve.early_stop.stop, curve.early_stop.best, curve.early_stop.saved) == (22, 12, 1)
    assert curve.train is not None and curve.validation is not None
    assert curve.train.places[0] == -0.5 and curve.validation.places[0] == 0
    plain = compute_epoch_curves([sample_run("loans")], half_epoch=False)[0]
    assert plain.train is not None and plain.train.places[0] == 0
    assert len(curve.frame()) == 48
    higher = compute_epoch_curves([sample_run("loans")], metric="auc")[0]
    assert higher.best_value == max(sample_run("loans").get("auc", "validation").values)  # type: ignore[union-attr]
    assert compute_epoch_curves([sample_run("loans")], from_="train")[0].best == 22


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_log_read_from_its_file_gives_the_same_curve(suffix: str) -> None:
    path = SAMPLES / "digits" / f"network_history.{suffix}"
    (run,) = read_runs({path.name: path.read_bytes()})
    ours, theirs = compute_epoch_curves([sample_run("digits"), run], metric="accuracy")
    assert ours.frame().drop(columns="run").equals(theirs.frame().drop(columns="run"))
    assert (ours.best, ours.early_stop) == (theirs.best, theirs.early_stop)


# Values that `keras.callbacks.EarlyStopping` (Keras 3.15) gives, fed with these numbers.
STOPS = [
    ([3.0, 2.0, 2.5, 2.4, 2.1, 1.0], 2, 3, 1),
    ([3.0, 2.0, 2.5, 2.4, 2.1, 1.0], 3, 4, 1),
    ([3.0, 2.0, 2.5, 2.4, 2.1, 1.0], 4, None, 5),
    ([1.0, 1.0, 1.0], 1, 1, 0),
    ([1.0, 2.0], 1, 1, 0),
    ([2.0, np.nan, np.nan, 1.0], 2, 2, 0),
    ([np.inf, np.inf, 5.0, 6.0], 3, None, 2),
    ([5.0], 1, None, 0),
]


@pytest.mark.parametrize(("values", "patience", "stop", "best"), STOPS)
def test_early_stopping_counts_as_keras_does(
    values: list[float], patience: int, stop: int | None, best: int
) -> None:
    found = compute_epoch_curves([logged(None, values)], patience=patience)[0].early_stop
    assert found is not None
    assert (found.stop, found.best) == (stop, best)
    accuracy = compute_epoch_curves(
        [logged(None, [-v for v in values], metric="accuracy")],
        metric="accuracy",
        patience=patience,
    )[0].early_stop
    assert accuracy is not None and (accuracy.stop, accuracy.best) == (stop, best)


def test_early_stopping_that_came_too_early_says_so() -> None:
    found = compute_epoch_curves([logged(None, STOPS[0][0])], patience=2)[0].early_stop
    assert found is not None
    assert (found.later_best, found.later_value, found.saved) == (5, 1.0, 2)


def test_gaps_are_kept_and_told() -> None:
    curve = compute_epoch_curves([logged(None, [1, np.nan, np.inf, 2, -np.inf])], smoothing=0.5)[0]
    assert curve.validation is not None
    assert [tuple(gap) for gap in curve.validation.gaps] == [
        (1, 2, 2, "NaN and ∞"),
        (4, 4, 1, "−∞"),
    ]
    assert curve.n_bad == 3 and curve.best == 0
    nothing = compute_epoch_curves([logged([np.nan] * 3)])[0]
    assert nothing.best is None and nothing.early_stop is None and nothing.best_from == "train"


def test_restarts_replace_what_they_repeat() -> None:
    run = logged(None, [5, 4, 3, 9, 9, 2.9, 2.8], steps=[0, 1, 2, 3, 4, 3, 4])
    curve = compute_epoch_curves([run])[0]
    assert curve.validation is not None
    assert curve.validation.values.tolist() == [5, 4, 3, 2.9, 2.8]
    assert "goes back 1 time, to epoch 3" in curve.notes[0]
    assert "5 of 7 logged values are shown" in curve.notes[0]
    again = compute_epoch_curves([logged(None, [5, 4, 3, 6], steps=[0, 1, 2, 0])])[0]
    assert again.validation is not None and again.validation.values.tolist() == [6]
    twice = compute_epoch_curves([logged(None, [5, 4, 3], steps=[0, 1, 1])])[0]
    assert twice.validation is not None and twice.validation.values.tolist() == [5, 3]
    assert "logged more than once" in twice.notes[0]
    mixed = compute_epoch_curves([logged(None, [5, 3, 4], steps=[0, 2, 1])])[0]
    assert mixed.validation is not None and mixed.validation.values.tolist() == [5, 4, 3]
    assert "out of order" in mixed.notes[0]


def test_the_gap_takes_training_at_the_same_moment() -> None:
    curve = compute_epoch_curves([logged([4, 2, 1], [5, 4, 4])])[0]
    steps, gap = curve.gap()
    assert steps.tolist() == [0, 1, 2]
    assert gap.tolist() == [5 - 3, 4 - 1.5, 4 - 1]  # training at the end of epochs 0 and 1: 3, 1.5
    plain = compute_epoch_curves([logged([4, 2, 1], [5, 4, np.nan])], half_epoch=False)[0]
    assert plain.gap()[1].tolist()[:2] == [1, 2] and np.isnan(plain.gap()[1][2])
    accuracy = logged([0.5, 0.9], [0.4, 0.6], metric="accuracy", unit="iteration")
    better = compute_epoch_curves([accuracy], metric="accuracy")[0]
    assert better.gap()[1] == pytest.approx([0.1, 0.3])
    assert len(compute_epoch_curves([logged([4, 2])])[0].gap()[0]) == 0


def test_what_cannot_be_computed_is_said() -> None:
    with pytest.raises(NotApplicable, match=r"No run logged “auc”\. The logs hold loss"):
        compute_epoch_curves([logged([1.0])], metric="auc")
    without = compute_epoch_curves([logged([1.0]), Run("empty", "test")])[1]
    assert without.parts == () and without.notes == ("empty did not log “loss”.",)
    unknown = compute_epoch_curves([logged([1.0], metric="zeta")], metric="zeta")[0]
    assert unknown.best is None and "high or low is not known" in unknown.notes[0]
    for wrong in ({"patience": 0}, {"smoothing": 1.0}, {"from_": "test"}):
        with pytest.raises(ParameterError):
            compute_epoch_curves([logged([1.0])], **wrong)  # type: ignore[arg-type]
    with pytest.raises(ParameterError):
        compute_epoch_curves([])


def test_test_rows_stand_in_for_validation_rows() -> None:
    steps = np.arange(3)
    run = Run(
        "b", "XGBoost", (Series("logloss", "test", steps, np.array([3.0, 1, 2]), "iteration"),)
    )
    curve = compute_epoch_curves([run], metric="logloss")[0]
    assert (curve.best_from, curve.best) == ("test", 1)


@pytest.mark.parametrize(
    ("name", "larger"),
    [
        ("loss", False), ("accuracy", True), ("sparse_categorical_accuracy", True), ("acc", True),
        ("auc", True), ("aucpr", True), ("mlogloss", False), ("multi_logloss", False),
        ("binary_error", False), ("CrossEntropy", False), ("f1_score", True), ("R2", True),
        ("rmse", False), ("l2", False), ("ndcg@5", True), ("kullback_leibler_divergence", False),
        ("f1_loss", False), ("zeta", None), ("MultiClassOneVsAll", None), ("AUC", True),
    ],
)  # fmt: skip
def test_which_way_is_better(name: str, larger: bool | None) -> None:
    assert larger_is_better(name) is larger


def test_words() -> None:
    assert metric_title("auc") == "AUC" and metric_title("top_k_accuracy") == "Top k accuracy"
    assert units(1, "epoch") == "1 epoch" and units(2, "batch") == "2 batches"


def test_robust_limits_leave_out_the_start() -> None:
    values = np.append([50.0, 20.0], np.linspace(1, 2, 98))
    limits = robust_limits(values)
    assert limits is not None and limits[1] < 3
    assert robust_limits(np.linspace(1, 2, 98)) is None and robust_limits([np.nan]) is None


# Groups of seeds


def _seeds(names: bool = False) -> list[Run]:
    return [
        falling(
            20,
            10 * seed + width,
            level=width / 100,
            name=f"w{width}_seed{seed}" if names else f"run {seed} {width}",
            config={} if names else {"width": width, "random_state": seed},
        )
        for width in (32, 64)
        for seed in range(6)
    ]


@pytest.mark.parametrize("names", [False, True])
def test_seeds_are_grouped(names: bool) -> None:
    groups = group_runs(compute_epoch_curves(_seeds(names)))
    assert [one.name for one in groups] == (["w32", "w64"] if names else ["width 32", "width 64"])
    assert [len(one.runs) for one in groups] == [6, 6]
    band = groups[0].validation
    assert band is not None and band.sentence == "10 % to 90 % of 6 runs"
    values = np.array([run.get("loss", "validation").values for run in _seeds()[:6]])  # type: ignore[union-attr]
    assert band.median == pytest.approx(np.median(values, axis=0))
    assert band.low == pytest.approx(np.percentile(values, 10, axis=0))
    assert (band.n == 6).all()
    assert groups[0].best_values == pytest.approx(values.min(axis=1))
    assert set(groups[0].config) <= {"width"}
    assert len(groups[0].frame()) == 40


def test_runs_of_different_length_and_gaps_in_a_band() -> None:
    runs = [
        logged(None, [4, 3, 2, 1], name="seed 1", config={"seed": 1, "lr": 0.1}),
        logged(None, [6, np.nan, 4], name="seed 2", config={"seed": 2, "lr": 0.1}),
    ]
    group = group_runs(compute_epoch_curves(runs))[0]
    band = group.validation
    assert band is not None and group.train is None
    assert band.n.tolist() == [2, 1, 2, 1]
    assert band.median.tolist() == [5, 3, 3, 1]
    assert band.sentence == "lowest to highest run"


def test_runs_without_configuration_stand_alone() -> None:
    runs = [logged([1.0], name="a"), logged([2.0], name="b")]
    assert [one.name for one in group_runs(compute_epoch_curves(runs))] == ["a", "b"]


def test_a_seed_alone_is_no_configuration() -> None:
    named = {"small_seed0": 0, "small_seed1": 1, "large_seed0": 0}
    runs = [logged([1.0], name=name, config={"seed": seed}) for name, seed in named.items()]
    groups = group_runs(compute_epoch_curves(runs))
    assert [len(one.runs) for one in groups] == [2, 1]
