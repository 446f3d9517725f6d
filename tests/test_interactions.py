"""Pairs of features: their own base, the unit that was asked for, and checks that can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from dashboard.data import EvalSet, evalset_from_frame
from dashboard.diagnostics.interactions import compute_interaction_hints, compute_interaction_matrix
from dashboard.errors import NotApplicable
from dashboard.explainers import interactions
from dashboard.explainers.forests import Forest
from dashboard.explanation import ExplainOptions, explain_rows, interaction_values
from dashboard.figures.attribution_captions import caption_interactions
from dashboard.models import adapt

LOG_ODDS, PROBABILITY = ExplainOptions(space="log-odds"), ExplainOptions(space="probability")


@pytest.fixture(scope="module")
def evalset() -> EvalSet:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 4)), columns=list("abcd"))
    y = np.where(X["a"] * X["b"] + X["c"] > 0, "yes", "no")
    return evalset_from_frame(X.assign(y=y), target="y")


@pytest.fixture(scope="module")
def boosting(evalset: EvalSet) -> Any:
    y = np.asarray(evalset.target.labels)[evalset.target.y]
    return GradientBoostingClassifier(n_estimators=12, random_state=0).fit(evalset.X, y)


@pytest.fixture(scope="module")
def forest(evalset: EvalSet) -> Any:
    y = np.asarray(evalset.target.labels)[evalset.target.y]
    return RandomForestClassifier(6, max_depth=5, random_state=0).fit(evalset.X, y)


@pytest.mark.parametrize("positions", [[5], list(range(40))])
def test_pairs_have_the_base_of_the_trees_and_sum_to_the_answer(
    positions: list[int], evalset: EvalSet, boosting: Any, forest: Any
) -> None:
    for model, options, answer in (
        (boosting, LOG_ODDS, boosting.decision_function(evalset.X)),
        (forest, PROBABILITY, forest.predict_proba(evalset.X)[:, 1]),
    ):
        pairs, one = interaction_values(
            adapt(model, "m"), evalset, "m", options, positions=positions
        )
        path = explain_rows(
            adapt(model, "m"), evalset, "m", positions, replace(options, game="path-dependent")
        )
        np.testing.assert_allclose(one.base_values, path.base_values, atol=1e-12)
        np.testing.assert_allclose(pairs.sum(axis=2), path.values, atol=1e-9)
        total = one.base_values + pairs.sum(axis=(1, 2))
        np.testing.assert_allclose(total[:, 0], answer[positions], atol=1e-9)


@pytest.mark.parametrize("positions", [[5], list(range(40))])
def test_another_unit_than_that_of_the_trees_is_refused_for_its_own_reason(
    positions: list[int], evalset: EvalSet, boosting: Any, forest: Any
) -> None:
    for model, options, why in (
        (boosting, PROBABILITY, "add up to log-odds, not to the probability"),
        (forest, LOG_ODDS, "add up to the probability, not to the log-odds"),
    ):
        with pytest.raises(NotApplicable, match=why):
            interaction_values(adapt(model, "m"), evalset, "m", options, positions=positions)


def _times(factor: float, of: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: [(output, table * factor) for output, table in of(*given)]


def _whole_times(factor: float, of: Callable[..., Any]) -> Callable[..., Any]:
    def wrong(forest: Forest, *given: Any) -> Any:
        found = of(forest, *given)
        alone = np.einsum("nijk->nik", found)
        found = found * factor
        places = np.arange(found.shape[1])
        found[:, places, places] += alone - found.sum(axis=2)
        return found

    return wrong


@pytest.mark.parametrize("positions", [[5], list(range(40))])
@pytest.mark.parametrize("factor", [3.0, 1.001])
def test_wrong_pairs_are_refused_though_every_row_sums_up(
    factor: float,
    positions: list[int],
    evalset: EvalSet,
    boosting: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interactions, "_tables", _times(factor, interactions._tables))
    monkeypatch.setattr(interactions, "_by_shap", _whole_times(factor, interactions._by_shap))
    with pytest.raises(NotApplicable, match="its pairs miss what a feature adds together"):
        interaction_values(adapt(boosting, "m"), evalset, "m", positions=positions)


def test_a_wrong_base_is_refused_for_one_row_too(
    evalset: EvalSet, boosting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mean = Forest.expectation.func  # type: ignore[attr-defined]
    monkeypatch.setattr(Forest, "expectation", property(lambda one: mean(one) + 1e-3))
    with pytest.raises(NotApplicable, match=r"values miss the model's own answers by up to 0\.001"):
        interaction_values(adapt(boosting, "m"), evalset, "m", positions=[5])


def test_the_figure_says_what_pairs_are_measured_against(evalset: EvalSet, boosting: Any) -> None:
    pairs, one = interaction_values(adapt(boosting, "m"), evalset, "m", n_rows=60)
    assert one.background.n == 0
    said = caption_interactions([compute_interaction_matrix(pairs, one)])
    assert "the trees' own counts of their training rows" in said
    assert "counts" not in caption_interactions(compute_interaction_hints([one]))
