"""One category that an encoder does not know costs the rows that hold it, not the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC

from dashboard import evaluate, explain, figures, importances
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.effects import feature_effects, lime_surrogates, two_way_effect
from dashboard.errors import ModelError, NotApplicable
from dashboard.explanation import ExplainOptions, background_positions
from dashboard.figures.effects import caption_effects
from dashboard.figures.two_way_effects import caption_two_way
from dashboard.models import adapt
from dashboard.models.refused_rows import answer_in_parts, filled
from dashboard.settings import get_settings

REFUSED = [5, 77, 200]
N = 240


def _ask_but(refused: list[int], calls: list[int] | None = None) -> Any:
    def ask(at: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        if calls is not None:
            calls.append(len(at))
        if np.isin(at, refused).any():
            raise ValueError("unknown")
        return at * 2.0

    return ask


@pytest.mark.parametrize(
    ("n", "refused"),
    [(2, [1]), (9, [0, 1, 2, 8]), (1_000, [0, 1, 2, 500, 999]), (20, list(range(19)))],
)
def test_exactly_the_rows_on_which_it_fails_are_refused(n: int, refused: list[int]) -> None:
    found = answer_in_parts(_ask_but(refused), n)
    assert found is not None
    assert found.refused.tolist() == refused
    whole = filled(found)
    assert np.flatnonzero(np.isnan(whole)).tolist() == refused
    kept = np.setdiff1d(np.arange(n), refused)
    assert np.array_equal(whole[kept], kept * 2.0)


@pytest.mark.parametrize(
    ("n", "refused"),
    [
        (1, [0]),
        (5, []),
        (5, list(range(5))),
        (1_000, list(range(0, 1_000, 3))),
        (400, list(range(41))),
    ],
)
def test_one_that_fails_on_many_is_not_answered_in_parts(n: int, refused: list[int]) -> None:
    calls: list[int] = []
    assert answer_in_parts(_ask_but(refused, calls), n) is None
    assert len(calls) <= 400 + 16


@pytest.mark.parametrize("bad", ["new", None, float("inf")])
def test_rows_that_share_a_cell_are_found_together(bad: Any) -> None:
    """A tenth of many rows, wherever they lie: in few calls, as one of them tells of the rest."""
    n = 20_000
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=n), "city": rng.choice(["x", "y"], n)})
    refused = np.sort(rng.permutation(n)[: n // 10 - 20])
    rows.loc[refused, "a" if isinstance(bad, float) else "city"] = bad
    calls: list[int] = []
    found = answer_in_parts(_ask_but(refused.tolist(), calls), n, rows)
    assert found is not None and np.array_equal(found.refused, refused)
    assert len(calls) < 80


def test_what_they_share_need_not_be_why(table: pd.DataFrame) -> None:
    """Rows of a city that are answered stay, though one of them is refused."""
    refused = [at for at in range(N) if table["city"][at] == "x"][:2]
    found = answer_in_parts(_ask_but(refused), N, table)
    assert found is not None and found.refused.tolist() == refused


def test_cells_that_cannot_be_compared_are_passed_over() -> None:
    rows = pd.DataFrame({"a": [[1, 2]] * 30, "b": [pd.Timestamp("2024-01-01")] * 30})
    rows["c"] = pd.array(["x", pd.NA] * 15, dtype="string")
    rows["d"] = pd.Categorical(["u", "v", "w"] * 10)
    for refused in ([1, 3], [0, 2], [4, 7]):
        found = answer_in_parts(_ask_but(refused), 30, rows)
        assert found is not None and found.refused.tolist() == refused


def test_chance_is_not_a_matter_of_rows() -> None:
    """A row that fails at one time and not at another is not refused."""
    alone = [0]

    def ask(at: Any) -> Any:
        alone[0] += at.tolist() == [3]
        if 3 in at and alone[0] != 2:
            raise ValueError("now and then")
        return at * 2.0

    assert answer_in_parts(ask, 12) is None


def test_memory_is_no_matter_of_rows() -> None:
    def ask(at: Any) -> Any:
        raise MemoryError

    with pytest.raises(MemoryError):
        answer_in_parts(ask, 100)


# ---- the answers of models -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=N), "city": rng.choice(["x", "y", "z"], N)})
    score = X["a"] + (X["city"] == "x") + 0.3 * rng.normal(size=N)
    X["y"] = np.where(score > 0.3, "yes", "no")
    X["number"] = score
    return X


@pytest.fixture(scope="module")
def unseen(table: pd.DataFrame) -> pd.DataFrame:
    changed = table.copy()
    changed.loc[REFUSED, "city"] = "new"
    return changed


def _fit(last: Any, table: pd.DataFrame, y: Any) -> Any:
    encoder = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    return make_pipeline(encoder, last).fit(table[["a", "city"]], y)


def _estimators(table: pd.DataFrame) -> dict[str, Any]:
    yes = (table["y"] == "yes").to_numpy()
    both = np.column_stack([yes, ~yes]).astype(int)
    forest = RandomForestClassifier(10, max_depth=4, random_state=0)
    return {
        "texts": _fit(forest, table, table["y"]),
        "whole numbers": _fit(LogisticRegression(), table, yes.astype(int)),
        "decision values": _fit(SVC(), table, table["y"]),
        "labels alone": _fit(MultiOutputClassifier(SVC()), table, both),
        "several labels": _fit(RandomForestClassifier(5, random_state=0), table, both),
        "numbers": _fit(LinearRegression(), table, table["number"]),
        "counts": _fit(RandomForestRegressor(5, random_state=0), table, yes.astype(int) * 4),
    }


KINDS = ["texts", "whole numbers", "decision values", "labels alone", "several labels", "numbers"]


@pytest.mark.parametrize("kind", [*KINDS, "counts"])
def test_the_other_rows_are_answered_as_ever(
    kind: str, table: pd.DataFrame, unseen: pd.DataFrame
) -> None:
    estimator = _estimators(table)[kind]
    kept = np.setdiff1d(np.arange(N), REFUSED)
    raw = adapt(estimator, "one").predict(unseen)
    known = table.loc[kept, ["a", "city"]]
    theirs = estimator.predict(known)
    assert np.array_equal(np.asarray(raw.labels)[kept].astype(theirs.dtype), theirs)
    assert pd.isna(np.asarray(raw.labels, dtype=object)[REFUSED]).all()
    if hasattr(estimator, "predict_proba"):
        scores = estimator.predict_proba(known)
        ours = raw.scores if isinstance(raw.scores, list) else [raw.scores]
        for one, other in zip(ours, scores if isinstance(scores, list) else [scores], strict=True):
            assert np.array_equal(one[kept], other)
            assert np.isnan(one[REFUSED]).all()
    elif kind == "decision values":
        assert np.array_equal(raw.scores[kept], estimator.decision_function(known))
    assert any(note.startswith("one failed on 3 of 240 rows: ValueError") for note in raw.notes)


def test_one_that_fails_on_all_says_what_it_said(table: pd.DataFrame) -> None:
    estimator = _estimators(table)["texts"]
    with pytest.raises(ModelError, match="one failed on these rows: ValueError: Found unknown"):
        adapt(estimator, "one").predict(table.assign(city="new"))


def test_missing_values_that_a_model_cannot_take(table: pd.DataFrame) -> None:
    model = LogisticRegression().fit(table[["a"]].to_numpy(), table["y"])
    rows = table[["a"]].copy()
    rows.loc[REFUSED, "a"] = np.nan
    raw = adapt(model, "line").predict(rows)
    assert np.flatnonzero(np.isnan(raw.scores).any(axis=1)).tolist() == REFUSED
    (note,) = [note for note in raw.notes if note.startswith("line failed on 3 of 240 rows")]
    assert "ValueError: Input X contains NaN" in note
    assert note.endswith("Missing values are in a: fill them, or export the pipeline that does.")


def test_a_worker_tells_the_same(table: pd.DataFrame, unseen: pd.DataFrame, tmp_path: Path) -> None:
    estimator = _estimators(table)["texts"]
    skops.io.dump(estimator, tmp_path / "forest.skops")
    rows = unseen[["a", "city", "y"]]
    found = evaluate(rows, target="y", models=tmp_path / "forest.skops", pos_label="yes")
    assert not found.failures
    one = found.predictions[-1]
    kept = np.setdiff1d(np.arange(N), REFUSED)
    assert one.rows.tolist() == kept.tolist()
    assert any("failed on 3 of 240 rows" in note for note in one.notes)
    assert any(note.startswith("3 of 240 rows have no usable score") for note in one.notes)
    theirs = estimator.predict_proba(table.loc[kept, ["a", "city"]])[:, 1]
    auc = roc_auc_score(table.loc[kept, "y"] == "yes", theirs)
    assert roc_auc_score(one.target.y == one.target.pos_label, one.y_score) == auc


# ---- explanations --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evalset(unseen: pd.DataFrame) -> EvalSet:
    return evalset_from_frame(unseen[["a", "city", "y"]], target="y", pos_label="yes")


@pytest.mark.parametrize(
    ("kind", "engine", "known"),
    [
        ("texts", "", 237),
        ("texts", "exact", 237),
        ("whole numbers", "linear", 237),
        ("texts", "tree", None),
    ],
)
def test_rows_and_background_rows_without_an_answer_are_left_out(
    kind: str, engine: str, known: int | None, table: pd.DataFrame, evalset: EvalSet
) -> None:
    estimator = _estimators(table)["texts" if kind == "texts" else kind]
    if kind == "whole numbers":
        estimator.steps[-1][1].classes_ = np.array(["no", "yes"])
    game = "path-dependent" if known is None else "auto"
    options = ExplainOptions("probability", game=game, n_background=N, seed=0)
    if engine in ("exact",):
        options = ExplainOptions("probability", engine=engine, n_background=N, seed=0)
    if engine == "linear":
        options = ExplainOptions("log-odds", n_background=N, seed=0)
    one = explain(estimator, evalset, options=options)
    kept = np.setdiff1d(np.arange(N), REFUSED)
    assert sorted(one.rows.tolist()) == kept.tolist()
    assert "3 of 240 rows are left out: the model gives no number for them." in one.notes
    said = "237 of 240 background rows stand in for unknown features"
    assert any(note.startswith(said) for note in one.notes) == (known is not None)
    rows = table.loc[one.rows, ["a", "city"]]
    if engine == "linear":
        margins = estimator.decision_function(table.loc[kept, ["a", "city"]])
        assert one.base_values[0] == pytest.approx(margins.mean(), abs=1e-9)
        theirs = estimator.decision_function(rows)
    else:
        theirs = estimator.predict_proba(rows)[:, 1]
    total = one.base_values[0] + one.values[:, :, 0].sum(axis=1)
    assert total == pytest.approx(theirs, abs=1e-9)
    if known is not None and kind == "texts":
        mean = estimator.predict_proba(table.loc[kept, ["a", "city"]])[:, 1].mean()
        assert one.base_values[0] == pytest.approx(mean, abs=1e-9)


def test_background_rows_that_only_the_last_step_refuses(table: pd.DataFrame) -> None:
    """Preparing them works, and trees would walk on with what the model itself refuses."""
    model = GradientBoostingClassifier(n_estimators=10, random_state=0)
    model = model.fit(table[["a"]].assign(b=np.arange(N) % 7), table["y"])
    rows = table[["a"]].assign(b=np.arange(N) % 7.0, y=table["y"])
    rows.loc[REFUSED, "b"] = np.nan
    data = evalset_from_frame(rows, target="y", pos_label="yes")
    options = ExplainOptions("log-odds", "interventional", n_background=N)
    one = explain(model, data, options=options)
    kept = np.setdiff1d(np.arange(N), REFUSED)
    margins = model.decision_function(rows.loc[kept, ["a", "b"]])
    assert one.base_values[0] == pytest.approx(margins.mean(), abs=1e-9)
    assert any(note.startswith("237 of 240 background rows") for note in one.notes)


def test_a_row_without_an_answer_says_what_the_model_said(
    table: pd.DataFrame, evalset: EvalSet
) -> None:
    estimator = _estimators(table)["texts"]
    with pytest.raises(ModelError, match=r"gives no number .*Found unknown categories \['new'\]"):
        explain(estimator, evalset, rows=[5])
    one = explain(estimator, evalset, rows=[5, 6])
    assert one.rows.tolist() == [6]
    assert "1 of 2 rows are left out: the model gives no number for them." in one.notes


def test_the_first_rows_may_be_refused(table: pd.DataFrame) -> None:
    """They are those on which a model is tried when it is taken apart."""
    changed = table[["a", "city", "y"]].copy()
    changed.loc[:1, "city"] = "new"
    estimator = _estimators(table)["texts"]
    rows = evalset_from_frame(changed, target="y", pos_label="yes")
    background = background_positions(rows, 100, 0)
    one = explain(estimator, rows, rows=[0, 1, 2, 3], options=ExplainOptions(n_background=100))
    assert one.rows.tolist() == [2, 3]
    assert len(background) == 100


@pytest.mark.parametrize("method", ["permutation", "native", "shap", "drop-column"])
def test_importances_say_how_many_rows_are_left_out(
    method: str, table: pd.DataFrame, unseen: pd.DataFrame
) -> None:
    estimator = _estimators(table)["texts"]
    rows = unseen[["a", "city", "y"]]
    found = importances({"forest": estimator}, rows, target="y", method=method)
    assert not found.failures
    (one,) = found.importances
    assert set(one.features) == {"a", "city"}
    assert np.isfinite(one.values).all()
    said = {"permutation": "3 of 240 rows got no usable answer", "shap": "3 of 240 rows are left"}
    if method in said:
        assert any(note.startswith(said[method]) for note in one.notes), one.notes


def test_rows_that_are_refused_lend_and_take_no_shuffled_values() -> None:
    """Shuffled they would be answered, and be scored against a truth of their own."""
    rng = np.random.default_rng(3)
    X = pd.DataFrame({"a": rng.normal(size=300), "c": rng.normal(size=300)})
    y = 2 * X["a"] + 0.1 * rng.normal(size=300)
    model = LinearRegression().fit(X, y)
    bad = rng.permutation(300)[:15]
    X.loc[bad, "c"], y[bad] = np.nan, 50.0
    found = importances({"line": model}, X.assign(y=y), target="y", metric="rmse", n_rows=None)
    kept = np.setdiff1d(np.arange(300), bad)
    theirs = permutation_importance(
        model, X.loc[kept], y[kept], scoring="neg_root_mean_squared_error", n_repeats=5,
        random_state=get_settings().random_state,
    )  # fmt: skip
    (one,) = found.importances
    assert one.n == 285 and one.values == pytest.approx(theirs.importances_mean, abs=1e-12)
    assert one.notes[0].startswith("285 of 300 rows, 5 repeats")
    assert "15 of 300 rows got no usable answer and are left out." in one.notes


def test_the_neighbours_of_lime_take_values_that_are_answered(
    table: pd.DataFrame, evalset: EvalSet
) -> None:
    model = adapt(_estimators(table)["texts"], "forest")
    (one,) = lime_surrogates(model, evalset, 6, n_samples=500)
    assert any(
        note.startswith("Neighbours take their values from 237 of 240") for note in one.notes
    )
    assert np.isfinite(one.weights).all()
    with pytest.raises(NotApplicable, match="no number for this row"):
        lime_surrogates(model, evalset, 5, n_samples=500)


def test_effects_leave_out_the_rows_that_are_refused(table: pd.DataFrame, evalset: EvalSet) -> None:
    estimator = _estimators(table)["texts"]
    (one,) = feature_effects(adapt(estimator, "forest"), evalset, ["a"], n_rows=None)
    kept = np.setdiff1d(np.arange(N), REFUSED)
    assert sorted(one.rows.tolist()) == kept.tolist()
    assert any(note.startswith("3 rows of 240 left out: the model gives no") for note in one.notes)
    rows = table.loc[kept, ["a", "city"]]
    for place, average in zip(one.grid.places, one.value, strict=True):
        theirs = estimator.predict_proba(rows.assign(a=place))[:, 1].mean()
        assert average == pytest.approx(theirs, abs=1e-12)


def test_effects_of_one_that_fails_on_all_say_why(table: pd.DataFrame) -> None:
    few = table[["a", "city", "y"]].head(12).assign(city="new")
    model = adapt(_estimators(table)["texts"], "forest")
    with pytest.raises(ModelError, match="Found unknown categories"):
        feature_effects(model, evalset_from_frame(few, target="y"), ["a"])


def test_the_effect_of_a_column_whose_missing_values_are_refused(table: pd.DataFrame) -> None:
    model = LogisticRegression().fit(table[["a"]], table["y"])
    rows = table[["a", "y"]].copy()
    rows.loc[REFUSED, "a"] = np.nan
    data = evalset_from_frame(rows, target="y", pos_label="yes")
    (one,) = feature_effects(adapt(model, "line"), data, ["a"], n_rows=None)
    assert one.missing is None and one.n == N - len(REFUSED)
    assert "The model gives no number where a is missing." in one.notes
    theirs = model.predict_proba(pd.DataFrame({"a": one.grid.places}))[:, 1]
    assert one.value == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("n_rows", [3, None])
def test_the_effect_of_the_very_column_has_a_gap(
    n_rows: int | None, table: pd.DataFrame, evalset: EvalSet
) -> None:
    estimator = _estimators(table)["texts"]
    model = adapt(estimator, "forest")
    (one,) = feature_effects(model, evalset, ["city"], n_rows=n_rows)
    new = one.grid.labels.index("new")
    assert len(one.grid.labels) == 4
    assert "The model gives no number where city = new." in one.notes
    assert np.flatnonzero(np.isnan(one.value)).tolist() == [new]
    rows = table.loc[one.rows, ["a", "city"]]
    for label, value in zip(one.grid.labels, one.value, strict=True):
        if label != "new":
            theirs = estimator.predict_proba(rows.assign(city=label))[:, 1].mean()
            assert value == pytest.approx(theirs, abs=1e-12)
    assert one.range == pytest.approx(np.ptp(np.delete(one.value, new)))
    assert "nan" not in caption_effects([one])
    assert one.centred().centred_at == (1 if new == 0 else 0)
    figures.plot_effects([one])
    figures.plot_effects(one.centred(), curves=True)


def test_two_features_one_of_which_holds_what_is_refused(
    table: pd.DataFrame, evalset: EvalSet
) -> None:
    estimator = _estimators(table)["texts"]
    model = adapt(estimator, "forest")
    (one,) = two_way_effect(model, evalset, ("a", "city"), n_rows=None)
    assert "The model gives no number where city = new." in one.notes
    new, x = (one.grids[1].labels.index(label) for label in ("new", "x"))
    assert np.flatnonzero(np.isnan(one.value).all(axis=0)).tolist() == [new]
    kept = np.setdiff1d(np.arange(N), REFUSED)
    rows = table.loc[kept, ["a", "city"]]
    theirs = estimator.predict_proba(rows.assign(a=one.grids[0].places[2], city="x"))[:, 1].mean()
    assert one.value[2, x] == pytest.approx(theirs, abs=1e-12)
    known = table[["a", "city", "y"]].assign(
        city=np.where(table.index.isin(REFUSED), "x", table["city"])
    )
    (whole,) = two_way_effect(
        model, evalset_from_frame(known, target="y", pos_label="yes"), ("a", "city"), n_rows=None
    )
    assert one.strength == pytest.approx(whole.strength, abs=0.02)
    figures.plot_two_way(one)
    assert "nan" not in caption_two_way(one)
