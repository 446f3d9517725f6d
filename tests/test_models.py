"""Models from files and memory: equal to the native object, and nothing hostile is opened.

Every model here is real, small and seeded; every hostile file is made by changing a real one.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import re
import threading
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import skops.io
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import (
    ColumnTransformer,
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LogisticRegression,
    Ridge,
    RidgeCV,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV, StratifiedKFold, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from dashboard.contracts import Model, Predictions, RawPredictions, ScoreKind
from dashboard.data import evalset_from_frame
from dashboard.errors import LimitExceeded, ModelError, ParameterError, UntrustedModel
from dashboard.models import adapt, identify
from dashboard.models import load_model as open_confined
from dashboard.models import load_native as load_model
from dashboard.models.allowed import TRUSTED
from dashboard.settings import Settings

N = 90
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4))
Y2 = (X[:, 0] + 0.3 * RNG.normal(size=N) > 0).astype(int)
Y3 = np.array(["low", "mid", "high"])[np.digitize(X[:, 1], [-0.5, 0.5])]
YV = X @ [1.0, -2.0, 0.5, 0.0] + 0.1 * RNG.normal(size=N)
YML = np.column_stack([Y2, X[:, 2] > 0]).astype(int)
FRAME = pd.DataFrame(X, columns=["income", "age", "rooms", "score"]).assign(
    city=np.where(X[:, 3] > 0, "Rome", "Oslo")
)
FRAME.loc[[3, 10], "age"] = np.nan
NUMERIC = ["income", "rooms", "score"]
TEXTS = np.array([" ".join(np.array(["red", "green", "blue"])[row > 0]) for row in X[:, :3]])


def columns() -> ColumnTransformer:
    return make_column_transformer(
        (
            make_pipeline(SimpleImputer(), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (OneHotEncoder(handle_unknown="ignore"), ["city"]),
    )


def by_dtype() -> ColumnTransformer:
    """As written for a table of houses: numbers, and everything else."""
    return make_column_transformer(
        (
            make_pipeline(SimpleImputer(), FunctionTransformer(np.abs), StandardScaler()),
            make_column_selector(dtype_include=np.number),
        ),
        (
            OneHotEncoder(handle_unknown="ignore"),
            make_column_selector(dtype_include=object, dtype_exclude=np.generic),
        ),
    )


UFUNCS = (np.log1p, np.log, np.log10, np.log2, np.sqrt, np.cbrt, np.exp, np.expm1, np.square)
OTHERS = (np.abs, np.sign, np.reciprocal, np.tanh, np.clip, np.nan_to_num, np.round, expit)


ESTIMATORS: dict[str, tuple[Callable[[], Any], Any, Any]] = {
    "logistic": (lambda: LogisticRegression(), X, Y2),
    "logistic, 3 classes of text": (lambda: LogisticRegression(), FRAME[NUMERIC], Y3),
    "forest": (lambda: RandomForestClassifier(5, random_state=0, n_jobs=2), X, Y2),
    "forest, multilabel": (lambda: RandomForestClassifier(5, random_state=0), X, YML),
    "extra trees, two outputs": (
        lambda: ExtraTreesRegressor(5, random_state=0),
        X,
        np.column_stack([YV, -YV]),
    ),
    "forest regression": (lambda: RandomForestRegressor(5, random_state=0), FRAME[NUMERIC], YV),
    "tree regression": (lambda: DecisionTreeRegressor(random_state=0), X, YV),
    "boosting": (lambda: GradientBoostingClassifier(n_estimators=4, random_state=0), X, Y3),
    "boosting regression": (
        lambda: GradientBoostingRegressor(n_estimators=4, loss="huber", random_state=0),
        X,
        YV,
    ),
    "histogram boosting": (lambda: HistGradientBoostingClassifier(max_iter=4), X, Y3),
    "histogram boosting with categories": (
        lambda: HistGradientBoostingClassifier(max_iter=4, categorical_features="from_dtype"),
        FRAME.astype({"city": "category"}),
        Y2,
    ),
    "histogram boosting regression": (
        lambda: HistGradientBoostingRegressor(max_iter=4, loss="quantile", quantile=0.2),
        X,
        YV,
    ),
    "support vectors": (lambda: SVC(), X, Y2),
    "support vectors, 3 classes": (lambda: SVC(), X, Y3),
    "support vector regression": (lambda: SVR(), X, YV),
    "SGD": (lambda: SGDClassifier(random_state=0), X, Y2),
    "neighbours": (lambda: KNeighborsClassifier(), X, Y3),
    "neighbours, ball tree": (
        lambda: KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
        X,
        Y3,
    ),
    "perceptron": (
        lambda: MLPClassifier((5,), max_iter=400, tol=0.05, random_state=0),
        X,
        Y2,
    ),
    "perceptron, multilabel": (
        lambda: MLPClassifier((5,), max_iter=400, tol=0.05, random_state=0),
        X,
        YML,
    ),
    "search": (
        lambda: GridSearchCV(
            LogisticRegression(), {"C": [0.1, 1]}, cv=StratifiedKFold(2), scoring="f1"
        ),
        FRAME[NUMERIC],
        Y2,
    ),
    "calibrated": (lambda: CalibratedClassifierCV(LinearSVC(), cv=2), X, Y2),
    "calibrated, isotonic": (
        lambda: CalibratedClassifierCV(LinearSVC(), cv=2, method="isotonic"),
        X,
        Y3,
    ),
    "tuned threshold": (
        lambda: TunedThresholdClassifierCV(LogisticRegression(), cv=2, random_state=0),
        X,
        Y2,
    ),
    "stacking": (
        lambda: StackingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], cv=2),
        X,
        Y3,
    ),
    "voting": (
        lambda: VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft"),
        X,
        Y2,
    ),
    "gaussian process": (
        lambda: GaussianProcessClassifier(RBF() + WhiteKernel(), optimizer=None),
        X,
        Y2,
    ),
    "pipeline on columns": (lambda: make_pipeline(columns(), LogisticRegression()), FRAME, Y2),
    "pipeline on columns chosen by dtype": (
        lambda: make_pipeline(by_dtype(), TransformedTargetRegressor(RandomForestRegressor(3))),
        FRAME.astype({"city": object}),
        YV,
    ),
    "pipeline on columns chosen by several dtypes": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("n", SimpleImputer(), make_column_selector(dtype_include=[np.floating])),
                    (
                        "c",
                        OrdinalEncoder(),
                        make_column_selector(dtype_include=[object, pd.CategoricalDtype, bool]),
                    ),
                ]
            ),
            HistGradientBoostingRegressor(max_iter=4),
        ),
        FRAME.astype({"city": "category"}),
        YV,
    ),
    "binned columns": (
        lambda: make_pipeline(
            KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), Ridge()
        ),
        X,
        YV,
    ),
    "polynomials": (lambda: make_pipeline(PolynomialFeatures(2), Ridge()), X, YV),
    "best columns by F": (
        lambda: make_pipeline(SelectKBest(f_classif, k=2), LogisticRegression()),
        X,
        Y3,
    ),
    "stacking regression": (
        lambda: StackingRegressor(
            [("a", Ridge()), ("b", RandomForestRegressor(3, random_state=0))],
            final_estimator=RidgeCV(),
        ),
        X,
        YV,
    ),
    "pipeline with target encoding": (
        lambda: make_pipeline(
            ColumnTransformer([("city", TargetEncoder(cv=2), ["city"])], remainder="passthrough"),
            HistGradientBoostingClassifier(max_iter=4),
        ),
        FRAME,
        Y2,
    ),
    "one versus rest, multilabel": (lambda: OneVsRestClassifier(LogisticRegression()), X, YML),
    "many outputs": (lambda: MultiOutputClassifier(LogisticRegression()), X, YML),
    "log of the target": (
        lambda: TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1),
        FRAME[NUMERIC],
        np.abs(YV),
    ),
    "log of the features": (
        lambda: make_pipeline(FunctionTransformer(np.abs), Ridge()),
        X,
        YV,
    ),
    "splines of chosen columns": (
        lambda: make_pipeline(SelectKBest(k=2), SplineTransformer(), LogisticRegression()),
        X,
        Y2,
    ),
    "Tweedie": (lambda: TweedieRegressor(power=1.5, link="log"), X, np.abs(YV)),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def dumped(estimator: Any) -> bytes:
    return skops.io.dumps(estimator)


def assert_same_scores(ours: Any, native: Any) -> None:
    if isinstance(native, list):
        assert len(ours) == len(native)
        for mine, theirs in zip(ours, native, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    else:
        np.testing.assert_array_equal(ours, native)


# --- scikit-learn ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(ESTIMATORS))
def test_skops_answers_equal_the_native_object(kind: str, files: Path) -> None:
    make, features, target = ESTIMATORS[kind]
    native = make().fit(features, target)
    path = files / "model.skops"
    skops.io.dump(native, path)
    model = load_model(path, "model.skops")
    assert isinstance(model, Model)
    raw = model.predict(features)
    np.testing.assert_array_equal(raw.labels, native.predict(features))
    if hasattr(native, "predict_proba"):
        assert_same_scores(raw.scores, native.predict_proba(features))
        assert raw.score_kind is None
    elif hasattr(native, "decision_function"):
        np.testing.assert_array_equal(raw.scores, native.decision_function(features))
        assert raw.score_kind is ScoreKind.DECISION
    else:
        assert raw.scores is None
    if hasattr(native, "classes_") and np.ndim(target) == 1:
        assert raw.classes == native.classes_.tolist()
        assert model.info.classes == tuple(native.classes_.tolist())
    assert model.info.format == "skops"
    assert model.info.size == path.stat().st_size
    assert model.info.notes == ()
    # In memory the same object gives the same answers.
    np.testing.assert_array_equal(adapt(native).predict(features).labels, raw.labels)


@pytest.mark.parametrize("function", [*UFUNCS, *OTHERS], ids=lambda each: each.__name__)
def test_plain_functions_of_numpy_are_steps(function: Any) -> None:
    arguments = {"a_min": 0.2, "a_max": 0.9} if function is np.clip else None
    step = FunctionTransformer(function, kw_args=arguments)
    model = make_pipeline(step, Ridge()).fit(np.abs(X) + 0.1, YV)
    loaded = load_model(dumped(model), "m.skops").predict(np.abs(X) + 0.1)
    np.testing.assert_array_equal(loaded.labels, model.predict(np.abs(X) + 0.1))


@pytest.mark.parametrize("vectorizer", [CountVectorizer(), TfidfVectorizer(stop_words="english")])
def test_text_beside_numbers(vectorizer: Any) -> None:
    given = pd.DataFrame({"text": TEXTS, "age": X[:, 0]})
    parts = ColumnTransformer([("t", vectorizer, "text"), ("n", StandardScaler(), ["age"])])
    model = make_pipeline(parts, LogisticRegression()).fit(given, Y2)
    loaded = load_model(dumped(model), "m.skops").predict(given)
    np.testing.assert_array_equal(loaded.scores, model.predict_proba(given))


def test_info_names_steps_columns_and_task() -> None:
    native = make_pipeline(columns(), LogisticRegression()).fit(FRAME, Y2)
    info = load_model(dumped(native), "loans.skops").info
    assert info.kind == "Pipeline: ColumnTransformer → LogisticRegression"
    assert info.feature_names == ("income", "age", "rooms", "score", "city")
    assert info.task_hint == "classifier"
    assert len(info.digest) == 64
    regression = adapt(Ridge().fit(X, YV)).info
    assert (regression.n_features, regression.feature_names) == (4, None)
    assert regression.task_hint == "regressor"
    search = GridSearchCV(LogisticRegression(), {"C": [1]}, cv=2).fit(X, Y2)
    assert adapt(search).info.kind == "GridSearchCV of LogisticRegression"


def test_columns_are_matched_by_name_in_any_order() -> None:
    native = LogisticRegression().fit(FRAME[NUMERIC], Y2)
    shuffled = FRAME[["city", "score", "rooms", "age", "income"]]
    raw = adapt(native).predict(shuffled)
    np.testing.assert_array_equal(raw.scores, native.predict_proba(FRAME[NUMERIC]))
    assert raw.notes == ("Columns the model does not use: city, age.",)


def test_missing_columns_are_named_with_the_closest_names() -> None:
    native = LogisticRegression().fit(FRAME[NUMERIC], Y2)
    renamed = FRAME.rename(columns={"income": "In come", "rooms": "roooms"})
    with pytest.raises(ModelError) as caught:
        adapt(native, "loans").predict(renamed)
    message = str(caught.value)
    assert "income, rooms" in message
    assert "income may be 'In come' here" in message
    assert "rooms may be 'roooms' here" in message
    with pytest.raises(ModelError, match=r"1 of them is not among the features: score\. "):
        adapt(native).predict(FRAME[["income", "rooms", "city"]])


def test_a_model_without_names_takes_columns_by_order_and_says_so() -> None:
    native = LogisticRegression().fit(X, Y2)
    raw = adapt(native).predict(pd.DataFrame(X, columns=list("abcd")))
    np.testing.assert_array_equal(raw.labels, native.predict(X))
    assert raw.notes == ("Columns matched by order: a, b, c, d.",)
    with pytest.raises(ModelError, match=r"4 columns without names.*5 columns \(income, age"):
        adapt(native).predict(FRAME)
    with pytest.raises(ModelError, match=r"4 columns without names.*3 columns"):
        adapt(native).predict(X[:, :3])


def test_a_model_with_names_takes_an_array_of_as_many_columns() -> None:
    native = LogisticRegression().fit(FRAME[NUMERIC], Y2)
    raw = adapt(native).predict(FRAME[NUMERIC].to_numpy())
    np.testing.assert_array_equal(raw.labels, native.predict(FRAME[NUMERIC]))
    assert raw.notes == ("Columns matched by order: income, rooms, score.",)


def test_images_are_flattened_for_flat_estimators() -> None:
    images = RNG.normal(size=(30, 2, 3))
    native = LogisticRegression().fit(images.reshape(30, 6), Y2[:30])
    raw = adapt(native).predict(images)
    np.testing.assert_array_equal(raw.labels, native.predict(images.reshape(30, 6)))
    assert raw.notes == ("Images of shape (2, 3) were flattened to 6 columns.",)
    with pytest.raises(ModelError, match=r"6 columns.*arrays of shape \(3, 3\)"):
        adapt(native).predict(np.zeros((2, 3, 3)))


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_nullable_and_arrow_columns_answer_as_plain_ones(backend: Any) -> None:
    native = make_pipeline(columns(), LogisticRegression()).fit(FRAME, Y2)
    frame = FRAME.copy()
    frame.loc[5, "city"] = None
    with_missing = adapt(native).predict(frame)
    other = adapt(native).predict(frame.convert_dtypes(dtype_backend=backend))
    np.testing.assert_array_equal(other.scores, with_missing.scores)
    whole = pd.DataFrame({"a": [1, 2, 3], "b": [True, False, True]})
    small = DecisionTreeClassifier().fit(whole, [0, 1, 0])
    arrow = whole.convert_dtypes(dtype_backend=backend)
    assert adapt(small).predict(arrow).labels.tolist() == [0, 1, 0]
    arrow.loc[0, "a"] = pd.NA
    assert len(adapt(small).predict(arrow).labels) == 3


def test_text_models_read_the_one_text_column() -> None:
    native = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, Y2)
    model = load_model(dumped(native), "text.skops")
    frame = pd.DataFrame({"n": 1, "words": TEXTS})
    raw = model.predict(frame)
    np.testing.assert_array_equal(raw.scores, native.predict_proba(TEXTS))
    assert raw.notes == ("Column words is read as text.",)
    np.testing.assert_array_equal(model.predict(TEXTS).labels, raw.labels)
    frame.loc[0, "words"] = None
    assert model.predict(frame).scores[0, 1] == native.predict_proba([""])[0, 1]
    with pytest.raises(ModelError, match="hold none"):
        model.predict(frame[["n"]])
    with pytest.raises(ModelError, match=r"hold 2 \(words, more\)"):
        model.predict(frame.assign(more="a"))
    with pytest.raises(ModelError, match=r"arrays of shape \(2,\)"):
        model.predict(np.array([["a", "b"]]))


def test_a_label_that_was_constant_in_training_keeps_two_columns() -> None:
    target = np.column_stack([Y2, np.ones(N, dtype=int), np.zeros(N, dtype=int)])
    raw = adapt(RandomForestClassifier(3, random_state=0).fit(X, target)).predict(X)
    assert [score.shape for score in raw.scores] == [(N, 2)] * 3
    assert raw.scores[1][0].tolist() == [0.0, 1.0]
    assert raw.scores[2][0].tolist() == [1.0, 0.0]
    assert raw.classes is None


def test_one_versus_one_values_are_not_taken_for_scores() -> None:
    native = SVC(decision_function_shape="ovo").fit(X, Y3)
    raw = adapt(native).predict(X)
    assert raw.scores is None
    assert raw.notes == ("The decision values compare pairs of classes, so they are not used.",)


def test_missing_values_and_text_are_named_when_the_model_fails() -> None:
    named = LogisticRegression().fit(FRAME[["income", "age"]].fillna(0), Y2)
    with pytest.raises(ModelError, match=r"ValueError: Input X contains NaN\. .* in age: fill"):
        adapt(named, "loans").predict(FRAME.assign(age=np.nan))
    numbers = LogisticRegression().fit(FRAME[["income"]].assign(city=1.0), Y2)
    with pytest.raises(ModelError, match=r"Text is in city: leave"):
        adapt(numbers).predict(FRAME)
    try:
        adapt(numbers).predict(FRAME)
    except ModelError as error:
        assert isinstance(error.__cause__, ValueError)
        assert "\n" not in str(error)


class Broken(ClassifierMixin, BaseEstimator):
    """Raises on predict, with a message of several lines."""

    def fit(self, X: Any, y: Any) -> Broken:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        raise RuntimeError("out of order\nsecond line")


def test_a_model_whose_predict_raises_gives_one_sentence() -> None:
    with pytest.raises(
        ModelError, match=r"^old failed on these rows: RuntimeError: out of order\."
    ):
        adapt(Broken().fit(X, Y2), "old").predict(X)


def test_warnings_of_the_model_become_notes() -> None:
    native = make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="warn"), ["city"])),
        LogisticRegression(),
    ).fit(FRAME, Y2)
    raw = adapt(native).predict(FRAME.assign(city="Lima"))
    assert any("unknown categories" in note.lower() for note in raw.notes)


def test_loaded_models_use_one_job() -> None:
    native = RandomForestClassifier(3, random_state=0, n_jobs=2).fit(X, Y2)
    assert load_model(dumped(native), "forest.skops")._estimator.n_jobs == 1  # type: ignore[attr-defined]
    assert native.n_jobs == 2


class Median:
    """An own model, without scikit-learn's base class."""

    def predict(self, X: Any) -> Any:
        return np.median(np.asarray(X, dtype=float), axis=1)


def test_own_models_need_only_predict() -> None:
    model = adapt(Median())
    raw = model.predict(X[:, 0])
    assert raw.labels.tolist() == X[:, 0].tolist()
    assert raw.scores is None
    assert model.info.kind == "Median"
    assert adapt(np.median, "middle").info.kind == "Function: median"
    dated = pd.DataFrame({"when": pd.date_range("2026-01-01", periods=3, tz="UTC"), "a": [1, 2, 3]})
    with pytest.raises(ModelError, match=r"Text is in|Check that these columns"):
        model.predict(dated.convert_dtypes(dtype_backend="pyarrow"))


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        (LogisticRegression(), "not fitted"),
        (StandardScaler().fit(X), "StandardScaler; needed is a fitted estimator with predict"),
        (LogisticRegression, "is a class"),
        (7, "needed is a fitted estimator"),
    ],
)
def test_objects_that_are_no_model(obj: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        adapt(obj)


def test_files_that_hold_no_fitted_model() -> None:
    with pytest.raises(ModelError, match="not fitted"):
        load_model(dumped(LogisticRegression()), "new.skops")
    with pytest.raises(ModelError, match="no predict"):
        load_model(dumped(StandardScaler().fit(X)), "scaler.skops")
    with pytest.raises(ModelError, match="holds a dict, which has no predict"):
        load_model(dumped({"a": 1}), "dict.skops")


def test_callables_and_models_are_adapted() -> None:
    assert adapt(lambda rows: rows[:, 0]).predict(X).scores.tolist() == X[:, 0].tolist()
    assert adapt(lambda rows: ["no"] * len(rows)).predict(X).scores == ["no"] * N
    labels = adapt(lambda rows: np.array(["no"] * len(rows)), "always no").predict(X)
    assert labels.labels.tolist() == ["no"] * N
    ready = RawPredictions(labels=Y2)
    assert adapt(lambda rows: ready).predict(X) is ready
    model = adapt(LogisticRegression().fit(X, Y2))
    assert adapt(model) is model

    def broken(rows: Any) -> Any:
        raise KeyError("age")

    with pytest.raises(ModelError, match="broken failed on these rows: KeyError: 'age'"):
        adapt(broken, "broken").predict(X)


# --- .skops files that are refused -------------------------------------------------------------


def tampered(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The archive with its schema changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member == "schema.json":
                schema = json.loads(data)
                change(schema)
                data = json.dumps(schema).encode()
            new.writestr(member, data)
    return buffer.getvalue()


def attribute(name: str, node: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    def change(schema: dict[str, Any]) -> None:
        schema["content"]["content"][name] = node

    return change


def function(module: str, name: str, loader: str = "FunctionNode") -> dict[str, Any]:
    return {"__module__": module, "__class__": name, "__loader__": loader}


def text(value: Any) -> dict[str, Any]:
    return {**function("builtins", "str", "JsonNode"), "content": json.dumps(value)}


def call(module: str, name: str, *values: Any) -> dict[str, Any]:
    """A node that calls the name with arguments when it is built."""
    arguments = {
        **function("builtins", "tuple", "TupleNode"),
        "content": [text(value) for value in values],
    }
    return {**function(module, name, "ConstructorFromReduceNode"), "content": arguments}


@pytest.mark.parametrize(
    ("node", "named"),
    [
        (lambda canary: call("os", "system", f"touch {canary}"), "os.system"),
        (lambda canary: call("posix", "system", f"touch {canary}"), "posix.system"),
        (lambda canary: call("builtins", "eval", f"open('{canary}', 'w')"), "builtins.eval"),
        (lambda canary: call("numpy", "dtype", "f8"), "numpy.dtype"),
        (lambda canary: call("sklearn.tree._tree", "Tree", 1), "Tree"),
        (lambda canary: call("sklearn.metrics._ranking", "roc_auc_score", 1), "roc_auc_score"),
        (lambda canary: function("os", "system"), "os.system"),
        (lambda canary: function("builtins", "eval", "TypeNode"), "builtins.eval"),
        (lambda canary: function("numpy", "load"), "numpy.load"),
        (lambda canary: function("joblib", "load"), "joblib.load"),
        (
            lambda canary: {
                **function("operator", "methodcaller", "OperatorFuncNode"),
                "attrs": {
                    **function("builtins", "tuple", "TupleNode"),
                    "content": [text("system"), text(f"touch {canary}")],
                },
            },
            "operator.methodcaller",
        ),
        (
            lambda canary: {
                **function("sklearn.preprocessing._data", "StandardScaler", "MethodNode"),
                "content": {
                    "func": "fit",
                    "obj": {
                        **function("sklearn.preprocessing._data", "StandardScaler", "ObjectNode"),
                    },
                },
            },
            "MethodNode",
        ),
        (
            lambda canary: {
                **function("functools", "partial", "PartialNode"),
                "content": {
                    "func": function("numpy", "absolute"),
                    "args": {**function("builtins", "tuple", "TupleNode"), "content": []},
                    "kwds": text({}),
                    "namespace": text(None),
                },
            },
            "partial application of numpy.absolute",
        ),
    ],
)
def test_a_tampered_schema_is_refused_before_anything_runs(
    node: Callable[[Path], dict[str, Any]], named: str, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    content = dumped(LogisticRegression().fit(X, Y2))
    hostile = tampered(content, attribute("C", node(canary)))
    with pytest.raises(UntrustedModel, match=re.escape(named)) as caught:
        load_model(hostile, "nice.skops")
    assert not canary.exists()
    assert "not opened" in str(caught.value)
    # The change alone makes the difference: the untouched rewrite loads.
    assert load_model(tampered(content, lambda schema: None), "nice.skops")


def test_a_file_cannot_supply_its_own_list() -> None:
    content = dumped(LogisticRegression().fit(X, Y2))

    def change(schema: dict[str, Any]) -> None:
        schema["trusted"] = ["os.system"]
        schema["content"]["content"]["C"] = function("os", "system")

    with pytest.raises(UntrustedModel, match=r"os\.system"):
        load_model(tampered(content, change), "nice.skops")


def test_an_own_class_is_named_and_refused() -> None:
    content = dumped(Broken().fit(X, Y2))
    with pytest.raises(UntrustedModel, match=r"needs .*\.Broken, which is not on the list"):
        load_model(content, "own.skops")
    own_step = make_pipeline(FunctionTransformer(square), Ridge()).fit(X, YV)
    with pytest.raises(UntrustedModel, match=r"square"):
        load_model(dumped(own_step), "own.skops")


def step(function: Any) -> bytes:
    return dumped(make_pipeline(FunctionTransformer(function), Ridge()).fit(X, YV))


def test_what_is_refused_says_what_to_do_in_its_place() -> None:
    for content, words, absent in [
        (step(square), "leave own classes and functions out of the model", "NumPy"),
        (step(np.asarray), "numpy.asarray, which is not on the list", "own classes"),
        (
            step(np.asarray),
            "use a step of scikit-learn or a NumPy function such as np.log1p",
            "own",
        ),
        (step(partial(np.clip, a_min=0, a_max=1)), "FunctionTransformer(function, kw_args=", "own"),
    ]:
        with pytest.raises(UntrustedModel) as caught:
            load_model(content, "own.skops")
        assert words in str(caught.value)
        assert absent not in str(caught.value).replace("own.skops", "")
        assert "table of predictions" in str(caught.value)
    foreign = tampered(step(np.abs), attribute("a", function("imblearn.pipeline", "Pipeline")))
    with pytest.raises(UntrustedModel, match=r"imblearn is not opened here"):
        load_model(foreign, "m.skops")


@pytest.mark.parametrize("loader", ["ObjectNode", "FunctionNode", "DictNode", "DTypeNode"])
@pytest.mark.parametrize(
    ("module", "name"),
    [("numpy", "number"), ("builtins", "object"), ("pandas", "CategoricalDtype")],
)
def test_types_are_named_and_never_built(module: str, name: str, loader: str) -> None:
    content = dumped(LogisticRegression().fit(X, Y2))
    node = {**function(module, name, loader), "content": text({})}
    with pytest.raises(UntrustedModel, match="which no export writes"):
        load_model(tampered(content, attribute("C", node)), "nice.skops")


def square(values: Any) -> Any:
    return values**2


def test_the_list_is_exact_and_holds_nothing_that_opens_files_or_runs_text() -> None:
    assert len(set(TRUSTED)) == len(TRUSTED)
    for name in TRUSTED:
        if name.split(".")[0] in ("catboost", "lightgbm", "xgboost"):
            assert re.search(r"\.(Booster|CatBoost|LGBM|XGB|XGBRF)(Classifier|Regressor|)$", name)
            continue
        assert name.split(".")[0] in (
            "sklearn",
            "numpy",
            "scipy",
            "functools",
            "builtins",
            "collections",
            "pandas",
        )
        assert name.split(".")[0] != "collections" or name == "collections.OrderedDict"
        assert name.split(".")[0] != "builtins" or name == "builtins.object"
        assert name.split(".")[0] != "pandas" or name.endswith(".CategoricalDtype")
        assert not re.search(r"load|open|read|eval|exec|Memory|rv_|PyFunc|memmap|vectorize", name)


def test_an_older_protocol_is_refused() -> None:
    content = dumped(LogisticRegression().fit(X, Y2))
    for protocol in (0, 1, 99, None):
        with pytest.raises(ModelError, match=f"protocol {protocol}; 2 is needed"):
            load_model(tampered(content, lambda s, p=protocol: s.update(protocol=p)), "old.skops")


def test_versions_are_said_when_they_differ() -> None:
    content = dumped(LogisticRegression().fit(X, Y2))

    def change(schema: dict[str, Any]) -> None:
        schema["_skops_version"] = "0.11.0"
        schema["content"]["content"]["_sklearn_version"] = text("1.5.2")

    notes = load_model(tampered(content, change), "old.skops").info.notes
    assert notes[0].startswith("Saved with scikit-learn 1.5.2; opened with ")
    assert notes[1].startswith("Saved with skops 0.11.0; opened with ")


def with_member(content: bytes, find: Callable[[np.ndarray[Any, Any]], bool], change: Any) -> bytes:
    """The archive with one array changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member.endswith(".npy"):
                array = np.load(io.BytesIO(data))
                if find(array):
                    out = io.BytesIO()
                    np.save(out, change(array.copy()))
                    data = out.getvalue()
            new.writestr(member, data)
    return buffer.getvalue()


def set_field(field: str, value: int) -> Callable[[Any], Any]:
    def change(nodes: Any) -> Any:
        nodes[field][0] = value
        return nodes

    return change


@pytest.mark.parametrize(
    ("field", "value"),
    [("left_child", 10_000), ("left_child", 0), ("right_child", -1), ("feature", 77)],
)
def test_a_tree_that_points_outside_or_back_is_refused(field: str, value: int) -> None:
    content = dumped(RandomForestClassifier(1, max_depth=3, random_state=0).fit(X, Y2))
    bad = with_member(
        content, lambda array: field in (array.dtype.names or ()), set_field(field, value)
    )
    with pytest.raises(UntrustedModel, match="inconsistent internals"):
        load_model(bad, "forest.skops")


def test_a_tree_with_a_ring_is_refused_before_it_runs_for_ever() -> None:
    native = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, Y2)
    last = int(np.flatnonzero(native.tree_.children_left > 1)[-1])

    def change(nodes: Any) -> Any:
        nodes["left_child"][last] = last  # its own child
        return nodes

    bad = with_member(dumped(native), lambda a: "left_child" in (a.dtype.names or ()), change)
    with pytest.raises(UntrustedModel, match="a tree child lies outside"):
        load_model(bad, "tree.skops")


@pytest.mark.parametrize(("field", "value"), [("left", 9_999), ("right", 0), ("feature_idx", 50)])
def test_a_histogram_tree_that_points_outside_is_refused(field: str, value: int) -> None:
    content = dumped(HistGradientBoostingClassifier(max_iter=1, max_depth=2).fit(X, Y2))
    bad = with_member(
        content, lambda array: field in (array.dtype.names or ()), set_field(field, value)
    )
    with pytest.raises(UntrustedModel, match="inconsistent internals"):
        load_model(bad, "boosting.skops")


def test_a_category_set_that_lies_outside_is_refused() -> None:
    native = HistGradientBoostingClassifier(
        max_iter=1, categorical_features=[0], min_samples_leaf=2
    ).fit(np.digitize(X[:, :1], [-1, -0.3, 0.3, 1]), Y2)
    content = dumped(native)
    assert load_model(content, "boosting.skops")

    def change(nodes: Any) -> Any:
        nodes["bitset_idx"][:] = 500
        return nodes

    bad = with_member(content, lambda array: "bitset_idx" in (array.dtype.names or ()), change)
    with pytest.raises(UntrustedModel, match="category set"):
        load_model(bad, "boosting.skops")


def test_a_neighbour_index_that_points_outside_is_refused() -> None:
    native = KNeighborsClassifier(algorithm="kd_tree").fit(X, Y2)

    def change(order: Any) -> Any:
        order[0] = 1_000_000
        return order

    bad = with_member(
        dumped(native),
        lambda array: array.dtype.kind == "i" and sorted(array.ravel()) == list(range(N)),
        change,
    )
    with pytest.raises(UntrustedModel, match="neighbour index points outside"):
        load_model(bad, "neighbours.skops")


def altered(estimator: Any, **changes: Any) -> bytes:
    for name, value in changes.items():
        setattr(estimator, name, value)
    return dumped(estimator)


def test_shapes_that_compiled_code_would_overrun_are_refused() -> None:
    svc = SVC().fit(X, Y2)
    boosting = GradientBoostingClassifier(n_estimators=2).fit(X, Y2)
    words = CountVectorizer().fit(TEXTS)
    vocabulary = {**words.vocabulary_, "red": 10**6}
    isolation = IsolationForest(n_estimators=2, random_state=0).fit(X)
    short = [np.arange(2)] * 2
    forest = RandomForestClassifier(2).fit(X, Y2)
    other = DecisionTreeClassifier().fit(np.hstack([X, X]), Y2)
    spline = make_pipeline(SplineTransformer(), Ridge()).fit(X, YV)
    inner = vars(getattr(spline[0].bsplines_[0], "_delegate_to", spline[0].bsplines_[0]))
    knots = "_t" if "_t" in inner else "t"  # SciPy before 1.18, and since
    inner[knots] = inner[knots][:3]
    cases = [
        altered(svc, _n_support=np.array([1, 1], dtype=np.int32)),
        altered(SVC().fit(X, Y2), _intercept_=np.zeros(0)),
        altered(boosting, estimators_=np.hstack([boosting.estimators_] * 3)),
        altered(isolation, estimators_features_=short),
        altered(forest, estimators_=[other, *forest.estimators_[1:]]),
        dumped(spline),
        dumped(make_pipeline(altered_words(words, vocabulary), GaussianNB())),
        dumped(make_pipeline(CountVectorizer(input="filename"), GaussianNB())),
    ]
    for content in cases:
        with pytest.raises(UntrustedModel, match="inconsistent internals"):
            load_model(content, "shapes.skops")


def altered_words(vectorizer: CountVectorizer, vocabulary: dict[str, int]) -> CountVectorizer:
    vectorizer.vocabulary_ = vocabulary
    return vectorizer


def test_a_sparse_array_that_points_outside_is_refused() -> None:
    sparse = scipy.sparse.csr_matrix(np.abs(X))
    native = KNeighborsClassifier().fit(sparse, Y2)
    raw = load_model(dumped(native), "neighbours.skops").predict(np.abs(X))
    np.testing.assert_array_equal(raw.labels, native.predict(np.abs(X)))
    native._fit_X.indices[0] = 99
    with pytest.raises(UntrustedModel, match="inconsistent internals"):
        load_model(dumped(native), "neighbours.skops")


def test_a_partial_of_anything_but_the_validator_is_refused() -> None:
    node = {
        **function("functools", "partial", "PartialNode"),
        "content": {"func": call("os", "system", "true")},
    }
    hostile = tampered(dumped(LogisticRegression().fit(X, Y2)), attribute("C", node))
    with pytest.raises(UntrustedModel, match=r"which can call code|no plain function"):
        load_model(hostile, "nice.skops")
    node["content"]["func"] = function("sklearn.utils.validation", "check_array", "TypeNode")
    hostile = tampered(dumped(LogisticRegression().fit(X, Y2)), attribute("C", node))
    with pytest.raises(UntrustedModel, match=r"no plain function|no export writes"):
        load_model(hostile, "nice.skops")


def test_a_schema_that_is_no_schema_is_one_sentence() -> None:
    for schema, words in [
        (b"[]", "protocol None"),
        (b"{", "is damaged"),
        (b'{"protocol": 2}', "is damaged"),
        (b'{"protocol": 2, "__loader__": "ListNode"}', "is damaged"),
        (b"[" * 50_000, "is damaged"),
    ]:
        with pytest.raises(ModelError, match=words) as caught:
            load_model(archive_of(schema_dot_json=schema), "odd.skops")
        assert "\n" not in str(caught.value)


# --- other files -------------------------------------------------------------------------------


class Payload:
    """A pickle of this runs code when it is opened."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return (Path.touch, (self.canary,))


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_are_told_and_refused_where_nothing_confines_them(
    protocol: int, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    plain = pickle.dumps(Payload(canary), protocol=protocol)
    wrapped = [plain, zlib.compress(plain), gzip.compress(plain), bz2.compress(plain)]
    wrapped += [lzma.compress(plain), lzma.compress(plain, format=lzma.FORMAT_ALONE)]
    alone = replace(Settings(), sandbox="none")
    for content in wrapped:
        for name in ("model.pkl", "model.keras", "model.skops", "model.csv"):
            assert identify(content, name) in ("pickle", "joblib")
            with pytest.raises(UntrustedModel, match=r"can run any code.*sandbox is none"):
                open_confined(content, name, settings=alone)
    assert not canary.exists()
    pickle.loads(plain)  # the payload is real
    assert canary.exists()


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_joblib_files_are_told_unopened(compress: Any, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "model.joblib"
    joblib.dump([np.zeros(4), Payload(canary)], path, compress=compress)
    assert identify(path.read_bytes(), "model.csv") == "joblib"
    with pytest.raises(UntrustedModel, match=r"joblib file.*was not opened.*SIDELIGHT_TRUST=all"):
        open_confined(path, "model.joblib", settings=replace(Settings(), sandbox="none"))
    assert not canary.exists()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


def archive_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, data in members.items():
            archive.writestr(member.replace("__", "/").replace("_dot_", "."), data)
    return buffer.getvalue()


PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 64
OTHER_FILES: dict[str, tuple[bytes, str, str]] = {
    "a PNG called .keras": (PNG, "png", "a PNG image"),
    "JPEG": (b"\xff\xd8\xff\xe0" + b"\x00" * 20, "jpeg", "a JPEG image"),
    "PDF": (b"%PDF-1.7\n", "pdf", "a PDF document"),
    "empty": (b"", "empty", "is empty"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\x00" * 50, "hdf5", r'model\.save\("model\.keras"\)'),
    "ONNX": (b"\x08\x08\x12\x08skl2onnx" + b"\x00" * 30, "onnx", "ONNX"),
    "PyTorch": (archive_of(model__data_dot_pkl=b"\x80\x02."), "pytorch", "PyTorch"),
    "a zip": (archive_of(notes=b"hello"), "zip", "a zip archive of other files"),
    "NPZ": (npz(), "npz", "a NumPy archive"),
    "NPY": (npz()[:0] + b"\x93NUMPY\x01\x00", "npy", "a NumPy array"),
    "Excel": (archive_of(**{"[Content_Types]_dot_xml": b"<x/>"}), "excel", "an Excel workbook"),
    "Parquet": (b"PAR1" + b"\x00" * 20, "parquet", "a Parquet table"),
    "CSV": (b"a,b\n1,2\n", "text", "a text table"),
    "CSV of words that look like opcodes": (b"income,city\n1,Rome\n", "text", "a text table"),
    "LightGBM": (b"tree\nversion=v4\nnum_class=1\n", "lightgbm", "version of LightGBM"),
    "XGBoost": (b'{"learner":{"attributes":{}},"version":[3,2,0]}', "xgboost", "version of XGB"),
    "XGBoost, binary JSON": (b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", "xgboost", "XGB"),
    "CatBoost": (b"CBM1\x00\x01", "catboost", "version of CatBoost"),
    "Keras 2 architecture": (b'{"class_name": "Sequential"}', "keras json", "without its weig"),
    "JSON": (b'{"a": 1}', "json", "a JSON document"),
    "compressed text": (gzip.compress(b"a,b\n1,2\n" * 9), "compressed", "compressed file"),
    "noise": (bytes(range(1, 256)) * 3, "unknown", "no format known here"),
    "a program": (b"\x7fELF\x02\x01", "program", "a program"),
}


@pytest.mark.parametrize("kind", list(OTHER_FILES))
def test_other_files_are_told_by_content(kind: str) -> None:
    content, word, sentence = OTHER_FILES[kind]
    for name in ("model.keras", "model.skops"):
        assert identify(content, name) == word
        with pytest.raises(ModelError, match=sentence) as caught:
            load_model(content, name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_names_decide_only_where_bytes_say_nothing() -> None:
    squeezed = b"\x28\xb5\x2f\xfd" + b"\x00" * 20  # zstandard
    assert identify(squeezed, "model.pkl") == "joblib"
    assert identify(squeezed, "data.csv.zst") == "compressed"
    assert identify(b"a;b", "data.csv") == "text"
    assert identify(b"a;b", "data") == "unknown"
    assert identify("a,b\n1,2\n".encode("utf-16"), "data.csv") == "text"
    assert identify(b"city\nRome\nA long sentence.", "data.csv") == "text"
    assert identify(gzip.compress(b"a" * 99)[:30], "data.gz") == "compressed"
    assert identify(b"\x1f\x8b\x08broken", "data.gz") == "compressed"
    long = pickle.dumps(list(range(30_000)), protocol=0)
    assert identify(long, "data.txt") == "pickle"


def test_truncated_files_say_so(files: Path) -> None:
    content = dumped(LogisticRegression().fit(X, Y2))
    for length in (10, len(content) // 2, len(content) - 30):
        with pytest.raises(ModelError, match="cut off or damaged"):
            load_model(content[:length], "model.skops")


def test_a_flipped_byte_in_a_member_is_one_sentence() -> None:
    content = bytearray(dumped(LogisticRegression().fit(X, Y2)))
    content[100] ^= 0xFF
    with pytest.raises(ModelError) as caught:
        load_model(bytes(content), "model.skops")
    assert "export it again" in str(caught.value) or "upload it again" in str(caught.value)


def test_limits_are_judged_before_anything_is_unpacked(tmp_path: Path) -> None:
    small = replace(Settings(), max_model_mb=1)
    with pytest.raises(LimitExceeded, match=r"has 2 MB; the limit is 1 MB \(setting max_model_mb"):
        load_model(b"\x00" * (2 << 20), "big.skops", settings=small)
    path = tmp_path / "big.skops"
    path.write_bytes(b"\x00" * (2 << 20))
    with pytest.raises(LimitExceeded, match="max_model_mb"):
        load_model(path, "big.skops", settings=small)

    def bomb(size: int) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("schema.json", b"{}")
            archive.writestr("a.npy", b"\x00" * size)
        return buffer.getvalue()

    with pytest.raises(LimitExceeded, match="unpacks to 8 MB; the limit is 1 MB"):
        load_model(bomb(8 << 20), "bomb.skops", settings=small)
    with pytest.raises(LimitExceeded, match="times its size; the limit is 100 times"):
        load_model(bomb(8 << 20), "bomb.skops", settings=replace(Settings(), max_archive_ratio=100))
    nested = archive_of(schema_dot_json=b"{}", inner_dot_npz=bomb(8 << 20))
    with pytest.raises(LimitExceeded, match="unpacks to 8 MB"):
        load_model(nested, "bomb.skops", settings=small)


def test_paths_that_leave_the_archive_and_double_members_are_refused() -> None:
    for member in ("../../etc/x", "/etc/x", "C:/x", "a/../../x", "..\\x"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("schema.json", "{}")
            archive.writestr(member, "x")
        with pytest.raises(UntrustedModel, match="leaves the archive"):
            load_model(buffer.getvalue(), "path.skops")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", "{}")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("schema.json", "{}")
    with pytest.raises(UntrustedModel, match="two members of the same name"):
        load_model(buffer.getvalue(), "double.skops")


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(tmp_path / "absent.skops", "absent.skops")
    with pytest.raises(ModelError, match="it is a folder"):
        load_model(tmp_path, "folder")


# --- Keras -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    return keras


def dense(keras: Any, width: int, units: int, activation: str | None) -> Any:
    return keras.Sequential(
        [
            keras.Input((width,)),
            keras.layers.Dense(5, activation="relu", kernel_regularizer="l2"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(units, activation=activation),
        ]
    )


def saved(model: Any, folder: Path) -> bytes:
    path = folder / "saved.keras"
    with warnings.catch_warnings():
        # Keras 3.15 copies its variables in a way that NumPy 2.4 deprecates; only saving does so.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        model.save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("units", "activation", "kind", "hint"),
    [
        (1, "sigmoid", ScoreKind.PROBABILITY, "classifier"),
        (3, "softmax", ScoreKind.PROBABILITY, "classifier"),
        (3, "sigmoid", ScoreKind.INDEPENDENT, "classifier"),
        (1, None, None, None),
        (2, "linear", None, None),
    ],
)
def test_keras_answers_equal_the_native_network(
    keras: Any, tmp_path: Path, units: int, activation: Any, kind: Any, hint: Any
) -> None:
    native = dense(keras, 4, units, activation)
    native.compile("adam", "mse")
    model = load_model(saved(native, tmp_path), "net.keras")
    rows = RNG.normal(size=(5000, 4)).astype("float32")  # more than one batch
    raw = model.predict(rows)
    np.testing.assert_allclose(raw.scores, native(rows, training=False), atol=1e-6)
    assert raw.scores.dtype == np.float32
    assert raw.score_kind is kind
    assert raw.labels is None
    assert model.info.task_hint == hint
    assert model.info.input_shape == (4,)
    assert model.info.n_features == 4
    assert model.info.format == "keras"
    assert model.info.kind == f"Sequential network, {native.count_params():,} parameters"
    again = model.predict(rows)
    np.testing.assert_array_equal(again.scores, raw.scores)
    np.testing.assert_array_equal(adapt(native).predict(rows).scores, raw.scores)


def test_frames_are_taken_by_order_and_said(keras: Any) -> None:
    native = dense(keras, 4, 1, "sigmoid")
    model = adapt(native, "net")
    frame = pd.DataFrame(X, columns=list("abcd"))
    raw = model.predict(frame)
    np.testing.assert_allclose(raw.scores, native(X, training=False), atol=1e-6)
    assert raw.notes == ("Columns matched by order: a, b, c, d.",)
    mixed = frame.assign(a=1, b=True).convert_dtypes(dtype_backend="pyarrow")
    assert model.predict(mixed).scores.shape == (N, 1)
    with pytest.raises(ModelError, match=r"takes 4 columns; the features here are 5 \(income"):
        model.predict(FRAME)
    with pytest.raises(ModelError, match=r"takes numbers; city holds text or dates"):
        model.predict(FRAME[["income", "rooms", "score", "city"]])
    frame.loc[0, "c"] = np.nan
    assert "Missing values in c reach the network as NaN." in model.predict(frame).notes
    with pytest.raises(ModelError, match=r"rows are \(3,\); net takes \(4,\)"):
        model.predict(X[:, :3])
    with pytest.raises(ModelError, match="takes numbers"):
        model.predict(np.array([["a", "b", "c", "d"]]))


def test_images_get_a_channel_axis_and_wrong_sizes_are_named(keras: Any, tmp_path: Path) -> None:
    native = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 16),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model = load_model(saved(native, tmp_path), "digits.keras")
    images = RNG.integers(0, 16, size=(20, 8, 8))
    expected = np.asarray(native(images[..., None].astype("float32")))
    raw = model.predict(images)
    np.testing.assert_allclose(raw.scores, expected, atol=1e-6)
    assert raw.notes == ("A channel axis was added: rows of (8, 8) became (8, 8, 1).",)
    flat = pd.DataFrame(images.reshape(20, 64))
    raw = model.predict(flat)
    np.testing.assert_allclose(raw.scores, expected, atol=1e-6)
    assert "Rows of shape (64,) were reshaped to (8, 8, 1)." in raw.notes
    with pytest.raises(ModelError, match=r"images are \(4, 16\); digits\.keras takes \(8, 8, 1\)"):
        model.predict(images.reshape(20, 4, 16))
    flat_net = adapt(dense(keras, 64, 1, "sigmoid"))
    assert flat_net.predict(images).notes == ("Rows of shape (8, 8) were reshaped to (64,).",)


@pytest.fixture(scope="module")
def preprocessing(keras: Any) -> Any:
    """A network that takes columns by name: numbers, whole numbers and text."""
    layers = keras.layers
    inputs = {
        "income": keras.Input((1,), name="income"),
        "age": keras.Input((1,), name="age"),
        "city": keras.Input((1,), name="city", dtype="string"),
        "floor": keras.Input((1,), name="floor", dtype="int64"),
    }
    norm = layers.Normalization()
    norm.adapt(FRAME[["income", "age"]].fillna(0).to_numpy())
    city = layers.StringLookup(output_mode="one_hot")
    city.adapt(np.array(["Rome", "Oslo", "nan"]))  # a missing city must not become this word
    floor = layers.IntegerLookup(output_mode="multi_hot")
    floor.adapt(np.array([1, 2, 3]))
    joined = layers.Concatenate()(
        [
            norm(layers.Concatenate()([inputs["income"], inputs["age"]])),
            city(inputs["city"]),
            floor(inputs["floor"]),
        ]
    )
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(joined))


def test_named_inputs_take_columns_by_name(preprocessing: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    model = load_model(saved(preprocessing, tmp_path), "loans.keras")
    assert model.info.feature_names == ("age", "city", "floor", "income")
    frame = FRAME.assign(floor=np.arange(N) % 4)
    frame.loc[0, "city"] = None
    raw = model.predict(frame[["floor", "city", "rooms", "income", "age"]])
    expected = preprocessing(
        {
            "income": tf.constant(frame[["income"]].to_numpy("float32")),
            "age": tf.constant(frame[["age"]].to_numpy("float32")),
            "city": tf.constant([[c if isinstance(c, str) else ""] for c in frame["city"]]),
            "floor": tf.constant(frame[["floor"]].to_numpy("int64")),
        }
    )
    np.testing.assert_allclose(raw.scores, expected, atol=1e-6)
    assert np.isnan(raw.scores[3, 0])
    assert raw.notes == (
        "Columns the model does not use: rooms.",
        "Missing values in age reach the network as NaN.",
    )
    with pytest.raises(ModelError, match=r"floor\. The features here"):
        model.predict(FRAME)
    with pytest.raises(ModelError, match=r"whole numbers for floor; values are missing in floor"):
        model.predict(frame.assign(floor=[np.nan] * N))
    arrow = frame.convert_dtypes(dtype_backend="pyarrow")
    np.testing.assert_array_equal(model.predict(arrow).scores, raw.scores)


def test_several_wide_inputs_are_dealt_columns_by_order(keras: Any) -> None:
    wide, deep = keras.Input((2,), name="wide"), keras.Input((3,), name="deep")
    joined = keras.layers.Concatenate()([wide, keras.layers.Dense(4, activation="relu")(deep)])
    native = keras.Model([wide, deep], [keras.layers.Dense(1)(joined), keras.layers.Dense(2)(deep)])
    rows = RNG.normal(size=(6, 5)).astype("float32")
    raw = adapt(native, "wide and deep").predict(pd.DataFrame(rows))
    expected = native([rows[:, :2], rows[:, 2:]])
    for ours, theirs in zip(raw.scores, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert raw.notes[0].startswith("Columns were dealt to the inputs by order")
    np.testing.assert_array_equal(adapt(native).predict(rows).scores[0], raw.scores[0])
    with pytest.raises(ModelError, match=r"5 columns in all; the features here are 4 columns"):
        adapt(native).predict(pd.DataFrame(rows[:, :4]))


def test_a_scalar_by_name_and_the_rest_by_order(keras: Any) -> None:
    age, rest = keras.Input((1,), name="age"), keras.Input((3,), name="rest")
    native = keras.Model(
        [age, rest], keras.layers.Dense(1)(keras.layers.Concatenate()([age, rest]))
    )
    frame = FRAME[["income", "age", "rooms", "score"]].fillna(0)
    raw = adapt(native).predict(frame)
    expected = native([frame[["age"]].to_numpy(), frame[NUMERIC].to_numpy()])
    np.testing.assert_allclose(raw.scores, expected, atol=1e-6)


def test_text_networks_read_the_one_text_column(keras: Any, tmp_path: Path) -> None:
    words = keras.layers.TextVectorization(output_sequence_length=3)
    words.adapt(TEXTS)
    native = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            words,
            keras.layers.Embedding(10, 2),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model = load_model(saved(native, tmp_path), "text.keras")
    frame = pd.DataFrame({"n": 1, "words": ["red blue", None, "green"]})
    raw = model.predict(frame)
    import tensorflow as tf

    expected = native(tf.constant([["red blue"], [""], ["green"]]))
    np.testing.assert_allclose(raw.scores, expected, atol=1e-6)
    np.testing.assert_array_equal(
        model.predict(np.array(["red blue", "", "green"])).scores, raw.scores
    )


def test_operations_half_precision_and_nested_networks_load(keras: Any, tmp_path: Path) -> None:
    start = keras.Input((4,))
    hidden = keras.ops.relu(keras.layers.Dense(6)(start) * 2 + 1)[:, :3]
    inner = keras.Sequential(
        [keras.layers.Dense(3, dtype="mixed_bfloat16"), keras.layers.Softmax()]
    )
    native = keras.Model(start, inner(keras.layers.BatchNormalization()(hidden)))
    raw = load_model(saved(native, tmp_path), "net.keras").predict(X)
    assert raw.scores.dtype == np.float32
    np.testing.assert_allclose(raw.scores, np.asarray(native(X)).astype("float32"), atol=1e-6)
    assert raw.score_kind is ScoreKind.PROBABILITY


def test_several_sessions_may_load_and_predict_at_once(keras: Any, tmp_path: Path) -> None:
    content = saved(dense(keras, 4, 1, "sigmoid"), tmp_path)
    expected = load_model(content, "net.keras").predict(X).scores
    answers: list[Any] = []

    def work() -> None:
        answers.append(load_model(content, "net.keras").predict(X).scores)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 4
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


def test_a_network_that_was_never_built_is_refused(keras: Any, tmp_path: Path) -> None:
    native = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ParameterError, match="does not know its input shape"):
        adapt(native)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are saving a model that has not yet been built")
        content = saved(native, tmp_path)
    with pytest.raises(ModelError, match="does not know its input shape"):
        load_model(content, "unbuilt.keras")


def reconfigured(
    content: bytes, change: Callable[[dict[str, Any]], Any], **members: bytes | None
) -> bytes:
    """The archive with its configuration changed, and members replaced or (None) left out."""
    parts = {name.replace("_dot_", "."): data for name, data in members.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            data = parts.get(member, old.read(member))
            if member == "config.json" and member not in parts:
                config = json.loads(old.read(member))
                change(config)
                data = json.dumps(config).encode()
            if data is not None:
                new.writestr(member, data)
    return buffer.getvalue()


def test_lambdas_are_refused_and_named(keras: Any, tmp_path: Path) -> None:
    native = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Lambda(lambda x: x * 2, name="twice"),
            keras.layers.Dense(1),
        ]
    )
    with pytest.raises(UntrustedModel, match=r"a Lambda layer \('twice'\)"):
        load_model(saved(native, tmp_path), "net.keras")


def layer(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][1].update(changes)

    return change


def setting(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][1]["config"][name] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (layer(module="os", class_name="system"), r"os\.system"),
        (layer(module="keras.src.utils.file_utils", class_name="get_file"), "get_file"),
        (layer(module="keras.utils", class_name="get_file"), "get_file"),
        (layer(module="keras.layers", class_name="TFSMLayer"), "TFSMLayer"),
        (layer(module="keras.layers", class_name="TorchModuleWrapper"), "TorchModuleWrapper"),
        (layer(module="keras.layersX", class_name="Dense"), "layersX"),
        (layer(module="keras_hub.layers", class_name="Dense"), "keras_hub"),
        (layer(registered_name="Mine>Dense"), "Dense"),
        (layer(module=None, class_name="MyDense"), r"own code\.MyDense"),
        (layer(module="keras.src.ops.core", class_name="Map"), "Map"),
        (layer(class_name=["Dense"]), "Dense"),
        (
            setting("activation", {"class_name": "function", "config": "system", "module": "os"}),
            "the function 'system' of os",
        ),
        (
            setting("activation", {"class_name": "__lambda__", "config": {"value": "4wAA"}}),
            "Lambda",
        ),
        (setting("vocabulary", "/etc/passwd"), "reads a vocabulary from the file '/etc/passwd'"),
    ],
)
def test_foreign_objects_in_the_configuration_are_refused(
    keras: Any, tmp_path: Path, change: Any, words: str
) -> None:
    content = saved(dense(keras, 4, 1, "sigmoid"), tmp_path)
    with pytest.raises(UntrustedModel, match=words):
        load_model(reconfigured(content, change), "net.keras")


def test_the_training_configuration_is_not_read(keras: Any, tmp_path: Path) -> None:
    native = dense(keras, 4, 1, "sigmoid")
    native.compile("adam", loss=square)  # an own function, which only training needs
    raw = load_model(saved(native, tmp_path), "net.keras").predict(X)
    np.testing.assert_allclose(raw.scores, native(X, training=False), atol=1e-6)


def hdf5(build: Callable[[Any], None], content: bytes) -> bytes:
    """The weights of an archive with something added."""
    import h5py

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        buffer = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(buffer, "r+") as file:
        build(file)
    return buffer.getvalue()


def test_weights_that_point_elsewhere_are_refused(keras: Any, tmp_path: Path) -> None:
    import h5py

    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["a"] = np.zeros(3)
    content = saved(dense(keras, 4, 1, "sigmoid"), tmp_path)

    def external_link(file: Any) -> None:
        file["x"] = h5py.ExternalLink(str(secret), "/a")

    def soft_link(file: Any) -> None:
        file["x"] = h5py.SoftLink("/layers")

    def external_storage(file: Any) -> None:
        file.create_dataset("x", (3,), "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "a", (3,))
        file.create_virtual_dataset("x", layout)

    for build in (external_link, soft_link, external_storage, virtual):
        bad = reconfigured(
            content, lambda config: None, model_dot_weights_dot_h5=hdf5(build, content)
        )
        with pytest.raises(UntrustedModel, match="other files of this machine"):
            load_model(bad, "net.keras")

    def ring(file: Any) -> None:
        file["layers/again"] = file["layers"]

    looped = reconfigured(
        content, lambda config: None, model_dot_weights_dot_h5=hdf5(ring, content)
    )
    assert load_model(looped, "net.keras").predict(X).scores.shape == (N, 1)


def test_weights_that_declare_more_than_they_hold_are_refused(keras: Any, tmp_path: Path) -> None:
    content = saved(dense(keras, 4, 1, "sigmoid"), tmp_path)

    def huge(file: Any) -> None:
        file.create_dataset("x", (1 << 20, 1 << 10), "f8", chunks=(1, 1 << 10), compression="gzip")

    bad = reconfigured(content, lambda config: None, model_dot_weights_dot_h5=hdf5(huge, content))
    with pytest.raises(LimitExceeded, match="declares 8,192 MB of weights"):
        load_model(bad, "net.keras")


def test_a_small_file_cannot_ask_for_much_memory(keras: Any, tmp_path: Path) -> None:
    content = saved(dense(keras, 4, 1, "sigmoid"), tmp_path)

    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"]["units"] = 1 << 30

    bad = reconfigured(content, change)
    assert len(bad) < 40_000
    with pytest.raises(LimitExceeded, match=r"asks for 24,576 MB of weights and holds 0\.0 MB"):
        load_model(bad, "net.keras")


def test_several_inputs_of_one_column_are_dealt_by_order_when_no_name_fits(keras: Any) -> None:
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    native = keras.Model([a, b], keras.layers.Subtract()([a, b]))
    raw = adapt(native).predict(pd.DataFrame({"x": [3.0, 1.0], "y": [1.0, 4.0]}))
    assert raw.scores.ravel().tolist() == [2.0, -3.0]  # x - y
    named = adapt(native).predict(pd.DataFrame({"b": [3.0, 1.0], "a": [1.0, 4.0]}))
    assert named.scores.ravel().tolist() == [-2.0, 3.0]  # a - b
    tokens = keras.Sequential([keras.Input((2,), dtype="string"), keras.layers.Hashing(5)])
    assert adapt(tokens).predict(np.array([["a", "b"]])).scores.shape == (1, 2)
    assert adapt(tokens).predict(pd.DataFrame({"a": ["x", None], "b": [1, 2]})).scores.shape == (
        2,
        2,
    )


@pytest.mark.parametrize("target", [["height", "weight"], ["weight", "height"]])
@pytest.mark.parametrize("names", [("weight", "height"), ("w", "h"), (None, None)])
def test_heads_that_carry_the_names_of_targets_are_matched_by_name(
    keras: Any, names: tuple[str | None, str | None], target: list[str]
) -> None:
    inputs = keras.Input((2,))
    heads = [
        keras.layers.Dense(1, name=name, kernel_initializer="zeros", bias_initializer=start)(inputs)
        for name, start in zip(names, map(keras.initializers.Constant, (70.0, 170.0)), strict=True)
    ]
    given = pd.DataFrame(
        {"a": X[:, 0], "b": X[:, 1], "height": X[:, 2] + 170, "weight": X[:, 3] + 70}
    )
    evalset = evalset_from_frame(given, target=target)
    answers = adapt(keras.Model(inputs, heads), "net").predict(evalset.X)
    got = Predictions.normalise(answers, evalset.target, name="net")
    assert got.y_pred is not None
    assert evalset.target.labels == ("height", "weight")
    by_name = names == ("weight", "height")
    assert got.y_pred[0].tolist() == ([170.0, 70.0] if by_name else [70.0, 170.0])
    assert any("in the order height, weight" in note for note in got.notes) == (not by_name)


def test_a_layer_too_wide_for_one_row_is_refused(keras: Any) -> None:
    native = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.RepeatVector(1 << 28),
            keras.layers.GlobalMaxPooling1D(),
            keras.layers.Dense(1),
        ]
    )
    with pytest.raises(ModelError, match=r"needs 4\.0 GB for each row"):
        adapt(native).predict(X)


def test_damaged_networks_are_one_sentence(keras: Any, tmp_path: Path) -> None:
    content = saved(dense(keras, 4, 1, "sigmoid"), tmp_path)
    keep: Callable[[Any], None] = lambda config: None  # noqa: E731
    for bad, words in [
        (content[: len(content) // 2], "cut off or damaged"),
        (reconfigured(content, keep, config_dot_json=b"{"), "configuration cannot be read"),
        (reconfigured(content, keep, config_dot_json=b"[1]"), "describes no network"),
        (reconfigured(content, keep, config_dot_json=b"{}"), "describes no network"),
        (reconfigured(content, keep, model_dot_weights_dot_h5=None), "holds no model.weights.h5"),
        (reconfigured(content, keep, model_dot_weights_dot_h5=b"no"), "weights cannot be read"),
        (reconfigured(content, setting("units", 7)), "does not fit Keras"),
        (reconfigured(content, setting("units", "x")), "does not fit Keras"),
    ]:
        with pytest.raises(ModelError, match=words) as caught:
            load_model(bad, "net.keras")
        assert "\n" not in str(caught.value)


def test_keras_versions_are_said_when_they_differ(keras: Any, tmp_path: Path) -> None:
    content = saved(dense(keras, 4, 1, "sigmoid"), tmp_path)
    older = json.dumps({"keras_version": "3.5.0"}).encode()
    model = load_model(
        reconfigured(content, lambda config: None, metadata_dot_json=older), "net.keras"
    )
    assert model.info.notes == (f"Saved with Keras 3.5.0; opened with {keras.__version__}.",)
    assert load_model(content, "net.keras").info.notes == ()


def test_a_network_that_fails_gives_one_sentence(keras: Any) -> None:
    tokens = keras.Sequential([keras.Input((1,), dtype="int32"), keras.layers.Embedding(3, 2)])
    with pytest.raises(ModelError, match=r"^tokens failed on these rows: InvalidArgumentError"):
        adapt(tokens, "tokens").predict(np.array([[1], [7]]))


def test_pipelines_inside_pipelines_find_their_columns() -> None:
    inner = Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())])
    native = Pipeline([("inner", inner)]).fit(FRAME[NUMERIC], Y2)
    assert adapt(native).info.feature_names == tuple(NUMERIC)
