"""Which question and which engine: capability first, then exactness and time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.contracts import OutputSpace
from dashboard.data import evalset_from_frame
from dashboard.errors import NotApplicable, ParameterError
from dashboard.explainers import planning
from dashboard.explainers.blocks import PlanAnswer
from dashboard.explainers.ordering import background_of
from dashboard.explainers.plans import ExplainOptions, Plan, choose_game
from dashboard.explainers.running import CALL_SECONDS, Run
from dashboard.explainers.staging import Collected
from dashboard.explainers.subjects import Offer
from dashboard.explanation import explain
from dashboard.models import adapt

MEASURED = ("Its time was measured on some of the rows.",)


def offer(key: str, game: str, first: float, *, exact: bool = True, **more: Any) -> Offer:
    """One whose first 200 rows take so many seconds."""
    more = {"notes": MEASURED, **more}
    return Offer(key, key.title(), game, exact, 0.0, first / 200, **more)


def answer(*offers: Offer, cells: tuple[int, ...] | None = None) -> PlanAnswer:
    return PlanAnswer(
        ("a", "b"), ("y",), (OutputSpace.TARGET,), OutputSpace.TARGET, offers, cells, 2, ()
    )


INTERVENTIONAL = ("exact", "interventional")
SAMPLED = {"key": "kernel", "game": "interventional", "exact": False}


@pytest.mark.parametrize(
    ("offers", "game"),
    [
        # background values compare across models, where they are quick
        ([offer(*INTERVENTIONAL, 2.9), offer("tree", "path-dependent", 0.1)], "interventional"),
        ([offer(*INTERVENTIONAL, 3.1), offer("tree", "path-dependent", 9.0)], "path-dependent"),
        # a time that was not measured may be three times as long
        (
            [offer(*INTERVENTIONAL, 1.1, notes=()), offer("tree", "path-dependent", 0.1)],
            "path-dependent",
        ),
        # exact values are worth ten seconds where nothing else is exact
        ([offer(*INTERVENTIONAL, 9.9), offer(**SAMPLED, first=0.1)], "interventional"),
        (
            [
                offer(*INTERVENTIONAL, 9.9),
                offer("gradients", "expected gradients", 0.1, exact=False),
            ],
            "interventional",
        ),
        # networks: sampled values of background rows where they are quick, else gradients
        (
            [
                offer(**SAMPLED, first=2.9),
                offer("gradients", "expected gradients", 0.1, exact=False),
            ],
            "interventional",
        ),
        (
            [
                offer(**SAMPLED, first=3.1),
                offer("gradients", "expected gradients", 40.0, exact=False),
            ],
            "expected gradients",
        ),
        # a refused engine is none
        (
            [
                offer("tree", "path-dependent", 0.1, refusal="No counts."),
                offer(**SAMPLED, first=90),
            ],
            "interventional",
        ),
    ],
)
def test_the_question_is_the_one_that_compares_where_it_is_quick(
    offers: list[Offer], game: str
) -> None:
    assert choose_game(answer(*offers), ExplainOptions()) == game


def test_pictures_are_asked_for_gradients_though_sampling_is_quick() -> None:
    offers = (
        offer(**SAMPLED, first=0.1),  # type: ignore[arg-type]
        offer("gradients", "expected gradients", 0.1, exact=False),
    )
    assert choose_game(answer(*offers), ExplainOptions()) == "interventional"
    assert choose_game(answer(*offers, cells=(4, 4)), ExplainOptions()) == "expected gradients"


def test_what_cannot_be_had_is_refused_with_the_reasons() -> None:
    found = answer(
        offer("tree", "path-dependent", 1.0, refusal="It is no tree."),
        offer("exact", "interventional", 1.0, refusal="Too many features."),
    )
    with pytest.raises(NotApplicable, match=r"No engine can explain .* no tree\. Too many feat"):
        choose_game(found, ExplainOptions())
    tried = answer(
        offer("tree", "path-dependent", 1.0, refusal="It is no tree."),
        *(
            offer(
                key,
                "interventional",
                1.0,
                refusal=f"{key.title()} was put aside: it is off by {off}.",
            )
            for key, off in (("exact", "4.1"), ("kernel", "1,234"), ("permutation", "7"))
        ),
    )
    with pytest.raises(NotApplicable) as refused:
        choose_game(tried, ExplainOptions())
    assert refused.value.reason == (
        "No engine can explain this model. It is off by 4.1. Tried: Exact, Kernel and Permutation."
    )
    with pytest.raises(NotApplicable, match=r"No engine gives path-dependent .* no tree\.$"):
        choose_game(found, ExplainOptions(game="path-dependent"))
    with pytest.raises(NotApplicable, match="Too many features"):
        choose_game(found, ExplainOptions(engine="exact"))
    with pytest.raises(ParameterError, match=r"no engine 'magic'\. Engines: tree, exact"):
        choose_game(found, ExplainOptions(engine="magic"))


# ---- engines for the rows that are wanted ------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    X = pd.DataFrame(rng.normal(size=(400, 2)), columns=["a", "b"])
    return X.assign(y=X["a"] + X["b"])


def run_of(table: pd.DataFrame, *offers: Offer, **options: Any) -> Run:
    evalset = evalset_from_frame(table, target="y")
    background = np.arange(5)
    chosen = ExplainOptions(**options)
    found = answer(*offers)
    game = choose_game(found, chosen)
    plan = Plan(
        found, chosen, game, background_of(evalset, background, game), background, evalset.n
    )
    collected = Collected(np.arange(400), 2, 1)
    model = adapt(lambda X: X["a"], "m")
    return Run(model, evalset, "m", plan, None, evalset.X, {}, collected)


def test_engines_are_tried_by_exactness_and_time_and_never_answer_another_question(
    table: pd.DataFrame,
) -> None:
    slow_to_begin = Offer("bulk", "Bulk", "path-dependent", True, 2.0, 0.0001, notes=MEASURED)
    by_row = Offer("tree", "Tree", "path-dependent", True, 0.0, 0.02, notes=MEASURED)
    sampled = offer(**SAMPLED, first=0.1)  # type: ignore[arg-type]
    run = run_of(table, slow_to_begin, by_row, sampled)
    assert [one.key for one in run.plan.engines(5)] == ["tree", "bulk", "kernel"]
    assert [one.key for one in run.plan.engines(400)] == ["bulk", "tree", "kernel"]
    asked = run_of(table, slow_to_begin, by_row, sampled, game="path-dependent")
    assert [one.key for one in asked.plan.engines(5)] == ["tree", "bulk"]
    assert run.plan.seconds(50) == pytest.approx(1.0) and run.plan.seconds() == pytest.approx(2.04)


def test_engines_that_were_put_aside_are_not_asked_again(table: pd.DataFrame) -> None:
    run = run_of(table, offer(*INTERVENTIONAL, 0.1), offer(**SAMPLED, first=0.1))  # type: ignore[arg-type]
    for key, left in (("exact", "kernel"), ("kernel", "")):
        first = run.engine(10)
        assert first.key == key
        run.put_aside(first, f"{key} was put aside: it is wrong.")
        if left:
            assert run.engine(10).key == left
    with pytest.raises(NotApplicable, match=r"m cannot be explained: exact was put .* kernel was"):
        run.engine(10)


def test_rows_of_a_call_follow_the_times_of_the_calls_before(table: pd.DataFrame) -> None:
    planned = offer(*INTERVENTIONAL, 20.0)  # .1 s a row
    run = run_of(table, planned)
    assert run._call_rows(planned, 400) == int(CALL_SECONDS / 0.1)
    # one size: not slower than the plan said, but quicker where it was
    run.times[planned.key] = [(10, 0.5)]
    assert run._pace(planned) == (0.0, 0.05)
    # two sizes tell what beginning takes: .2 s, and .01 s a row
    run.times[planned.key] = [(10, 0.3), (100, 1.2)]
    fixed, per_row = run._pace(planned)
    assert (fixed, per_row) == (pytest.approx(0.2), pytest.approx(0.01))
    assert run._call_rows(planned, 400) == int(CALL_SECONDS / 0.01)
    assert run._call_rows(planned, 200) == 200  # a little longer than to begin once more


# ---- times that could not be measured -----------------------------------------------------------


def test_what_is_not_finished_in_a_trial_is_a_guess(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_row = planning._unfinished(offer("kernel", "interventional", 0.1), True)
    assert by_row.seconds_per_row == planning.SLOW / 2 and by_row.notes == (planning.GUESSED,)
    at_first = planning._unfinished(offer("bulk", "path-dependent", 0.1), False)
    assert at_first.seconds_fixed == planning.UNFINISHED * planning.SLOW
    assert at_first.seconds_per_row == offer("bulk", "path-dependent", 0.1).seconds_per_row
    # a trial without any time ends at its first look at the clock, and the values still come
    monkeypatch.setattr(planning, "SLOW", 0.0)
    one = explain(lambda X: X["a"] * X["b"], table, target="y", rows=3)
    assert one.n == 3 and one.engine in ("exact", "kernel", "permutation")
