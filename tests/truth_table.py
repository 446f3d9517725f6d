"""Every family of models against every engine, compared with exact Shapley values.

`python -m tests.truth_table` writes docs/truth_table.md, which a test compares with the code.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from dashboard.contracts import OutputSpace, Task
from dashboard.explainers.answers import Asked
from dashboard.explainers.engines import ENGINES
from dashboard.explainers.forest_reading import forest_of
from dashboard.explainers.pipelines import subject_of
from dashboard.explainers.subjects import Subject
from dashboard.models import BoosterModel, EstimatorModel, adapt, load_native
from tests import exact_shapley

TABLE = Path(__file__).parents[1] / "docs" / "truth_table.md"
N, ROWS, BACKGROUND = 260, 5, 8
LETTERS = list("pqrstu")


class Quiet:
    """Work that nobody waits for."""

    def progress(self, done: int, total: int, sentence: str, /) -> None: ...

    def check(self) -> None: ...


@dataclass(frozen=True, eq=False)
class Case:
    """One row of the table: a fitted model and rows of it."""

    name: str
    model: Any
    rows: pd.DataFrame
    asked: Asked
    subject: Subject = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", subject_of(self.model, self.rows, self.asked))


def data(*, missing: bool = False, category: bool = False, single: bool = False) -> pd.DataFrame:
    """Five columns; rows are the same for every seed, so that cases differ in one thing only."""
    rng = np.random.default_rng(3)
    found = pd.DataFrame(rng.normal(size=(N, 5)).round(3), columns=list("abcde"))
    found["e"] = rng.integers(0, 4, N).astype(float)
    if category:
        found["d"] = pd.Categorical(rng.choice(LETTERS, N), categories=LETTERS)
    if missing:
        for at, column in enumerate("abd"):
            found.loc[at::7, column] = np.nan
    return found.astype(np.float32) if single else found


def target(rows: pd.DataFrame, classes: int = 0) -> np.ndarray:
    rng = np.random.default_rng(4)
    d = rows["d"].isin(["p", "s"]) * 2.0 if rows["d"].dtype == "category" else rows["d"].fillna(1)
    a, b = rows["a"].fillna(2).astype(float), rows["b"].fillna(-1).astype(float)
    values = 2 * a + b * rows["c"] + d * (a > 0) + rows["e"] / 2 + rng.normal(0, 0.2, N)
    values = np.asarray(values, dtype=float)
    if not classes:
        return values
    return np.digitize(values, np.quantile(values, np.arange(1, classes) / classes))


def _one_hot() -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    return make_column_transformer((OneHotEncoder(), ["d"]), remainder="passthrough")


MAKERS: dict[str, Callable[[], Case]] = {}


def case(
    name: str,
    *,
    classes: int = 0,
    missing: bool = False,
    category: bool = False,
    single: bool = False,
    outputs: int = 1,
    **fitting: Any,
) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """A row of the table made by the decorated function, which gives an unfitted model."""

    def add(make: Callable[[], Any]) -> Callable[[], Any]:
        def build() -> Case:
            rows = data(missing=missing, category=category, single=single)
            y: Any = target(rows, classes)
            if outputs > 1:
                y = np.column_stack([y, -y + rows["c"]])
            made = make()
            weights = {"sample_weight": np.arange(N) % 4} if fitting.get("weights") else {}
            fit = fitting.get("fit")
            model = fit(made, rows, y) if fit else made.fit(rows, y, **weights)
            task = {0: Task.REGRESSION, 2: Task.BINARY}.get(classes, Task.MULTICLASS)
            asked = Asked(task, tuple(range(classes)), 1 if classes == 2 else None, "y")
            kind = BoosterModel if "Booster" in type(model).__name__ else EstimatorModel
            wrap = fitting.get("wrap")
            return Case(name, wrap(model) if wrap else kind(model, name=name), rows, asked)

        MAKERS[name] = build
        return make

    return add


def one_thread() -> Any:
    """A context in which OpenMP starts no other threads."""
    import sklearn.ensemble  # noqa: F401 - its OpenMP has to be there to be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


@cache
def made(name: str) -> Case:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MAKERS[name]()


# ---- scikit-learn ----------------------------------------------------------------------------


@case("DecisionTreeClassifier, two classes, missing values", classes=2, missing=True)
def _() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=5, random_state=0)


@case("RandomForestClassifier, two classes, sample weights", classes=2, weights=True)
def _() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(8, random_state=0)


@case("RandomForestClassifier, three classes, missing values", classes=3, missing=True)
def _() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(8, random_state=0)


@case("RandomForestRegressor, two outputs", outputs=2)
def _() -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(6, random_state=0)


@case("ExtraTreesRegressor, float32", single=True)
def _() -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(6, random_state=0)


@case("RandomForestRegressor, monotone")
def _() -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(6, monotonic_cst=[1, 0, 0, 0, 1], random_state=0)


@case("GradientBoostingClassifier, two classes", classes=2)
def _() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=12, random_state=0)


@case("GradientBoostingClassifier, three classes", classes=3)
def _() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=8, random_state=0)


@case("GradientBoostingClassifier, exponential loss", classes=2)
def _() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=12, loss="exponential", random_state=0)


@case("GradientBoostingRegressor, quantile")
def _() -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(n_estimators=12, loss="quantile", random_state=0)


@case("GradientBoostingRegressor, started by a model")
def _() -> Any:
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.linear_model import LinearRegression

    return GradientBoostingRegressor(n_estimators=8, init=LinearRegression(), random_state=0)


@case("HistGradientBoostingClassifier, two classes, missing values", classes=2, missing=True)
def _() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=12, random_state=0)


@case("HistGradientBoostingClassifier, three classes", classes=3)
def _() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=8, random_state=0)


@case("HistGradientBoostingClassifier, categories", classes=2, category=True, missing=True)
def _() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=12, min_samples_leaf=5, random_state=0)


@case("HistGradientBoostingRegressor, categories, monotone", category=True)
def _() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=12, monotonic_cst={"a": 1}, random_state=0)


def _positive(model: Any, rows: Any, y: Any) -> Any:
    return model.fit(rows, y - y.min() + 0.5)


@case("HistGradientBoostingRegressor, Poisson", fit=_positive)
def _() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(loss="poisson", max_iter=12, random_state=0)


@case("LogisticRegression, two classes", classes=2)
def _() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


@case("LogisticRegression, three classes", classes=3)
def _() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


@case("Ridge after StandardScaler")
def _() -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), Ridge())


@case("LinearSVC, three classes", classes=3)
def _() -> Any:
    from sklearn.svm import LinearSVC

    return LinearSVC()


@case("TweedieRegressor", fit=_positive)
def _() -> Any:
    from sklearn.linear_model import TweedieRegressor

    return TweedieRegressor(power=1, link="log")


@case("AdaBoostClassifier", classes=2)
def _() -> Any:
    from sklearn.ensemble import AdaBoostClassifier

    return AdaBoostClassifier(n_estimators=8, random_state=0)


@case("AdaBoostClassifier, three classes", classes=3)
def _() -> Any:
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.tree import DecisionTreeClassifier

    return AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=6, random_state=0)


@case("AdaBoostRegressor")
def _() -> Any:
    from sklearn.ensemble import AdaBoostRegressor

    return AdaBoostRegressor(n_estimators=6, random_state=0)


@case("BaggingRegressor")
def _() -> Any:
    from sklearn.ensemble import BaggingRegressor

    return BaggingRegressor(n_estimators=5, random_state=0)


@case("BaggingClassifier, some of the rows and columns", classes=3)
def _() -> Any:
    from sklearn.ensemble import BaggingClassifier

    # so few rows that some trees do not see every class
    return BaggingClassifier(n_estimators=9, max_samples=6, max_features=3, random_state=0)


@case("Voting of a forest and boosted trees, weighted")
def _() -> Any:
    from sklearn.ensemble import (
        GradientBoostingRegressor,
        RandomForestRegressor,
        VotingRegressor,
    )

    forest = RandomForestRegressor(4, random_state=0)
    boosted = GradientBoostingRegressor(n_estimators=6, random_state=0)
    return VotingRegressor([("a", forest), ("b", boosted)], weights=[3, 1])


@case("Voting of two forests", classes=2)
def _() -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, VotingClassifier

    members = [RandomForestClassifier(4, random_state=0), ExtraTreesClassifier(4, random_state=0)]
    return VotingClassifier(list(zip("ab", members, strict=True)), voting="soft")


@case("Pipeline with a forest whose target is scaled")
def _() -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import RobustScaler, StandardScaler

    inner = make_pipeline(StandardScaler(), RandomForestRegressor(5, random_state=0))
    return TransformedTargetRegressor(inner, transformer=RobustScaler())


@case("Pipeline with a forest on one-hot columns", classes=2, category=True)
def _() -> Any:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    return make_pipeline(_one_hot(), RandomForestClassifier(6, random_state=0))


@case("Pipeline with boosted trees on one-hot columns", category=True)
def _() -> Any:
    import xgboost
    from sklearn.pipeline import make_pipeline

    return make_pipeline(_one_hot(), xgboost.XGBRegressor(n_estimators=10, n_jobs=1))


@case("Ridge whose target is scaled")
def _() -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import MinMaxScaler

    return TransformedTargetRegressor(Ridge(), transformer=MinMaxScaler((-1, 3)))


@case("Boosted trees whose target is a logarithm", fit=_positive)
def _() -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import GradientBoostingRegressor

    boosted = GradientBoostingRegressor(n_estimators=8, random_state=0)
    return TransformedTargetRegressor(boosted, func=np.log, inverse_func=np.exp)


@case("Voting of a forest and a logistic regression", classes=2)
def _() -> Any:
    from sklearn.ensemble import RandomForestClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression

    forest = RandomForestClassifier(5, random_state=0)
    return VotingClassifier([("a", forest), ("b", LogisticRegression())], voting="soft")


@case("SVC", classes=2)
def _() -> Any:
    from sklearn.svm import SVC

    return SVC()


@case("KNeighborsClassifier", classes=3)
def _() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier()


@case("MLPRegressor")
def _() -> Any:
    from sklearn.neural_network import MLPRegressor

    return MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, random_state=0)


@case("Stack of a forest and a ridge regression")
def _() -> Any:
    from sklearn.ensemble import RandomForestRegressor, StackingRegressor
    from sklearn.linear_model import Ridge

    return StackingRegressor(
        [("a", RandomForestRegressor(4, random_state=0)), ("b", Ridge())], Ridge(), cv=2
    )


@case("Calibrated forest", classes=2)
def _() -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import RandomForestClassifier

    return CalibratedClassifierCV(RandomForestClassifier(4, random_state=0), cv=2)


@case("A function that predicts", wrap=lambda fitted: adapt(fitted.predict, "function"))
def _() -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(n_estimators=8, random_state=0)


def _as_onnx(fitted: Any) -> Any:
    from skl2onnx import to_onnx

    graph = to_onnx(fitted, np.zeros((1, 5), dtype=np.float32), options={"zipmap": False})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "boosting.onnx"
        path.write_bytes(graph.SerializeToString())
        return load_native(path, path.name)


def _unnamed(model: Any, rows: Any, y: Any) -> Any:
    return model.fit(rows.to_numpy(), y)


@case("ONNX file of boosted trees, float32", classes=3, single=True, fit=_unnamed, wrap=_as_onnx)
def _() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=6, random_state=0)


@case("LogisticRegression, sample weights, float32", classes=2, weights=True, single=True)
def _() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


@case("GradientBoostingRegressor, sample weights", weights=True)
def _() -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(n_estimators=8, random_state=0)


@case("HistGradientBoostingRegressor, sample weights, float32", weights=True, single=True)
def _() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=10, random_state=0)


# ---- boosters --------------------------------------------------------------------------------


@case("XGBClassifier, two classes, missing values", classes=2, missing=True)
def _() -> Any:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=10, n_jobs=1)


@case("XGBClassifier, three classes, sample weights", classes=3, weights=True)
def _() -> Any:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=8, n_jobs=1)


@case("XGBRegressor, monotone, float32", single=True)
def _() -> Any:
    import xgboost

    return xgboost.XGBRegressor(n_estimators=10, monotone_constraints={"a": 1}, n_jobs=1)


@case("XGBClassifier, categories", classes=2, category=True, missing=True)
def _() -> Any:
    import xgboost

    return xgboost.XGBClassifier(
        n_estimators=10, enable_categorical=True, max_cat_to_onehot=2, n_jobs=1
    )


@case("XGBRegressor, dart")
def _() -> Any:
    import xgboost

    return xgboost.XGBRegressor(n_estimators=10, booster="dart", rate_drop=0.3, n_jobs=1)


@case("XGBRegressor, two outputs", outputs=2)
def _() -> Any:
    import xgboost

    return xgboost.XGBRegressor(n_estimators=6, n_jobs=1)


@case("XGBRegressor, Poisson", fit=_positive)
def _() -> Any:
    import xgboost

    return xgboost.XGBRegressor(n_estimators=10, objective="count:poisson", n_jobs=1)


def _trained(parameters: dict[str, Any], rows: Any, y: Any) -> Any:
    import xgboost

    return xgboost.train(parameters, xgboost.DMatrix(rows, y), 10)


@case("XGBoost's own Booster, two classes", classes=2, missing=True, fit=_trained)
def _() -> Any:
    return {"objective": "binary:logistic", "nthread": 1}


@case("LGBMClassifier, two classes, missing values", classes=2, missing=True)
def _() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1)


@case("LGBMClassifier, three classes", classes=3)
def _() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1)


@case("LGBMClassifier, categories", classes=2, category=True, missing=True)
def _() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(
        n_estimators=10, min_data_per_group=5, max_cat_to_onehot=1, verbose=-1, n_jobs=1
    )


@case("LGBMRegressor, averaged trees, sample weights", weights=True)
def _() -> Any:
    import lightgbm

    return lightgbm.LGBMRegressor(
        n_estimators=8, boosting_type="rf", bagging_freq=1, bagging_fraction=0.6, verbose=-1
    )


@case("LGBMRegressor, linear leaves")
def _() -> Any:
    import lightgbm

    return lightgbm.LGBMRegressor(n_estimators=8, linear_tree=True, verbose=-1, n_jobs=1)


@case("LGBMRegressor, monotone, sample weights, float32", weights=True, single=True)
def _() -> Any:
    import lightgbm

    return lightgbm.LGBMRegressor(
        n_estimators=8, monotone_constraints=[1, 0, 0, 0, 1], verbose=-1, n_jobs=1
    )


def _catboost(kind: str, **more: Any) -> Any:
    import catboost

    known = {"iterations": 12, "depth": 4, "verbose": 0, "thread_count": 1}
    return getattr(catboost, kind)(**known, allow_writing_files=False, random_seed=0, **more)


def _as_text(model: Any, rows: Any, y: Any) -> Any:
    return model.fit(rows.assign(d=rows["d"].astype(str)), y)


@case("CatBoostClassifier, two classes, missing values", classes=2, missing=True)
def _() -> Any:
    return _catboost("CatBoostClassifier")


@case("CatBoostClassifier, three classes, sample weights", classes=3, weights=True)
def _() -> Any:
    return _catboost("CatBoostClassifier")


@case("CatBoostRegressor, trees of any shape")
def _() -> Any:
    return _catboost("CatBoostRegressor", grow_policy="Depthwise")


@case("CatBoostRegressor, float32", single=True)
def _() -> Any:
    return _catboost("CatBoostRegressor")


@case("CatBoostRegressor, monotone")
def _() -> Any:
    return _catboost("CatBoostRegressor", monotone_constraints={"a": 1})


@case("CatBoostClassifier, text categories", classes=2, category=True, fit=_as_text)
def _() -> Any:
    return _catboost("CatBoostClassifier", cat_features=["d"])


@case("CatBoostRegressor, text categories one by one", category=True, fit=_as_text)
def _() -> Any:
    return _catboost("CatBoostRegressor", cat_features=["d"], one_hot_max_size=10)


# ---- the comparison --------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """What an engine did for a model in one unit: how far from the truth, or why not at all."""

    space: str
    refusal: str = ""
    gap: float = 0.0
    allowed: float = 0.0
    exact: bool = True


@cache
def cells(name: str, key: str) -> tuple[Cell, ...]:
    """One cell for each unit that the model answers in."""
    made_case, engine = made(name), ENGINES[key]
    return tuple(_cell(made_case, engine, space) for space in made_case.subject.spaces)


def _cell(made_case: Case, engine: Any, space: OutputSpace) -> Cell:
    subject = made_case.subject
    if engine.level == "prepared" and subject.estimator is None:
        return Cell(space.value, "Nothing can be seen inside the model.")
    if engine.level == "prepared" and subject.sources is None:
        return Cell(space.value, "Columns are mixed inside the model.")
    refusal = engine.refuses(subject, space)
    if refusal:
        return Cell(space.value, refusal)
    rows, background = parts(made_case)
    try:
        truth, base = _truth(made_case, engine, space)
    except LookupError as unknown:
        return Cell(space.value, str(unknown), float("nan"))
    given = (rows, background)
    if engine.level == "prepared":
        given = (subject.prepare(rows), subject.prepare(background))
    options = {"random_state": 0, "budget": None}
    found = engine.explain(subject, *given, space, Quiet(), options)
    values = found.values
    if engine.level == "prepared":
        values = np.zeros(truth.shape)
        for column, source in enumerate(subject.sources):
            values[:, source] += found.values[:, column]
    gaps = np.abs(values - truth)
    scale = max(float(np.abs(truth).sum(axis=1).max()), float(np.abs(base).max()))
    single = "XGB" in made_case.name or "ONNX" in made_case.name  # they compute in float32
    allowed = np.full(gaps.shape, (2e-5 if single else 1e-6) * scale)
    if found.errors is not None:
        allowed = allowed + 6 * found.errors
    worst = np.unravel_index(np.argmax(gaps - allowed), gaps.shape)
    off_base = np.abs(found.base - base).max() if found.errors is None else 0.0
    return Cell(
        space.value, "", max(float(gaps[worst]), off_base), float(allowed[worst]), engine.exact
    )


def parts(made_case: Case) -> tuple[pd.DataFrame, pd.DataFrame]:
    columns = list(made_case.subject.features)
    rows = made_case.rows[columns]
    return (
        rows.iloc[:ROWS].reset_index(drop=True),
        rows.iloc[ROWS : ROWS + BACKGROUND].reset_index(drop=True),
    )


@cache
def _truths(name: str, game: str, space: OutputSpace) -> tuple[np.ndarray, np.ndarray]:
    made_case = made(name)
    subject = made_case.subject
    rows, background = parts(made_case)
    if game == "interventional":
        return exact_shapley.interventional(
            lambda mixed: subject.answer(mixed, space), rows, background
        )
    worth = _path_worth(made_case, rows)
    values = exact_shapley.shapley(worth, rows.shape[1]).transpose(1, 0, 2)
    return values, worth[()][0]


def _truth(made_case: Case, engine: Any, space: OutputSpace) -> tuple[np.ndarray, np.ndarray]:
    if engine.game not in ("interventional", "path-dependent"):
        raise LookupError("Its values are no Shapley values.")
    return _truths(made_case.name, engine.game, space)


def _path_worth(made_case: Case, rows: pd.DataFrame) -> Any:
    subject = made_case.subject
    estimator = subject.estimator
    if type(estimator).__name__.startswith("CatBoost"):
        return _catboost_worth(estimator, subject.prepare(rows))
    forest = forest_of(subject)
    matrix = forest.spread(forest.matrix(subject.prepare(rows)))
    if forest.source is None:
        return exact_shapley.path_worth(forest, matrix, subject.sources)
    inside = exact_shapley.path_worth(forest, forest.matrix(subject.prepare(rows)))
    place = {int(source): at for at, source in enumerate(forest.source)}
    return {known: inside[tuple(sorted(place[each] for each in known))] for known in inside}


def _catboost_worth(estimator: Any, rows: Any) -> Any:
    from dashboard.explainers.boosted_forests import catboost_told
    from dashboard.explainers.native import catboost_pool

    told = catboost_told(estimator)
    if "oblivious_trees" not in told:
        return exact_shapley.path_worth(_read_again(estimator), np.asarray(rows, dtype=float))
    info = told["features_info"]
    flat = [f["flat_feature_index"] for f in info["float_features"] for _ in f["borders"] or ()]
    for each in info.get("categorical_features") or ():
        flat += [each["flat_feature_index"]] * len(each.get("values") or ())
    places = {
        e["feature_index"]: e["flat_feature_index"] for e in info.get("categorical_features") or ()
    }
    for each in info.get("ctrs") or ():
        if len(each["elements"]) > 1:
            raise LookupError("Combinations of columns.")
        place = places[each["elements"][0]["cat_feature_index"]]
        flat += [place] * len(each["borders"])
    features = [
        [flat[split["split_index"]] for split in tree.get("splits") or ()]
        for tree in told["oblivious_trees"]
    ]
    return exact_shapley.catboost_worth(estimator, catboost_pool(estimator, rows), told, features)


def _read_again(estimator: Any) -> Any:
    from dashboard.explainers.boosted_forests import read_boosted

    return read_boosted(estimator, {("catboost", "CatBoost")})


# ---- the page --------------------------------------------------------------------------------

# no Shapley values, and an engine for more features than can be enumerated: they are proved apart
SHOWN = tuple(key for key in ENGINES if key not in ("gradients", "linear-shares"))


def page() -> str:
    """docs/truth_table.md, from the same results that the tests check."""
    reasons: list[str] = []
    lines = [_INTRODUCTION, "| model | " + " | ".join(f"`{key}`" for key in SHOWN) + " |"]
    lines.append("|---|" + "---|" * len(SHOWN))
    for name in MAKERS:
        found = [_text(cells(name, key), reasons) for key in SHOWN]
        lines.append(f"| {name} | " + " | ".join(found) + " |")
    lines += ["", "## Why not", ""]
    lines += [f"{at}. {reason}" for at, reason in enumerate(reasons, 1)]
    return "\n".join(lines) + "\n"


# What engines for another family say.
_OTHER = ("is no linear model.", "is no ensemble of trees that can be read.", "is no booster of ")


def _text(found: tuple[Cell, ...], reasons: list[str]) -> str:
    offered = [cell for cell in found if not cell.refusal]
    if offered:
        how = "exact" if offered[0].exact else "within its error"
        return f"{how}: " + ", ".join(cell.space for cell in offered)
    reason = found[0].refusal
    if any(words in reason for words in _OTHER):
        return "–"
    if reason not in reasons:
        reasons.append(reason)
    return f"no ({reasons.index(reason) + 1})"


_INTRODUCTION = f"""# Which engine is right for which model

Written by `make docs` from `tests/truth_table.py`; `tests/test_truth_table.py` fails when a value
is off. Each cell says in which units an engine is offered for a model. "Exact" means: {ROWS} rows
of five features agree with Shapley values by enumeration of all 32 coalitions, of the model's own
answers over {BACKGROUND} background rows (interventional), or of a walk through its trees by its
own training counts (path-dependent); to one millionth of the largest sum, for XGBoost and ONNX
files, which compute in float32, to 20. "Within its error" means: within six of its stated standard
errors; of five features `kernel` asks all coalitions, and is compared on sixteen, where it draws
some, by `tests/test_agnostic.py`. "–": an engine for other models; a number in brackets says below
why one is not offered. On every run, whatever this table says, the sums are compared with the
model's own answers before a value is shown.
"""


def write() -> None:
    with one_thread():
        TABLE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
    print(f"Wrote {TABLE.name}: {len(MAKERS)} models, {len(SHOWN)} engines.")
