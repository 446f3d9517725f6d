"""Table and roles to evaluation set: rows left out and counted, digests, sentences, bad input."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.contracts import Predictions, RawPredictions, Task
from dashboard.data import (
    ALL_ROWS,
    EvalSet,
    Roles,
    RowLedger,
    Table,
    build_evalset,
    evalset_from_frame,
    infer_roles,
    load_data,
    read_table,
)
from dashboard.diagnostics.metrics import compute_metrics
from dashboard.errors import DataError, DiagnosticsError, LimitExceeded, ParameterError
from dashboard.settings import Settings

N = 100


def frame(**more: object) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {
        "id": np.arange(1000, 1000 + N),
        "x": rng.normal(size=N),
        "kind": pd.Categorical(["a", "b"] * (N // 2)),
        "default": ["yes", "no", "no", "no"] * (N // 4),
    }
    return pd.DataFrame({**columns, **more})


def test_a_plain_table() -> None:
    evalset = evalset_from_frame(frame(), name="loans")
    assert evalset.target.task is Task.BINARY
    assert evalset.target.labels == ("no", "yes")
    assert isinstance(evalset.X, pd.DataFrame)
    assert list(evalset.X.columns) == ["x", "kind"]
    assert list(evalset.frame.columns) == ["id", "x", "kind", "default"]
    assert evalset.n == N
    assert evalset.ledger.sentence() == "All 100 rows are evaluated."
    assert evalset.sample_weight is None
    assert evalset.time_order() is None


GENRES = {"action": 0.2, "comedy": 0.5, "drama": 0.7}


def films() -> pd.DataFrame:
    """Three labels of different frequency, so that every mix-up of columns changes a score."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"x": rng.normal(size=N)} | {k: (rng.random(N) < p).astype(int) for k, p in GENRES.items()}
    )


@pytest.mark.parametrize("order", list(itertools.permutations(GENRES)))
def test_labels_are_matched_in_the_order_of_the_file_however_they_are_named(
    order: tuple[str, ...],
) -> None:
    given = films()
    perfect = RawPredictions(scores=given[list(GENRES)].to_numpy(dtype=float) * 0.8 + 0.1)
    table = Table.from_frame("films", given)
    picked = infer_roles(table, target=order[0])
    for column in order[1:]:
        picked = picked.replace_role(column, "target")
    ways = {
        "named": build_evalset(table, target=order),
        "in one text": build_evalset(table, target=", ".join(order)),
        "in memory": evalset_from_frame(given, list(order)),
        "picked": build_evalset(table, picked),
        "chosen": build_evalset(table, infer_roles(table).with_targets(order)),
        "by hand": build_evalset(table, Roles(target=order, features=("x",))),
    }
    for way, evalset in ways.items():
        assert evalset.target.labels == tuple(GENRES), way
        assert evalset.roles.target == tuple(GENRES), way
        assert evalset.target.name == "action, comedy, drama", way
        got = Predictions.normalise(perfect, evalset.target, name="m")
        assert compute_metrics(got, metrics=["f1_macro"]).value("m", "f1_macro") == 1.0, way
        changed = any("order of the file" in note for note in evalset.notes)
        assert changed == (order != tuple(GENRES)), way
    assert len({evalset.digest for evalset in list(ways.values())[:3]}) == 1


def test_outputs_are_matched_in_the_order_of_the_file() -> None:
    rng = np.random.default_rng(2)
    given = pd.DataFrame(
        {"x": rng.normal(size=N), "height": rng.normal(170, 9, N), "weight": rng.normal(70, 9, N)}
    )
    evalset = evalset_from_frame(given, target=["weight", "height"])
    assert evalset.target.labels == ("height", "weight")
    assert evalset.notes[0] == (
        "The target columns are taken in the order of the file (height and weight), not in the "
        "order in which they were chosen (weight and height); a model that names no outputs must "
        "give them in it."
    )
    perfect = RawPredictions(labels=given[["height", "weight"]].to_numpy())
    got = Predictions.normalise(perfect, evalset.target, name="m")
    np.testing.assert_array_equal(got.y_pred, got.target.y)


def test_a_target_that_is_only_the_last_column_is_said_first() -> None:
    given = pd.DataFrame({"x": range(60), "proximity": ["near", "far", "sea"] * 20})
    assert evalset_from_frame(given).notes[0] == (
        "The target is a guess: 'proximity' is the last column. Choose another if it is not what "
        "the models predict."
    )
    assert evalset_from_frame(given, target="proximity").notes == ()
    usual = evalset_from_frame(given.rename(columns={"proximity": "class"}))
    assert not any("guess" in note for note in usual.notes)


def test_rows_are_left_out_once_and_counted() -> None:
    given = frame(sample_weight=np.ones(N), split=["test"] * 80 + ["train"] * 20)
    given.loc[[0, 1, 85], "default"] = None
    given.loc[2, "default"] = "  "
    given.loc[[0, 3], "sample_weight"] = np.nan
    given.loc[4, "sample_weight"] = -1
    given.loc[5, "sample_weight"] = np.inf
    given.loc[6, "sample_weight"] = 0
    given.loc[7, "x"] = np.nan
    evalset = evalset_from_frame(given, target="default")
    # 20 in the other split, row 85 among them; 0, 1, 2 no label; 3, 5 no weight; 4 negative
    assert [(line.reason, line.n) for line in evalset.ledger.excluded] == [
        ("not in the split 'test'", 20),
        ("without a label in 'default'", 3),
        ("without a weight in 'sample_weight'", 2),
        ("with a negative weight in 'sample_weight'", 1),
    ]
    assert evalset.ledger.n_evaluated == evalset.n == 74
    assert evalset.ledger.sentence() == (
        "74 of 100 rows are evaluated; left out: 20 not in the split 'test', 3 without a label in "
        "'default', 2 without a weight in 'sample_weight' and 1 with a negative weight in "
        "'sample_weight'."
    )
    assert evalset.row_numbers[:3].tolist() == [6, 7, 8]
    assert evalset.frame["id"].tolist() == [1000 + i for i in range(6, 80)]
    assert isinstance(evalset.X, pd.DataFrame)
    assert np.isnan(evalset.X["x"][1])
    assert evalset.sample_weight is not None
    assert evalset.sample_weight[0] == 0
    assert evalset.ledger.frame()["n"].tolist() == [100, 20, 3, 2, 1, 74]
    assert any("'test'" in note for note in evalset.notes)


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.sampled_from(["a", "b", None, ""]), min_size=4, max_size=40),
    data=st.data(),
)
def test_every_row_is_counted_exactly_once(labels: list[str | None], data: st.DataObject) -> None:
    n = len(labels)
    weight = st.sampled_from([1.0, 0.5, -1.0, np.nan])
    weights = data.draw(st.lists(weight, min_size=n, max_size=n))
    given = pd.DataFrame({"x": range(n), "weights": weights, "y": pd.Series(labels, dtype="str")})
    roles = infer_roles(Table.from_frame("t", given), target="y")
    roles = roles.replace_role("weights", "weight")
    kept = [
        i
        for i in range(n)
        if labels[i] in ("a", "b") and not np.isnan(weights[i]) and weights[i] >= 0
    ]
    try:
        evalset = evalset_from_frame(given, roles=roles)
    except DataError:
        assert len({labels[i] for i in kept}) < 2
        return
    assert evalset.row_numbers.tolist() == kept
    assert sum(line.n for line in evalset.ledger.excluded) + evalset.n == n


def test_splits() -> None:
    given = Table.from_frame("t", frame(split=["train"] * 60 + ["test"] * 40))
    assert build_evalset(given).n == 40
    assert build_evalset(given, split_value="train").n == 60
    assert build_evalset(given, split_value=ALL_ROWS).n == N
    with pytest.raises(ParameterError, match=r"no value 'dev'.*test and train"):
        build_evalset(given, split_value="dev")
    with pytest.raises(ParameterError, match="no split column"):
        evalset_from_frame(frame(), split_value="test")


def test_time_order_puts_undated_rows_last() -> None:
    days = pd.to_datetime(["2024-03-01", "2024-01-01", None, "2024-02-01", "2024-01-01"])
    given = pd.DataFrame({"day": days, "x": range(5), "y": [1.5, 2, 3, 4, 5]})
    order = evalset_from_frame(given, target="y").time_order()
    assert order is not None
    assert order.tolist() == [1, 4, 3, 0, 2]


def test_array_tables_keep_their_shape() -> None:
    images = np.arange(6 * 4 * 4, dtype="uint8").reshape(6, 4, 4, 1)
    labels = np.array([0.0, 1, np.nan, 0, 1, 0])
    evalset = build_evalset(Table.from_arrays("d", {"X": images, "y": labels}))
    assert isinstance(evalset.X, np.ndarray)
    np.testing.assert_array_equal(evalset.X, images[[0, 1, 3, 4, 5]])
    assert evalset.target.y.tolist() == [0, 1, 0, 1, 0]
    one_hot = build_evalset(
        Table.from_arrays("d", {"X": images, "y": np.eye(3)[[0, 1, 2, 0, 1, 2]]})
    )
    assert one_hot.target.task is Task.MULTICLASS
    assert one_hot.target.y.tolist() == [0, 1, 2, 0, 1, 2]


def test_several_targets() -> None:
    given = pd.DataFrame({"x": range(6), "rain": [1, 0, 1, 1, 0, None], "wind": [1, 1, 0, 1, 0, 1]})
    evalset = evalset_from_frame(given, target=["rain", "wind"])
    assert evalset.target.task is Task.MULTILABEL
    assert evalset.target.labels == ("rain", "wind")
    assert evalset.n == 5
    outputs = evalset_from_frame(given.assign(rain=np.arange(6) / 7), target=["rain", "wind"])
    assert outputs.target.task is Task.MULTIOUTPUT_REGRESSION


def test_infinite_targets_are_left_out() -> None:
    given = pd.DataFrame({"x": range(4), "y": [0.5, np.inf, 1.5, np.nan]})
    evalset = evalset_from_frame(given, target="y")
    assert [line.reason for line in evalset.ledger.excluded] == [
        "without a label in 'y'",
        "with an infinite 'y'",
    ]


# Digests


def test_digest_sees_contents_and_choices() -> None:
    base = evalset_from_frame(frame(), name="t")
    seen = {base.digest}

    def new(evalset: EvalSet) -> None:
        assert evalset.digest not in seen
        seen.add(evalset.digest)

    assert evalset_from_frame(frame(), name="t").digest == base.digest
    new(evalset_from_frame(frame(x=np.r_[np.zeros(N - 1), 1e-12])))
    new(evalset_from_frame(frame(x=np.zeros(N))))
    new(evalset_from_frame(frame(), pos_label="no"))
    new(evalset_from_frame(frame(), target="kind"))
    new(evalset_from_frame(frame(), roles=replace(base.roles, features=("x",), ignore=("kind",))))
    split = frame(split=["train"] * 60 + ["test"] * 40)
    new(evalset_from_frame(split, split_value="train"))
    new(evalset_from_frame(split, split_value="test"))
    new(evalset_from_frame(split, split_value=ALL_ROWS))
    numbers = frame(default=[1, 2, 3, 4] * (N // 4))
    new(evalset_from_frame(numbers))
    new(evalset_from_frame(numbers, task=Task.REGRESSION))


def test_one_cell_of_a_large_file_changes_the_digest(tmp_path: Path) -> None:
    rows = [f"{i},{i % 2}" for i in range(200_000)]
    path = tmp_path / "d.csv"
    path.write_text("x,y\n" + "\n".join(rows))
    before = load_data(path).digest
    rows[123_456] = "123457,0"
    path.write_text("x,y\n" + "\n".join(rows))
    assert load_data(path).digest != before


def test_how_a_file_is_read_is_part_of_the_digest(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_bytes("a;y\n1,5;é\n2,5;x\n".encode())
    assert load_data(path).digest != load_data(path, encoding="cp1252").digest


# Bad input


def csv(text: str) -> Table:
    return read_table(io.BytesIO(text.encode()), "data.csv")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("x,y\n1,\n2,\n", {}, ["None of the 2 rows", "2 without a label in 'y'"]),
        ("x,target\n1,a\n2,a\n", {}, ["The target has one class: a in all 2 rows"]),
        ("x,y\n1,a\n2,a\n", {}, ["The target y has one class: a in all 2 rows"]),
        ("x,y\n1,a\n2,b\n", {"target": "z"}, ["'z' is not a column of data.csv"]),
        ("y\n1\n2\n", {}, ["one column, 'y'"]),
        ("x,y,w\n1,a,0\n2,b,0\n", {"weight": "w"}, ["Every weight in 'w' is zero"]),
        ("x,y,w\n1,a,p\n2,b,q\n", {"weight": "w"}, ["2 without a weight in 'w'"]),
        ("x,y\n1,2024-01-01\n2,2024-01-02\n", {"target": "y"}, ["dates"]),
        ("x,y\n1,a\n2,b\n", {"pos_label": "c"}, ["positive class", "'c'"]),
        ("x,y\n1,a\n2,b\n", {"task": "regression"}, ["regression"]),
    ],
)
def test_bad_input(text: str, options: dict[str, str], words: list[str]) -> None:
    options = dict(options)
    weight = options.pop("weight", None)
    with pytest.raises(DiagnosticsError) as caught:
        table = csv(text)
        roles = infer_roles(table, target=options.pop("target", None))
        if weight is not None:
            roles = roles.replace_role(weight, "weight")
        build_evalset(table, roles, **options)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


def test_no_target_and_foreign_roles() -> None:
    table = csv("x,y\n1,a\n2,b\n")
    roles = infer_roles(table)
    with pytest.raises(DataError, match="No target is chosen"):
        build_evalset(table, roles.replace_role("y", "feature"))
    with pytest.raises(ParameterError, match="no column 'z'"):
        build_evalset(table, replace(roles, group="z"))


def test_300_classes_are_allowed_and_said() -> None:
    given = pd.DataFrame({"x": range(900), "y": [f"c{i % 300}" for i in range(900)]})
    evalset = evalset_from_frame(given, target="y")
    assert len(evalset.target.labels) == 300
    assert any("looks like an id" in note for note in evalset.notes)
    with pytest.raises(LimitExceeded, match="max_classes"):
        evalset_from_frame(given, target="y", settings=Settings(max_classes=200))


def test_a_number_with_three_values_is_said_either_way() -> None:
    given = pd.DataFrame({"x": range(60), "y": [10.0, 20.0, 30.0] * 20})
    classes = evalset_from_frame(given, target="y")
    assert classes.target.task is Task.MULTICLASS
    assert any("3 distinct numbers" in note and "regression" in note for note in classes.notes)
    numbers = evalset_from_frame(given, target="y", task=Task.REGRESSION)
    assert any("only 3 distinct values" in note for note in numbers.notes)


def test_limits_hold_for_frames_in_memory() -> None:
    with pytest.raises(LimitExceeded, match="SIDELIGHT_MAX_ROWS"):
        evalset_from_frame(frame(), settings=Settings(max_rows=10))


def test_ledger_without_exclusions() -> None:
    ledger = RowLedger(1, (), 1)
    assert ledger.sentence() == "All 1 row is evaluated."


# Files, end to end


def test_housing(housing_path: Path) -> None:
    evalset = load_data(housing_path, target="median_house_value")
    assert evalset.target.task is Task.REGRESSION
    assert evalset.n == 20_640
    assert isinstance(evalset.X, pd.DataFrame)
    assert int(evalset.X["total_bedrooms"].isna().sum()) == 207
    assert int((evalset.target.y == 500_001).sum()) == 965


def test_reading_data_loads_nothing_heavy() -> None:
    code = (
        "import sys, dashboard.data as d\n"
        "heavy = {'streamlit', 'tensorflow', 'shap', 'sklearn', 'plotly', 'openpyxl', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
