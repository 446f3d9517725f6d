"""Which engine explains which model, from the plan to the checked values, for every family.

The models are those of the truth table and a few that only answer; nothing is asked of an engine
by name. Values are compared with exact Shapley values by enumeration of the model's own answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.contracts import Attributions, Model
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.explainers.answers import Asked
from dashboard.explainers.pipelines import subject_of
from dashboard.explanation import ExplainOptions, explain_in_stages, plan_explanation
from dashboard.models import adapt, load_model
from tests import exact_shapley
from tests.truth_table import MAKERS, made, one_thread, target

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS, BACKGROUND = 3, 6
TREES, EXACT, LINEAR = "bulk-tree-interventional", "exact", "linear"
# Of 2 to 6 columns the exact ones; nobody else is sampled where an exact one is quick.
ONLY_ANSWER = (
    "GradientBoostingRegressor, started by a model",
    "HistGradientBoostingRegressor, Poisson",
    "TweedieRegressor",
    "AdaBoostClassifier, three classes",
    "AdaBoostRegressor",
    "Boosted trees whose target is a logarithm",
    "Voting of a forest and a logistic regression",
    "SVC",
    "KNeighborsClassifier",
    "MLPRegressor",
    "XGBRegressor, Poisson",
    "LGBMRegressor, linear leaves",
    "CatBoostClassifier, text categories",
    "CatBoostRegressor, text categories one by one",
    "Stack of a forest and a ridge regression",
    "Calibrated forest",
    "A function that predicts",
    "ONNX file of boosted trees, float32",
)
LINES = (
    "LogisticRegression, two classes",
    "LogisticRegression, three classes",
    "Ridge after StandardScaler",
    "Ridge whose target is scaled",
    "LinearSVC, three classes",
    "LogisticRegression, sample weights, float32",
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def explained(model: Model, evalset: EvalSet, engine: str) -> tuple[Attributions, Any]:
    """By the engine that is chosen, which is the given one unless a busy machine slowed it down."""
    options = ExplainOptions(n_background=BACKGROUND)
    plan = plan_explanation(model, evalset, options)
    assert {offer.key: offer.refusal for offer in plan.offers}[engine] == ""
    *_, one = explain_in_stages(model, evalset, "m", plan=plan, stages=(ROWS,))
    if one.engine != engine:
        assert any(offer.notes for offer in plan.offers)  # by measured times
        plan = plan_explanation(model, evalset, replace(options, engine=engine))
        *_, one = explain_in_stages(model, evalset, "m", plan=plan, stages=(ROWS,))
    return one, plan


def compare(one: Attributions, plan: Any, model: Model, evalset: EvalSet) -> None:
    """With enumeration over the rows and the background that were used, in the person's order."""
    told = evalset.target
    subject = subject_of(model, evalset.X, Asked(told.task, told.labels, told.pos_label, told.name))
    columns = list(one.feature_names)
    rows, background = (
        evalset.X[columns].iloc[at].reset_index(drop=True)
        for at in (one.rows, plan.background_rows)
    )
    values, base = exact_shapley.interventional(
        lambda mixed: subject.answer(mixed, one.space), rows, background
    )
    size = max(float(np.abs(values).sum(axis=1).max()), float(np.abs(base).max()))
    np.testing.assert_allclose(one.values, values, rtol=0, atol=2e-5 * size)
    np.testing.assert_allclose(one.base_values, base, rtol=0, atol=2e-5 * size)


@pytest.mark.parametrize("name", list(MAKERS))
def test_the_best_engine_is_chosen_and_right(name: str) -> None:
    case = made(name)
    y = target(case.rows, len(case.asked.labels))
    rows, names = case.rows.assign(y=y), ["y"]
    if "two outputs" in name:
        rows, names = rows.assign(z=-y + rows["c"]), ["y", "z"]
    evalset = evalset_from_frame(rows, target=names if len(names) > 1 else "y")
    engine = EXACT if name in ONLY_ANSWER else LINEAR if name in LINES else TREES
    one, plan = explained(case.model, evalset, engine)
    assert (one.engine, one.exact, one.n) == (engine, True, ROWS)
    assert one.space is plan.spaces[0]
    compare(one, plan, case.model, evalset)


# ---- models that are not in the table ----------------------------------------------------------


@pytest.fixture(scope="module")
def customers() -> pd.DataFrame:
    """Numbers with gaps, texts with one that training never saw, a constant and an empty column."""
    rng = np.random.default_rng(0)
    n = 160
    found = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.1, np.nan, rng.integers(18, 80, n)),
            "city": rng.choice(["Bern", "Lima", "Oslo"], n),
            "visits": rng.integers(0, 9, n),
            "same": 1.0,
        }
    )
    bought = (found["visits"] > 4) ^ (found["city"] == "Lima")
    return found.assign(bought=np.where(bought, "yes", "no"))


def _columns() -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("n", numbers, ["age", "visits", "same"]), ("w", words, ["city"])])


def _last_step(kind: str) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier
    from sklearn.linear_model import LogisticRegression

    forest = RandomForestClassifier(5, max_depth=4, random_state=0)
    match kind:
        case "forest":
            return forest
        case "line":
            return LogisticRegression()
        case "stacked":
            return StackingClassifier([("f", forest)], LogisticRegression(), cv=2)
        case _:
            return CalibratedClassifierCV(forest, cv=2)


@pytest.mark.parametrize(
    ("kind", "engine", "space"),
    [
        ("forest", TREES, "probability"),
        ("line", LINEAR, "log-odds"),
        ("stacked", EXACT, "log-odds"),
        ("calibrated", EXACT, "probability"),
    ],
)
def test_a_pipeline_is_explained_on_the_columns_of_the_person(
    kind: str, engine: str, space: str, customers: pd.DataFrame
) -> None:
    from sklearn.pipeline import make_pipeline

    rows = customers.drop(columns="bought")
    model = adapt(make_pipeline(_columns(), _last_step(kind)).fit(rows, customers["bought"]), "m")
    unseen = customers.copy()
    unseen.loc[::5, "city"] = "Atlantis"
    evalset = evalset_from_frame(unseen, target="bought")
    one, plan = explained(model, evalset, engine)
    assert (one.engine, str(one.space)) == (engine, space)
    assert one.feature_names == tuple(rows.columns)
    assert not one.values[:, 3].any()  # the same for every row
    compare(one, plan, model, evalset)


def test_a_function_is_explained() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc"))
    evalset = evalset_from_frame(rows.assign(y=rows["a"]), target="y")
    model = adapt(lambda given: np.asarray(given["a"] * given["b"]), "m")
    one, plan = explained(model, evalset, EXACT)
    assert one.engine == EXACT
    compare(one, plan, model, evalset)


@cache
def _trained() -> tuple[pd.DataFrame, Any]:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(120, 4)).astype(np.float32), columns=list("abcd"))
    y = rows["a"] * rows["b"] + rows["c"]
    return rows.assign(y=y), RandomForestRegressor(6, max_depth=5, random_state=0).fit(rows, y)


@pytest.mark.parametrize(
    ("kind", "engine"), [("onnx", EXACT), pytest.param("skops", TREES, marks=pytest.mark.slow)]
)
def test_files_are_explained_in_a_worker(kind: str, engine: str, tmp_path: Path) -> None:
    table, forest = _trained()
    path = tmp_path / f"m.{kind}"
    if kind == "onnx":
        from skl2onnx import to_onnx

        path.write_bytes(to_onnx(forest, table[list("abcd")].to_numpy()[:1]).SerializeToString())
    else:
        import skops.io

        skops.io.dump(forest, path)
    evalset = evalset_from_frame(table, target="y")
    one, plan = explained(load_model(path, path.name), evalset, engine)
    assert (one.engine, one.exact) == (engine, True)
    compare(one, plan, adapt(forest, "m"), evalset)


# ---- what no engine may look into --------------------------------------------------------------


def test_combined_categories_of_catboost_are_only_asked() -> None:
    """Its own values divide the part of a combination evenly; the whole model is asked instead."""
    import catboost

    rng = np.random.default_rng(0)
    rows = pd.DataFrame({name: rng.choice(list("pqrs"), 300) for name in "ab"})
    rows["c"] = rng.normal(size=300)
    y = (rows["a"] == rows["b"]) * 3.0 + rows["c"] * 0.1
    fitted = catboost.CatBoostRegressor(
        iterations=25, depth=3, verbose=0, thread_count=1, cat_features=["a", "b"],
        allow_writing_files=False, random_seed=0, max_ctr_complexity=2,
    ).fit(rows, y)  # fmt: skip
    model, evalset = adapt(fitted, "m"), evalset_from_frame(rows.assign(y=y), target="y")
    one, plan = explained(model, evalset, EXACT)
    refusals = {offer.key: offer.refusal for offer in plan.offers}
    assert "divides their part evenly" in refusals["catboost"]
    assert "in ways of its own" in refusals["bulk-tree"]
    assert one.engine == EXACT
    compare(one, plan, model, evalset)
