"""Validation curves: equal to scikit-learn's, partial, with what cannot be fitted, and findings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import validation_curve
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from dashboard.data import EvalSet, evalset_from_frame
from dashboard.diagnostics.parameter_curves import ParameterCurve, find_in_parameter_curve
from dashboard.errors import NotApplicable, ParameterError
from dashboard.figures import plot_parameter_curves
from dashboard.learning import choose_folds, refit_of
from dashboard.learning.parameters import (
    ParameterOptions,
    ordered,
    parameter_curve_in_stages,
    suggested_values,
    tunable_parameters,
)
from dashboard.models import adapt


def _cancer() -> EvalSet:
    frame = load_breast_cancer(as_frame=True).frame.iloc[:200, ::3]
    frame["target"] = load_breast_cancer().target[:200]
    return evalset_from_frame(frame, target="target")


def _diabetes() -> EvalSet:
    return evalset_from_frame(load_diabetes(as_frame=True).frame.iloc[:150], target="target")


CASES: dict[str, tuple[Any, Any, str, tuple[Any, ...], str, str, int]] = {
    "labels": (
        _cancer,
        lambda: DecisionTreeClassifier(random_state=0),
        "max_depth",
        (1, 2, 4, None),
        "accuracy",
        "accuracy",
        1,
    ),
    "ranks": (
        _cancer,
        lambda: make_pipeline(StandardScaler(), GaussianNB()),
        "gaussiannb__var_smoothing",
        (1e-9, 0.1, 1.0),
        "roc_auc",
        "roc_auc",
        1,
    ),
    "numbers": (
        _diabetes,
        Ridge,
        "alpha",
        (0.01, 0.1, 1.0, 10.0),
        "rmse",
        "neg_root_mean_squared_error",
        -1,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_equal_to_scikit_learns_validation_curve(case: str) -> None:
    data, estimator, parameter, values, metric, scoring, sign = CASES[case]
    evalset = data()
    folds = choose_folds(evalset, 3, 1, 0)
    model = adapt(estimator().fit(evalset.X, evalset.target.y), "m")
    options = ParameterOptions(parameter, values, metric)
    stages = list(parameter_curve_in_stages(model, evalset, "m", options, folds=folds))
    train, validation = validation_curve(
        estimator(),
        evalset.X,
        evalset.target.y,
        param_name=parameter,
        param_range=values,
        cv=list(folds),
        scoring=scoring,
    )
    np.testing.assert_allclose(stages[-1].train, sign * train, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(stages[-1].validation, sign * validation, rtol=1e-12, atol=1e-12)
    assert [one.n_done for one in stages] == list(range(1, 3 * len(values) + 1))
    assert np.isfinite(stages[0].validation).sum() == 1
    assert stages[-1].is_complete
    assert stages[-1].has_current
    np.testing.assert_allclose(
        stages[-1].validation_sd, validation.std(axis=1), rtol=1e-9, atol=1e-12
    )


def test_a_value_that_the_model_refuses_leaves_the_others() -> None:
    evalset = _cancer()
    model = adapt(DecisionTreeClassifier(random_state=0).fit(evalset.X, evalset.target.y), "m")
    options = ParameterOptions("max_depth", (-1, 2), n_splits=2)
    *_, curve = parameter_curve_in_stages(model, evalset, "m", options)
    assert np.isnan(curve.validation[0]).all()
    assert np.isfinite(curve.validation[1]).all()
    assert curve.notes[0].startswith("max_depth = -1 has no score in 2 of 2 folds: ")
    assert curve.best == 1
    frame = curve.frame()
    assert len(frame) == 4
    assert frame["value"].tolist() == [-1, -1, 2, 2]


def test_what_cannot_be_asked_is_said() -> None:
    evalset = _cancer()
    model = adapt(DecisionTreeClassifier(random_state=0).fit(evalset.X, evalset.target.y), "m")

    def start(*values: Any, parameter: str = "max_depth") -> Any:
        return next(
            parameter_curve_in_stages(model, evalset, "m", ParameterOptions(parameter, values))
        )

    with pytest.raises(ParameterError, match="2 to 100 different ones"):
        start(3, 3)
    with pytest.raises(ParameterError, match="finite numbers"):
        start(1.0, float("inf"))
    with pytest.raises(ParameterError, match="no plain setting 'depth'"):
        start(parameter="depth")
    with pytest.raises(NotApplicable, match="no setting 'depth'"):
        options = ParameterOptions("depth", (1, 2), n_splits=2)
        list(parameter_curve_in_stages(model, evalset, "m", options))
    plain = adapt(lambda X: np.zeros(len(X)), "f")
    with pytest.raises(NotApplicable, match="cannot be fitted again"):
        next(parameter_curve_in_stages(plain, evalset, "f", ParameterOptions("a", (1, 2))))


def test_first_ranges_and_what_can_be_varied() -> None:
    assert suggested_values("max_depth", None) == (1, 2, 3, 5, 8, 13, None)
    assert suggested_values("max_depth", 4) == (1, 2, 3, 4, 5, 8, 13)
    assert suggested_values("svc__C", 1.0) == (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
    assert suggested_values("n_estimators", 100) == (25, 50, 100, 200, 400)
    assert suggested_values("subsample", 0.8) == (0.25, 0.5, 0.75, 0.8, 1.0)
    assert suggested_values("fit_intercept", True) == (False, True)
    assert suggested_values("kernel", "rbf") == ()
    assert ordered((None, 3, 1, True, 1)) == (1, 3, None, True)
    evalset = _cancer()
    tree = DecisionTreeClassifier(random_state=0, max_depth=3).fit(evalset.X, evalset.target.y)
    known = tunable_parameters(refit_of(adapt(tree, "m"), "m"))
    assert next(iter(known)) == "max_depth"
    assert "random_state" not in known


# --- findings ----------------------------------------------------------------------------------


def _curve(
    values: tuple[Any, ...], means: list[float], spread: float, **more: Any
) -> ParameterCurve:
    """Scores of five folds that share their noise but for a tenth of it."""
    rng = np.random.default_rng(0)
    shared, own = rng.normal(0, spread, 5), rng.normal(0, spread / 10, (len(means), 5))
    own -= own.mean(axis=1, keepdims=True)
    scores = np.array(means)[:, None] + shared - shared.mean() + own
    more = {"larger_is_better": True, "parameter": "gamma_", **more}
    return ParameterCurve(
        model="m",
        metric="accuracy",
        title="Accuracy",
        values=values,
        train=scores,
        validation=scores,
        fit_seconds=np.ones_like(scores),
        ratio=0.25,
        **more,
    )


def _codes(curve: ParameterCurve) -> dict[str, str]:
    return {one.code: one.severity for one in find_in_parameter_curve(curve)}


def test_the_curve_says_whether_another_value_is_better() -> None:
    means = [0.7, 0.8, 0.9, 0.8]
    better = _curve((1, 2, 3, 4), means, 0.05, current=1, has_current=True)
    assert _codes(better) == {"better_value": "warning"}
    found = find_in_parameter_curve(better)[0]
    assert found.at == 3
    assert found.evidence["gain"] == pytest.approx(0.2)
    own = _curve((1, 2, 3, 4), means, 0.05, current=3, has_current=True)
    assert _codes(own) == {"value_holds": "good"}
    near = _curve((1, 2, 3, 4), [0.2, 0.899, 0.9, 0.5], 0.2, current=2, has_current=True)
    assert _codes(near) == {"value_holds": "good"}
    flat = _curve((1, 2, 3, 4), [0.9, 0.9001, 0.9002, 0.9001], 0.2)
    assert _codes(flat) == {"does_not_matter": "info"}


def test_places_of_findings_stand_where_the_chart_draws_them() -> None:
    means, own = [0.7, 0.8, 0.9, 0.8], {"current": None, "has_current": True}
    mixed = _curve((None, 2, 8, 16), means, 0.05, **own)
    (found,) = [one for one in find_in_parameter_curve(mixed) if one.code == "better_value"]
    figure = plot_parameter_curves(mixed)
    words = list(figure.layout.xaxis.ticktext)
    assert found.at == 8
    assert figure.layout.meta["places"] == {f"{x}.0": words.index(str(x)) for x in (2, 8, 16)}
    assert plot_parameter_curves(_curve((1, 2), [0.7, 0.9], 0.05)).layout.meta["places"] is None
    named = _curve(("a", "b", "c", "d"), means, 0.05, current="a", has_current=True)
    assert [one.at for one in find_in_parameter_curve(named)] == [None]  # no place among numbers


def test_the_best_value_at_the_edge_of_the_curve() -> None:
    assert _codes(_curve((1, 2, 3), [0.7, 0.8, 0.9], 0.05)) == {"best_at_edge": "warning"}
    close = _curve((1, 2, 3), [0.7, 0.899, 0.9], 0.3)
    assert _codes(close) == {"best_at_edge": "info"}
    lower = _curve((1, 2, 3), [0.7, 0.8, 0.9], 0.05, larger_is_better=False)
    assert find_in_parameter_curve(lower)[0].evidence["edge"] == 1
    depth = _curve((1, 2, 3), [0.9, 0.8, 0.7], 0.05, parameter="max_depth")
    assert _codes(depth) == {}


def test_undecided_until_two_folds_are_done() -> None:
    one = _curve((1, 2, 3), [0.7, 0.8, 0.9], 0.05)
    one.validation[:, 1:] = np.nan
    assert _codes(one) == {"undecided": "info"}
    one.validation[:] = np.nan
    assert find_in_parameter_curve(one) == []
