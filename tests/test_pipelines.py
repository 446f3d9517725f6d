"""Models taken apart: what is inside answers like the whole, and sums back to people's columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.svm import SVC

from dashboard.contracts import OutputSpace, Task
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.errors import ModelError
from dashboard.explainers.answers import Asked
from dashboard.explainers.pipelines import cell_names, prepared, subject_of
from dashboard.explanation import ExplainOptions, explain
from dashboard.models import adapt
from tests import exact_shapley

P, L = OutputSpace.PROBABILITY, OutputSpace.LOG_ODDS
N = 150


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    income = rng.gamma(2.0, 20.0, N)
    income[rng.random(N) < 0.15] = np.nan
    city = rng.choice(["bern", "oslo", "rome"], N)
    age = rng.integers(18, 80, N)
    risk = (city == "oslo") + (age > 50) - np.nan_to_num(income) / 40 + rng.normal(0, 0.5, N)
    return pd.DataFrame(
        {"age": age, "city": pd.Series(city, dtype=object), "income": income}
    ).assign(bad=np.where(risk > 0, "yes", "no"))


@pytest.fixture(scope="module")
def evalset(frame: pd.DataFrame) -> EvalSet:
    return evalset_from_frame(frame, target="bad", pos_label="yes")


def columns(*more: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("city", OneHotEncoder(sparse_output=False), ["city"]),
            ("age", SplineTransformer(n_knots=4), ["age"]),
            (
                "income",
                make_pipeline(SimpleImputer(add_indicator=True), StandardScaler()),
                ["income"],
            ),
            *more,
        ]
    )


def asked(evalset: EvalSet) -> Asked:
    target = evalset.target
    return Asked(target.task, target.labels, target.pos_label, target.name)


def fitted(estimator: Any, frame: pd.DataFrame) -> Any:
    return estimator.fit(frame.drop(columns="bad"), frame["bad"].to_numpy())


def test_summed_back_values_are_the_shapley_values_of_the_raw_columns(
    frame: pd.DataFrame, evalset: EvalSet
) -> None:
    """A sum of functions of single columns: the grouped values must be exact on the raw ones."""
    model = fitted(make_pipeline(columns(), LogisticRegression(max_iter=1_000)), frame)
    options = ExplainOptions(n_background=25, seed=3)
    found = explain(model, evalset, rows=list(range(8)), options=options)
    assert (found.engine, found.space) == ("linear", L)
    assert found.feature_names == ("age", "city", "income")
    rows = frame.drop(columns="bad")
    from dashboard.explanation import background_positions

    background = rows.iloc[background_positions(evalset, 25, 3)].reset_index(drop=True)
    exact, base = exact_shapley.interventional(model.decision_function, rows.iloc[:8], background)
    np.testing.assert_allclose(found.values, exact, atol=1e-9)
    np.testing.assert_allclose(found.base_values, base, atol=1e-9)
    np.testing.assert_allclose(
        found.predictions[:, 0], model.decision_function(rows.iloc[:8]), atol=1e-12
    )
    assert found.data["city"].tolist() == rows["city"].iloc[:8].tolist()
    assert found.data["income"].isna().tolist() == rows["income"].iloc[:8].isna().tolist()
    assert (
        "Inside the model age, city and income are made into several columns; those of each count "
        "as one feature, known or unknown together."
    ) in found.notes


def test_the_other_class_turns_everything_round(frame: pd.DataFrame, evalset: EvalSet) -> None:
    model = fitted(make_pipeline(columns(), LogisticRegression(max_iter=1_000)), frame)
    other = evalset_from_frame(frame, target="bad", pos_label="no")
    for space in ("log-odds", "probability"):
        # seeds of sampled values count for the rows, so both draw the same
        options = ExplainOptions(space=space, n_background=10, engine="exact")
        one = explain(model, evalset, rows=[4, 9], options=options)
        turned = explain(model, other, rows=[4, 9], options=options)
        np.testing.assert_allclose(turned.values, -one.values, atol=1e-12)
        whole = 1.0 if space == "probability" else 0.0
        np.testing.assert_allclose(turned.base_values, whole - one.base_values, atol=1e-12)
        np.testing.assert_allclose(turned.predictions, whole - one.predictions, atol=1e-12)
        assert (one.output_names, turned.output_names) == (("yes",), ("no",))


def test_what_is_inside_answers_like_the_whole(frame: pd.DataFrame, evalset: EvalSet) -> None:
    forest = RandomForestClassifier(8, max_depth=4, random_state=0)
    inner = make_pipeline(columns(), forest)
    for whole in (
        inner,
        Pipeline(
            [("first", columns()), ("nothing", "passthrough"), ("all", Pipeline([("f", forest)]))]
        ),
        GridSearchCV(inner, {"randomforestclassifier__max_depth": [2, 3]}, cv=2),
        FixedThresholdClassifier(inner, threshold=0.3),
        make_pipeline(columns(), GridSearchCV(forest, {"max_depth": [2]}, cv=2)),
    ):
        model = adapt(fitted(whole, frame), "model")
        rows = evalset.X
        subject = subject_of(model, rows, asked(evalset))
        assert type(subject.estimator) is RandomForestClassifier
        assert subject.sources.tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2]
        assert (subject.output_names, subject.spaces) == (("yes",), (P, L))
        truth = whole.predict_proba(rows)[:, 1:]
        np.testing.assert_array_equal(subject.answer(rows, P), truth)
        np.testing.assert_array_equal(subject.answer_prepared(subject.prepare(rows), P), truth)


@pytest.mark.parametrize(
    "whole",
    [
        CalibratedClassifierCV(make_pipeline(columns(), LogisticRegression()), cv=2),
        VotingClassifier([("a", make_pipeline(columns(), LogisticRegression()))], voting="soft"),
        StackingClassifier(
            [("a", make_pipeline(columns(), KNeighborsClassifier()))], LogisticRegression(), cv=2
        ),
        make_pipeline(columns(), PCA(3), LogisticRegression()),
        make_pipeline(columns(), SVC()),
        make_pipeline(columns(), RidgeClassifier()),
    ],
    ids=["calibrated", "voting", "stacking", "pca", "svc", "ridge"],
)
def test_what_only_answers_is_explained_exactly_too(
    whole: Any, frame: pd.DataFrame, evalset: EvalSet
) -> None:
    """Whatever it is inside, the values are those of enumeration on the person's columns."""
    fitted(whole, frame)
    method = "predict_proba" if hasattr(whole, "predict_proba") else "decision_function"
    options = ExplainOptions(
        n_background=6, space="probability" if method == "predict_proba" else "decision value"
    )
    found = explain(whole, evalset, rows=[0, 5], options=options)
    rows = evalset.X
    from dashboard.explanation import background_positions

    background = rows.iloc[background_positions(evalset, 6, 0)].reset_index(drop=True)

    def answer(some: pd.DataFrame) -> np.ndarray:
        given = getattr(whole, method)(some.astype({"city": object}))
        return given[:, 1:] if given.ndim == 2 else given

    exact, _ = exact_shapley.interventional(answer, rows.iloc[[0, 5]], background)
    np.testing.assert_allclose(found.values, exact, atol=1e-9)
    np.testing.assert_allclose(found.predictions[:, 0], answer(rows.iloc[[0, 5]]).ravel())


def test_mixed_columns_are_said(frame: pd.DataFrame, evalset: EvalSet) -> None:
    model = fitted(make_pipeline(columns(), PCA(3), LogisticRegression()), frame)
    subject = subject_of(adapt(model, "m"), evalset.X, asked(evalset))
    assert subject.sources is None
    assert "made of several features at once" in " ".join(subject.notes)


def test_a_transformed_target_is_explained_in_its_own_unit() -> None:
    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "c"])
    y = np.exp(X["a"] + 0.5 * X["b"])
    model = TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp)
    found = explain(model.fit(X, y), X.assign(y=y), target="y", rows=[1, 2])
    assert (found.space, found.output_names) == (OutputSpace.TARGET, ("y",))
    np.testing.assert_allclose(found.predictions[:, 0], model.predict(X.iloc[[1, 2]]))
    assert found.additivity_error < 1e-9


def test_boosters_answer_before_and_after_the_link(frame: pd.DataFrame) -> None:
    xgboost, lightgbm = pytest.importorskip("xgboost"), pytest.importorskip("lightgbm")
    X, y = frame[["age", "income"]].astype(float), (frame["bad"] == "yes").astype(int)
    native = xgboost.train(
        {"objective": "binary:logistic", "max_depth": 2}, xgboost.DMatrix(X, y), 5
    )
    light = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_leaves": 4}, lightgbm.Dataset(X, y), 5
    )
    wanted = Asked(Task.BINARY, ("no", "yes"), 1, "bad")
    truths = {
        xgboost: native.predict(xgboost.DMatrix(X), output_margin=True),
        lightgbm: light.predict(X, raw_score=True),
    }
    for library, booster in ((xgboost, native), (lightgbm, light)):
        subject = subject_of(adapt(booster, "b"), X, wanted)
        assert subject.estimator is booster
        assert subject.spaces == (L, P)
        np.testing.assert_allclose(subject.answer(X, L)[:, 0], truths[library], rtol=1e-6)
        shares = 1 / (1 + np.exp(-truths[library]))
        np.testing.assert_allclose(subject.answer(X, P)[:, 0], shares, rtol=1e-5)


def test_several_labels_and_outputs_keep_their_names() -> None:
    rng = np.random.default_rng(2)
    X = pd.DataFrame(rng.normal(size=(90, 3)), columns=["a", "b", "c"])
    labels = pd.DataFrame({"hot": X["a"] > 0, "wet": X["b"] > 0.3}).astype(int)
    forest = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, labels)
    data = pd.concat([X, labels], axis="columns")
    found = explain(forest, data, target=["hot", "wet"], rows=[0, 3])
    assert found.output_names == ("hot", "wet")
    truth = np.column_stack([one[:, 1] for one in forest.predict_proba(X.iloc[[0, 3]])])
    np.testing.assert_allclose(found.predictions, truth)
    numbers = pd.DataFrame({"up": X["a"] * 2.5, "down": -X["b"] + 0.1 * X["c"]})
    linear = LinearRegression().fit(X, numbers)
    found = explain(linear, pd.concat([X, numbers], axis=1), target=["up", "down"], rows=[7])
    assert found.output_names == ("up", "down")
    np.testing.assert_allclose(found.predictions, linear.predict(X.iloc[[7]]))
    np.testing.assert_allclose(found.values[0, 1], [0, found.values[0, 1, 1]], atol=1e-12)


def test_classes_come_in_the_order_of_the_target() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(90, 2))
    y = np.array(["c", "a", "b"])[rng.integers(0, 3, 90)]
    model = RandomForestClassifier(4, max_depth=3, random_state=0).fit(X, y)
    found = explain(model, X, y, rows=[2])
    assert found.output_names == ("a", "b", "c")
    np.testing.assert_allclose(found.predictions, model.predict_proba(X[[2]]))
    coded = RandomForestClassifier(4, max_depth=3, random_state=0)
    coded.fit(X, np.searchsorted(["a", "b", "c"], y))
    again = explain(coded, X, y, rows=[2])
    assert again.output_names == ("a", "b", "c")
    np.testing.assert_allclose(again.predictions, coded.predict_proba(X[[2]]))


def test_text_is_one_feature(frame: pd.DataFrame) -> None:
    said = np.where(frame["bad"] == "yes", "late again", "all fine")
    data = pd.DataFrame({"said": pd.Series(said, dtype=object), "bad": frame["bad"]})
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(said, frame["bad"])
    found = explain(model, data, target="bad", rows=[0, 1])
    assert found.feature_names == ("said",)
    np.testing.assert_allclose(
        found.base_values + found.values[:, 0], model.decision_function(said[:2])[:, None]
    )


def test_a_model_that_fails_on_mixed_rows_says_so(frame: pd.DataFrame, evalset: EvalSet) -> None:
    class Picky(KNeighborsClassifier):
        def predict_proba(self, X):
            if len(X) > 120:
                raise RuntimeError("only the rows I know")
            return super().predict_proba(X)

    X = frame[["age"]]
    model = adapt(Picky().fit(X, frame["bad"]), "picky")
    subject = subject_of(model, X, asked(evalset))
    with pytest.raises(ModelError, match="only the rows I know"):
        subject.answer(X, P)


def test_what_the_model_saw(frame: pd.DataFrame, evalset: EvalSet) -> None:
    model = adapt(fitted(make_pipeline(columns(), LogisticRegression()), frame), "model")

    class Quiet:
        def progress(self, done, total, sentence, /):
            pass

        def check(self):
            pass

    told = {"rows": [3, 1], "asked": asked(evalset).to_json()}
    header, _ = prepared(model, {"X": evalset.X}, told, Quiet())
    assert header["columns"][:4] == [
        "city__city_bern",
        "city__city_oslo",
        "city__city_rome",
        "age__age_sp_0",
    ]
    assert header["sources"][:4] == [1, 1, 1, 0]
    whole = model.estimator[:-1].transform(evalset.X.iloc[[3, 1]].astype({"city": object}))
    np.testing.assert_allclose(np.array(header["cells"], dtype=float), whole)


def test_cells_have_names() -> None:
    assert cell_names((2, 2)) == ("pixel 1, 1", "pixel 1, 2", "pixel 2, 1", "pixel 2, 2")
    assert cell_names((1, 2, 1)) == ("pixel 1, 1", "pixel 1, 2")
    assert cell_names((1, 1, 2)) == ("pixel 1, 1, channel 1", "pixel 1, 1, channel 2")
    assert cell_names((2, 1), steps=True) == ("step 1", "step 2")
    assert cell_names((1, 2), steps=True) == ("step 1, channel 1", "step 1, channel 2")
