"""Groups of rows, classes, cohorts and pairs: against SciPy, scikit-learn and shap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from dashboard.contracts import OutputSpace
from dashboard.diagnostics.clusters import compute_explanation_clusters
from dashboard.diagnostics.cohorts import Cohort, cohort_of, compute_by_class, compute_cohorts
from dashboard.diagnostics.interactions import (
    align_interactions,
    compute_interaction_hints,
    compute_interaction_matrices,
    compute_interaction_matrix,
)
from dashboard.errors import NotApplicable, ParameterError
from tests.explained import attributed, forest, mixed, shap_library, three_classes

# Groups of rows


@pytest.mark.parametrize("k", [2, 3, 5])
def test_groups_are_those_of_wards_method(k: int) -> None:
    one, _ = forest()
    found = compute_explanation_clusters([one], n_groups=k)[0]
    assert len(found.groups) == k
    ours = np.zeros(one.n, dtype=int)
    for label, group in enumerate(found.groups):
        ours[found.rows[group.start : group.stop]] = label
    theirs = AgglomerativeClustering(k).fit_predict(one.output(0))
    assert adjusted_rand_score(ours, theirs) == 1.0


def test_every_row_is_there_once_and_keeps_its_values() -> None:
    one = mixed(120)
    found = compute_explanation_clusters([one], limit=3)[0]
    assert sorted(found.rows.tolist()) == one.rows.tolist()
    assert found.groups[0].start == 0
    assert found.groups[-1].stop == found.n == 120
    assert found.values.sum(axis=1) + found.rest + found.base == pytest.approx(found.predictions)
    table = found.frame()
    assert table["group"].is_monotonic_increasing
    for group in found.groups:
        rows = slice(group.start, group.stop)
        assert group.prediction == pytest.approx(found.predictions[rows].mean())
        assert group.typical in found.rows[rows]


def test_natural_groups_are_found() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, -3.0]])
    values = np.repeat(centres, 30, axis=0) + rng.normal(0, 0.1, (90, 2))
    found = compute_explanation_clusters([attributed(values, values)])[0]
    assert [group.n for group in found.groups] == [30, 30, 30]
    lowest = found.groups[0]
    assert lowest.prediction == pytest.approx(-6, abs=0.1)  # low answers come first
    assert {name for name, _ in lowest.reasons} == {"x0", "x1"}


def test_many_rows_are_capped_and_few_are_said() -> None:
    found = compute_explanation_clusters([mixed(300)], max_rows=100)[0]
    assert (found.n, found.n_explained, found.n_given) == (100, 300, 900)
    with pytest.raises(NotApplicable, match="at least three"):
        compute_explanation_clusters([mixed(2)])
    with pytest.raises(ParameterError, match="n_groups"):
        compute_explanation_clusters([mixed(20)], n_groups=9)
    flat = compute_explanation_clusters([attributed(np.zeros((5, 2)), np.zeros((5, 2)))])[0]
    assert len(flat.groups) == 1
    three = compute_explanation_clusters([mixed(3)])[0]
    assert three.n == 3


# Classes


def test_each_class_has_its_own_strengths() -> None:
    one = three_classes()
    found = compute_by_class([one])[0]
    for i, name in enumerate(found.features):
        sizes = np.abs(one.values[:, one.feature_names.index(name)])
        assert found.values[i] == pytest.approx(sizes.mean(axis=0))
        error = sizes.std(axis=0, ddof=1) / np.sqrt(150)
        assert found.high[i] == pytest.approx(sizes.mean(axis=0) + 1.959964 * error)
    assert len(found.frame()) == 12
    with pytest.raises(NotApplicable, match="one output only"):
        compute_by_class([mixed(20)])


# Cohorts


def test_differences_have_welchs_interval() -> None:
    one = mixed(300)
    cohort = cohort_of(one, "income", low=5.0)
    inside = (one.data["income"] >= 5.0).to_numpy()
    assert cohort.rows == frozenset(one.rows[inside].tolist())
    found = compute_cohorts([one], cohort)[0]
    assert (found.n_cohort, found.n_rest) == (inside.sum(), (~inside).sum())
    assert found.features[0] == "income"
    for k, name in enumerate(found.features):
        values = one.values[:, one.feature_names.index(name), 0]
        if not np.ptp(values):
            assert found.low[k] == found.high[k] == 0
            continue
        theirs = ttest_ind(values[inside], values[~inside], equal_var=False)
        ends = theirs.confidence_interval()
        assert (found.low[k], found.high[k]) == pytest.approx((ends.low, ends.high))
        assert found.clear[k] == (theirs.pvalue < 0.05)
    assert found.difference.sum() == pytest.approx(found.answer[0] - found.answer[1])


def test_cohorts_are_named_after_what_they_hold() -> None:
    one = mixed(100)
    assert cohort_of(one, "age", low=30, high=50).name == "age from 30 to 50"
    assert cohort_of(one, "age", high=50).name == "age up to 50"
    town = cohort_of(one, "region", values=["bay", "ocean"])
    assert town.name == "region = bay, ocean"
    assert len(town.rows) == one.data["region"].isin(["bay", "ocean"]).sum()
    unknown = cohort_of(one, "age", values=["missing"])
    assert len(unknown.rows) == one.data["age"].isna().sum()
    with pytest.raises(NotApplicable, match="holds 1 explained row of forest and leaves 99"):
        compute_cohorts([one], Cohort("one", frozenset({0})))


# Pairs


def test_pairs_are_those_of_shap() -> None:
    one, _ = forest()
    shap = shap_library()
    from sklearn.datasets import make_friedman1
    from sklearn.ensemble import RandomForestRegressor

    X, y = make_friedman1(n_samples=400, n_features=7, noise=0.3, random_state=1)
    model = RandomForestRegressor(20, max_depth=6, random_state=0).fit(X, y)
    part = one.take(np.arange(60))
    values = shap.TreeExplainer(model).shap_interaction_values(X[:60])
    found = compute_interaction_matrix(values, part)
    assert found.exact
    assert found.gap < 1e-4
    pair = found.strongest()
    assert pair is not None
    assert set(pair[:2]) == {"x0", "x1"}  # sin(π x0 x1)
    assert pair[2] == pytest.approx(2 * np.abs(values[:, 0, 1]).mean())
    assert np.diag(found.values)[found.features.index("x3")] == pytest.approx(
        np.abs(values[:, 3, 3]).mean()
    )
    assert found.values == pytest.approx(found.values.T)
    assert len(found.frame()) == 28
    hints = compute_interaction_hints([one])[0]
    assert hints.strongest() is not None
    assert set(hints.strongest()[:2]) == {"x0", "x1"}  # type: ignore[index]

    with pytest.raises(NotApplicable, match="do not sum to its attributions"):
        compute_interaction_matrix(values * 1.01, part)
    with pytest.raises(ParameterError, match="shape"):
        compute_interaction_matrix(values[:, :3], part)


def test_pairs_of_one_class_and_shared_colours() -> None:
    one = three_classes().take(np.arange(100))
    values = np.zeros((100, 4, 4, 3))
    values[:, range(4), range(4)] = one.values
    found = compute_interaction_matrix(values, one, "virginica", limit=2)
    assert len(found.features) == 2
    assert found.strongest() is None
    assert found.limit == 0
    hints = compute_interaction_hints([mixed(200), mixed(200, 2.0, model="b")])
    assert hints[0].limit == hints[1].limit
    pair = hints[0].strongest()
    assert pair is not None
    assert set(pair[:2]) == {"age", "region"}
    assert np.isnan(np.diag(hints[0].values)).all()
    apart = align_interactions([found, hints[0]])
    assert apart[0].limit != apart[1].limit
    with pytest.raises(NotApplicable, match="at least 50"):
        compute_interaction_hints([mixed(20)])


def test_pairs_of_several_models_share_features_and_colours() -> None:
    one = mixed(40)
    part = attributed(one.values[:, [2, 0]], one.data[["region", "income"]], model="part")
    values = np.zeros((40, 6, 6))
    values[:, range(6), range(6)] = one.output(0)
    values[:, 0, 5] = values[:, 5, 0] = 0.5  # income with noise
    values[:, 0, 0] -= 0.5
    values[:, 5, 5] -= 0.5
    other = np.zeros((40, 2, 2))
    other[:, range(2), range(2)] = part.output(0)
    found = compute_interaction_matrices([(values, one), (other, part)], limit=3)
    assert found[0].features == found[1].features
    assert {"income", "noise"} <= set(found[0].features)
    assert found[0].limit == found[1].limit == pytest.approx(1.0)
    assert found[0].strongest() == ("income", "noise", pytest.approx(1.0))
    assert len(found[0].features) == 3


def test_models_that_lack_a_feature_leave_gaps() -> None:
    one = mixed(200)
    names = ["income", "age"]
    part = attributed(one.values[:, :2], one.data[names], model="part", space=OutputSpace.TARGET)
    hints = compute_interaction_hints([one, part], limit=6)
    assert np.isfinite(hints[1].values).sum() == 2
    groups = compute_explanation_clusters([one, part])
    assert np.isnan(groups[1].values).any()
    assert groups[0].limit == groups[1].limit
    cohorts = compute_cohorts([one, part], Cohort("some", frozenset(range(0, 90, 3))))
    assert np.isfinite(cohorts[1].difference).sum() == 2
    assert isinstance(cohorts[1].frame(), pd.DataFrame)
