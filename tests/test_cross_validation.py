"""Cross-validation: folds as scikit-learn scores them, paired differences, out-of-fold answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from dashboard.contracts import Predictions
from dashboard.data import EvalSet, evalset_from_frame, read_predictions, read_table
from dashboard.diagnostics.folds import FoldScores, compare_folds, corrected_interval
from dashboard.diagnostics.metrics import compute_metrics
from dashboard.errors import NotApplicable, ParameterError
from dashboard.learning import choose_folds
from dashboard.learning.cross_validation import (
    CrossValidation,
    FoldOptions,
    cross_validation_in_stages,
)
from dashboard.models import adapt


def _iris(binary: bool = False) -> EvalSet:
    frame = load_iris(as_frame=True).frame
    names = np.array(["setosa", "versicolor", "virginica"])
    frame = frame.assign(target=names[frame["target"]])
    kept = frame[frame["target"] != "setosa"] if binary else frame
    return evalset_from_frame(kept.reset_index(drop=True), target="target")


def _crossed(estimator: Any, evalset: EvalSet, **options: Any) -> CrossValidation:
    fitted = estimator.fit(evalset.X, _truth(evalset))
    *_, last = cross_validation_in_stages(
        adapt(fitted, "m"), evalset, "m", FoldOptions(**options), folds=options.pop("folds", None)
    )
    return last


def _truth(evalset: EvalSet) -> Any:
    target = evalset.target
    classes = target.labels and target.y.ndim == 1
    return np.array(target.labels)[target.y] if classes else target.y


@pytest.fixture(scope="module")
def forest() -> tuple[EvalSet, CrossValidation]:
    evalset = _iris()
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    return evalset, _crossed(tree, evalset, metric="accuracy", n_repeats=2)


def test_every_fold_is_scikit_learns(forest: tuple[EvalSet, CrossValidation]) -> None:
    evalset, crossed = forest
    scores = crossed.scores()
    told = cross_validate(
        DecisionTreeClassifier(max_depth=2, random_state=0),
        evalset.X,
        _truth(evalset),
        cv=list(crossed.folds),
        scoring=["accuracy", "f1_macro"],
        return_train_score=True,
    )
    np.testing.assert_allclose(scores.validation, told["test_accuracy"], atol=1e-12)
    np.testing.assert_allclose(scores.train, told["train_accuracy"], atol=1e-12)
    assert scores.mean == pytest.approx(told["test_accuracy"].mean(), abs=1e-12)
    assert scores.sd == pytest.approx(told["test_accuracy"].std(), abs=1e-12)
    macro = crossed.scores("f1_macro")
    np.testing.assert_allclose(macro.validation, told["test_f1_macro"], atol=1e-12)
    assert scores.frame()["repeat"].tolist() == [0] * 5 + [1] * 5
    assert scores.frame()["fold"].tolist() == [0, 1, 2, 3, 4] * 2
    with pytest.raises(ParameterError, match="was not measured"):
        crossed.scores("rmse")


def test_out_of_fold_answers_are_scikit_learns(forest: tuple[EvalSet, CrossValidation]) -> None:
    evalset, crossed = forest
    found = crossed.out_of_fold(evalset)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    first = list(crossed.folds)[:5]
    told = cross_val_predict(tree, evalset.X, _truth(evalset), cv=first, method="predict_proba")
    predictions = found.predictions(evalset)
    np.testing.assert_allclose(predictions.y_score, told, atol=1e-12)
    labels = cross_val_predict(tree, evalset.X, _truth(evalset), cv=first)
    assert np.array(evalset.target.labels)[predictions.y_pred].tolist() == labels.tolist()
    assert predictions.n == evalset.n
    assert "Of 2 repetitions the first is taken." in found.notes
    assert compute_metrics(predictions, metrics=["accuracy"], n_bootstrap=2).rows


def _same(one: Predictions, other: Predictions) -> None:
    np.testing.assert_array_equal(one.rows, other.rows)
    assert (one.y_score is None) == (other.y_score is None)
    if one.y_score is not None:
        np.testing.assert_allclose(one.y_score, other.y_score, atol=1e-12)
    np.testing.assert_array_equal(one.y_pred, other.y_pred)
    assert one.score_kind == other.score_kind


def _case(case: str) -> tuple[EvalSet, Any]:
    if case in ("multiclass", "binary", "decision"):
        estimator = LinearSVC() if case == "decision" else DecisionTreeClassifier(random_state=0)
        return _iris(binary=case != "multiclass"), estimator
    frame = load_diabetes(as_frame=True).frame.iloc[:80].reset_index(drop=True)
    if case == "regression":
        return evalset_from_frame(frame, target="target"), LinearRegression()
    if case == "time":
        frame["day"] = pd.date_range("2026-01-01", periods=80)
        return evalset_from_frame(frame, target="target"), LinearRegression()
    if case == "outputs":
        return evalset_from_frame(frame, target=["target", "bmi"]), LinearRegression()
    flags = frame.assign(heavy=frame["bmi"] > 0, old=frame["age"] > 0).astype({"heavy": int})
    flags["old"] = flags["old"].astype(int)
    return evalset_from_frame(flags, target=["heavy", "old"]), KNeighborsClassifier(3)


CASES = ("multiclass", "binary", "decision", "regression", "time", "outputs", "labels")


@pytest.mark.parametrize("case", CASES)
def test_other_pages_take_them_as_a_prediction_file(case: str) -> None:
    evalset, estimator = _case(case)
    crossed = _crossed(estimator, evalset, n_splits=3)
    found = crossed.out_of_fold(evalset)
    told = found.predictions(evalset)
    table, columns = found.table(evalset)
    held = Predictions.normalise(
        read_predictions(table, evalset, columns), evalset.target, name="m"
    )
    _same(told, held)
    assert held.n == found.covered.sum() == (39 if case == "time" else evalset.n)
    if case == "time":
        assert any("39 of 80 rows have an answer" in note for note in found.notes)
    # and as a file that somebody downloads and gives back
    file = read_table(found.frame(evalset).to_csv(index=False).encode(), "file.csv")
    again = Predictions.normalise(read_predictions(file, evalset), evalset.target, name="m")
    np.testing.assert_array_equal(again.rows, told.rows)
    if told.y_score is not None:
        assert again.y_score is not None
        np.testing.assert_allclose(again.y_score, told.y_score, atol=1e-12)
    elif told.y_pred is not None:
        np.testing.assert_allclose(again.y_pred, told.y_pred, atol=1e-9)


class Fails(DecisionTreeClassifier):
    """Cannot learn from a certain row."""

    def fit(self, X: Any, y: Any, **more: Any) -> Fails:
        if len(X) < 150 and (np.asarray(X)[:, 0] == 7.9).any():
            raise RuntimeError("a row of 7.9")
        return super().fit(X, y, **more)


def test_a_fold_that_fails_leaves_the_others() -> None:
    evalset = _iris()
    crossed = _crossed(Fails(random_state=0), evalset, metric="accuracy", n_splits=4)
    scores = crossed.scores()
    assert scores.n_scored == 1  # the fold that keeps the row for validation
    assert scores.notes[0].startswith("3 of 4 folds have no score: ")
    assert "a row of 7.9" in scores.notes[0]
    assert scores.n_done == 4
    found = crossed.out_of_fold(evalset)
    assert 0 < found.covered.sum() < evalset.n
    assert any(f"{found.covered.sum()} of 150 rows have an answer" in n for n in found.notes)
    assert np.isnan(scores.interval().low)


def test_stages_grow_and_a_later_run_takes_what_was_kept() -> None:
    evalset = _iris()
    kept: dict[str, bytes] = {}

    class Store:
        def get(self, key: str) -> bytes | None:
            return kept.get(key)

        def put(self, key: str, content: bytes) -> None:
            kept[key] = content

    model = adapt(DecisionTreeClassifier(random_state=0).fit(evalset.X, _truth(evalset)), "m")
    object.__setattr__(model, "_info", replace(model.info, digest="d"))

    def stages() -> Iterator[CrossValidation]:
        options = FoldOptions(n_splits=3)
        return cross_validation_in_stages(model, evalset, "m", options, store=Store())

    first = list(stages())
    assert [one.scores().n_done for one in first] == [1, 2, 3]
    assert not first[0].is_complete
    assert first[0].out_of_fold(evalset).covered.sum() == 50
    assert len(kept) == 3
    again = list(stages())
    assert len(again) == 1
    np.testing.assert_array_equal(again[0].scores().validation, first[-1].scores().validation)
    one, other = again[0].out_of_fold(evalset), first[-1].out_of_fold(evalset)
    _same(one.predictions(evalset), other.predictions(evalset))


# --- paired differences ------------------------------------------------------------------------


def _scores(model: str, values: Any, *, larger: bool = True, digest: str = "d") -> FoldScores:
    held = np.array(values, dtype=float)
    n = len(held)
    counts = np.full(n, 10)
    return FoldScores(
        model,
        "accuracy",
        "Accuracy",
        larger,
        held,
        held,
        np.ones(n),
        counts * (n - 1),
        counts,
        np.zeros(n, dtype=np.int64),
        ("",) * n,
        digest=digest,
        n_done=n,
        n_fits=n,
    )


def _as_in_scikit_learns_example(differences: Any, n_train: int, n_test: int) -> tuple[Any, ...]:
    """`compute_corrected_ttest` of "Statistical comparison of models using grid search"."""
    n = len(differences)
    corrected = np.var(differences, ddof=1) * (1 / n + n_test / n_train)
    t = np.mean(differences) / np.sqrt(corrected)
    interval = stats.t.interval(0.95, n - 1, loc=np.mean(differences), scale=np.sqrt(corrected))
    return 2 * stats.t.sf(np.abs(t), n - 1), *interval


def test_the_corrected_interval_is_that_of_scikit_learns_example() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.8, 0.05, 10), rng.normal(0.7, 0.05, 10)
    found = compare_folds([_scores("a", a), _scores("b", b)], reference="b")[0]
    p, low, high = _as_in_scikit_learns_example(a - b, 90, 10)
    assert found.p_value == pytest.approx(p, rel=1e-9)
    assert (found.low, found.high) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))
    naive = corrected_interval(a - b, 0.0)
    assert naive.high - naive.low < found.high - found.low
    assert found.better == "a"
    assert found.sentence.startswith("a is better than b: ")


def test_book_three_folds() -> None:
    scores = _scores("book", [0.735294, 0.878788, 0.787879])
    assert round(scores.mean, 4) == 0.8007
    assert round(scores.sd, 4) == 0.0593


def test_differences_say_who_is_better_or_that_it_is_too_close() -> None:
    close = compare_folds([_scores("a", [0.8, 0.7, 0.9]), _scores("b", [0.7, 0.8, 0.85])])[0]
    assert (close.first, close.second) == ("b", "a")  # the better mean is the reference
    assert close.better is None
    assert close.sentence.startswith("Too close to call between b and a: b differs by −.0167")
    errors = [_scores(n, v, larger=False) for n, v in (("a", [1, 1.1, 1]), ("b", [2, 2.1, 2]))]
    lost = compare_folds(errors)[0]
    assert (lost.second, lost.better) == ("a", "a")
    assert "less accuracy" in lost.sentence
    same = compare_folds([_scores("a", [0.8, 0.7]), _scores("b", [0.8, 0.7])])[0]
    assert same.sentence == "b and a score the same in all 2 folds."
    one = compare_folds([_scores("a", [0.8, np.nan]), _scores("b", [0.7, 0.7])])[0]
    assert one.n == 1
    assert not one.decided
    with pytest.raises(NotApplicable):
        compare_folds([_scores("a", [1, 2])])
    with pytest.raises(ParameterError, match="different folds"):
        compare_folds([_scores("a", [1, 2]), _scores("b", [1, 2], digest="other")])
    with pytest.raises(ParameterError, match="no scores of 'c'"):
        compare_folds([_scores("a", [1, 2]), _scores("b", [1, 2])], reference="c")


def test_two_real_models_on_the_same_folds() -> None:
    evalset = _iris()
    folds = choose_folds(evalset, 5, 1, 0)
    found = []
    for name, estimator in (
        ("stump", DecisionTreeClassifier(max_depth=1, random_state=0)),
        ("bayes", GaussianNB()),
    ):
        model = adapt(estimator.fit(evalset.X, _truth(evalset)), name)
        options = FoldOptions("accuracy")
        *_, last = cross_validation_in_stages(model, evalset, name, options, folds=folds)
        found.append(last.scores())
    difference = compare_folds(found)[0]
    assert difference.better == "bayes"
    assert difference.low < difference.mean < difference.high < 0
