"""Values of few rows, leaf by leaf: equal to shap's, to the tables', and adding up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestRegressor

from dashboard.contracts import OutputSpace, Task
from dashboard.explainers.answers import Asked
from dashboard.explainers.bulk_trees import BULK_PATH
from dashboard.explainers.forest_reading import forest_of
from dashboard.explainers.leaf_paths import paths_of, seconds_by_row, values_by_row
from dashboard.explainers.pipelines import subject_of
from dashboard.explainers.subjects import Subject
from dashboard.models import EstimatorModel
from tests.explained import shap_library

RNG = np.random.default_rng(3)
X = RNG.normal(size=(400, 9))
Y = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(3 * X[:, 3])


class _Alone:
    def __init__(self) -> None:
        self.checks = 0

    def progress(self, done: int, total: int, sentence: str, /) -> None:
        return

    def check(self) -> None:
        self.checks += 1


def _deep(y: Any, task: Task) -> tuple[Any, Subject]:
    kinds = {Task.REGRESSION: RandomForestRegressor, Task.MULTICLASS: ExtraTreesClassifier}
    model = kinds[task](7, random_state=0).fit(X, y)
    labels = (0, 1, 2) if task is Task.MULTICLASS else ()
    return model, subject_of(
        EstimatorModel(model, name="m"), X[:30], Asked(task, labels, None, "y")
    )


@pytest.fixture(scope="module")
def forest() -> tuple[Any, Subject]:
    return _deep(Y, Task.REGRESSION)


@pytest.mark.parametrize("n", [1, 3, 300])
def test_they_are_those_of_shap_and_of_the_tables(forest: tuple[Any, Subject], n: int) -> None:
    model, subject = forest
    read = forest_of(subject)
    assert read.widest > 8  # deeper than tables of all patterns go at once
    found = values_by_row(read, read.matrix(X[:n]), _Alone())
    expected = shap_library().TreeExplainer(model).shap_values(X[:n], check_additivity=False)
    np.testing.assert_allclose(found[..., 0], expected, rtol=0, atol=1e-12)
    tables = BULK_PATH.by_tables(read, read.matrix(X[:n]), None, _Alone())
    np.testing.assert_allclose(found, tables, rtol=0, atol=1e-12)
    sums = found[..., 0].sum(axis=1) + read.expectation[0]
    np.testing.assert_allclose(sums, model.predict(X[:n]), rtol=0, atol=1e-12)


def test_every_class_has_its_own_values() -> None:
    y = np.digitize(Y, [-0.7, 0.7])
    model, subject = _deep(y, Task.MULTICLASS)
    read = forest_of(subject)
    found = values_by_row(read, read.matrix(X[:20]), _Alone())
    expected = shap_library().TreeExplainer(model).shap_values(X[:20], check_additivity=False)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_missing_values_go_where_the_trees_send_them() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    lacking = np.where(RNG.random(X.shape) < 0.2, np.nan, X)
    model = HistGradientBoostingRegressor(max_iter=12, min_samples_leaf=3).fit(lacking, Y)
    subject = subject_of(
        EstimatorModel(model, name="m"), lacking[:30], Asked(Task.REGRESSION, (), None, "y")
    )
    read = forest_of(subject)
    found = values_by_row(read, read.matrix(lacking[:50]), _Alone())
    tables = BULK_PATH.by_tables(read, read.matrix(lacking[:50]), None, _Alone())
    np.testing.assert_allclose(found, tables, rtol=0, atol=1e-12)
    sums = found[..., 0].sum(axis=1) + read.expectation[0]
    np.testing.assert_allclose(sums, model.predict(lacking[:50]), rtol=0, atol=1e-9)


def test_paths_hold_what_decides_on_each_leaf(forest: tuple[Any, Subject]) -> None:
    read = forest_of(forest[1])
    paths = paths_of(read.trees)
    assert paths.n_leaves == read.n_leaves
    sizes = np.concatenate([np.full(len(some.z), d) for d, some in paths.leaves.items()])
    np.testing.assert_array_equal(np.sort(sizes), np.sort(read.path_sizes))
    for some in paths.leaves.values():
        assert all(len(set(line)) == len(line) for line in some.features.tolist())


def test_few_rows_take_no_tables_and_many_do(
    forest: tuple[Any, Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, used = forest_of(forest[1]), list[int]()
    tables = BULK_PATH.by_tables
    monkeypatch.setattr(BULK_PATH, "by_tables", lambda *a: used.append(len(a[1])) or tables(*a))
    for n in (5, 20_000):
        BULK_PATH.on_matrix(read, read.matrix(np.resize(X, (n, X.shape[1]))), None, _Alone())
    assert used == [20_000]
    assert BULK_PATH.seconds(forest[1], 5, 1) == pytest.approx(seconds_by_row(read, 5))


def test_it_can_be_stopped(forest: tuple[Any, Subject]) -> None:
    class Stopped(Exception):
        pass

    class Stopping(_Alone):
        def check(self) -> None:
            raise Stopped

    read = forest_of(forest[1])
    with pytest.raises(Stopped):
        BULK_PATH.explain(forest[1], X[:5], X[:1], OutputSpace.TARGET, Stopping(), {})
    assert read.n_outputs == 1
