"""Loose files of one training are read together; files of others are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.logs import read_runs
from dashboard.logs.belonging import group_files

from .event_writing import event, event_file, simple

KERAS = Path(__file__).parent / "event_files" / "keras"
LEARN = b"iter\tLogloss\n0\t.6\n1\t.5\n2\t.4\n"
TEST = b"iter\tLogloss\tAUC\n0\t.7\t.6\n1\t.6\t.7\n2\t.65\t.7\n"


def _keras(part: str) -> bytes:
    return next((KERAS / part).iterdir()).read_bytes()


def _event_name(began: int, number: int, process: int = 41) -> str:
    return f"events.out.tfevents.{began}.my.host-1.{process}.{number}.v2"


LOOSE = [
    (_event_name(1_700_000_000, 0), _keras("train")),
    ("test_error.tsv", TEST),
    (_event_name(1_700_000_009, 1), _keras("validation")),
    ("log.csv", b"epoch,loss\n0,1\n"),
    ("learn_error.tsv", LEARN),
]


def test_catboosts_tables_and_keras_event_files() -> None:
    groups = group_files(LOOSE)
    assert [sorted(group.values()) for group in groups] == [[0, 2], [1, 4], [3]]
    network, boosted = (
        read_runs({path: LOOSE[at][1] for path, at in group.items()}) for group in groups[:2]
    )
    (alone,) = read_runs({"run": KERAS})
    assert len(network) == len(boosted) == 1
    told = {(one.metric, one.part, *one.values) for one in network[0].series}
    assert told == {
        (one.metric, one.part, *one.values)
        for one in alone.series
        if one.metric in {two.metric for two in network[0].series}
    }
    assert network[0].get("loss", "validation") and network[0].get("loss", "train")
    assert boosted[0].name == "CatBoost"
    assert {(one.metric, one.part) for one in boosted[0].series} == {
        ("logloss", "train"),
        ("logloss", "validation"),
        ("auc", "validation"),
    }


def _loss(value: float) -> bytes:
    return event_file(event(0, simple("loss", value)), event(1, simple("loss", value / 2)))


@pytest.mark.parametrize(
    "files",
    [
        # Two runs of one process that log alike: nothing says that one is the validation.
        [(_event_name(1, 0), _loss(1.0)), (_event_name(2, 1), _loss(2.0))],
        # Another process, another day, foreign content, other numbers of rounds, the same role.
        [(_event_name(1, 0), _keras("train")), (_event_name(2, 1, 7), _keras("validation"))],
        [(_event_name(1, 0), _keras("train")), (_event_name(99_999, 1), _keras("validation"))],
        [(_event_name(1, 0), _keras("train")), (_event_name(2, 1), b"nothing")],
        [("learn_error.tsv", LEARN), ("test_error.tsv", TEST[: TEST.rindex(b"2\t")])],
        [("learn_error.tsv", LEARN), ("learn_error.tsv", LEARN.replace(b".4", b".3"))],
        [("a_learn_error.tsv", LEARN), ("b_test_error.tsv", TEST)],
        [("learn_error.tsv", b"a,b\n1,2\n"), ("test_error.tsv", TEST)],
    ],
)
def test_others_stay_apart(files: list[tuple[str, bytes]]) -> None:
    assert group_files(files) == [{files[0][0]: 0}, {files[1][0]: 1}]


def test_two_trainings_at_once_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(TEST)
    found = {
        "meta": {"learn_metrics": [{"name": "Logloss"}], "learn_sets": ["learn"]},
        "iterations": [{"iteration": k, "learn": [1]} for k in range(3)],
    }
    files = [
        ("learn_error (1).tsv", LEARN),
        ("a learn_error.tsv", LEARN),
        ("test_error (1).tsv", path),
        ("a test_error.tsv", TEST),
        ("catboost_training (1).json", json.dumps(found).encode()),
    ]
    groups = group_files(files)
    assert [set(group.values()) for group in groups] == [{0, 2, 4}, {1, 3}]
    assert [Path(next(iter(group))).parts[0] for group in groups] == ["CatBoost (1)", "CatBoost a"]
    twice = [
        (_event_name(k, k), _keras(part)) for k, part in enumerate(("train", "validation") * 2)
    ]
    assert [set(one.values()) for one in group_files(twice)] == [{0, 1}, {2, 3}]


def _page() -> None:
    import streamlit as st

    from components.entries import History
    from components.state import AppState
    from components.training_logs import gather_logs, gather_uploads
    from dashboard.data import identify_history
    from tests.test_belonging import LOOSE

    state = st.session_state.setdefault("state", AppState())
    state.files = {str(at): content for at, (_, content) in enumerate(LOOSE)}
    state.histories = [
        History(name, str(at), identify_history(content, name))
        for at, (name, content) in enumerate(LOOSE)
    ]
    st.session_state["logs"] = gather_logs(state)
    assert gather_uploads(state).key == st.session_state["logs"].key


def test_on_the_page_they_are_one_run_each() -> None:
    at = AppTest.from_function(_page)
    at.run(timeout=60)
    assert not at.exception and not at.error
    runs = at.session_state["logs"].runs
    assert [run.name for run in runs] == [LOOSE[0][0], "CatBoost", "log"]
    assert [len({one.part for one in run.series if one.part}) for run in runs] == [2, 2, 1]
