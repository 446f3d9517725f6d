"""Every engine against exact Shapley values for every family of models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from dashboard.contracts import OutputSpace
from dashboard.errors import NotApplicable
from dashboard.explainers.bulk_trees import BULK_BACKGROUND, BULK_PATH
from dashboard.explainers.engines import ENGINES
from dashboard.explainers.forest_reading import forest_of
from dashboard.explainers.forests import Forest, Tree
from dashboard.explainers.interactions import FEW, tree_interactions
from dashboard.explainers.trees import SHAP_PATH, _too_large, explainer_of
from tests import exact_shapley, truth_table
from tests.truth_table import MAKERS, Quiet, cells, made, one_thread


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads of OpenMP that wait for each other take minutes on a busy machine."""
    with one_thread():
        yield


WORK = Quiet()
NAMES = sorted(MAKERS, key=list(MAKERS).index)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_that_is_offered_is_exact_or_within_its_error(name: str) -> None:
    offered = 0
    for key in truth_table.SHOWN:
        for cell in cells(name, key):
            if not cell.refusal:
                offered += 1
                assert cell.gap <= cell.allowed, (key, cell)
    assert offered  # something explains every model


def test_the_page_in_the_docs_is_what_the_code_does() -> None:
    assert truth_table.TABLE.read_text(encoding="utf-8") == truth_table.page(), "run `make docs`"


@pytest.mark.parametrize("key", ["tree", "bulk-tree", "bulk-tree-interventional"])
def test_a_wrong_tree_would_be_seen(key: str) -> None:
    """The tolerance of the table is not so wide that a shifted threshold passes it."""
    name = "RandomForestRegressor, monotone"
    truth = truth_table._truths(name, ENGINES[key].game, OutputSpace.TARGET)[0]
    subject = made(name).subject
    forest = forest_of(subject)
    moved = replace(forest.trees[0], threshold=forest.trees[0].threshold + 0.5)
    wrong = replace(forest, trees=(moved, *forest.trees[1:]))
    rows, background = (forest.matrix(subject.prepare(p)) for p in truth_table.parts(made(name)))
    others = background if key.endswith("interventional") else None
    if key == "tree":
        found = np.asarray(explainer_of(wrong, None).shap_values(rows))[:, :, None]
    else:
        found = BULK_PATH.on_matrix(wrong, rows, others, WORK)
    allowed = max(cell.allowed for cell in cells(name, key))
    assert np.abs(found - truth).max() > 100 * allowed


def test_histogram_boosting_with_categories_is_right_where_shap_is_silently_off() -> None:
    """The case of the issue: 21 log-odds beside the truth without a word."""
    import shap
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    n = 600
    # codes that come after the numbers in the table and before them inside the model
    X = np.column_stack([rng.normal(0, 10, (n, 2)), rng.integers(0, 12, (n, 2))])
    y = (np.isin(X[:, 2], (1, 4, 7, 9)) ^ (X[:, 0] > 0)).astype(int)
    model = HistGradientBoostingClassifier(categorical_features=[2, 3], max_iter=60).fit(X, y)
    log_odds = model.decision_function(X[:40])
    explainer = shap.TreeExplainer(model)
    values = explainer.shap_values(X[:40])  # its own check finds nothing wrong
    off = np.abs(values.sum(axis=1) + explainer.expected_value - log_odds).max()
    assert off > 10

    from dashboard.contracts import Task
    from dashboard.explainers.answers import Asked
    from dashboard.explainers.pipelines import subject_of
    from dashboard.models import EstimatorModel

    asked = Asked(Task.BINARY, (0, 1), 1, "y")
    subject = subject_of(EstimatorModel(model, name="categories"), X[:40], asked)
    assert SHAP_PATH.refuses(subject, OutputSpace.LOG_ODDS)
    for engine in (BULK_PATH, BULK_BACKGROUND):
        assert not engine.refuses(subject, OutputSpace.LOG_ODDS)
        found = engine.explain(subject, X[:40], X[:60], OutputSpace.LOG_ODDS, WORK, {})
        total = found.base + found.values.sum(axis=1)
        assert np.abs(total[:, 0] - log_odds).max() < 1e-9


@pytest.mark.parametrize(
    "name",
    [
        "RandomForestClassifier, three classes, missing values",
        "HistGradientBoostingClassifier, categories",
        "XGBClassifier, two classes, missing values",
        "LGBMClassifier, categories",
    ],
)
@pytest.mark.parametrize("n", [FEW, FEW + 8])
def test_interactions_are_those_of_every_pair_in_every_coalition(name: str, n: int) -> None:
    case = made(name)
    subject = case.subject
    forest = forest_of(subject)
    rows = subject.prepare(case.rows[list(subject.features)].iloc[:n])
    found = tree_interactions(subject, rows, None, WORK)
    few = slice(0, 2)
    worth = exact_shapley.path_worth(forest, forest.matrix(rows)[few])
    truth = exact_shapley.interactions(worth, 5).transpose(2, 0, 1, 3)
    source = np.arange(5) if forest.source is None else forest.source
    inside = found[few][:, source][:, :, source]
    # counts of children in float32 do not sum to those of their parents
    np.testing.assert_allclose(inside, truth, atol=1e-7 if "XGB" in name else 1e-9)
    values = BULK_PATH.explain(subject, rows, None, OutputSpace.LOG_ODDS, WORK, {}).values
    np.testing.assert_allclose(found.sum(axis=2), values, atol=1e-7)


@pytest.mark.parametrize(
    "name",
    ["CatBoostClassifier, three classes, sample weights", "CatBoostClassifier, text categories"],
)
def test_interactions_of_catboost_are_those_of_every_pair(name: str) -> None:
    case = made(name)
    rows, _ = truth_table.parts(case)
    worth = truth_table._path_worth(case, rows)
    truth = exact_shapley.interactions(worth, 5).transpose(2, 0, 1, 3)
    found = tree_interactions(case.subject, case.subject.prepare(rows), None, WORK)
    np.testing.assert_allclose(found, truth, atol=1e-12)


def test_interactions_of_xgboost_are_its_own() -> None:
    from dashboard.explainers.native import xgboost_rows

    case = made("XGBClassifier, three classes, sample weights")
    rows = case.subject.prepare(case.rows.iloc[:40])
    estimator = case.subject.estimator
    own = estimator.get_booster().predict(xgboost_rows(estimator, rows), pred_interactions=True)
    found = tree_interactions(case.subject, rows, None, WORK)
    np.testing.assert_allclose(found, own[:, :, :-1, :-1].transpose(0, 2, 3, 1), atol=2e-5)


def test_values_for_many_rows_are_those_of_woodelf_and_of_the_library() -> None:
    """Deep trees, where tables hold only the patterns that occur."""
    import shap
    from sklearn.ensemble import RandomForestRegressor
    from woodelf import WoodelfExplainer

    from dashboard.contracts import Task
    from dashboard.explainers.answers import Asked
    from dashboard.explainers.pipelines import subject_of
    from dashboard.models import EstimatorModel

    rng = np.random.default_rng(0)
    X = rng.normal(size=(1_500, 20))
    y = X[:, 0] * X[:, 1] + np.sin(3 * X[:, 2]) + X[:, 3:].sum(axis=1) / 4
    model = RandomForestRegressor(2, random_state=0).fit(X, y)
    asked = Asked(Task.REGRESSION, (), None, "y")
    subject = subject_of(EstimatorModel(model, name="deep"), X, asked)
    forest = forest_of(subject)
    assert forest.widest > 11  # more patterns than are made blindly
    rows, background = X[:300], X[300:340]
    found = BULK_PATH.explain(subject, rows, None, OutputSpace.TARGET, WORK, {})
    own = shap.TreeExplainer(model).shap_values(rows[:30])
    np.testing.assert_allclose(found.values[:30, :, 0], own, atol=1e-12)

    import pandas as pd

    names = [f"x{at}" for at in range(20)]
    frame, others = (pd.DataFrame(part, columns=names) for part in (rows, background))
    theirs = WoodelfExplainer(model, others).shap_values(frame, verbose=False)
    found = BULK_BACKGROUND.explain(subject, rows, background, OutputSpace.TARGET, WORK, {})
    np.testing.assert_allclose(found.values[:, :, 0], theirs, atol=2e-5)  # float32 there
    np.testing.assert_allclose(found.base, model.predict(background).mean(), atol=1e-12)


def test_the_background_is_never_cut() -> None:
    """shap alone takes 100 rows of a background without saying so."""
    case = made("XGBClassifier, two classes, missing values")
    rows = case.rows.iloc[:3]
    background = case.rows  # 260 rows
    by_shap = ENGINES["tree-interventional"].explain(
        case.subject, rows, background, OutputSpace.LOG_ODDS, WORK, {}
    )
    in_bulk = BULK_BACKGROUND.explain(
        case.subject, rows, background, OutputSpace.LOG_ODDS, WORK, {}
    )
    margins = case.subject.answer(background, OutputSpace.LOG_ODDS).mean(axis=0)
    np.testing.assert_allclose(by_shap.base, margins, atol=1e-5)
    np.testing.assert_allclose(by_shap.values, in_bulk.values, atol=1e-6)


def test_a_row_between_a_threshold_and_its_rounding_goes_the_right_way() -> None:
    """shap's interventional code rounds thresholds to single precision: .0021 of a probability."""
    import shap
    from sklearn.ensemble import RandomForestRegressor

    from dashboard.contracts import Task
    from dashboard.explainers.answers import Asked
    from dashboard.explainers.pipelines import subject_of
    from dashboard.explainers.trees import SHAP_BACKGROUND
    from dashboard.models import EstimatorModel

    # neighbours in single precision: the threshold halfway is rounded to one of them
    first = np.float32(1.0) + np.arange(40, dtype=np.float32) * np.float32(2**-23)
    X = np.column_stack([first, np.linspace(-1, 1, 40, dtype=np.float32)])
    y = np.arange(40.0) % 2 + X[:, 1]
    model = RandomForestRegressor(5, random_state=0).fit(X, y)
    answers = model.predict(X)
    theirs = shap.TreeExplainer(model, X, feature_perturbation="interventional")
    sums = theirs.shap_values(X, check_additivity=False).sum(axis=1) + theirs.expected_value
    assert np.abs(sums - answers).max() > 0.05
    asked = Asked(Task.REGRESSION, (), None, "y")
    subject = subject_of(EstimatorModel(model, name="close"), X, asked)
    found = SHAP_BACKGROUND.explain(subject, X, X, OutputSpace.TARGET, WORK, {})
    np.testing.assert_allclose(found.values.sum(axis=1)[:, 0] + found.base, answers, atol=1e-6)
    in_bulk = BULK_BACKGROUND.explain(subject, X, X, OutputSpace.TARGET, WORK, {})
    np.testing.assert_allclose(found.values, in_bulk.values, atol=1e-6)


def test_trees_too_large_for_shap_are_refused() -> None:
    case = made("RandomForestRegressor, monotone")
    forest = forest_of(case.subject)
    tree = forest.trees[0]
    wide = replace(forest, trees=(replace(tree, left=np.full(40_000, -1)),))
    assert "32,767 nodes" in _too_large(wide)
    many = Tree(
        left=np.where(np.arange(81) % 2 == 0, np.arange(81) + 1, -1),
        right=np.where(np.arange(81) % 2 == 0, np.arange(81) + 2, -1),
        feature=np.arange(81) // 2,
        threshold=np.zeros(81),
        missing_left=np.zeros(81, bool),
        values=np.zeros((81, 1)),
        cover=np.ones(81),
    )
    many.left[80] = many.right[80] = -1
    assert "more than 30 different" in _too_large(replace(forest, trees=(many,), n_columns=41))
    assert not _too_large(forest)


def test_one_row_one_background_row_and_rows_equal_to_the_background() -> None:
    case = made("LGBMClassifier, categories")
    row = case.rows.iloc[:1]
    for key in ("bulk-tree-interventional", "exact"):
        found = ENGINES[key].explain(
            case.subject, row, row, OutputSpace.LOG_ODDS, WORK, {"random_state": 0}
        )
        assert np.abs(found.values).max() < 1e-12
        np.testing.assert_allclose(
            found.base, case.subject.answer(row, OutputSpace.LOG_ODDS)[0], atol=1e-9
        )


def test_work_is_told_of_and_can_be_stopped() -> None:
    class Stopped(Exception):
        pass

    class Impatient:
        def __init__(self) -> None:
            self.told: list[tuple[int, int]] = []

        def progress(self, done: int, total: int, sentence: str, /) -> None:
            self.told.append((done, total))

        def check(self) -> None:
            if len(self.told) > 1:
                raise Stopped

    case = made("RandomForestClassifier, three classes, missing values")
    rows = case.subject.prepare(case.rows)
    for key in ("tree", "bulk-tree", "bulk-tree-interventional"):
        work = Impatient()
        with pytest.raises(Stopped):
            ENGINES[key].explain(case.subject, rows, rows, OutputSpace.PROBABILITY, work, {})
        assert work.told[0][1] in (8, len(rows))


def test_what_is_no_forest_says_so() -> None:
    with pytest.raises(NotApplicable, match="no ensemble of trees"):
        forest_of(made("LogisticRegression, two classes").subject)
    with pytest.raises(NotApplicable, match="LinearRegression"):
        forest_of(made("GradientBoostingRegressor, started by a model").subject)
    assert isinstance(forest_of(made("LGBMClassifier, categories").subject), Forest)


def test_too_many_pairs_are_refused_with_the_number_that_fits() -> None:
    case = made("RandomForestRegressor, monotone")
    rows = np.zeros((12_000_000, 5), dtype=np.float32)
    with pytest.raises(NotApplicable, match="ask for 10,737,418 rows at most"):
        tree_interactions(case.subject, rows, None, WORK)
