"""Which rows are proposed: worked out by hand for every task and kind of score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dashboard.contracts import ScoreKind, Task
from dashboard.diagnostics.picking import (
    PICKS,
    confident_and_wrong,
    models_disagree,
    most_wrong,
    random_rows,
    wrong_rows,
)
from dashboard.errors import NotApplicable
from tests.drawn import given

BINARY = {"labels": ("no", "yes"), "pos_label": 1}
Y = [1, 0, 1, 0, 1]


def _binary(scores: list[float], name: str = "forest", **options: object):  # type: ignore[no-untyped-def]
    return given(Task.BINARY, Y, y_score=np.asarray(scores), name=name, **BINARY, **options)  # type: ignore[arg-type]


def test_most_wrong_gives_the_truth_least() -> None:
    found = most_wrong([_binary([0.9, 0.2, 0.1, 0.8, 0.6])])
    assert found.rows.tolist() == [2, 3, 4, 1, 0]
    assert found.score == pytest.approx([0.9, 0.8, 0.4, 0.2, 0.1])
    assert found.truth[:2] == ("yes", "no")
    assert found.answers["forest"][:2] == ("no (90 %)", "yes (80 %)")
    assert found.why[0] == "forest gives the true class “yes” only 10 %."
    assert found.frame().columns.tolist() == ["row", "truth", "forest", "score", "why"]


def test_errors_are_averaged_over_models() -> None:
    models = [_binary([0.9, 0.2, 0.4, 0.8, 0.6]), _binary([0.1, 0.0, 0.0, 0.1, 0.5], "b")]
    found = most_wrong(models, 2)
    assert found.rows.tolist() == [2, 0]  # (.6 + 1) / 2, (.1 + .9) / 2
    assert found.score == pytest.approx([0.8, 0.5])
    assert found.why[1] == "b gives the true class “yes” only 10 %."


def test_confident_and_wrong_leaves_out_what_is_right() -> None:
    found = confident_and_wrong([_binary([0.9, 0.7, 0.1, 0.2, 0.45])])
    assert found.rows.tolist() == [2, 1, 4]
    assert found.score == pytest.approx([0.9, 0.7, 0.55])
    assert (found.n_found, found.n) == (3, 5)
    assert found.why[0] == "forest says no (90 %); the truth is “yes”."
    shifted = confident_and_wrong(
        [_binary([0.9, 0.7, 0.1, 0.2, 0.45])], thresholds={"forest": 0.75}
    )
    assert shifted.rows.tolist() == [2, 4]


def test_the_other_class_can_be_the_positive_one() -> None:
    turned = given(
        Task.BINARY, Y, y_score=[0.9, 0.2, 0.1, 0.8, 0.6], labels=("no", "yes"), pos_label=0
    )
    assert most_wrong([turned]).rows.tolist() == [0, 1, 4, 3, 2]


def test_unbounded_scores_go_through_the_logistic_curve() -> None:
    logits = _binary([2.0, -3.0, 0.5, 1.0, -1.0], score_kind=ScoreKind.LOGIT)
    found = most_wrong([logits], 2)
    assert found.rows.tolist() == [3, 4]
    assert found.score == pytest.approx([1 / (1 + np.exp(-1.0))] * 2)
    assert confident_and_wrong([logits]).rows.tolist() == [3, 4]


def test_labels_alone_are_right_or_wrong() -> None:
    labels = given(Task.BINARY, Y, y_pred=np.array([1, 0, 0, 0, 1]), **BINARY)  # type: ignore[arg-type]
    assert most_wrong([labels]).rows.tolist() == [2]
    with pytest.raises(NotApplicable, match="labels only"):
        confident_and_wrong([labels])


def test_models_disagree_on_what_they_call_differently() -> None:
    models = [_binary([0.9, 0.6, 0.1, 0.3, 0.6]), _binary([0.1, 0.55, 0.2, 0.6, 0.9], "b")]
    found = models_disagree(models)
    assert found.rows.tolist() == [0, 3]
    assert found.score == pytest.approx([0.8, 0.3])
    assert found.why[1] in (
        "b says yes (60 %), forest says no (70 %).",
        "forest says no (70 %), b says yes (60 %).",
    )
    with pytest.raises(NotApplicable, match="second model"):
        models_disagree(models[:1])


def test_numbers_are_wrong_by_their_distance() -> None:
    one = given(Task.REGRESSION, [10.0, 20.0, 30.0], y_pred=[11.0, 26.0, 30.0], name="a")
    two = given(Task.REGRESSION, [10.0, 20.0, 30.0], y_pred=[10.0, 20.0, 40.0], name="b")
    assert most_wrong([one]).rows.tolist() == [1, 0]  # the third is right
    assert most_wrong([one]).why[0] == "a says 26.0; the truth is 20.0."
    found = models_disagree([one, two])
    assert found.rows.tolist() == [2, 1, 0]
    assert found.score == pytest.approx([10, 6, 1])
    with pytest.raises(NotApplicable, match="most wrong"):
        confident_and_wrong([one])


def test_several_classes_outputs_and_labels() -> None:
    scores = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]]
    classes = given(Task.MULTICLASS, [0, 1, 1], y_score=scores, labels=("a", "b", "c"))
    assert most_wrong([classes]).rows.tolist() == [1, 2, 0]
    assert confident_and_wrong([classes]).rows.tolist() == [1]
    assert confident_and_wrong([classes]).answers["m"] == ("c (80 %)",)
    labels = given(
        Task.MULTILABEL,
        np.array([[1, 0], [1, 1]], dtype=np.uint8),
        y_score=[[0.9, 0.2], [0.3, 0.6]],
        score_kind=ScoreKind.INDEPENDENT,
        labels=("x", "y"),
    )
    found = most_wrong([labels])
    assert found.score == pytest.approx([0.55, 0.15])
    assert found.truth == ("x, y", "x")
    outputs = given(
        Task.MULTIOUTPUT_REGRESSION,
        [[0.0, 0.0], [2.0, 200.0]],
        y_pred=[[1.0, 0.0], [2.0, 150.0]],
        labels=("u", "v"),
    )
    assert most_wrong([outputs]).score == pytest.approx([0.5, 0.25])  # in standard deviations


def test_only_rows_that_all_models_answer() -> None:
    full = _binary([0.9, 0.2, 0.1, 0.8, 0.6])
    some = replace(
        full,
        name="b",
        target=full.target.take(np.array([0, 3])),
        y_score=full.y_score[[0, 3]],
        rows=np.array([0, 3]),
    )
    assert most_wrong([full, some]).rows.tolist() == [3, 0]
    assert most_wrong([some]).n == 2
    other = replace(some, rows=np.array([1, 2]))
    with pytest.raises(NotApplicable, match="no answered row in common"):
        most_wrong([some, other])


def test_random_rows_keep_their_seed() -> None:
    one = _binary([0.9, 0.2, 0.1, 0.8, 0.6])
    first = random_rows([one], 3)
    assert first.rows.tolist() == random_rows([one], 3).rows.tolist()
    assert sorted(random_rows([one], 9).rows.tolist()) == [0, 1, 2, 3, 4]
    assert first.why[0] == "Drawn by lot among 5 rows."


def test_every_pick_is_offered() -> None:
    one = _binary([0.9, 0.2, 0.1, 0.8, 0.6])
    two = _binary([0.1, 0.2, 0.1, 0.8, 0.6], "b")
    for pick in PICKS.values():
        assert len(pick.function([one, two], 2).rows) <= 2
        assert pick.sentence.endswith(".")
    with pytest.raises(NotApplicable):
        most_wrong([])


def test_wrong_rows_by_model_and_by_all() -> None:
    models = [_binary([0.9, 0.7, 0.1, 0.2, 0.6]), _binary([0.1, 0.8, 0.0, 0.1, 0.7], "b")]
    found = wrong_rows(models)
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "rows that forest gets wrong": [1, 2],
        "rows that b gets wrong": [0, 1, 2],
        "rows that all models get wrong": [1, 2],
    }
    assert wrong_rows([_binary([0.9, 0.1, 0.9, 0.1, 0.9])]) == {}
    values = given(Task.REGRESSION, [0.0, 1, 2, 3, 4], y_pred=[0.0, 1, 5, 3.5, 4], name="line")
    assert {k: v.tolist() for k, v in wrong_rows([values], share=0.4).items()} == {
        "rows that line gets most wrong": [2, 3]
    }


# ---- the page --------------------------------------------------------------------------------


def _choosing() -> None:
    import numpy as np
    import pandas as pd
    import streamlit as st

    from components.picking_panels import choose_row
    from components.state import AppState
    from dashboard.contracts import RawPredictions, ScoreKind
    from dashboard.data import evalset_from_frame
    from dashboard.evaluation import gather

    frame = pd.DataFrame({"a": np.arange(5) / 7, "y": ["yes", "no", "yes", "no", "yes"]})
    evalset = evalset_from_frame(frame, target="y", pos_label="yes")
    raws = {
        "forest": RawPredictions(
            scores=np.array([0.9, 0.7, 0.1, 0.2, 0.45]), score_kind=ScoreKind.PROBABILITY
        ),
        "line": RawPredictions(
            scores=np.array([2.0, 1.0, -2.0, -1.0, 0.5]), score_kind=ScoreKind.DECISION
        ),
    }
    state = st.session_state.setdefault("mine", AppState(evalset=evalset))
    state.explore(pick="confident")
    choose_row(state, gather(evalset, raws))


def test_proposals_follow_the_threshold_of_performance() -> None:
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_function(_choosing).run()
    assert not at.exception
    assert at.dataframe[0].value["row"].tolist() == [2, 1, 4]
    assert "A row is called “yes” from a score of .5 on" in at.caption[0].value
    at.session_state["mine"].threshold = 0.4
    at.run()  # row 4 is called “yes” by both now, rightly
    assert at.dataframe[0].value["row"].tolist() == [2, 1]
    assert "from a score of .4 on, the threshold of the page Performance" in at.caption[0].value
    state = at.session_state["mine"]
    state.rule, state.threshold = "flagged", 0.8
    at.run()  # four of five rows: all but the lowest score of each, and with them row 3
    assert "yes (20 %)" in at.dataframe[0].value.set_index("row").loc[3, "forest"]
    said = at.caption[0].value
    assert "calls at most 80 % of the rows “yes”, as on the page Performance" in said
    assert "forest from .2 and line from −1" in said
    state.rule = "recall"
    assert "finds at least 80 % of the rows that are “yes”" in at.run().caption[0].value


def _choosing_numbers() -> None:
    import numpy as np
    import pandas as pd
    import streamlit as st

    from components.picking_panels import choose_row
    from components.state import AppState
    from dashboard.contracts import RawPredictions
    from dashboard.data import evalset_from_frame
    from dashboard.evaluation import gather

    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "y": [1.5, 2.5, 3.5]})
    evalset = evalset_from_frame(frame, target="y")
    state = st.session_state.setdefault("mine", AppState(evalset=evalset))
    state.explore(pick="confident")  # as in a link to another task's page
    answers = gather(evalset, {"line": RawPredictions(labels=np.array([1.5, 3.0, 9.0]))})
    choose_row(state, answers)


def test_numbers_have_no_surest_answer() -> None:
    from streamlit.testing.v1 import AppTest

    at = AppTest.from_function(_choosing_numbers).run()
    assert not at.exception
    assert at.dataframe[0].value["row"].tolist()[:2] == [2, 1]
    (ways,) = at.button_group
    assert ways.options == ["Most wrong", "Models disagree", "Random", "Search"]
    assert "surest" not in ways.proto.help


def test_days_are_written_without_a_time_of_day() -> None:
    import pandas as pd

    from components.picking_panels import _as_days

    days = pd.Series(pd.to_datetime(["2022-01-03", None, "2022-01-05"]), name="on")
    assert _as_days(days).tolist()[::2] == ["2022-01-03", "2022-01-05"]
    assert _as_days(days).isna().tolist() == [False, True, False] and _as_days(days).name == "on"
    moments = days + pd.Timedelta("90min")
    assert _as_days(moments) is moments
    numbers = pd.Series([1.5, 2.0])
    assert _as_days(numbers) is numbers
