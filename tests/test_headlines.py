"""The sentences above the charts say what the numbers say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from dashboard.contracts import Attributions, Background, OutputSpace
from dashboard.diagnostics.attributions import column_of
from dashboard.diagnostics.headlines import headline_explanations, headline_importances
from dashboard.diagnostics.importance import Importance
from dashboard.errors import NotApplicable


def _importance(model: str, values: list[float], names: str = "abcde") -> Importance:
    found = np.array(values, dtype=float)
    nothing = np.full(len(found), np.nan)
    features = tuple(names[: len(found)])
    return Importance(
        model, "impurity", "Impurity", "share", features, found, nothing, nothing, 10, 10
    )


def _explained(model: str, slope: float, n: int = 50) -> Attributions:
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n)})
    values = np.stack([slope * data["x"], 0.01 * data["z"]], axis=1)[:, :, None]
    return Attributions(
        model=model,
        values=values,
        base_values=np.zeros(1),
        predictions=values.sum(axis=1),
        data=data,
        feature_names=("x", "z"),
        output_names=("yes",),
        space=OutputSpace.LOG_ODDS,
        engine="linear",
        method="Linear model",
        exact=True,
        background=Background(10, n, "10 rows"),
        rows=np.arange(n),
        n_given=n,
        additivity_error=0.0,
        tolerance=1e-9,
    )


def test_one_model_names_its_first_three_and_their_share() -> None:
    said = headline_importances([_importance("Forest", [0.4, 0.3, 0.2, 0.1, 0.0])])
    assert said.startswith("Forest relies most on a, b and c.")
    assert "90 % of the importance of all 5 features" in said
    assert "1 of 5 features does next to nothing for the model." in said


def test_models_that_agree_and_models_that_do_not() -> None:
    same = [_importance("A", [5, 3, 2, 1]), _importance("B", [9, 5, 2, 1])]
    assert headline_importances(same).startswith("Both models rely most on a. They order")
    assert "(rank correlation 1.00)" in headline_importances([*same, *same])  # not "at least" that
    apart = [_importance("A", [5, 3, 2, 1]), _importance("B", [1, 2, 3, 5])]
    said = headline_importances(apart)
    assert said.startswith("A relies most on a and B on d. Beyond that they differ")
    assert "rank correlation −1.00" in said
    three = headline_importances([*same, _importance("C", [1, 2, 3, 5])])
    assert three.startswith("A and B rely most on a and C on d.")


def test_what_relies_on_nothing_is_not_said_to_rely_on_something() -> None:
    rounding = replace(_importance("Near", [0, -6e-17, 6e-17, 0]), baseline=0.2)
    assert headline_importances([rounding]) == "Near relies on no feature measurably."
    both = [rounding, replace(rounding, model="Far")]
    assert headline_importances(both) == "Near and Far rely on no feature measurably."
    said = headline_importances([rounding, _importance("B", [5, 3, 2, 1])])
    assert said.startswith("Near relies on no feature measurably; B relies most on a, b and c.")


def test_nothing_is_said_of_all_models_while_others_are_at_work() -> None:
    same = [_importance("A", [5, 3, 2, 1]), _importance("B", [9, 5, 2, 1])]
    said = headline_importances(same, waiting=2)
    assert said.startswith("So far (2 of 4 models): Both rely most on a. They order")
    alone = headline_importances(same[:1], waiting=1)
    assert alone.startswith("So far (1 of 2 models): A relies most on a, b and c.")
    moved = headline_explanations([_explained("Up", 1.0), _explained("Too", 2.0)], waiting=1)
    assert moved.startswith("So far (2 of 3 models): x moves the answers most")
    assert moved.endswith("Higher values raise the answer in every model so far.")


def test_nothing_measured_has_no_headline() -> None:
    with pytest.raises(NotApplicable):
        headline_importances([])
    with pytest.raises(NotApplicable):
        headline_explanations([])


def test_the_direction_is_that_of_the_values() -> None:
    up, down = _explained("Up", 1.0), _explained("Down", -2.0)
    size = np.abs(up.values[:, 0, 0]).mean()
    said = headline_explanations([up])
    assert said.startswith(f"x moves the answers most, on average by .{round(size * 1000)} (log-od")
    assert said.endswith("Higher values raise the answer.")
    both = headline_explanations([up, down])
    assert both.endswith("Higher values raise it in Up and lower it in Down.")


def test_what_falls_and_rises_is_not_called_rising() -> None:
    """A parabola whose right arm is the longer: rank correlation .5 or so, and yet it turns."""
    up = _explained("Up", 1.0)
    x = column_of(up, "x").numbers
    values = up.values.copy()
    values[:, 0, 0] = (x - np.quantile(x, 0.3)) ** 2
    assert spearmanr(x, values[:, 0, 0]).statistic > 0.3
    said = headline_explanations([replace(up, values=values)])
    assert "do not simply raise or lower it" in said
