"""`Importance` itself, mean |SHAP|, ranks with ties, and several importances side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dashboard.contracts import Attributions, Background, OutputSpace
from dashboard.diagnostics.importance import Importance, compute_shap_importance
from dashboard.diagnostics.importance_comparison import (
    compare_importances,
    compute_importance_gap,
    importance_labels,
)
from dashboard.errors import NotApplicable, ParameterError


def made(values: Any, *, model: str = "m", **options: Any) -> Importance:
    values = np.asarray(values, dtype=float)
    names = options.pop("features", tuple("abcdefghij"[: len(values)]))
    nothing = np.full(len(values), np.nan)
    given: dict[str, Any] = {
        "method": "permutation", "title": "Permutation importance", "unit": "drop of ROC AUC",
        "low": nothing, "high": nothing, "n": 100, "n_given": 200,
    }  # fmt: skip
    return Importance(model=model, features=names, values=values, **(given | options))


def attributions(values: Any, *, errors: Any = None, exact: bool = True) -> Attributions:
    values = np.asarray(values, dtype=float)
    n, f, k = values.shape
    return Attributions(
        model="m",
        values=values,
        base_values=np.zeros(k),
        predictions=values.sum(axis=1),
        data=pd.DataFrame(np.zeros((n, f)), columns=list("abcdefghij"[:f])),
        feature_names=tuple("abcdefghij"[:f]),
        output_names=tuple(range(k)),
        space=OutputSpace.LOG_ODDS,
        engine="tree",
        method="Tree SHAP",
        exact=exact,
        background=Background(0, 0, "the model's own counts"),
        rows=np.arange(n),
        n_given=1_000,
        additivity_error=0.0,
        tolerance=1e-6,
        errors=errors,
    )


# ---- ranks ---------------------------------------------------------------------------------------


def test_equal_values_share_a_rank() -> None:
    found = made([0.5, 0.1, 0.5, np.nan, 0.0])
    assert found.ranks.tolist()[:3] == [1, 3, 1] and np.isnan(found.ranks[3])
    low, high = found.rank_bounds
    assert low.tolist()[:3] == [1, 3, 1] and high.tolist()[:3] == [2, 3, 2]
    assert low[4] == high[4] == 4


def test_rank_bounds_know_that_errors_go_together() -> None:
    # both move by ±1 together, so their difference of .5 is certain; the third moves by itself
    rng = np.random.default_rng(0)
    common, own = rng.normal(size=(2, 1_000))
    deviations = np.column_stack([common, common, own])
    low, high = made([2.0, 1.5, 1.4], deviations=deviations).rank_bounds
    assert low.tolist() == [1, 2, 1] and high.tolist() == [2, 3, 3]
    alone = made([2.0, 1.5, 1.4], deviations=rng.normal(size=(1_000, 3)))
    assert alone.rank_bounds[0].tolist() == [1, 1, 1]


def test_the_reach_of_a_difference_is_students() -> None:
    rng = np.random.default_rng(1)
    deviations = rng.normal(size=(10, 2))
    found = made([1.0, 0.0], deviations=deviations, freedom=9.0)
    error = np.sqrt(((deviations[:, 0] - deviations[:, 1]) ** 2).mean())
    assert found._reach()[0, 1] == pytest.approx(stats.t.ppf(0.975, 9) * error)


def test_near_zero() -> None:
    values = [1.0, 0.009, 0.04, 0.04, 0.2, -0.3, np.nan]
    low = [0.9, 0.008, 0.01, -0.01, -0.1, -0.4, np.nan]
    found = made(values, low=np.array(low))
    assert found.near_zero.tolist() == [False, True, False, True, False, True, True]
    assert made([0.0, 0.0]).near_zero.all()


def test_the_frame_holds_everything_the_best_first() -> None:
    found = made([0.1, 0.3], repeats=np.array([[0.1, 0.1], [0.2, 0.4]]), signs=np.array([1, -1]))
    frame = found.frame()
    assert frame["feature"].tolist() == ["b", "a"] and frame["rank"].tolist() == [1, 2]
    assert frame.loc[0, ["repeat_1", "repeat_2", "sign"]].tolist() == [0.2, 0.4, -1]
    wanted = "model method feature value low high sign rank rank_low rank_high near_zero n"
    assert list(frame.columns[:12]) == wanted.split()
    assert found.take([1]).frame()["feature"].tolist() == ["b"]


def test_shapes_are_checked() -> None:
    with pytest.raises(ParameterError, match="low has 3 entries for 2"):
        made([1, 2], low=np.zeros(3))
    with pytest.raises(ParameterError, match="deviations"):
        made([1, 2], deviations=np.zeros((5, 3)))


# ---- mean |SHAP| ---------------------------------------------------------------------------------


def test_mean_sizes_and_their_normal_intervals() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal([0.0, 1.0, -3.0], 1, size=(800, 3))[:, :, None]
    found = compute_shap_importance(attributions(values))
    sizes = np.abs(values[:, :, 0])
    assert found.values == pytest.approx(sizes.mean(axis=0), abs=1e-15)
    error = sizes.std(axis=0, ddof=1) / np.sqrt(800)
    # 1,000 bootstrap samples know the end of an interval to about 5 % of its length
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(np.ones(3), abs=0.08)
    assert found.deviations is not None
    assert np.cov(found.deviations.T)[0, 1] == pytest.approx(
        np.cov(sizes.T)[0, 1] / 800, abs=0.2 * error[0] * error[1]
    )
    assert (found.n, found.n_given) == (800, 1_000)


def test_outputs_by_themselves_and_together() -> None:
    values = np.zeros((4, 2, 3))
    values[:, 0] = [1, -2, 3]
    every = compute_shap_importance(attributions(values))
    assert every.values.tolist() == [2, 0]
    assert any("mean over all 3 outputs" in note for note in every.notes)
    assert compute_shap_importance(attributions(values), 1).values.tolist() == [2, 0]
    assert compute_shap_importance(attributions(values), 2).values.tolist() == [3, 0]
    for options in ({"output": 3}, {"n_bootstrap": 1}, {"level": 0.0}):
        with pytest.raises(ParameterError):
            compute_shap_importance(attributions(values), **options)  # type: ignore[arg-type]


def test_sampled_values_tell_how_much_is_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, size=(5_000, 1, 1))
    values = np.concatenate([np.full_like(noise, 1.0), noise], axis=1)
    given = attributions(values, errors=np.full_like(values, 0.1), exact=False)
    found = compute_shap_importance(given)
    assert found.values[1] == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.03)
    assert found.title == "Mean |contribution|"
    assert any("would still show about 8.0 %" in note for note in found.notes)


def test_one_row_and_no_rows() -> None:
    one = compute_shap_importance(attributions(np.ones((1, 2, 1))))
    assert one.values.tolist() == [1, 1] and np.isnan(one.low).all() and one.deviations is None
    none = compute_shap_importance(attributions(np.ones((0, 2, 1))))
    assert np.isnan(none.values).all() and none.near_zero.all()


# ---- side by side --------------------------------------------------------------------------------


def test_agreement_is_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 8))
    b[3] = b[5]
    found = compare_importances([made(a, model="one"), made(b, model="two")], top=3)
    (pair,) = found.pairs
    assert pair.spearman == pytest.approx(stats.spearmanr(a, b).statistic)
    assert pair.kendall == pytest.approx(stats.kendalltau(a, b).statistic)
    common = set(np.argsort(-a)[:3]) & set(np.argsort(-b, kind="stable")[:3])
    assert pair.overlap == len(common) / 3
    assert found.matrix().tolist() == [[1, pair.spearman], [pair.spearman, 1]]
    assert list(found.frame().columns)[:4] == ["first", "second", "spearman", "kendall"]


def test_only_one_model_uses_it_and_none_does() -> None:
    first = made([1.0, 0.5, 0.0], model="one", features=("a", "b", "c"))
    second = made([1.0, 0.001, 0.7], model="two", features=("a", "b", "d"))
    found = compare_importances([first, second])
    assert found.only == {"one": ("b",), "two": ()}
    unsure = replace(first, low=np.array([0.9, -0.1, 0.0]))
    assert not unsure.near_zero[1]  # half of the largest, and yet perhaps nothing
    assert compare_importances([unsure, second]).only == {"one": (), "two": ()}
    assert found.alone == {"one": ("c",), "two": ("d",)}  # what others lack they cannot use
    assert found.unused == ("c",)
    assert found.features[0] == "a" and found.pairs[0].n_shared == 2
    assert np.isnan(found.pairs[0].spearman)  # two shared features have no order to speak of
    assert np.isnan(found.shares[found.features.index("d"), 0])


def test_features_that_one_of_several_lacks_are_listed() -> None:
    features = {"one": ("a", "b", "c"), "two": ("a", "b", "c"), "three": ("a", "d")}
    three = [
        made([3.0, 2.0, 1.0][: len(names)], model=model, features=names)
        for model, names in features.items()
    ]
    found = compare_importances(three)
    assert found.lacking == {"one": (), "two": (), "three": ("b", "c")}
    assert found.alone == {"one": (), "two": (), "three": ("d",)}
    assert [pair.n_shared for pair in found.pairs] == [3, 1, 1]


def test_labels_stay_apart() -> None:
    one = made([1.0, 2.0], model="one")
    assert importance_labels([one, made([1.0], model="two")]) == ("one", "two")
    assert importance_labels([one, made([1.0], model="two", title="Gain")]) == ("one", "two")
    gain = replace(one, title="Gain")
    assert importance_labels([one, gain]) == ("Permutation importance", "Gain")
    two = replace(gain, model="two")
    assert importance_labels([one, gain, two])[2] == "two, Gain"
    assert importance_labels([one, one]) == ("one", "one (2)")
    parts = [replace(one, part=part) for part in ("training", "evaluation")]
    assert importance_labels(parts) == ("one, training", "one, evaluation")


def test_one_importance_alone_cannot_agree() -> None:
    with pytest.raises(NotApplicable, match="needs two"):
        compare_importances([made([1.0])])
    with pytest.raises(ParameterError):
        compare_importances([made([1.0]), made([2.0])], top=0)
    both = compare_importances([made([1.0]), made([2.0])])
    with pytest.raises(ParameterError, match="no measure"):
        both.matrix("pearson")


def test_what_helps_in_training_only() -> None:
    rng = np.random.default_rng(0)
    deviations = rng.normal(0, 0.01, size=(1_000, 3))
    training = made([0.5, 0.3, 0.1], deviations=deviations, part="training")
    evaluation = made([0.49, 0.0, 0.1], deviations=deviations[::-1], part="evaluation")
    gap = compute_importance_gap(training, evaluation)
    assert gap.memorised == ("b",)
    error = np.sqrt(2 * (deviations[:, 1] ** 2).mean())
    assert gap.high[1] - gap.difference[1] == pytest.approx(1.959964 * error, rel=1e-6)
    assert gap.frame()["feature"].tolist()[0] == "b"
    with pytest.raises(NotApplicable, match="differ in their method"):
        compute_importance_gap(replace(training, method="gain"), evaluation)
