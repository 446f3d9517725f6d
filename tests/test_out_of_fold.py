"""Answers out of fold as predictions of their own: added once, kept, joined to other rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from streamlit.testing.v1 import AppTest

from components.asking import Answer
from components.entries import ModelEntry
from components.out_of_fold import FoldAnswers, add, fold_answers
from components.snapshots import Readers, restore, snapshot
from components.state import AppState
from dashboard.contracts import Predictions
from dashboard.data import ALL_ROWS, EvalSet, build_evalset, read_predictions
from dashboard.learning.cross_validation import (
    CrossValidation,
    FoldOptions,
    cross_validation_in_stages,
)
from dashboard.models import adapt
from dashboard.settings import get_settings


def _frame(case: str) -> tuple[pd.DataFrame, Any]:
    """Rows whose target is `y`, and what is fitted to them."""
    if case in ("time", "values"):
        rows = load_diabetes(as_frame=True).frame.iloc[:60].rename(columns={"target": "y"})
        if case == "time":
            rows["day"] = pd.date_range("2026-01-01", periods=len(rows)).astype(str)
        return rows, LinearRegression()
    rows = load_iris(as_frame=True).frame.iloc[::2].rename(columns={"target": "y"})
    if case == "words":
        rows["y"] = np.array(["no", "NA", "none"])[rows["y"]]
    if case == "ids":
        rows.insert(0, "id", [f"r{k:03d}" for k in range(len(rows))])
        return rows.iloc[::-1], KNeighborsClassifier(3)
    rows["split"] = np.where(np.arange(len(rows)) % 3 == 0, "test", "train")
    return rows, DecisionTreeClassifier(max_depth=3, random_state=0)


def _loaded(rows: pd.DataFrame) -> AppState:
    state = AppState()
    state.open_data("rows.csv", rows.to_csv(index=False).encode())
    return state


def _ground(state: AppState) -> EvalSet:
    assert state.table is not None and state.roles is not None
    return build_evalset(state.table, state.roles, split_value=ALL_ROWS)


def crossed(state: AppState, estimator: Any) -> tuple[CrossValidation, EvalSet]:
    """Cross-validated on all rows but the test part, as the page does."""
    evalset = _ground(state)
    target = evalset.target
    truth = np.array(target.labels)[target.y] if target.labels else target.y
    model = adapt(estimator.fit(evalset.X, truth), "m")
    *_, last = cross_validation_in_stages(model, evalset, "m", FoldOptions(n_splits=3))
    return last, evalset


def _given(case: str) -> tuple[AppState, EvalSet, Predictions, FoldAnswers]:
    rows, estimator = _frame(case)
    state = _loaded(rows)
    found, evalset = crossed(state, estimator)
    out = found.out_of_fold(evalset)
    return state, evalset, out.predictions(evalset), fold_answers(out, evalset)


@pytest.mark.parametrize("case", ["values", "time", "words", "ids", "split"])
def test_every_page_reads_them_row_by_row(case: str) -> None:
    state, evalset, told, given = _given(case)
    add(state, "", given)
    (entry,) = state.entries
    assert entry.name == "m (out of fold)" and entry.table is not None
    judged = evalset
    if evalset.split is not None:  # the pages look at the training part, in another order of rows
        assert state.table is not None
        judged = build_evalset(state.table, state.roles, split_value="train")
        assert judged.n < evalset.n
    read = read_predictions(entry.table, judged, entry.columns)
    seen = Predictions.normalise(read, judged.target.known_to([read]), name="m")
    first, second = evalset.row_numbers[told.rows], judged.row_numbers[seen.rows]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(told.y_pred, seen.y_pred)
    if told.y_score is not None:
        np.testing.assert_allclose(told.y_score, seen.y_score, atol=1e-12)
    np.testing.assert_array_equal(np.sort(given.rows), np.sort(first))
    if case == "time":  # the first half is judged by nobody
        assert seen.n == 30 and any("30 of 60 rows" in note for note in read.notes)


def test_once_in_its_own_colour_below_its_model_and_removed_like_others() -> None:
    state, _, _, given = _given("values")
    for key in "ab":
        state.add_entry(ModelEntry(key * 64, key, f"{key}.skops", state.free_slot()))
    add(state, "a" * 64, given)
    add(state, "a" * 64, given)
    assert [one.name for one in state.entries] == ["a", "m (out of fold)", "b"]
    assert len({one.slot for one in state.entries}) == 3
    assert given.digest in state.files
    state.remove(given.digest)
    assert [one.name for one in state.entries] == ["a", "b"] and given.digest not in state.files


def test_no_more_than_are_compared_at_once() -> None:
    state, _, _, given = _given("values")
    for k in range(get_settings().max_models):
        state.add_entry(ModelEntry(f"{k:064d}", str(k), f"{k}.skops", state.free_slot()))
    add(state, "", given)
    assert len(state.entries) == get_settings().max_models


def test_a_workspace_keeps_them(tmp_path: Path) -> None:
    state, _, told, given = _given("split")
    add(state, "", given)
    state.rename(given.digest, "Ours")
    for digest, content in state.files.items():
        (tmp_path / digest).write_bytes(content if isinstance(content, bytes) else b"")
    fresh = AppState()
    nothing: Any = None
    readers = Readers(lambda digest: tmp_path / digest, nothing, nothing)
    restore(fresh, json.loads(json.dumps(snapshot(state))), readers)
    (entry,), (before,) = fresh.entries, state.entries
    assert entry.name == "Ours" and entry.style == before.style
    assert entry.columns == before.columns and entry.key == before.key
    assert entry.table is not None and before.table is not None
    pd.testing.assert_frame_equal(entry.table.frame, before.table.frame)
    assert told.n == 50


def _page() -> None:
    """A page with nothing but the offer."""
    from components.out_of_fold import offer
    from components.state import app_state
    from tests.test_out_of_fold import prepared

    answer, evalset = prepared(app_state())
    offer(app_state(), answer, evalset)


def prepared(state: AppState) -> tuple[Answer[CrossValidation], EvalSet]:
    """The data, once, and what was asked of its rows in order of time."""
    if state.table is None:
        rows, _ = _frame("time")
        state.open_data("rows.csv", rows.to_csv(index=False).encode())
    found, evalset = crossed(state, LinearRegression())
    entry = ModelEntry("a" * 64, "m", "m.skops", 0)
    return Answer(entry, found, ("tested",), True), evalset


def test_a_button_says_for_how_many_rows_and_is_gone_once_it_was_used() -> None:
    at = AppTest.from_function(_page, default_timeout=60).run()
    assert not at.exception
    said = [one.value for one in at.caption]
    assert said == ["30 of 60 evaluated rows have an answer."]
    (button,) = at.button
    assert not button.disabled
    button.click()
    at.run()
    assert not at.exception and not at.button
    assert "is among the models" in at.markdown[0].value
    state: AppState = at.session_state["sidelight"]
    assert [one.name for one in state.entries] == ["m (out of fold)"]


def test_rows_that_no_fold_touches_cannot_be_compared() -> None:
    def page() -> None:
        from components.asking import Answer
        from components.entries import ModelEntry
        from components.out_of_fold import offer, offer_all_rows
        from components.state import app_state
        from tests.test_out_of_fold import crossed, split_rows

        state = app_state()
        if state.table is None:
            state.open_data("rows.csv", split_rows())
        from sklearn.tree import DecisionTreeClassifier

        found, evalset = crossed(state, DecisionTreeClassifier(random_state=0))
        answer = Answer(ModelEntry("a" * 64, "m", "m", 0), found, ("split",), True)
        offer_all_rows(state, [offer(state, answer, evalset)])

    at = AppTest.from_function(page, default_timeout=60).run()
    assert not at.exception
    assert at.button[0].disabled
    said = " ".join(one.value for one in at.caption)
    assert "0 of 25 evaluated rows have an answer." in said and "are in no fold" in said
    at.button(key="out-of-fold-all-rows").click()
    at.run()
    assert not at.exception and len(at.button) == 1 and not at.button[0].disabled
    assert [one.value for one in at.caption] == ["50 of 75 evaluated rows have an answer."]


def split_rows() -> bytes:
    """A table with a test part, which is what pages evaluate by themselves."""
    return _frame("split")[0].to_csv(index=False).encode()
