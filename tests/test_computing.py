"""How contributions are computed: level, engine, draws, seed and background; what is promised."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.stats import norm, t, ttest_ind
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor
from streamlit.testing.v1 import AppTest

from components.explaining import promised
from components.jobs import Job
from components.turns import get_turns
from dashboard.__main__ import main
from dashboard.contracts import Attributions, normal_quantile
from dashboard.data import EvalSet, evalset_from_frame
from dashboard.diagnostics.cohorts import cohort_of, compute_cohorts
from dashboard.diagnostics.waterfalls import compute_waterfalls
from dashboard.errors import ParameterError
from dashboard.explainers.running import CALL_SECONDS
from dashboard.explanation import (
    ExplainOptions,
    background_positions,
    explain,
    explain_in_stages,
    plan_explanation,
    promised_seconds,
)
from dashboard.figures import plot_cohorts, plot_waterfalls
from dashboard.models import adapt
from dashboard.wording import duration

ROOT = Path(__file__).resolve().parent.parent
APP, PAGE = (str(ROOT / one) for one in ("dashboard/app.py", "pages/explanations.py"))
NAMES = list("abcdefgh")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    X = pd.DataFrame(rng.normal(size=(150, len(NAMES))), columns=NAMES)
    return X.assign(y=X["a"] * X["b"] + X["c"])


@pytest.fixture(scope="module")
def evalset(table: pd.DataFrame) -> EvalSet:
    return evalset_from_frame(table, target="y")


def crooked(X: pd.DataFrame) -> Any:
    return X["a"] * X["b"] * X["d"] + np.exp(X["c"]) - X["e"]


# ---- the level -----------------------------------------------------------------------------------


def test_the_quantile_is_that_of_the_normal_distribution() -> None:
    for level in (0.5, 0.8, 0.95, 0.99):
        assert normal_quantile(level) == pytest.approx(norm.ppf((1 + level) / 2), rel=1e-12)
    with pytest.raises(ParameterError, match=r"0 < level < 1, got 95"):
        normal_quantile(95)


def explained(evalset: EvalSet, engine: str, level: float) -> Attributions:
    options = ExplainOptions(engine=engine, level=level, n_background=20, budget=60)
    return explain(crooked, evalset, rows=[0, 1, 2], options=options)


def test_intervals_are_of_the_level_that_is_asked(evalset: EvalSet) -> None:
    usual, narrow = (explained(evalset, "kernel", level) for level in (0.95, 0.8))
    assert narrow.errors is not None and usual.errors is not None
    np.testing.assert_array_equal(usual.values, narrow.values)
    frame = narrow.frame()
    half = norm.ppf(0.9) * narrow.errors.reshape(-1)
    np.testing.assert_allclose(frame["high"] - frame["value"], half, rtol=1e-9)
    np.testing.assert_allclose(frame["value"] - frame["low"], half, rtol=1e-9)
    # of ten groups: Student's distribution with nine degrees, at either level
    wide = t.ppf(0.9, 9) / t.ppf(0.975, 9)
    np.testing.assert_allclose(narrow.spread(), wide * usual.spread(), rtol=1e-9)


def test_figures_draw_and_name_the_level(evalset: EvalSet) -> None:
    narrow = explained(evalset, "permutation", 0.8)
    assert narrow.errors is not None
    (fall,) = compute_waterfalls([narrow], 1)
    np.testing.assert_allclose(fall.spread, norm.ppf(0.9) * fall.errors, rtol=1e-9)
    figure = plot_waterfalls([fall])
    drawn = next(trace for trace in figure.data if trace.name == "steps")
    assert np.max(drawn.error_x.array) == pytest.approx(fall.spread.max(), rel=1e-6)
    said = figure.to_json()
    assert "whiskers: 80 % interval" in said and "95 %" not in said and "(80 % interval" in said


def test_means_over_rows_have_the_level_of_their_values(table: pd.DataFrame) -> None:
    options = ExplainOptions(level=0.8, n_background=20)
    one = explain(lambda X: X["a"] * X["b"] + X["c"], table, target="y", rows=120, options=options)
    cohort = cohort_of(one, "a", low=0.0)
    (found,) = compute_cohorts([one], cohort)
    inside = np.isin(one.rows, list(cohort.rows))
    values = one.values[:, :, 0]
    at = one.feature_names.index(found.features[0])
    theirs = ttest_ind(values[inside, at], values[~inside, at], equal_var=False)
    low, high = theirs.confidence_interval(0.8)
    assert (found.low[0], found.high[0]) == (pytest.approx(low), pytest.approx(high))
    assert "Whiskers: 80 % interval" in plot_cohorts([found]).to_json()


# ---- engine, draws, seed -------------------------------------------------------------------------


def test_a_person_chooses_among_engines_that_only_ask(
    evalset: EvalSet, table: pd.DataFrame
) -> None:
    model = adapt(crooked, "m")
    plan = plan_explanation(model, evalset, ExplainOptions(n_background=10))
    assert [one.key for one in plan.samplers] == ["exact", "kernel", "permutation"]
    for key in ("kernel", "permutation"):
        chosen = plan_explanation(model, evalset, ExplainOptions(n_background=10), sampler=key)
        assert chosen.options.engine == key and chosen.measured
        (one,) = explain_in_stages(model, evalset, "m", plan=chosen, stages=(5,))
        assert one.engine == key
    # a tree is looked into, whatever is chosen for the others
    tree = adapt(DecisionTreeRegressor(max_depth=3).fit(table[NAMES], table["y"]), "t")
    looked = plan_explanation(tree, evalset, sampler="kernel")
    assert looked.samplers == () and looked.options.engine == ""


@pytest.mark.parametrize(
    ("engine", "draws", "said"),
    [
        ("kernel", 50, "50 coalitions a row"),
        ("permutation", 40, "40 orders a row"),
        ("permutation", 9, "9 orders a row, each forwards and backwards, over 9 of 20 background"),
    ],
)
def test_draws_are_counted_as_they_are_asked(
    evalset: EvalSet, engine: str, draws: int, said: str
) -> None:
    options = ExplainOptions(engine=engine, n_background=20, budget=draws)
    one = explain(crooked, evalset, rows=[3], options=options)
    assert any(note.startswith(said) for note in one.notes), one.notes


def test_the_command_line_takes_engine_draws_and_seed(table: pd.DataFrame, tmp_path: Path) -> None:
    model = KNeighborsRegressor(3).fit(table[NAMES], table["y"])
    skops.io.dump(model, tmp_path / "near.skops")
    table.to_csv(tmp_path / "d.csv", index=False)
    out = tmp_path / "o.json"
    asked = ["explain", "--data", str(tmp_path / "d.csv"), "--target", "y", "--rows", "4"]
    asked += ["--model", str(tmp_path / "near.skops"), "--background", "15", "--output", str(out)]
    assert main([*asked, "--engine", "permutation", "--budget", "30", "--seed", "5"]) == 0
    (one,) = json.loads(out.read_text())["explanations"]
    assert one["engine"] == "permutation"
    assert any(note.startswith("30 orders a row") for note in one["notes"])
    known = evalset_from_frame(table, target="y")
    assert one["background"]["rows"] == background_positions(known, 15, 5).tolist()
    assert main([*asked, "--budget", "-1"]) == 2


# ---- what is promised ----------------------------------------------------------------------------


def slow(seconds: float) -> Callable[[pd.DataFrame], Any]:
    def predict(X: pd.DataFrame) -> Any:
        time.sleep(seconds * len(X))
        return X["a"] * X["b"]

    return predict


def test_promises_add_up_what_was_measured(table: pd.DataFrame) -> None:
    from tests.test_plans import offer, run_of

    # .02 s a row, half a second to begin: calls of at most four times that
    begins = offer("exact", "interventional", 4.0)
    plan = run_of(pd.concat([table] * 3).reset_index(drop=True), begins).plan
    calls = int(np.ceil(200 * 0.02 / CALL_SECONDS))
    assert calls == 3 and plan.n_given == 450
    assert promised_seconds(plan, (200, 2_000, None)) == pytest.approx([4.0, 9.0, 9.0])
    assert promised([plan], "some") == [(200, pytest.approx(4.0)), (450, pytest.approx(9.0))]
    # models take turns: as many at once as there is room
    both = promised([plan, plan, plan], "first")
    assert both == [(200, pytest.approx(max(4.0, 12.0 / get_turns().room)))]


@pytest.mark.slow
def test_a_promise_is_kept(evalset: EvalSet) -> None:
    """Measured on 20 rows: what then passes is neither a third nor three times of it."""
    model = adapt(slow(8e-5), "slow")
    options = ExplainOptions(n_background=8, engine="permutation", budget=8)
    plan = plan_explanation(model, evalset, options)
    (said,) = promised_seconds(plan, (None,))
    began = time.monotonic()
    list(explain_in_stages(model, evalset, "slow", plan=plan, stages=(None,)))
    passed = time.monotonic() - began
    assert plan.measured and passed > 0.5
    assert said / 3 < passed < 3 * said


def test_times_are_said_as_people_say_them() -> None:
    said = [duration(seconds) for seconds in (0.2, 12.4, 89.0, 240.0, 9_000.0)]
    assert said == ["under 1 s", "12 s", "89 s", "4 min", "2.5 h"]


def test_the_time_left_is_promised_and_then_follows_the_pace() -> None:
    job = Job("Explaining", lambda _: None)
    job.result()
    assert job.left is None
    job._finished.clear()
    job._started -= 10
    job.report(100, 1_000)
    job.promise(30.0)
    assert job.left == pytest.approx(30.0, abs=0.5)
    assert job.words() == "Explaining, 10% … 10 s, about 30 s left"
    began, start = job._began or (0.0, 0.0)
    job._began = (began - 20, start)
    assert job.left == pytest.approx(10.0, abs=0.5)  # no news: as promised
    job.report(400, 1_000)  # a third of the rest in 20 s
    assert job.left == pytest.approx(40.0, abs=0.5)
    job._began = (began - 100, start)
    job.report(101, 1_000)
    assert job.left is None and job.words().endswith(" s")  # longer than promised


# ---- on the page ---------------------------------------------------------------------------------


def _sound(at: AppTest) -> AppTest:
    assert not at.exception, [one.value for one in at.exception]
    return at


def _said(at: AppTest) -> str:
    texts = [str(one.value) for one in (*at.caption, *at.markdown)]
    return "\n".join([*texts, *(str(one.proto.body) for one in at.get("html"))])


@pytest.mark.slow
def test_the_page_offers_what_there_is_and_keeps_it_in_the_link(table: pd.DataFrame) -> None:
    at = AppTest.from_file(APP, default_timeout=300)
    at.run()
    csv = table.to_csv(index=False).encode()
    at.file_uploader(key="upload-data").upload("d.csv", csv).run()
    model = KNeighborsRegressor(3).fit(table[NAMES], table["y"])
    at.file_uploader(key="upload-models").upload("near.skops", skops.io.dumps(model)).run()
    at.session_state["sidelight"].explore(sampler="kernel", draws=60, seed=3, background=12)
    _sound(at.switch_page(PAGE).run())
    assert (at.query_params["draws"], at.query_params["seed"]) == ("60", "3")
    said = _said(at)
    assert "Kernel SHAP" in said and "60 coalitions a row" in said
    promise = re.search(r"All 150 rows: (about \d+ s|under 1 s), measured on 20 rows", said)
    assert promise, said
    offered = next(one for one in at.radio if one.label == "Shapley values by")
    assert offered.value == "kernel" and len(offered.options) == 4
    assert all(one.label != "What is asked" for one in at.radio)  # there is one question only
    _sound(offered.set_value("permutation").run())
    assert at.query_params["sampler"] == "permutation"
    assert "Antithetic permutations" in _said(at)
    at.session_state["background-rows"] = True
    _sound(at.run())
    listed = next(one.value for one in at.dataframe if "line" in one.value.columns)
    known = evalset_from_frame(table, target="y")
    rows = background_positions(known, 12, 3)
    assert listed["row"].tolist() == listed["line"].tolist() == rows.tolist()
    pd.testing.assert_frame_equal(
        listed[NAMES], table[NAMES].iloc[rows].reset_index(drop=True), atol=1e-12
    )
