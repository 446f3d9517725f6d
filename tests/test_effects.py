"""Effects of features against scikit-learn's partial dependence and cases derived by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.inspection import partial_dependence
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from dashboard import figures
from dashboard.contracts import Model, OutputSpace
from dashboard.data import EvalSet, Table, evalset_from_frame, infer_roles
from dashboard.diagnostics.effect_grids import bin_grid, order_levels, places_of, value_grid
from dashboard.diagnostics.effects import FeatureEffect
from dashboard.diagnostics.two_way_effects import TwoWayEffect
from dashboard.effects import feature_effects, lime_surrogates, two_way_effect
from dashboard.errors import NotApplicable, ParameterError
from dashboard.explainers.effects import read_effects
from dashboard.figures.effects import caption_effects
from dashboard.figures.two_way_effects import caption_two_way
from dashboard.frames import Frame, FrameError
from dashboard.models import adapt

N = 200


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "income": rng.exponential(3.0, N),
            "rooms": rng.integers(1, 8, N).astype(float),
            "colour": rng.choice(["red", "green", "blue"], N, p=[0.5, 0.3, 0.2]),
        }
    )
    noise = rng.normal(scale=0.2, size=N)
    frame["price"] = frame["income"] * (frame["colour"] == "red") + frame["rooms"] + noise
    frame["dear"] = np.where(frame["price"] > 5, "yes", "no")
    frame["size"] = np.select([frame["price"] < 4, frame["price"] < 7], ["small", "mid"], "large")
    return frame


FEATURES = ["income", "rooms", "colour"]


def _fitted(kind: Any, table: pd.DataFrame, target: str) -> Any:
    columns = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    model = make_pipeline(columns, kind(12, random_state=0))
    return model.fit(table[FEATURES], table[target])


@pytest.fixture(scope="module")
def forest(table: pd.DataFrame) -> Any:
    return _fitted(RandomForestRegressor, table, "price")


@pytest.fixture(scope="module")
def houses(table: pd.DataFrame) -> EvalSet:
    return evalset_from_frame(table[[*FEATURES, "price"]], "price")


def numbers(function: Any, **columns: Any) -> tuple[Model, EvalSet]:
    """A model that is a function of columns, and the rows it is asked about."""
    frame = pd.DataFrame(columns)
    data = frame.assign(target=np.linspace(0.5, 99.5, len(frame)))
    return adapt(lambda X: np.asarray(function(X), dtype=float), "f"), evalset_from_frame(
        data, "target", task="regression"
    )


def only(effects: list[Any]) -> Any:
    (effect,) = effects
    return effect


# ---- partial dependence ------------------------------------------------------------------------


@pytest.mark.parametrize("feature", FEATURES)
def test_partial_dependence_is_that_of_scikit_learn(
    feature: str, forest: Any, houses: EvalSet, table: pd.DataFrame
) -> None:
    effect = only(feature_effects(adapt(forest), houses, [feature], n_rows=None))
    values = table[feature].iloc[effect.grid.rows].to_numpy()
    theirs = partial_dependence(
        forest, table[FEATURES], [feature], kind="both", custom_values={feature: values}
    )
    np.testing.assert_allclose(effect.value, theirs["average"][0], rtol=0, atol=1e-12)
    in_order = np.argsort(effect.rows)
    np.testing.assert_allclose(effect.curves[in_order], theirs["individual"][0], rtol=0, atol=1e-12)
    assert effect.n == effect.n_given == N and not effect.notes


@pytest.mark.parametrize(
    ("target", "outputs"), [("dear", ("yes",)), ("size", ("large", "mid", "small"))]
)
def test_classes_are_explained_in_probabilities(
    target: str, outputs: tuple[str, ...], table: pd.DataFrame
) -> None:
    model = _fitted(RandomForestClassifier, table, target)
    evalset = evalset_from_frame(table[[*FEATURES, target]], target)
    found = feature_effects(adapt(model), evalset, ["income"], n_rows=None)
    assert tuple(one.output for one in found) == outputs
    values = table["income"].iloc[found[0].grid.rows].to_numpy()
    theirs = partial_dependence(
        model,
        table[FEATURES],
        ["income"],
        response_method="predict_proba",
        custom_values={"income": values},
    )
    expected = theirs["average"] if len(outputs) > 1 else theirs["average"][-1:]
    for one, average in zip(found, expected, strict=True):
        assert one.space is OutputSpace.PROBABILITY
        np.testing.assert_allclose(one.value, average, rtol=0, atol=1e-12)
    other = feature_effects(adapt(model), evalset, ["income"], n_rows=None, space="log-odds")
    assert other[0].space is OutputSpace.LOG_ODDS and other[0].value.min() < 0


def test_the_positive_class_is_the_persons(table: pd.DataFrame) -> None:
    model = adapt(_fitted(RandomForestClassifier, table, "dear"))
    data = table[[*FEATURES, "dear"]]
    yes = only(feature_effects(model, evalset_from_frame(data, "dear"), ["rooms"]))
    turned = evalset_from_frame(data, "dear", pos_label="no")
    no = only(feature_effects(model, turned, ["rooms"]))
    assert (yes.output, no.output) == ("yes", "no")
    np.testing.assert_allclose(yes.value + no.value, 1.0, atol=1e-12)
    np.testing.assert_allclose(yes.high, 1 - no.low, atol=1e-12)
    odds = only(feature_effects(model, turned, ["rooms"], space="log-odds"))
    same = only(
        feature_effects(model, evalset_from_frame(data, "dear"), ["rooms"], space="log-odds")
    )
    np.testing.assert_allclose(odds.value, -same.value, atol=1e-12)


def test_intervals_are_those_of_a_mean() -> None:
    from scipy.stats import t

    rng = np.random.default_rng(0)
    b = rng.normal(size=30)
    model, evalset = numbers(lambda X: X["a"] * 2 + X["b"], a=rng.normal(size=30), b=b)
    effect = only(feature_effects(model, evalset, ["a"], level=0.9))
    half = t.interval(0.9, 29, scale=b.std(ddof=1) / np.sqrt(30))[1]
    np.testing.assert_allclose(effect.high - effect.value, half, rtol=1e-12)
    np.testing.assert_allclose(effect.value - effect.low, half, rtol=1e-12)
    centred = effect.centred()
    np.testing.assert_allclose(centred.high - centred.low, 0, atol=1e-12)
    np.testing.assert_allclose(centred.value, 2 * (effect.grid.places - effect.grid.places[0]))
    assert centred.centred_at == 0 and effect.average == pytest.approx(
        float((2 * evalset.X["a"] + evalset.X["b"]).mean())
    )


def test_missing_values_are_a_value_of_their_own() -> None:
    a = np.arange(20.0)
    a[[3, 7]] = np.nan
    model, evalset = numbers(lambda X: X["a"].fillna(50), a=a)
    effect = only(feature_effects(model, evalset, ["a"]))
    assert effect.missing is not None and effect.missing[0] == 50
    assert effect.grid.n_missing == 2
    last = effect.frame().iloc[-1]
    assert (last["at"], last["value"], last["near"]) == ("missing", 50.0, 0.1)
    whole = only(feature_effects(model, evalset, ["a"], kind="ale"))
    assert whole.n == 18 and "2 rows of 20 have no value in a" in whole.notes[0]


def test_dates_booleans_categories_and_whole_numbers_keep_their_types() -> None:
    seen: list[pd.DataFrame] = []
    n = 30
    rng = np.random.default_rng(0)

    def function(X: pd.DataFrame) -> Any:
        seen.append(X)
        return (X["when"] - pd.Timestamp("2024-01-01")).dt.days + X["yes"] * 1.0

    columns = {
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 50, n), "D"),
        "yes": rng.random(n) < 0.5,
        "kind": pd.Categorical(rng.choice(["a", "b"], n), categories=["b", "a"], ordered=True),
        "count": rng.integers(0, 200, n).astype(np.int16),
    }
    frame = pd.DataFrame(columns)
    data = frame.assign(target=np.linspace(0, 9, n) ** 2)
    roles = infer_roles(Table.from_frame("t", data), target="target")
    evalset = evalset_from_frame(data, "target", roles=roles.replace_role("when", "feature"))
    model = adapt(lambda X: np.asarray(function(X), dtype=float), "f")
    when, yes, kind, count = feature_effects(
        model, evalset, ["when", "yes", "kind", "count"], n_points=8
    )
    for one in seen:
        assert dict(one.dtypes) == dict(evalset.X.dtypes)
    assert when.grid.kind == "date" and re.fullmatch(r"2024-\d\d-\d\d", when.grid.labels[0])
    day = (when.grid.places - when.grid.places[0]) / 86_400_000
    np.testing.assert_allclose(when.value - when.value[0], day, atol=1e-9)
    assert yes.grid.labels == ("False", "True") and np.diff(yes.value) == pytest.approx(1)
    assert kind.grid.labels == ("b", "a"), "in the order of the categories"
    assert set(count.grid.places) <= set(columns["count"].astype(float))
    assert figures.plot_effects(when).layout.xaxis.type == "date"


# ---- accumulated local effects -----------------------------------------------------------------


def test_accumulated_effect_by_hand() -> None:
    """x·z on the rows (0, 1), (1, 2), (2, 3), (3, 4), three bins with edges 0, 1, 2, 3.

    Steps change the answer by z: on average 1.5 (rows 1 and 2), 3, 4; added up 0, 1.5, 4.5, 8.5.
    The mean over the rows, each in the middle of its bin, is (.75 + .75 + 3 + 6.5) / 4 = 2.75.
    """
    model, evalset = numbers(
        lambda X: X["x"] * X["z"], x=np.arange(4.0), z=np.arange(4.0) + 1, more=[0.1, 5, 3, 4]
    )
    effect = only(feature_effects(model, evalset, ["x"], kind="ale", n_points=6))
    np.testing.assert_allclose(effect.grid.places, [0, 1, 2, 3])
    np.testing.assert_allclose(effect.value, [-2.75, -1.25, 1.75, 5.75], atol=1e-12)
    assert effect.curves is None and effect.n == 4


def test_accumulated_effect_of_features_that_go_together_does_not_extrapolate() -> None:
    """Both features are the same; the model is odd where they differ, which no row does."""
    a = np.linspace(0, 1, 200)

    def function(X: pd.DataFrame) -> Any:
        return X["a"] + np.where(np.abs(X["a"] - X["b"]) > 0.2, 100.0, 0.0)

    model, evalset = numbers(function, a=a, b=a.copy())
    ale = only(feature_effects(model, evalset, ["a"], kind="ale"))
    pdp = only(feature_effects(model, evalset, ["a"]))
    assert np.ptp(ale.value) == pytest.approx(1.0, abs=1e-9)
    assert np.ptp(pdp.value) > 10


def test_accumulated_effect_of_categories_by_hand() -> None:
    """Rows a, a, b, c; f = level² + z·level with z = 0, 1, 2, 3.

    a → b changes 1 + z for the rows at a and b: (1 + 2 + 3) / 3 = 2; b → c changes 3 + z for the
    rows at b and c: (5 + 6) / 2 = 5.5. Values 0, 2, 7.5 with mean (0 + 0 + 2 + 7.5) / 4 = 2.375.
    """
    level = pd.Categorical(["a", "a", "b", "c"], categories=["a", "b", "c"], ordered=True)

    def function(X: pd.DataFrame) -> Any:
        at = X["kind"].cat.codes.to_numpy().astype(float)
        return at**2 + X["z"] * at

    model, evalset = numbers(function, kind=level, z=np.arange(4.0))
    effect = only(feature_effects(model, evalset, ["kind"], kind="ale"))
    assert effect.grid.labels == ("a", "b", "c")
    np.testing.assert_allclose(effect.value, np.array([0, 2, 7.5]) - 2.375, atol=1e-12)


def test_intervals_of_accumulated_effects_hold_what_other_rows_would_give() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    x, z = rng.random(n), rng.normal(size=n)
    model, evalset = numbers(lambda X: X["x"] * (1 + X["z"]), x=x, z=z)
    values, widths = [], []
    for seed in range(60):
        effect = only(
            feature_effects(
                model, evalset, ["x"], kind="ale", n_rows=400, n_points=10, random_state=seed
            )
        )
        values.append(effect.value[-1] - effect.value[0])
        widths.append((effect.high - effect.low)[-1] / 3.92)
    assert np.std(values) > 0
    expected = np.sqrt(1 / 400)  # of the mean of z, times the span of x
    assert np.std(values) == pytest.approx(expected, rel=0.3)
    # the last value is what lies above the mean of the data: about half the span
    assert np.mean(widths) == pytest.approx(expected / np.sqrt(3), rel=0.25)


def test_similar_categories_stand_side_by_side() -> None:
    rng = np.random.default_rng(0)
    kinds = np.array(["hot", "cold", "warm", "cool"])
    at = rng.integers(0, 4, 400)
    degree = np.array([30.0, 0.0, 20.0, 10.0])[at] + 9 * rng.normal(size=400)
    column = pd.Series(kinds[at])
    order = column.iloc[order_levels(column, [pd.Series(degree)])].tolist()
    assert order in (["hot", "warm", "cool", "cold"], ["cold", "cool", "warm", "hot"])


# ---- two features ------------------------------------------------------------------------------


def test_two_way_partial_dependence_is_that_of_scikit_learn(
    forest: Any, houses: EvalSet, table: pd.DataFrame
) -> None:
    pair = ("income", "colour")
    effect = only(two_way_effect(adapt(forest), houses, pair, n_rows=None, n_points=5))
    values = {
        name: table[name].iloc[grid.rows].to_numpy()
        for name, grid in zip(pair, effect.grids, strict=True)
    }
    theirs = partial_dependence(forest, table[FEATURES], list(pair), custom_values=values)
    np.testing.assert_allclose(effect.value, theirs["average"][0], rtol=0, atol=1e-12)
    assert effect.near.shape == effect.value.shape
    for at, colour in enumerate(values["colour"]):
        share = (table["colour"] == colour).mean()
        assert effect.near[:, at].max() <= share + 1e-12


@pytest.mark.parametrize(("function", "strength"), [(np.add, 0.0), (np.multiply, 1.0)])
def test_strength_of_the_interaction(function: Any, strength: float) -> None:
    rng = np.random.default_rng(0)
    a, b = (values - values.mean() for values in rng.normal(size=(2, 60)))
    model, evalset = numbers(lambda X: function(X["a"], X["b"]), a=a, b=b)
    effect = only(two_way_effect(model, evalset, ("a", "b"), n_points=60))
    if strength == 0:
        assert effect.strength == pytest.approx(0, abs=1e-12)
    else:
        assert effect.strength is not None and effect.strength > 0.8


def test_second_order_accumulated_effect_by_hand() -> None:
    """On a full grid of rows x, z = 0 … 3: of x·z what is left of both alone; of x + z nothing."""
    x, z = (side.ravel() for side in np.meshgrid(np.arange(4.0), np.arange(4.0)))
    for function, twist in ((np.multiply, 1.0), (np.add, 0.0)):
        model, evalset = numbers(lambda X, f=function: f(X["x"], X["z"]), x=x, z=z)
        effect = only(two_way_effect(model, evalset, ("x", "z"), kind="ale", n_points=4))
        assert effect.value.shape == (4, 4) and effect.strength is None
        twists = np.diff(np.diff(effect.value, axis=0), axis=1)
        np.testing.assert_allclose(twists, twist, atol=1e-12)
        # rows 0 and 1 share the first bin: its middle .5 counts twice, then 1.5 and 2.5
        middle = 0.25 + 1.5 / 4 + 2.5 / 4
        expected = twist * np.outer(np.arange(4) - middle, np.arange(4) - middle)
        np.testing.assert_allclose(effect.value, expected, atol=1e-12)


def test_pairs_without_rows_are_told() -> None:
    a = np.linspace(0, 1, 100)
    model, evalset = numbers(lambda X: X["a"] + X["b"], a=a, b=a**2)
    joint = only(two_way_effect(model, evalset, ("a", "b"), n_points=8))
    assert joint.sparse[0, -1] and joint.sparse[-1, 0] and not joint.sparse[0, 0]
    both = only(two_way_effect(model, evalset, ("a", "b"), kind="ale", n_points=8))
    assert "hold no row used" in both.notes[0]
    assert "no row" in caption_two_way(joint)


# ---- grids -------------------------------------------------------------------------------------


def test_grids_hold_values_of_the_data_and_how_many_rows_are_near() -> None:
    rng = np.random.default_rng(0)
    column = pd.Series(np.append(rng.exponential(size=5_000), 500.0))
    grid = value_grid(column, "x", n_points=20)
    assert set(grid.places) <= set(column) and (np.diff(grid.places) > 0).all()
    assert grid.places[-1] < 10, "the far value is beyond the grid"
    assert grid.n_outside == len(column) - grid.counts.sum() and grid.n_outside >= 50
    reach = 0.05 * np.ptp(grid.places)
    near = [(np.abs(column - place) <= reach).mean() for place in grid.places]
    np.testing.assert_allclose(grid.near, near, atol=1e-12)
    assert (grid.sparse == (grid.near < 0.01)).all()
    edges = bin_grid(column, "x", np.arange(len(column)), n_bins=10)
    sizes, _ = np.histogram(column, edges.places)
    assert sizes.min() >= 499 and len(edges) == 11


def test_many_categories_are_cut_and_said() -> None:
    column = pd.Series([f"c{k}" for k in range(30) for _ in range(k + 1)])
    grid = value_grid(column, "x")
    assert len(grid) == 20 and "c29" in grid.labels and "c0" not in grid.labels
    assert grid.notes == ("The 20 most frequent of 30 categories.",)
    assert grid.n_outside == sum(range(1, 11))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "number"),
        ([1.5, np.inf], "number"),
        ([True, False], "category"),
        (["a", None], "category"),
        ([[1], [2]], "category"),
        (pd.array([1, None], dtype="Int64"), "number"),
        (pd.to_datetime(["2024-01-01", None]), "date"),
        (pd.to_datetime(["2024-01-01", None]).tz_localize("Europe/Berlin"), "date"),
        (pd.to_timedelta([1, 2], "h"), "number"),
    ],
)
def test_any_column_has_places(values: Any, kind: str) -> None:
    found, places = places_of(pd.Series(values))
    assert found == kind and places.dtype == np.float64 and len(places) == 2


# ---- models that misbehave, and what crosses the seam ------------------------------------------


def test_a_slow_model_answers_fewer_rows_and_says_so() -> None:
    import time

    def slow(X: pd.DataFrame) -> Any:
        time.sleep(0.002 * len(X))
        return X["a"]

    model, evalset = numbers(slow, a=np.arange(100.0))
    effect = only(feature_effects(model, evalset, ["a"], n_points=20, seconds=0.4, name="snail"))
    assert 2 <= effect.n < 100 and effect.n_given == 100
    assert effect.notes == (
        f"{effect.n} rows of 100: more would take the model too long, or too much memory.",
    )


def test_a_random_model_is_told() -> None:
    rng = np.random.default_rng(0)
    model, evalset = numbers(lambda X: X["a"] + rng.normal(size=len(X)), a=np.arange(40.0))
    effect = only(feature_effects(model, evalset, ["a"]))
    assert "differently each time" in effect.notes[0]
    still, evalset = numbers(lambda X: X["a"] * (1 + 1e-7 * rng.random(len(X))), a=np.arange(40.0))
    assert not only(feature_effects(still, evalset, ["a"])).notes


def test_many_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.explainers import effects

    monkeypatch.setattr(effects, "MOST_ANSWERS", 210)
    model, evalset = numbers(lambda X: X["a"], a=np.arange(100.0))
    effect = only(feature_effects(model, evalset, ["a"], n_points=10, name="f"))
    assert effect.n == 210 // len(effect.grid) and f"{effect.n} rows of 100" in effect.notes[0]


def test_rows_without_an_answer_are_left_out_and_counted() -> None:
    a, b = np.arange(50.0), np.arange(50.0) % 5
    model, evalset = numbers(lambda X: np.where(X["b"] == 4, np.nan, X["a"]), a=a, b=b)
    for kind in ("pdp", "ale"):
        effect = only(feature_effects(model, evalset, ["a"], kind=kind))
        assert effect.n == 40 and "10 rows of 50 left out" in effect.notes[-1]
        assert np.isfinite(effect.value).all()
    nothing, evalset = numbers(lambda X: np.full(len(X), np.nan), a=a)
    with pytest.raises(NotApplicable):
        feature_effects(nothing, evalset, ["a"])


def test_constant_all_missing_and_single_rows() -> None:
    model, evalset = numbers(lambda X: X["b"], a=np.full(9, 3.0), b=np.arange(9.0))
    effect = only(feature_effects(model, evalset, ["a"]))
    assert len(effect.grid) == 1 and effect.value[0] == 4.0
    with pytest.raises(NotApplicable, match="one value only"):
        feature_effects(model, evalset, ["a"], kind="ale")
    alone = only(feature_effects(model, evalset, ["b"], n_rows=1))
    assert alone.n == 1 and np.isnan(alone.low).all()
    figures.plot_effects(alone)
    empty = pd.Series([np.nan, np.nan])
    with pytest.raises(NotApplicable, match="No row has a value"):
        value_grid(empty, "x")


def test_requests_that_make_no_sense_are_named(forest: Any, houses: EvalSet) -> None:
    model = adapt(forest)
    for options, words in (
        ({"features": ["height"]}, "no feature 'height'"),
        ({"features": ["income"], "kind": "ice"}, "no kind"),
        ({"features": ["income"], "n_rows": 0}, "n_rows"),
        ({"features": ["income"], "n_points": 1}, "n_points"),
        ({"features": ["income"], "space": "dollars"}, "no unit"),
    ):
        with pytest.raises(ParameterError, match=words):
            feature_effects(model, houses, **options)
    with pytest.raises(NotApplicable, match="does not answer in log-odds"):
        feature_effects(model, houses, ["income"], space="log-odds")
    with pytest.raises(ParameterError, match="Two different features"):
        two_way_effect(model, houses, ("income", "income"))
    with pytest.raises(NotApplicable, match="no order to accumulate over"):
        two_way_effect(model, houses, ("income", "colour"), kind="ale")


def test_a_feature_that_the_model_does_not_read_has_no_effect(
    forest: Any, table: pd.DataFrame
) -> None:
    evalset = evalset_from_frame(table.drop(columns=["dear", "size"]).assign(z=1.0), "price")
    with pytest.raises(NotApplicable, match="does not read 'z'"):
        feature_effects(adapt(forest), evalset, ["z"])


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": None},
        {"outputs": ["a", "b"]},
        {"space": "dollars"},
        {"notes": "none"},
        {"arrays": ()},
        {"arrays": (np.zeros((9, 2, 1)), np.zeros((9, 1)))},
        {"arrays": (np.zeros((3, 2, 1), dtype=np.float32), np.zeros((3, 1)))},
        {"arrays": (np.zeros((3, 3, 1)), np.zeros((3, 1)))},
    ],
)
def test_answers_of_a_worker_are_not_believed_unseen(change: dict[str, Any]) -> None:
    header = {"outputs": ["y"], "space": "probability", "notes": []}
    arrays = (np.zeros((3, 2, 1)), np.zeros((3, 1)))
    assert read_effects(4, 2)(Frame(header, arrays)).own.shape == (3, 1)
    arrays = change.get("arrays", arrays)
    header |= {key: value for key, value in change.items() if key != "arrays"}
    with pytest.raises(FrameError):
        read_effects(4, 2)(Frame(header, arrays))


def test_a_confined_model_gives_the_same_effects(
    forest: Any, houses: EvalSet, tmp_path: Any
) -> None:
    import hashlib

    import joblib

    from dashboard.models.confined import confined_load

    path = tmp_path / "forest.joblib"
    joblib.dump(forest, path)
    content = path.read_bytes()
    model = confined_load(content, "forest.joblib", hashlib.sha256(content).hexdigest())
    for kind in ("pdp", "ale"):
        for feature in ("income", "colour"):
            there = only(feature_effects(model, houses, [feature], kind=kind))
            here = only(feature_effects(adapt(forest), houses, [feature], kind=kind))
            np.testing.assert_array_equal(there.value, here.value)
            pd.testing.assert_frame_equal(
                there.frame().drop(columns="model"), here.frame().drop(columns="model")
            )


# ---- figures -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs(forest: Any, houses: EvalSet) -> dict[str, list[FeatureEffect]]:
    def ridge(X: pd.DataFrame) -> Any:
        return X["income"] * 0.5 + X["rooms"]

    other = adapt(ridge, "ridge")
    return {
        f"{kind} {feature}": [
            only(feature_effects(adapt(forest), houses, [feature], kind=kind, name="<b>forest")),
            only(feature_effects(other, houses, [feature], kind=kind, name="ridge")),
        ]
        for kind in ("pdp", "ale")
        for feature in ("income", "colour")
    }


def test_figures_share_axes_and_say_what_they_show(pairs: dict[str, list[FeatureEffect]]) -> None:
    for name, effects in pairs.items():
        for theme in ("light", "dark"):
            figure = figures.plot_effects(effects, theme=theme)  # type: ignore[arg-type]
            meta = figure.layout.meta
            assert meta["caption"] == caption_effects(effects) and meta["caption"].endswith(".")
            assert meta["features"] == [effects[0].feature]
            lines = [trace for trace in figure.data if trace.showlegend is not False]
            assert [trace.legendgroup for trace in lines] == ["<b>forest", "ridge"], name
            assert "<b>forest" not in str(lines[0].name)
            for trace, effect in zip(lines, effects, strict=True):
                np.testing.assert_allclose(trace.y[: len(effect.grid)], effect.value, rtol=1e-6)
                assert trace.text[0].endswith("are near.")
            beneath = next(trace for trace in figure.data if trace.type == "bar")
            np.testing.assert_array_equal(beneath.y, effects[0].grid.counts)
            assert len(figure.to_json()) < 120_000


def test_single_rows_can_be_clicked(pairs: dict[str, list[FeatureEffect]]) -> None:
    effect = pairs["pdp income"][0]
    figure = figures.plot_effects(effect)
    singles = [trace for trace in figure.data if trace.name == "single rows"]
    assert len(singles) == 40
    assert "40 of them as single curves" in " ".join(figure.layout.title.text.split("<br>"))
    beyond = effect.grid.n_outside
    assert beyond > 0 and f"{beyond} of 200 rows lie beyond the ends" in caption_effects([effect])
    assert [trace.customdata[0][0] for trace in singles] == effect.rows[:40].tolist()
    np.testing.assert_allclose(singles[3].y, effect.curves[3], rtol=1e-6)  # type: ignore[index]
    assert not [
        t for t in figures.plot_effects(pairs["pdp income"]).data if t.name == "single rows"
    ]
    assert all("markers" in trace.mode for trace in singles)  # a browser selects no bare line


def test_single_rows_of_models_side_by_side_have_one_scale(
    pairs: dict[str, list[FeatureEffect]],
) -> None:
    centred = [one.centred() for one in pairs["pdp income"]]
    drawn = [figures.plot_effects(one, curves=True, among=centred) for one in centred]
    assert drawn[0].layout.yaxis.range == drawn[1].layout.yaxis.range
    low, high = drawn[0].layout.yaxis.range
    for one in centred:
        assert one.curves is not None
        assert low < one.curves[:40].min() and one.curves[:40].max() < high
    alone = figures.plot_effects(centred[1], curves=True).layout.yaxis.range
    assert alone != drawn[1].layout.yaxis.range


def test_where_hardly_any_row_lies_is_shaded(pairs: dict[str, list[FeatureEffect]]) -> None:
    effect = pairs["pdp income"][0]
    grid = effect.grid
    near = np.where(grid.places > np.quantile(grid.places, 0.8), 0.001, grid.near)
    effect = replace(effect, grid=replace(grid, near=near))
    assert effect.grid.sparse.any()
    figure = figures.plot_effects(effect)
    shades = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    inside = [
        any(shade.x0 <= place <= shade.x1 for shade in shades) for place in effect.grid.places
    ]
    assert inside == effect.grid.sparse.tolist()
    assert "extrapolate" in figure.layout.meta["caption"]


def test_figures_of_different_things_are_refused(pairs: dict[str, list[FeatureEffect]]) -> None:
    with pytest.raises(ParameterError, match="different features"):
        figures.plot_effects([pairs["pdp income"][0], pairs["ale income"][0]])
    with pytest.raises(ParameterError, match="0 effects"):
        figures.plot_effects([])


def test_tiles_of_two_models_have_the_same_colours(forest: Any, houses: EvalSet) -> None:
    effects: list[TwoWayEffect] = [
        only(two_way_effect(model, houses, ("income", "colour"), n_points=6))
        for model in (adapt(forest), adapt(lambda X: np.asarray(X["rooms"], dtype=float), "r"))
    ]
    limits = figures.two_way_limits(effects)
    for effect in effects:
        figure = figures.plot_two_way(effect, limits=limits)
        tiles = figure.data[0]
        assert (tiles.zmin, tiles.zmax) == limits
        np.testing.assert_allclose(tiles.z, effect.value, rtol=1e-6)
        crosses = [trace for trace in figure.data if trace.name == "no rows near"]
        assert sum(len(trace.x) for trace in crosses) == effect.sparse.sum()
        marks = sum(np.size(trace.customdata) // 3 for trace in figure.data[1:] if trace.customdata)
        assert marks == effect.value.size + sum(effect.value.shape)  # whatever the rows
    flat = only(two_way_effect(adapt(forest), houses, ("income", "rooms"), kind="ale"))
    low, high = figures.two_way_limits([flat])
    assert low == -high
    assert len(flat.frame()) == flat.value.size


def test_tiles_lead_to_rows_and_bars_say_where_the_rows_are(forest: Any, houses: EvalSet) -> None:
    """Each tile's row against a search through all rows; the bars against counts by hand."""
    effect = only(two_way_effect(adapt(forest), houses, ("income", "colour"), n_points=6))
    income, colour = houses.X["income"].to_numpy(), houses.X["colour"].astype(str).to_numpy()
    known = np.isfinite(income)
    places = effect.grids[0].places
    for i, place in enumerate(places):
        for j, name in enumerate(effect.grids[1].labels):
            apart = np.abs(income - place) / np.ptp(places)
            apart = np.where(known, np.maximum(apart, (colour != name) * 1.0), np.inf)
            assert apart[effect.rows[i, j]] == pytest.approx(apart.min(), abs=1e-12)
    nearest = np.abs(income[known, None] - places).argmin(axis=1)
    counted = np.bincount(nearest, minlength=len(places)) / houses.n
    np.testing.assert_allclose(effect.shares[0], counted, atol=1.5 / houses.n)  # ties at middles
    for name, share in zip(effect.grids[1].labels, effect.shares[1], strict=True):
        assert share == pytest.approx((colour == name).mean())
    figure = figures.plot_two_way(effect, theme="dark")
    traces = {trace.name: trace for trace in figure.data}
    np.testing.assert_allclose(traces["rows along income"].x, effect.shares[0], rtol=1e-6)
    np.testing.assert_allclose(traces["rows along colour"].y, effect.shares[1], rtol=1e-6)
    meta = figure.layout.meta
    hit = figures.clicked(meta, traces["tiles"].customdata[1])
    assert (hit.row, hit.feature) == (effect.rows[0, 1], "income")
    assert figures.clicked(meta, traces["rows along colour"].customdata[1]).feature == "colour"


def test_bars_beneath_an_effect_lead_to_a_row_in_them(
    pairs: dict[str, list[FeatureEffect]], houses: EvalSet
) -> None:
    effect = pairs["pdp income"][0]
    grid, income = effect.grid, houses.X["income"].to_numpy()
    assert ((grid.held >= 0) == (grid.counts > 0)).all()
    for row, low, high in zip(grid.held, grid.edges[:-1], grid.edges[1:], strict=True):
        assert row < 0 or low <= income[row] <= high
    figure = figures.plot_effects(pairs["pdp income"])
    bars = next(trace for trace in figure.data if trace.name == "rows")
    assert [mark[0] for mark in bars.customdata] == grid.held.tolist()
    lines = [trace for trace in figure.data if trace.legendgroup and trace.mode == "lines+markers"]
    assert len(lines) == 2  # a browser selects no bare line
    assert figures.clicked(figure.layout.meta, lines[1].customdata[0]) == (
        None, "income", "ridge", None
    )  # fmt: skip


HOSTILE = "<b>x</b> %{x} $y$ <script>"


def test_no_name_is_read_as_markup(houses: EvalSet) -> None:
    frame = houses.X.rename(columns={"income": HOSTILE}).assign(
        colour=houses.X["colour"].replace({"red": HOSTILE}), price=houses.target.y
    )
    evalset = evalset_from_frame(frame.rename(columns={"price": HOSTILE + "y"}), HOSTILE + "y")
    model = adapt(lambda X: np.asarray(X[HOSTILE] * (X["colour"] == HOSTILE), dtype=float), "f")
    drawn = [
        figures.plot_effects(feature_effects(model, evalset, [name], name=HOSTILE))
        for name in (HOSTILE, "colour")
    ]
    pair = only(two_way_effect(model, evalset, (HOSTILE, "colour"), name=HOSTILE, n_points=4))
    lime = only(lime_surrogates(model, evalset, 0, name=HOSTILE, n_samples=200))
    drawn += [figures.plot_two_way(pair), figures.plot_surrogates(lime)]
    for figure in drawn:
        shown = figure.to_plotly_json()
        for key in ("meta", "template", "uirevision"):
            del shown["layout"][key]
        for trace in shown["data"]:
            trace.pop("legendgroup", None)
        written = str(shown)
        assert "<script>" not in written and "<b>x" not in written
        assert "%{x} " not in written and "$y$" not in written
        assert "&lt;" in written
