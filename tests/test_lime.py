"""Local linear models of one row against the authors' own package."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from lime.lime_base import LimeBase
from lime.lime_tabular import LimeTabularExplainer
from sklearn.ensemble import RandomForestClassifier

from dashboard import figures
from dashboard.contracts import OutputSpace
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.diagnostics.local_surrogates import fit_surrogate, kernel_weights, rule_of
from dashboard.effects import lime_surrogates
from dashboard.errors import NotApplicable, ParameterError
from dashboard.explainers.lime import read_surrogates
from dashboard.frames import Frame, FrameError
from dashboard.models import adapt

N, F = 400, 5
NAMES = list("abcde")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((N, F)), columns=NAMES)
    frame["e"] = rng.integers(0, 3, N)
    chance = frame["a"] + (frame["b"] > 0.5) * 0.8 + (frame["e"] == 1) * 0.7
    frame["bought"] = np.where(chance + 0.3 * rng.normal(size=N) > 1.2, "yes", "no")
    return frame


@pytest.fixture(scope="module")
def forest(table: pd.DataFrame) -> RandomForestClassifier:
    return RandomForestClassifier(10, max_depth=4, random_state=0).fit(
        table[NAMES], table["bought"]
    )


@pytest.fixture(scope="module")
def people(table: pd.DataFrame) -> EvalSet:
    return evalset_from_frame(table.astype({"e": "category"}), "bought")


def _package(n_features: int, same: np.ndarray, answers: np.ndarray) -> tuple[Any, ...]:
    """The linear model that the package makes of the same neighbours."""

    def kernel(distances: np.ndarray) -> np.ndarray:
        width = 0.75 * np.sqrt(same.shape[1])
        return np.sqrt(np.exp(-(distances**2) / width**2))

    z = same.astype(float)
    distances = np.sqrt(((z - z[0]) ** 2).sum(axis=1))
    base = LimeBase(kernel, random_state=0)
    found: tuple[Any, ...] = base.explain_instance_with_data(
        z, answers[:, None], distances, 0, n_features
    )
    return found


@pytest.mark.parametrize(("f", "n_features"), [(4, 4), (8, 3), (8, 6), (12, 7), (9, 9)])
def test_the_linear_model_is_that_of_the_package(f: int, n_features: int) -> None:
    rng = np.random.default_rng(f)
    same = rng.random((500, f)) < rng.uniform(0.2, 0.6, f)
    same[0] = True
    answers = same @ rng.normal(size=f) + same[:, 0] * same[:, 1] + 0.1 * rng.normal(size=500)
    intercept, weights, score, local = _package(n_features, same, answers)
    fit = fit_surrogate(same, answers, n_features)
    expected = np.zeros(f)
    for at, weight in weights:
        expected[at] = weight
    np.testing.assert_allclose(fit.weights, expected, rtol=0, atol=1e-9)
    assert fit.intercept == pytest.approx(intercept, abs=1e-9)
    assert fit.score == pytest.approx(score, abs=1e-9)
    assert fit.intercept + fit.weights.sum() == pytest.approx(local[0], abs=1e-9)


def test_neighbours_count_as_in_the_package() -> None:
    same = np.array([[True, True, True, True], [True, False, True, False]])
    np.testing.assert_allclose(kernel_weights(same), [1, np.sqrt(np.exp(-2 / (0.75**2 * 4)))])


def test_the_whole_explanation_is_that_of_the_package(
    forest: RandomForestClassifier, people: EvalSet, table: pd.DataFrame
) -> None:
    """Same rules, and weights within the noise of either's neighbours."""
    X = table[NAMES].to_numpy(dtype=float)

    def predict(rows: np.ndarray) -> np.ndarray:
        shares: np.ndarray = forest.predict_proba(pd.DataFrame(rows, columns=NAMES))
        return shares

    theirs = LimeTabularExplainer(
        X, feature_names=NAMES, categorical_features=[4], random_state=0, mode="classification"
    )
    model = adapt(lambda frame: predict(frame[NAMES].to_numpy(dtype=float)), "forest")
    for row in (0, 7):
        found = theirs.explain_instance(X[row], predict, num_features=5, num_samples=8_000)
        expected = dict(found.local_exp[1])
        (mine,) = lime_surrogates(model, people, row, n_features=5, n_samples=8_000)
        assert mine.output == "yes" and mine.space is OutputSpace.PROBABILITY
        weights = np.array([expected[at] for at in range(F)])
        np.testing.assert_allclose(mine.weights, weights, atol=0.02)
        assert np.abs(weights).max() > 0.1, "there is something to compare"
        assert mine.score == pytest.approx(found.score, abs=0.03)
        assert mine.prediction == pytest.approx(predict(X[row : row + 1])[0, 1], abs=1e-12)
        assert mine.local == pytest.approx(mine.intercept + mine.weights.sum(), abs=1e-12)
        quartiles = np.percentile(X[:, 0], [25, 50, 75])
        at = int(np.searchsorted(quartiles, X[row, 0]))
        assert mine.rules[0].count("≤") + mine.rules[0].count(">") == 1 or 0 < at < 3
        assert mine.rules[4] == f"e = {int(X[row, 4])}"


def test_errors_are_the_spread_over_other_neighbours(
    forest: RandomForestClassifier, people: EvalSet
) -> None:
    model = adapt(lambda X: forest.predict_proba(X.astype(float)), "forest")
    runs = [
        lime_surrogates(model, people, 3, n_features=5, n_samples=600, random_state=seed)[0]
        for seed in range(25)
    ]
    spread = np.std([one.weights for one in runs], axis=0)
    told = np.mean([one.errors for one in runs], axis=0)
    np.testing.assert_allclose(told, spread, rtol=0.5)


def test_the_other_class_is_turned(forest: RandomForestClassifier, table: pd.DataFrame) -> None:
    found = [
        lime_surrogates(
            adapt(forest), evalset_from_frame(table, "bought", pos_label=label), 0, n_samples=500
        )[0]
        for label in ("yes", "no")
    ]
    np.testing.assert_allclose(found[0].weights, -found[1].weights, atol=1e-12)
    assert found[0].prediction + found[1].prediction == pytest.approx(1)
    assert found[0].local + found[1].local == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "row", "text"),
    [
        (np.arange(101.0), 0, "x ≤ 25"),
        (np.arange(101.0), 30, "25 < x ≤ 50"),
        (np.arange(101.0), 100, "x > 75"),
        (np.append(np.arange(100.0), np.nan), 100, "x is missing"),
        (["red"] * 5, 2, "x = red"),
        (["red", None], 1, "x is missing"),
        (pd.date_range("2024-01-01", periods=101), 100, "x > 2024-03-16"),
        (np.full(9, np.nan), 0, "x is missing"),
    ],
)
def test_rules_in_words(values: Any, row: int, text: str) -> None:
    column = pd.Series(values)
    rule = rule_of(column, "x", row, np.arange(len(column)))
    assert rule.text == text and len(rule.codes) == len(column)


def test_frames_are_sorted_by_weight_and_hold_what_was_selected(
    forest: RandomForestClassifier, people: EvalSet
) -> None:
    model = adapt(lambda X: forest.predict_proba(X.astype(float)), "forest")
    (one,) = lime_surrogates(model, people, 3, n_features=3, n_samples=500, name="m")
    frame = one.frame()
    assert frame["rank"].tolist() == [1, 2, 3] and (frame["n"] == 500).all()
    assert frame["weight"].abs().is_monotonic_decreasing
    assert ((frame["low"] < frame["weight"]) & (frame["weight"] < frame["high"])).all()


def test_slow_models_get_fewer_neighbours_or_a_refusal(people: EvalSet) -> None:
    import time

    def slow(X: pd.DataFrame) -> Any:
        time.sleep(0.002 * len(X))
        return X["a"].to_numpy()

    (one,) = lime_surrogates(adapt(slow), people, 0, seconds=0.3, name="snail")
    assert 50 <= one.n < 5_000
    assert one.notes[-1] == f"{one.n:,} of 5,000 neighbours: snail takes too long for more."
    with pytest.raises(NotApplicable, match="too long for the 50 neighbours"):
        lime_surrogates(adapt(slow), people, 0, seconds=0.005)


def test_requests_that_make_no_sense_are_named(
    forest: RandomForestClassifier, people: EvalSet
) -> None:
    model = adapt(lambda X: forest.predict_proba(X.astype(float)), "forest")
    with pytest.raises(ParameterError, match="no row 400"):
        lime_surrogates(model, people, N)
    with pytest.raises(ParameterError, match="at least 1"):
        lime_surrogates(model, people, 0, n_features=0)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 0},
        {"n": True},
        {"features": "ab"},
        {"space": None},
        {"arrays": (np.zeros((2, 1)), np.zeros((2, 1)), np.full((5, 1), np.nan))},
        {"arrays": (np.zeros((2, 1)), np.zeros((3, 1)), np.zeros((5, 1)))},
    ],
)
def test_answers_of_a_worker_are_not_believed_unseen(change: dict[str, Any]) -> None:
    header = {
        "outputs": ["y"], "space": "probability", "notes": [], "features": ["a", "b"], "n": 7,
    }  # fmt: skip
    arrays = (np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((5, 1)))
    assert read_surrogates(9)(Frame(header, arrays)).n == 7
    arrays = change.get("arrays", arrays)
    header |= {key: value for key, value in change.items() if key != "arrays"}
    with pytest.raises(FrameError):
        read_surrogates(9)(Frame(header, arrays))


def test_figure_of_two_models(forest: RandomForestClassifier, people: EvalSet) -> None:
    model = adapt(lambda X: forest.predict_proba(X.astype(float)), "forest")
    other = adapt(lambda X: 0.2 + 0.5 * np.asarray(X["b"], dtype=float), "other")
    both = [
        lime_surrogates(one, people, 3, name=name, n_samples=500)[0]
        for one, name in ((model, "<i>forest"), (other, "other"))
    ]
    figure = figures.plot_surrogates(both)
    meta = figure.layout.meta
    assert meta["caption"].endswith(".") and set(meta["features"]) <= set(NAMES)
    for trace, one in zip(figure.data, both, strict=True):
        shown = dict(zip((mark[1] for mark in trace.customdata), trace.x, strict=True))
        for at, feature in enumerate(meta["features"]):
            assert shown[at] == pytest.approx(one.weights[NAMES.index(feature)], rel=1e-5)
        assert all(text.endswith(".") and "<i>forest" not in text for text in trace.text)
    with pytest.raises(ParameterError, match="0 models"):
        figures.plot_surrogates([])
