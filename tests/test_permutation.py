"""Permutation importance: scikit-learn's numbers, honest intervals, awkward models and data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.inspection import permutation_importance as of_sklearn
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from dashboard.contracts import RawPredictions
from dashboard.data import EvalSet, Table, build_evalset, evalset_from_frame
from dashboard.diagnostics.importance import Importance
from dashboard.errors import ModelError, NotApplicable, ParameterError
from dashboard.explainers.permutation import shuffles
from dashboard.frames import Frame, FrameError
from dashboard.importance import permutation_importance, sampled_rows
from dashboard.importance.permuted import _read_shuffled, _read_unchanged
from dashboard.models import adapt
from dashboard.models.adapting import wrap
from dashboard.sandbox.processes import watched


def _with_target(X: pd.DataFrame, y: Any, **options: Any) -> EvalSet:
    return evalset_from_frame(X.assign(target=y), target="target", **options)


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, Any]:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    return X.iloc[:, :8], np.where(y == 1, "benign", "malignant")


# ---- scikit-learn's own numbers ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "scoring"), [("roc_auc", "roc_auc"), ("accuracy", "accuracy"), ("log_loss", None)]
)
def test_repeats_are_those_of_scikit_learn(
    cancer: tuple[pd.DataFrame, Any], metric: str, scoring: str | None
) -> None:
    X, y = cancer
    # an odd number of trees: a share of exactly .5 is positive here, and the first class there
    forest = RandomForestClassifier(21, random_state=0).fit(X.iloc[::2], y[::2])
    theirs = of_sklearn(
        forest, X, y, scoring=scoring or "neg_log_loss", n_repeats=3, random_state=7
    )
    ours = permutation_importance(
        adapt(forest, "forest"), _with_target(X, y), "forest", metric, 3, None, random_state=7
    )
    assert ours.features == tuple(X.columns)
    assert ours.repeats == pytest.approx(theirs.importances, abs=1e-12)
    assert ours.values == pytest.approx(theirs.importances_mean, abs=1e-12)
    assert ours.n == ours.n_given == len(X)


def test_regression_is_that_of_scikit_learn() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    model = LinearRegression().fit(X, y)
    theirs = of_sklearn(
        model, X, y, scoring="neg_root_mean_squared_error", n_repeats=4, random_state=1
    )
    ours = permutation_importance(
        adapt(model, "linear"), _with_target(X, y), "linear", None, 4, None, random_state=1
    )
    assert ours.metric == "rmse"
    assert ours.repeats == pytest.approx(theirs.importances, rel=1e-10)


def test_weights_count(cancer: tuple[pd.DataFrame, Any]) -> None:
    X, y = cancer
    weight = np.random.default_rng(0).uniform(0, 3, len(X))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    theirs = of_sklearn(
        model, X, y, scoring="roc_auc", n_repeats=2, random_state=0, sample_weight=weight
    )
    table = Table.from_frame("t", X.assign(target=y, weight=weight))
    from dashboard.data import Roles

    roles = Roles(target=("target",), features=tuple(X.columns), weight="weight")
    ours = permutation_importance(
        adapt(model, "m"), build_evalset(table, roles), "m", "roc_auc", 2, None
    )
    assert ours.repeats == pytest.approx(theirs.importances, abs=1e-10)


def test_multiclass_scores_and_matrices() -> None:
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(X, y)
    theirs = of_sklearn(model, X, y, scoring="roc_auc_ovr", n_repeats=2, random_state=0)
    evalset = build_evalset(Table.from_arrays("iris", {"X": X, "y": y}))
    ours = permutation_importance(adapt(model, "m"), evalset, "m", n_repeats=2, n_rows=None)
    assert ours.metric == "roc_auc_ovr"
    assert ours.features == ("x0", "x1", "x2", "x3")
    assert ours.values == pytest.approx(theirs.importances_mean, abs=1e-12)


def test_groups_are_shuffled_together(cancer: tuple[pd.DataFrame, Any]) -> None:
    X, y = cancer
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    names = [X.columns[0], X.columns[2], X.columns[3]]
    ours = permutation_importance(
        adapt(model, "m"), _with_target(X, y), "m", "roc_auc", 2, None, {"size": names}
    )
    assert ours.features[0] == "size" and len(ours.features) == 6
    lent = shuffles(len(X), 2, 0)
    positive = y == model.classes_[1]
    for repeat in range(2):
        moved = X.copy()
        moved[names] = X[names].to_numpy()[lent[repeat]]
        after = roc_auc_score(positive, model.predict_proba(moved)[:, 1])
        before = roc_auc_score(positive, model.predict_proba(X)[:, 1])
        assert ours.repeats is not None
        assert ours.repeats[0, repeat] == pytest.approx(before - after, abs=1e-12)


def test_correlated_columns_are_found_and_shuffled_together(
    cancer: tuple[pd.DataFrame, Any],
) -> None:
    X, y = cancer
    model = adapt(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), "m")
    found = permutation_importance(model, _with_target(X, y), "m", groups="correlated")
    together = "mean radius + 2"
    assert found.frame()["feature"][0] == together
    assert any("mean radius, mean perimeter and mean area" in note for note in found.notes)
    by_hand = permutation_importance(
        model,
        _with_target(X, y),
        "m",
        groups={together: ["mean radius", "mean perimeter", "mean area"]},
    )
    assert dict(zip(by_hand.features, by_hand.values, strict=True))[together] == found.values[0]
    alone = permutation_importance(adapt(_Line().predict, "m"), _drawn(0), "m", groups="correlated")
    assert len(alone.features) == 3 and any("No columns vary" in note for note in alone.notes)


# ---- intervals -----------------------------------------------------------------------------------


class _Line:
    """y = 2 a + b, and c for nothing."""

    def predict(self, X: pd.DataFrame) -> Any:
        return 2 * X["a"].to_numpy() + X["b"].to_numpy()


def _drawn(seed: int, n: int = 150) -> EvalSet:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    return _with_target(X, _Line().predict(X) + rng.normal(size=n))


def test_intervals_hold_the_true_importance() -> None:
    # RMSE is 1; of independent standard normals x and x' the variance of β (x - x') is 2 β²
    truth = np.sqrt(1 + 2 * np.array([4.0, 1.0, 0.0])) - 1
    model = adapt(_Line().predict, "line")
    runs = 60
    held = np.zeros(3)
    for seed in range(runs):
        found = permutation_importance(model, _drawn(seed), "line", n_repeats=3, n_rows=None)
        held += (found.low <= truth + 1e-12) & (truth - 1e-12 <= found.high)
    assert held[2] == runs  # what is not read is exactly zero
    # a 95 % interval holds in 57 of 60 runs; 50 or fewer would be seen once in 1,000 times
    assert held[:2].min() > 50
    assert held[:2].sum() < 2 * runs  # and it is not simply too wide


def test_a_sample_agrees_with_all_rows_within_its_interval() -> None:
    evalset, model = _drawn(0, 6_000), adapt(_Line().predict, "line")
    full = permutation_importance(model, evalset, "line", n_rows=None)
    part = permutation_importance(model, evalset, "line", n_rows=500)
    assert (part.n, part.n_given) == (500, 6_000)
    assert ((part.low <= full.values) & (full.values <= part.high)).all()
    assert "500 of 6,000 rows" in part.notes[0]
    assert (full.high - full.low)[:2].max() < (part.high - part.low)[:2].min()


def test_ranks_tie_where_differences_are_within_their_error() -> None:
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    y = 3 * X["a"] + X["b"] + X["c"]
    model = adapt(lambda X: (3 * X["a"] + X["b"] + X["c"]).to_numpy(), "m")
    found = permutation_importance(model, _with_target(X, y), "m").frame().set_index("feature")
    assert found.loc["a", ["rank_low", "rank_high"]].tolist() == [1, 1]
    assert found.loc["b", ["rank_low", "rank_high"]].tolist() == [2, 3]
    assert found.loc["c", ["rank_low", "rank_high"]].tolist() == [2, 3]
    assert found.loc["d", ["rank", "near_zero"]].tolist() == [4, True]


def test_sampled_rows_are_alike_in_the_target() -> None:
    y = np.array(["rare"] * 50 + ["common"] * 950)
    evalset = _with_target(pd.DataFrame({"a": np.arange(1000.0)}), y)
    at = sampled_rows(evalset, 100, 0)
    assert len(np.unique(at)) == 100 and (y[at] == "rare").sum() == 5
    assert sampled_rows(evalset, 2_000, 0).tolist() == list(range(1000))


# ---- awkward models and data ---------------------------------------------------------------------


def test_labels_only_models_fall_back_and_say_so(cancer: tuple[pd.DataFrame, Any]) -> None:
    X, y = cancer
    model = LinearSVC().fit(X / X.max(), y)
    only = adapt(lambda X: model.predict(X / X.max()), "svm")
    found = permutation_importance(only, _with_target(X, y), "svm", n_repeats=2)
    assert found.metric == "balanced_accuracy"
    assert any("gives no scores for ROC AUC" in note for note in found.notes)
    with pytest.raises(NotApplicable, match="ROC AUC needs scores"):
        permutation_importance(only, _with_target(X, y), "svm", "roc_auc")


def test_a_model_that_fails_on_shuffled_values_loses_that_feature_only() -> None:
    def fussy(X: pd.DataFrame) -> Any:
        if (X["hour"] // 24 != X["day"]).any():
            raise ValueError("hour and day do not fit")
        return X["a"].to_numpy() + X["hour"].to_numpy()

    rng = np.random.default_rng(0)
    hour = rng.integers(0, 240, 200).astype(float)
    X = pd.DataFrame({"hour": hour, "day": hour // 24, "a": rng.normal(size=200)})
    found = permutation_importance(
        adapt(fussy, "fussy"), _with_target(X, fussy(X) + 0.1), "fussy", n_repeats=2
    )
    assert np.isnan(found.values[:2]).all() and found.values[2] > 0
    assert any(
        "hour could not be shuffled" in note and "do not fit" in note for note in found.notes
    )
    assert found.frame()["rank"].isna().sum() == 2


def test_a_random_model_is_told_of() -> None:
    rng = np.random.default_rng(0)
    found = permutation_importance(
        adapt(lambda X: rng.normal(size=len(X)), "dice"), _drawn(0), "dice", n_repeats=2
    )
    assert any("differently when asked twice" in note for note in found.notes)
    assert (found.low < 0).all() and (found.high > 0).all()


def test_rows_without_an_answer_are_counted() -> None:
    def gaps(X: pd.DataFrame) -> Any:
        answers = _Line().predict(X)
        answers[X["c"].to_numpy() > 1.5] = np.nan
        return answers

    found = permutation_importance(adapt(gaps, "gaps"), _drawn(1, 400), "gaps", n_repeats=2)
    assert any("got no usable answer and are left out" in note for note in found.notes)
    assert np.isfinite(found.values).all()


def test_rows_that_lose_their_answer_once_shuffled_are_counted() -> None:
    def fussy(X: pd.DataFrame) -> Any:
        answers = X["a"].to_numpy() + X["b"].to_numpy()
        return np.where(np.abs(X["a"] - X["b"]) > 1, np.nan, answers)

    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    X = pd.DataFrame({"a": a, "b": a + rng.uniform(-0.5, 0.5, 200), "c": rng.normal(size=200)})
    evalset, store = _with_target(X, fussy(X) + rng.normal(size=200)), _Store()
    model = wrap(fussy, "fussy", digest="f055")
    lost = [
        int((np.abs(x - y[lent]) > 1).sum())
        for x, y in ((X["b"].to_numpy(), X["a"].to_numpy()), (X["a"].to_numpy(), X["b"].to_numpy()))
        for lent in [shuffles(200, 2, 0)]
    ]
    for _ in range(2):  # measured, then found in the store
        found = permutation_importance(
            model, evalset, "fussy", n_repeats=2, random_state=0, store=store
        )
        said = next(note for note in found.notes if "once these are shuffled" in note)
        assert said.endswith(f"left out: a ({lost[0]} of 400) and b ({lost[1]} of 400).")


def test_one_row_cannot_be_shuffled() -> None:
    with pytest.raises(NotApplicable, match="needs at least 2; there is 1"):
        permutation_importance(adapt(_Line().predict, "line"), _drawn(0, 150), "line", n_rows=1)


def test_a_model_that_fails_at_once_says_why() -> None:
    def broken(X: Any) -> Any:
        raise RuntimeError("no licence")

    with pytest.raises(ModelError, match="no licence"):
        permutation_importance(adapt(broken, "broken"), _drawn(0), "broken")


def test_slow_models_get_the_rows_that_there_is_time_for() -> None:
    def slow(X: pd.DataFrame) -> Any:
        time.sleep(0.0005 * len(X))
        return _Line().predict(X)

    evalset = _drawn(0, 2_000)
    start = time.monotonic()
    found = permutation_importance(adapt(slow, "slow"), evalset, "slow", n_repeats=2, seconds=1)
    assert time.monotonic() - start < 4
    assert 50 <= found.n < 1_000
    assert any("The model is slow, so" in note for note in found.notes)


def test_pixels_and_texts() -> None:
    images, y = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)[:400]
    model = LogisticRegression(max_iter=200).fit(images.reshape(400, -1) / 16, y[:400])
    flat = adapt(lambda X: model.predict_proba(X.reshape(len(X), -1) / 16), "m")
    evalset = build_evalset(Table.from_arrays("digits", {"X": images, "y": y[:400]}))
    found = permutation_importance(flat, evalset, "m", "accuracy", 1)
    assert found.features[:2] == ("pixel 1, 1", "pixel 1, 2") and len(found.features) == 64
    assert found.values[0] == 0  # the corner is always empty
    texts = pd.DataFrame({"text": ["good day", "bad day"] * 30, "n": np.arange(60.0)})
    answer = ["yes", "no"] * 30
    words = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts["text"], answer)
    found = permutation_importance(adapt(words, "w"), _with_target(texts, answer), "w")
    assert dict(zip(found.features, found.values > 0.3, strict=True)) == {"text": True, "n": False}


def test_constant_and_missing_columns_do_nothing() -> None:
    evalset = _drawn(0, 100)
    X = evalset.frame.assign(one=1.0, none=np.nan)
    found = permutation_importance(
        adapt(_Line().predict, "line"), evalset_from_frame(X, target="target"), "line"
    )
    values = dict(zip(found.features, found.values, strict=True))
    assert values["one"] == 0 and values.get("none", 0) == 0


def test_few_rows_have_no_interval() -> None:
    found = permutation_importance(adapt(_Line().predict, "line"), _drawn(0, 8), "line")
    assert np.isnan(found.low).all() and np.isfinite(found.values).all()


@pytest.mark.parametrize(
    "options",
    [
        {"n_repeats": 0},
        {"n_rows": 0},
        {"metric": "nonsense"},
        {"groups": {"g": ["a", "zz"]}},
        {"groups": {"g": ["a"], "h": ["a"]}},
        {"groups": {"g": []}},
        {"level": 1.0},
    ],
)
def test_wrong_parameters_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        permutation_importance(adapt(_Line().predict, "line"), _drawn(0), "line", **options)


@pytest.mark.parametrize("metric", ["roc_auc", "f1"])
def test_metrics_of_other_tasks_do_not_apply(metric: str) -> None:
    with pytest.raises(NotApplicable, match="is not for regression"):
        permutation_importance(adapt(_Line().predict, "line"), _drawn(0), "line", metric)


def test_few_calls_are_made() -> None:
    sizes: list[int] = []

    def counted(X: pd.DataFrame) -> RawPredictions:
        sizes.append(len(X))
        return RawPredictions(labels=_Line().predict(X))

    permutation_importance(adapt(counted, "m"), _drawn(0, 1_000), "m", n_repeats=10, n_rows=None)
    assert sum(sizes) >= 30 * 1_000 and len(sizes) <= 14


# ---- what a worker may answer --------------------------------------------------------------------


# ---- finished blocks -----------------------------------------------------------------------------


class _Store(dict[str, bytes]):
    """Blocks in memory."""

    def put(self, key: str, content: bytes) -> None:
        self[key] = content


def test_a_stopped_run_goes_on_where_it_stopped() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 20)), columns=[f"x{k}" for k in range(20)])
    evalset = _with_target(X, X.sum(axis=1) + rng.normal(size=200))
    asked: list[int] = []

    def summed(X: pd.DataFrame) -> Any:
        asked.append(len(X))
        return X.to_numpy().sum(axis=1)

    def run(**options: Any) -> Importance:
        asked.clear()
        return permutation_importance(
            wrap(summed, "m", digest="5eed"), evalset, "m", n_repeats=2, **options
        )

    whole = run()
    n_asked = sum(asked)
    store = _Store()
    with pytest.raises(ModelError), watched(lambda *_: None, lambda: len(store) > 3):
        run(store=store)
    assert 3 < len(store) < 12  # the rows, the unchanged score, and 10 blocks of 2 features
    kept = set(store)
    again = run(store=store)
    assert kept < set(store) and 0 < sum(asked) < n_asked - 4 * 400
    for name in ("values", "repeats", "low", "high"):
        assert np.array_equal(getattr(again, name), getattr(whole, name))
    assert run(store=store).values.tolist() == whole.values.tolist() and not asked
    for key in store:
        store[key] = store[key][:-9]  # what cannot be read is measured anew
    assert run(store=store).values.tolist() == whole.values.tolist() and asked
    size = len(store)
    run(store=store, random_state=1)  # another question has blocks of its own
    assert len(store) == 2 * size
    bare = _Store()
    permutation_importance(adapt(summed, "m"), evalset, "m", store=bare)
    assert not bare  # nobody's model for long


def test_waiting_for_a_turn_is_not_the_models_time() -> None:
    @contextmanager
    def slowly() -> Iterator[None]:
        time.sleep(0.02)
        yield

    found = permutation_importance(
        adapt(_Line().predict, "m"), _drawn(0, 400), "m", n_repeats=2, seconds=0.5, turn=slowly
    )
    assert found.n == 400 and not any("slow" in note for note in found.notes)


def test_groups_may_name_columns_that_a_model_does_not_read() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    line = LinearRegression().fit(X[["a", "b"]], X["a"])
    evalset = _with_target(X, X["a"])
    found = permutation_importance(
        adapt(line, "m"), evalset, "m", n_repeats=1, groups={"two": ["b", "c"]}
    )
    assert found.features == ("a", "two")
    with pytest.raises(ParameterError, match="called like a column"):
        permutation_importance(adapt(line, "m"), evalset, "m", groups={"a": ["b", "c"]})


def _told(**changes: Any) -> Frame:
    header = {
        "seconds": 0.1, "labels": ["a", "b"], "kind": "probability", "alone": True,
        "changes": False, "reason": "",
    }  # fmt: skip
    arrays = changes.pop("arrays", (np.zeros(3), np.array([0, 2, 9])))
    return Frame({**header, **changes}, arrays)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "magic"},
        {"labels": "ab"},
        {"seconds": "soon"},
        {"reason": 7},
        {"arrays": (np.zeros(4), np.arange(3))},
        {"arrays": (np.zeros(3, dtype=np.int64), np.arange(3))},
        {"arrays": ()},
        {"arrays": (np.zeros(3),)},
        {"arrays": (np.zeros(3), np.arange(3.0))},
        {"arrays": (np.zeros(3), np.arange(4).reshape(2, 2))},
        {"arrays": (np.zeros(3), np.array([0, 10]))},
        {"arrays": (np.zeros(3), np.array([-1, 3]))},
        {"arrays": (np.zeros(3), np.array([3, 3]))},
    ],
)
def test_nonsense_about_unchanged_rows_is_not_believed(changes: dict[str, Any]) -> None:
    assert _read_unchanged(_told(), 2, 10).alone
    with pytest.raises(FrameError):
        _read_unchanged(_told(**changes), 2, 10)


@pytest.mark.parametrize("failed", [None, {"7": "x"}, {"0": 3}, ["0"]])
def test_nonsense_about_shuffled_rows_is_not_believed(failed: Any) -> None:
    arrays = (np.zeros((2, 3)), np.zeros((2, 4)))
    told: dict[str, Any] = {"failed": {"1": "why"}, "answered": [9, 0]}
    assert _read_shuffled(Frame(told, arrays), 2, 3, 4)[2:] == ({1: "why"}, [9, 0])
    for answered in (None, [9], [9, "0"], [9, True]):
        with pytest.raises(FrameError):
            _read_shuffled(Frame(told | {"answered": answered}, arrays), 2, 3, 4)
    with pytest.raises(FrameError):
        _read_shuffled(Frame(told | {"failed": failed}, arrays), 2, 3, 4)
    with pytest.raises(FrameError):
        _read_shuffled(Frame(told, arrays[::-1]), 2, 3, 4)
