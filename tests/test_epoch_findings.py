"""Findings by epoch: the samples, curves of known shape over many seeds, and what logs lack."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from dashboard.contracts import Finding, Run, Series, findings_frame
from dashboard.diagnostics.epoch_findings import find_in_epochs
from dashboard.diagnostics.epoch_trends import noise_of, trend_of
from dashboard.diagnostics.epochs import compute_epoch_curves
from dashboard.diagnostics.group_findings import find_in_groups
from dashboard.diagnostics.run_groups import group_runs
from dashboard.errors import ParameterError
from tests.logged import falling, logged, sample_run


def _by_code(run: Run) -> dict[str, Finding]:
    found = {one.code: one for one in find_in_epochs(run)}
    for one in found.values():
        assert one.sentence.endswith(".") and one.chart == "epochs" and one.subject == run.name
    return found


def test_the_loans_network_trains_past_its_best() -> None:
    found = _by_code(sample_run("loans"))
    assert set(found) == {"validation_better_at_first", "overfitting"}
    past = found["overfitting"]
    assert past.severity == "warning" and past.at == pytest.approx(12, abs=1)
    assert past.evidence["change"] > past.evidence["spread"] > 0  # type: ignore[operator]
    assert "overconfident rather than wrong" in past.sentence  # its AUC holds
    assert past.remedies[0].startswith("stop at the best epoch (early stopping with patience 10)")
    assert found["validation_better_at_first"].severity == "info"


def test_the_digits_network_is_undecided() -> None:
    found = _by_code(sample_run("digits"))
    assert set(found) == {"validation_better_at_first", "undecided"}
    one = found["undecided"].evidence
    assert one["change"] < one["spread"] and one["late_change"] < one["late_spread"]  # type: ignore[operator]


def _shape(kind: str, n: int, rng: np.random.Generator) -> Run:
    at = np.arange(n) / n
    fall = 2 * np.exp(-10 * at)
    train, validation, scatter = 0.2 + fall, 0.4 + fall, rng.choice([0.005, 0.02])
    if kind == "overfitting":
        train, validation = train - 0.15 * at, validation + 0.6 * np.clip(at - 0.35, 0, None)
    elif kind == "converged":
        scatter = 0.003  # with .02, a change of a tenth of the level can hide in 12 or 30 epochs
    elif kind == "not_converged":
        train = 0.2 + 2 * np.exp(-1.5 * at)
        validation = train + 0.1
    elif kind == "rate_too_low":
        train = 2.3 - 0.2 * at
        validation = train + 0.01
    elif kind == "stuck":
        train, validation, scatter = np.full(n, 2.3), np.full(n, 2.31), 0.003
    elif kind == "diverging":
        train = 2.3 + 0.5 * at**2
        validation = train + 0.1
    elif kind == "rises":
        train = 0.3 + fall + 0.8 * np.clip(at - 0.4, 0, None)
        validation = train + 0.1
    elif kind == "scatters":
        train = 1 + 1.3 * np.exp(-15 * at) + 0.15 * rng.normal(size=n)
        validation = train + 0.1 * rng.normal(size=n)
    elif kind == "noisy_validation":
        validation = validation + 0.35 * rng.normal(size=n)
    noise = scatter * rng.normal(size=(2, n))
    return logged(train + noise[0] / 2, validation + noise[1])


@pytest.mark.parametrize("n", [12, 30, 300])
@pytest.mark.parametrize(
    ("kind", "code", "share"),
    [
        ("overfitting", "overfitting", 0.95),
        ("not_converged", "not_converged", 0.95),
        ("converged", "converged", 0.7),
        ("rate_too_low", "rate_too_low", 0.95),
        ("stuck", "stuck", 0.95),
        ("diverging", "diverging", 0.95),
        ("rises", "rate_too_high", 0.95),
        ("scatters", "rate_too_high", 0.85),
        ("noisy_validation", "noisy_validation", 0.75),
    ],
)
def test_known_shapes_are_recognised(kind: str, code: str, share: float, n: int) -> None:
    rng = np.random.default_rng(n)
    codes = [{one.code for one in find_in_epochs(_shape(kind, n, rng))} for _ in range(20)]
    assert np.mean([code in one for one in codes]) >= share
    if kind not in ("overfitting", "rises"):
        assert np.mean(["overfitting" in one for one in codes]) <= 0.05
    if kind in ("stuck", "diverging", "rises"):
        assert not any("converged" in one for one in codes)


@pytest.mark.parametrize("n", [12, 30, 100])
def test_what_is_too_noisy_has_not_settled(n: int) -> None:
    """Noise of 15 % and more of the level can hide any change that matters."""
    at = np.arange(n) / n
    fall = 2 * np.exp(-10 * at)
    said = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = rng.uniform(0.06, 0.12) * rng.normal(size=n)
        found = {one.code for one in find_in_epochs(logged(0.35 + fall, 0.4 + fall + noise))}
        said.append("undecided" in found and not found & {"converged", "diverging"})
    assert np.mean(said) >= 0.85


def test_a_network_that_died_is_stuck_not_converged() -> None:
    train = np.array([2.6, *[2.4] * 20])  # as a rate of 3 does to a net of 16 units on the digits
    found = _by_code(logged(train, train + 0.05))
    assert set(found) == {"stuck"} and found["stuck"].at == 1
    assert "does not change at all from epoch 1 on" in found["stuck"].sentence


@lru_cache(maxsize=1)
def _digits() -> tuple[Any, ...]:
    rows, labels = load_digits(return_X_y=True)
    return tuple(train_test_split(rows[:900] / 16, labels[:900], test_size=300, random_state=0))


@pytest.mark.parametrize(
    ("solver", "rate", "expected"),
    [
        ("sgd", 0.3, set()),
        ("sgd", 10.0, {"stuck"}),  # its units died in the first epochs
        ("sgd", 1e-4, {"rate_too_low"}),
        ("adam", 0.2, {"rate_too_high"}),
    ],
)
def test_learning_rates_of_a_real_network(solver: str, rate: float, expected: set[str]) -> None:
    """64-16-10 on the digits, scored on both parts after each epoch."""
    train, held, y_train, y_held = _digits()
    net = MLPClassifier(
        (16,), solver=solver, learning_rate_init=rate, momentum=0, batch_size=32, random_state=0
    )
    losses: tuple[list[float], list[float]] = ([], [])
    for _ in range(20):
        net.partial_fit(train, y_train, classes=np.arange(10))
        for one, (x, y) in zip(losses, ((train, y_train), (held, y_held)), strict=True):
            one.append(log_loss(y, net.predict_proba(x), labels=np.arange(10)))
    found = {one.code for one in find_in_epochs(logged(*losses, unit="iteration"))}
    about_the_rate = found & {"rate_too_high", "diverging", "stuck", "rate_too_low"}
    assert about_the_rate == expected
    assert not expected or "converged" not in found


def test_the_same_of_an_accuracy() -> None:
    run = _shape("overfitting", 40, np.random.default_rng(1))
    flipped = Run(
        "net",
        "test",
        tuple(Series("accuracy", one.part, one.steps, -one.values, "epoch") for one in run.series),
    )
    assert "overfitting" in _by_code(flipped)


def test_one_uptick_is_not_overfitting() -> None:
    fall = 2 * np.exp(-np.arange(30) / 3)
    noise = 0.01 * np.random.default_rng(0).normal(size=(2, 30))
    validation = 0.4 + fall + noise[0]
    validation[-2] += 0.05
    assert "overfitting" not in _by_code(logged(0.2 + fall + noise[1], validation))


def test_overfitting_from_the_first_epochs_asks_for_a_smaller_model() -> None:
    at = np.arange(30)
    found = _by_code(logged(np.exp(-at / 5), 0.5 + 0.02 * at))["overfitting"]
    assert found.evidence["from_first_epochs"] == 1 and found.remedies[0] == "a smaller model"
    trees = _by_code(logged(np.exp(-at / 5), 0.5 + 0.02 * at, unit="iteration"))["overfitting"]
    assert trees.remedies[0] == "smaller trees" and "patience 10" in trees.remedies[1]
    run = logged(np.exp(-at / 5), 0.5 + 0.02 * at)
    (told,) = [one for one in find_in_epochs(run, 7) if one.code == "overfitting"]
    assert "patience 7" in " ".join(told.remedies)  # as chosen, also where curves are given
    (told,) = [
        one
        for one in find_in_epochs(compute_epoch_curves([run], patience=3))
        if one.code == "overfitting"
    ]
    assert "patience 3" in " ".join(told.remedies)


def _with_accuracy(train: Any, validation: Any, run: Run) -> Run:
    steps = np.arange(len(train))
    more = tuple(
        Series("accuracy", part, steps, np.asarray(values, float), "epoch")
        for part, values in (("train", train), ("validation", validation))
    )
    return Run(run.name, run.source, (*run.series, *more))


def test_memorised() -> None:
    run, at = falling(30, noise=0.002), np.arange(30)
    learned = _with_accuracy(1 - 0.5 * np.exp(-at / 3), 0.8 - 0.3 * np.exp(-at / 3), run)
    found = _by_code(learned)["memorised"]
    assert found.evidence["train"] == pytest.approx(1, abs=1e-3)
    assert found.evidence["validation"] == pytest.approx(0.8, abs=1e-3)
    fine = _with_accuracy(1 - 0.5 * np.exp(-at / 3), 0.98 - 0.3 * np.exp(-at / 3), run)
    assert "memorised" not in _by_code(fine)
    assert "memorised" in _by_code(logged(2 * np.exp(-at), 0.5 + 1.5 * np.exp(-at)))


def test_validation_better_throughout() -> None:
    at = np.arange(30)
    found = _by_code(logged(0.6 + np.exp(-at / 4), 0.3 + np.exp(-at / 4)))
    assert "validation_better_at_first" not in found
    assert "dropout" in found["validation_better"].sentence


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_losses_that_are_not_finite(bad: float) -> None:
    train = np.exp(-np.arange(20) / 5)
    train[12:] = bad
    found = _by_code(logged(train, np.exp(-np.arange(20) / 5)))["non_finite"]
    assert found.severity == "problem" and found.at == 12
    assert found.evidence["n_not_finite"] == 8 and "8 of 20 values" in found.sentence
    assert found.remedies[0] == "divide the learning rate by 10"
    held = _by_code(logged(np.exp(-np.arange(20) / 5), train))["non_finite"]
    assert (held.severity, held.evidence["part"]) == ("problem", "validation")
    assert "look at the validation rows" in held.remedies[0]
    share = Series("accuracy", "validation", np.arange(20), 1 - train, "epoch")
    other = Series("accuracy", "train", np.arange(20), np.linspace(0.5, 0.9, 20), "epoch")
    assert _by_code(Run("r", "test", (other, share)))["non_finite"].severity == "warning"
    nothing = _by_code(logged([bad] * 5))
    assert set(nothing) == {"non_finite", "no_validation"}


def test_short_and_mended_logs() -> None:
    assert set(_by_code(logged([1.0], [1.1]))) == {"one_epoch"}
    assert set(_by_code(logged([1.0, 0.9], [1.1, 1.0]))) == {"too_short"}
    again = _by_code(logged([3.0, 2, 1, 2, 1], steps=[0, 1, 2, 1, 2]))
    assert "goes back 1 time" in again["restarted"].sentence
    assert "no_validation" in again
    assert find_in_epochs(Run("empty", "test")) == []
    with pytest.raises(ParameterError):
        find_in_epochs([])


def test_several_runs_and_a_table() -> None:
    curves = compute_epoch_curves([falling(30, name="a"), falling(30, 1, name="b")])
    found = find_in_epochs(curves)
    assert {one.subject for one in found} == {"a", "b"}
    smoothed = compute_epoch_curves([falling(30, name="a")], smoothing=0.9)
    assert find_in_epochs(smoothed) == [one for one in found if one.subject == "a"]
    assert len(findings_frame(found)) == len(found)


def test_noise_is_that_of_the_curve() -> None:
    rng = np.random.default_rng(0)
    curve = 2 * np.exp(-np.arange(200) / 20)
    for scatter in (0.01, 0.1):
        found = noise_of(curve + scatter * rng.normal(size=200))
        assert found == pytest.approx(scatter, rel=0.25)
    assert noise_of(np.linspace(2, 1, 50)) == pytest.approx(0, abs=1e-12)
    run = logged(None, rng.normal(size=6_000), unit="step")
    trend = trend_of(compute_epoch_curves([run])[0].validation, 1.0)
    assert trend is not None and len(trend) == 60 and trend.block == 100
    assert trend.noise == pytest.approx(0.1, rel=0.4) and trend.single == pytest.approx(1, rel=0.1)


def test_configurations_are_judged_by_their_seeds() -> None:
    def groups(gap: float, seeds: int) -> Any:
        runs = [
            falling(
                20,
                7 * seed + k,
                level=0.3 + gap * k,
                name=f"{k} {seed}",
                config={"k": k, "seed": seed},
            )
            for k in (0, 1)
            for seed in range(seeds)
        ]
        return group_runs(compute_epoch_curves(runs))

    (clear,) = find_in_groups(groups(0.2, 4))
    assert (clear.code, clear.subject) == ("best_configuration", "k 0")
    assert clear.evidence["difference"] == pytest.approx(0.2, abs=0.05)
    (close,) = find_in_groups(groups(0.0, 4))
    assert close.code == "undecided" and "too close to call" in close.sentence
    (alone,) = find_in_groups(groups(0.2, 1))
    assert alone.code == "undecided" and "Without a second run" in alone.sentence
    assert find_in_groups(groups(0.2, 4)[:1]) == []


def test_the_best_epoch_is_the_one_that_charts_mark() -> None:
    for name in ("loans", "digits"):
        run = sample_run(name)
        (curve,) = compute_epoch_curves([run])
        for one in find_in_epochs(run):
            assert "noise" not in one.sentence and "allows" not in one.sentence
            if one.code == "overfitting":
                assert one.at == curve.best
                assert f"is best at epoch {curve.best} (.166)" in one.sentence
                assert "averaged over 3 epochs" in one.sentence


def test_a_stray_best_value_is_told_from_the_best_level() -> None:
    at = np.arange(60)
    validation = 0.3 + np.exp(-at / 3) + 0.02 * np.clip(at - 15, 0, None)
    validation[50] = 0.1
    found = _by_code(logged(np.exp(-at / 20), validation))["overfitting"]
    assert found.at is not None and found.at < 20
    assert "its best single value, at epoch 50, is an exception" in found.sentence


def test_a_search_for_a_rate_is_to_explode() -> None:
    rates = np.geomspace(1e-5, 1, 60)
    losses = 2.0 - np.linspace(0, 1.5, 60) + np.clip(np.arange(60) - 45, 0, None) ** 2
    assert find_in_epochs(logged(losses, rates=rates, unit="batch")) == []
    assert "diverging" in {one.code for one in find_in_epochs(logged(losses, unit="batch"))}
