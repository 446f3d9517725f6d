"""Training histories and event files are recognised; tables and predictions are not."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data import identify_history
from dashboard.data.histories import HistoryKind, history_as_said, may_be_history
from dashboard.errors import DataError
from dashboard.logs import read_runs
from dashboard.logs.search_logs import SearchKind, read_search
from dashboard.samples import list_samples

from .event_writing import event, event_file, simple

ROOT = Path(__file__).resolve().parent.parent
METRICS = ("accuracy", "loss", "val_accuracy", "val_loss")


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The history of a real training, and the folder where it was logged."""
    import keras

    folder = tmp_path_factory.mktemp("log")
    keras.utils.set_random_seed(0)
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    network.compile("sgd", "binary_crossentropy", metrics=["accuracy"], run_eagerly=True)
    logger = keras.callbacks.CSVLogger(folder / "log.csv")
    history = network.fit(
        rows,
        (rows[:, 0] > 0).astype(int),
        batch_size=20,
        epochs=3,
        validation_split=0.5,
        callbacks=[logger],
        verbose=0,
    )
    return history, folder


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An event file of TensorFlow's own writer: its version and five numbers."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("events")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer = tf.summary.create_file_writer(str(folder))
        with writer.as_default():
            for step in range(5):
                tf.summary.write("loss", 1 / (1 + step), step=step)
        writer.close()
    return next(folder.iterdir()).read_bytes()


def test_what_keras_logs(logged: tuple[Any, Path]) -> None:
    history, folder = logged
    found = identify_history((folder / "log.csv").read_bytes(), "anything.bin")
    assert found is not None
    assert (found.kind, found.steps, sorted(found.metrics)) == ("csv", 3, list(METRICS))
    values = {name: [float(one) for one in many] for name, many in history.history.items()}
    for content in (
        json.dumps(values),
        json.dumps({"history": values, "epoch": history.epoch, "params": history.params}),
        pd.DataFrame(values).to_json(),
        pd.DataFrame(values).to_json(orient="records"),
        pd.DataFrame(values).to_json(orient="records", lines=True),
        json.dumps({**values, "loss": [float("nan"), None, 1.0]}),
    ):
        found = identify_history(content.encode(), "log.json")
        assert found is not None, content
        assert (found.kind, found.steps, sorted(found.metrics)) == ("json", 3, list(METRICS))


@pytest.mark.parametrize(
    "content",
    [
        "epoch,loss,val_loss\n0,0.9,1.0\n1,0.5,NA\n",
        "\ufeffepoch;loss;lr\n1;0.9;1\n2;0.5;0.1\n",
        ",loss,val_loss\n0,.9,1\n1,.5,.8\n",
        "loss,auc\n0.9,1.0\n0.5,0.8\n",
        "epoch\tloss\n0\t0.9\n0\t0.8\n1\t0.7\n",
        "epoch,loss\r\n0,nan\r\n1,0.7\r\n0,0.6\r\n",
    ],
)
def test_variants_of_the_csv(content: str) -> None:
    found = identify_history(content.encode(), "log.csv")
    assert found is not None
    assert found.kind == "csv"
    assert "loss" in found.metrics
    assert found.sentence().startswith(f"A training history of {found.steps} epochs with ")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "loss,weight,height\n1,2,3\n",  # a table that has a column of this name
        "epoch,loss\n",
        "epoch,loss\n0,a\n",
        "epoch,loss\n0.5,1\n",
        "epoch,loss\n-1,1\n",
        "epoch,loss\nx,1\n",
        "epoch,y_pred\n0,1\n1,1\n",  # predictions by epoch
        "epoch,prediction,score\n7,1,.2\n3,0,.1\n",
        "epoch,temperature,target\n0,1,1\n1,2,0\n",  # data
        "epoch,proba_yes,proba_no\n0,.1,.9\n1,.2,.8\n",
        "epoch,kind\n0,a\n1,b\n",
        "epoch,loss\n0,1,2\n",
        "epoch,loss,loss\n0,1,2\n",
        'epoch,"loss\n0,1\n',
        "id,y_pred,y_score\n1,0,.2\n",
        "a,b\n1,2\n",
        "closs\n1\n",
        '{"loss": [1, 2, 3], "val_loss": [1, 2]}',
        '{"loss": 3, "val_loss": 4}',
        '{"loss": [], "val_loss": []}',
        '{"loss": [true], "val_loss": [1]}',
        '{"loss": ["x"], "val_loss": [1]}',
        '{"y_pred": [1], "y_score": [0.5]}',
        '[{"loss": 1, "val_loss": 2}, {"loss": 1}]',
        '[{"loss": 1, "val_loss": 2}, 3]',
        '{"loss": ',
        '["loss"]',
        "[" * 5000 + '"loss"',
        "\0" * 100,
    ],
)
def test_other_files_are_none(content: str) -> None:
    assert identify_history(content.encode(), "log.csv") is None


def test_samples_with_their_histories() -> None:
    """The histories that come with the samples are some, their data and predictions none."""
    found = 0
    for sample in list_samples():
        folder = ROOT / "sample_models" / sample.key
        for path in folder.iterdir():
            if path.suffix in (".csv", ".json"):
                known = identify_history(path.read_bytes(), path.name)
                logged = "history" in path.name or "by_size" in path.name
                assert (known is not None) == logged, path
                found += known is not None
    assert found >= 2


def test_event_files_are_counted(events: bytes) -> None:
    found = identify_history(events, "events.out.tfevents.1")
    assert found == HistoryKind("tensorboard", 6)
    assert found.sentence() == (
        "A TensorBoard event file with 6 records; kept for the page on learning."
    )
    cut = identify_history(events[:-3], "events")
    assert cut == HistoryKind("tensorboard", 5, is_complete=False)
    assert "5 records, cut off behind them" in cut.sentence()
    flipped = bytearray(events)
    flipped[len(events) // 2] ^= 1
    damaged = identify_history(bytes(flipped), "events")
    assert damaged is not None
    assert damaged.steps < 6
    assert not damaged.is_complete


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"\x01" + content[1:],  # another length than its checksum says
        lambda content: struct.pack("<Q", 1 << 62) + content[8:],
        lambda content: content[:8] + bytes(4) + content[12:],  # another checksum of the length
        lambda content: content[:20] + b"\xff" + content[21:],  # the content of the first record
        lambda content: content[:30],
        lambda content: b"brain.Event:2",
    ],
)
def test_what_only_looks_like_an_event_file_is_none(events: bytes, change: Any) -> None:
    assert identify_history(change(events), "events.out.tfevents.1") is None


def test_many_records_and_one_epoch_are_said_right() -> None:
    assert "1 epoch with loss;" in HistoryKind("json", 1, ("loss",)).sentence()
    assert "1,200 records;" in HistoryKind("tensorboard", 1200).sentence()
    assert "1 record;" in HistoryKind("tensorboard", 1).sentence()


@given(st.binary(max_size=300))
def test_any_bytes_are_answered(content: bytes) -> None:
    assert identify_history(content, "x") is None
    identify_history(b"epoch,loss\n" + content, "x")
    identify_history(b'{"loss": ' + content, "x")
    identify_history(struct.pack("<Q", 3) + b"brain.Event:" + content, "x")


def test_large_tables_are_left_alone() -> None:
    table = b"epoch,loss\n" + b"".join(b"%d,0.5\n" % row for row in range(10))
    assert identify_history(table, "x") is not None
    assert identify_history(table + b" " * (17 << 20), "x") is None


# --- boosters, other tables of epochs, archives --------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            '{"validation_0": {"rmse": [2, 1], "mae": [1, 1]}, "validation_1": {"rmse": [3, 2], '
            '"mae": [1, 2]}}',
            "An XGBoost log of 2 rounds with rmse and mae;",
        ),
        ('{"training": {"l2": [2]}}', "A LightGBM log of 1 round with l2;"),
        ("iter\tLogloss\tAUC\n0\t.6\t.7\n1\t.5\t.8\n", "A CatBoost log of 2 rounds with Logloss"),
        (
            '{"meta": {"learn_metrics": [{"name": "RMSE"}], "learn_sets": ["learn"]}, '
            '"iterations": [{"iteration": 0, "learn": [1]}]}',
            "A CatBoost log of 1 round with RMSE;",
        ),
        ("epoch,cost,quality\n0,3,1\n1,2,2\n", "A training history of 2 epochs with cost and"),
        ("epoch,train_acc,val_acc\n0,.5,.4\n1,.6,.5\n", "A training history of 2 epochs with"),
        ("epoch,step,train_loss,val_loss\n0,9,1,\n0,9,,1\n", "A training history of 1 epoch with"),
        (
            "iteration,train-rmse-mean,test-rmse-mean\n0,1,2\n1,1,2\n",
            "A training history of 2 steps",
        ),
    ],
)
def test_boosters_and_other_loggers(content: str, sentence: str) -> None:
    found = identify_history(content.encode(), "x")
    assert found is not None
    assert found.sentence().startswith(sentence)
    assert found.sentence().endswith("kept for the page on learning.")
    assert read_runs({"log": content.encode()})  # what is kept can be read


# What `CSVLogger(append=True)` writes when a training goes on from an earlier epoch.
RESUMED = "epoch,loss,val_loss\n" + "".join(f"{k},{9 - k},{9 - k}\n" for k in (3, 4, 5, 4, 5, 6, 7))
TRAINER = {
    "best_metric": None,
    "log_history": [
        {"epoch": 0.5, "step": 10, "loss": 2.0},
        {"epoch": 1.0, "step": 20, "eval_loss": 1.5},
        {"epoch": 1.0, "step": 20, "train_runtime": 3.0, "train_loss": 1.7},
    ],
}
OURS = read_runs({"ours": b"epoch,loss,val_loss,lr\n0,3,4,.1\n1,2,3,.1\n"})[0]


@pytest.mark.parametrize(
    ("content", "steps", "metrics"),
    [
        ("epoch,loss,val_loss\n0,3,4\n2,2,3\n1,2,3\n3,1,2\n", 4, "loss val_loss"),  # no order
        ("epoch,loss\n7,1\n3,1\n", 2, "loss"),
        (RESUMED, 5, "loss val_loss"),
        (RESUMED.replace("val_loss", "cost").replace("loss", "size"), 5, "size cost"),
        ("epoch,accuracy,loss\n0,.5,3\n1,.6,2\n1,.6,2\n2,.7,1\n", 3, "accuracy loss"),
        ("step,train_loss,val_loss\n0,3,4\n100,2,3\n200,2,3\n100,2,3\n200,1,2\n", 5, "train_"),
        ('{"loss": [4, 3, 2, 1], "val_loss": [3.5, 1.5]}', 4, "loss val_loss"),
        ('{"train_loss": [2, 1], "valid_loss": [2, 1.5]}', 2, "train_loss valid_loss"),
        (json.dumps(TRAINER), 2, "loss eval_loss train_runtime train_loss"),
        ("Wall time,Step,Value\n1700000000.5,0,.9\n1700000001.5,1,.8\n", 2, "value"),
        ("[[1700000000.5, 0, 0.9], [1700000001.5, 1, 0.8]]", 2, "value"),
        ("run,epoch,loss\na,0,1\na,1,.5\nb,0,1\nb,1,.4\n", 4, "loss"),
        (OURS.frame().to_csv(index=False), 2, "loss learning_rate"),
        ("timestamp,epoch,loss\n2026-01-01T10:00,0,1\n2026-01-01T10:01,1,.5\n", 2, "loss"),
        (str({"loss": [0.5, float("nan")], "val_loss": [1.0, 0.5]}), 2, "loss val_loss"),
        ("{'loss': [np.float64(0.5), np.float32(1e-3)], 'lr': [1.0, None]}", 2, "loss lr"),
    ],
)
def test_logs_as_they_come(content: str, steps: int, metrics: str) -> None:
    found = identify_history(content.encode(), "x")
    assert isinstance(found, HistoryKind)
    assert found.steps == steps
    assert " ".join(found.metrics).startswith(metrics)
    runs = read_runs({"log": content.encode()})
    assert runs and all(run.series for run in runs)


def test_what_this_dashboard_hands_out_comes_back_as_it_was() -> None:
    (back,) = read_runs({"ours.csv": OURS.frame().to_csv(index=False).encode()})
    assert back.name == OURS.name
    told = {(one.metric, one.part, one.unit, *one.values) for one in OURS.series}
    assert {(one.metric, one.part, one.unit, *one.values) for one in back.series} == told
    mixed = OURS.frame().assign(unit=["epoch"] * 4 + ["batch"] * 2)
    (parted,) = read_runs({"ours.csv": mixed.to_csv(index=False).encode()})
    assert {(one.metric, one.unit) for one in parted.series} == {
        ("loss", "epoch"),
        ("learning_rate", "batch"),
    }


def test_columns_of_the_data_are_no_metrics() -> None:
    """A table that counts epochs one by one, beside data that has the same columns."""
    table = b"epoch,height,weight\n0,1,2\n1,2,3\n2,3,4\n"
    assert identify_history(table, "x") is not None
    assert identify_history(table, "x", shared=("height", "age")) is None
    assert may_be_history(table.replace(b"1,2,3", b"9,2,3")) is not None
    log = b"epoch,loss,val_loss\n0,1,2\n1,2,3\n"
    assert identify_history(log, "x", shared=("loss",)) is not None  # its names say it


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("step,cost,quality\n0,3,1\n10,2,2\n", "log"),
        ("epoch,temperature\n0,20\n5,21\n", "log"),
        ("iteration,train_error\n9,1\n3,1\n", "log"),
        ("epoch,score\n0,.5\n1,.6\n", "log"),
        ('{"epoch": [0, 5], "temperature": [1, 2]}', "log"),
        ("colour,max_depth,accuracy\n1,2,.5\n2,3,.6\n", "search"),
        ("id,y_pred\n1,0\n", ""),
        ("id,score\n1,.5\n2,.6\n", ""),
        ("epoch,y_pred\n0,1\n7,1\n", ""),
        ("index,accuracy\n0,.5\n1,.6\n", ""),
        ("a,b\n1,2\n", ""),
        ("max_depth,accuracy,prediction\n1,.2,3\n2,.3,4\n", ""),
        ("", ""),
        ("PK\x03\x04", ""),
        ("[1", ""),
    ],
)
def test_where_only_a_person_can_tell(content: str, kind: str) -> None:
    found = may_be_history(content.encode())
    assert identify_history(content.encode(), "x") is None
    assert (found.kind if found else "") == kind
    if found is not None:
        assert found.sentence().startswith("may be ") and found.sentence().endswith(".")


@pytest.mark.parametrize(
    "content",
    [
        "param_depth,colour,accuracy\n1,red,.5\n2,blue,.6\n",
        "config/lr,trial_id,mean_accuracy\n.1,a,.5\n.2,b,.6\n",
        "trial,colour,n_estimators,val_auc\n0,red,10,.5\n1,blue,20,.6\n",
        "dropout,units,val_loss\n.1,8,.5\n.2,16,.4\n",
        "learning_rate,max_depth,n_estimators,loss,fit_time\n.1,2,10,.5,1\n.2,3,20,.4,2\n",
    ],
)
def test_plain_tables_of_searches_are_known_where_that_is_sure(content: str) -> None:
    found = identify_history(content.encode(), "x")
    assert isinstance(found, SearchKind)
    assert (found.kind, found.n_trials) == ("table", 2)
    assert found.sentence() == ("Results of a search with 2 trials; kept for the page on learning.")
    assert read_search({"x": content.encode()}).scores


@pytest.mark.parametrize(
    "content",
    ["learning_rate,loss\n.1,.5\n.2,.4\n", "lr,loss,val_loss\n.1,.5,.5\n.2,.4,.4\n"],
)
def test_a_rate_and_a_loss_are_a_log_and_no_search(content: str) -> None:
    assert isinstance(identify_history(content.encode(), "x"), HistoryKind)


def test_what_a_person_says_is_read_as_that() -> None:
    log = history_as_said(b"step,cost,quality\n0,3,1\n10,2,2\n", "a.csv", "log")
    assert log == HistoryKind("csv", 2, ("cost", "quality"), unit="step")
    search = history_as_said(b"colour,size,result\n1,2,.5\n2,3,.6\n", "a.csv", "search")
    assert search == SearchKind("table", 2)
    for kind in ("log", "search"):
        with pytest.raises(DataError):
            history_as_said(b"a,b\nx,y\n" if kind == "log" else b"\0", "a.csv", kind)


@pytest.mark.parametrize(
    "content",
    [
        "epoch,temperature\n0,20\n5,21\n",
        "epoch,temperature\n0,warm\n1,cold\n",
        "step,height,weight\n1,2,3\n2,3,4\n",
        "index,accuracy\n0,.5\n1,.6\n",
        "epoch,train_acc\n3,.5\n1,.4\n0,a\n",
        "iter,a\n0,1\n2,3\n",
        "iteration,train_error\n9,1\n3,1\n",
        '{"a": {"x": [1, 2]}}',
        '{"train": {"x": [1, 2], "y": [1]}}',
        '{"train": {"x": ["a"]}}',
        '{"meta": {"learn_metrics": 1}, "iterations": 2}',
    ],
)
def test_data_is_no_log(content: str) -> None:
    assert identify_history(content.encode(), "x") is None


def _zipped(files: dict[str, bytes]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return into.getvalue()


def test_archives_of_runs_are_kept_and_others_are_not() -> None:
    log = event_file(event(0, simple("loss", 1.0)))
    table = b"epoch,loss\n0,1\n1,2\n"
    files = {"a/events.out.tfevents.1": log, "b/events.out.tfevents.1": log, "b/notes.md": b"x"}
    found = identify_history(_zipped(files), "runs.zip")
    assert found == HistoryKind("runs", 2)
    assert found.sentence() == ("An archive with 2 training logs; kept for the page on learning.")
    assert identify_history(
        _zipped({"a.csv": table, "b.json": b'{"loss": [1], "val_loss": [1]}'}), ""
    )
    for others in (
        {"a.csv": table, "data.csv": b"a,b\n1,2\n"},  # data beside
        {"logs/events.out.tfevents.1": log, "saved_model.pb": b"x"},  # a model with its logs
        {"a.csv": _zipped({"a.csv": table})},
        {"data.csv": b"a,b\n1,2\n"},
        {"readme.txt": b"hello"},
        {},
    ):
        assert identify_history(_zipped(others), "runs.zip") is None
    assert identify_history(_zipped(files)[:80], "runs.zip") is None
    assert identify_history(_zipped({"a.csv": table + b" " * (17 << 20)}), "bomb.zip") is None


def test_scores_by_training_size_are_kept_and_no_table_of_data_is_taken_for_them() -> None:
    found = identify_history(
        b"train_size,train_score,test_score\n100,.9,.7\n200,.88,.75\n400,.87,.8\n", "scores.csv"
    )
    assert isinstance(found, HistoryKind)
    assert (found.kind, found.steps) == ("sizes", 3)
    assert "3 scores by training size" in found.sentence()
    for other in (
        b"size,y_pred,test\n1,2,3\n2,2,3\n",
        b"id,n,validation\na,1,0\nb,2,1\n",
        b"train_size,test_score\n.1,.7\n.2,.8\n",
        b"train_size,test_score\n100,.7\n100,.8\n",
    ):
        assert identify_history(other, "x.csv") is None


def test_large_tables_of_data_are_told_by_their_header() -> None:
    """No cell is read where no name counts steps, is a loss, or could be a parameter."""
    rows = b"1,2\n" * 2_000_000
    for header in (b"id,bought", b",x", b"index,accuracy", b"y_pred,y_score", b"Unnamed: 0,a"):
        content, start = header + b"\n" + rows, time.process_time()
        assert identify_history(content, "x") is None
        assert may_be_history(content) is None
        assert time.process_time() - start < 0.2
