"""Training logs as runs: tables, histories, boosters, folders and archives of them."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.contracts import Run
from dashboard.errors import DataError, LimitExceeded, ParameterError
from dashboard.logs import decode_runs, encode_runs, read_runs
from dashboard.logs.names import meaning_of, meanings_of
from dashboard.settings import Settings

from .event_writing import event, event_file, simple

FILES = Path(__file__).parent / "event_files"


def read(content: str, name: str = "log.csv", **options: Any) -> Run:
    (run,) = read_runs({name: content.encode()}, **options)
    return run


def values(run: Run, metric: str, part: str = "train") -> list[float]:
    series = run.get(metric, part)
    assert series is not None, (metric, part, [(one.metric, one.part) for one in run.series])
    return [float(one) for one in series.values]


def steps(run: Run, metric: str, part: str = "train") -> list[int]:
    series = run.get(metric, part)
    assert series is not None
    return [int(one) for one in series.steps]


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return into.getvalue()


def losses(*numbers: float) -> bytes:
    return event_file(*(event(step, simple("loss", one)) for step, one in enumerate(numbers)))


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "metric", "part", "unit"),
    [
        ("loss", "loss", "train", ""),
        ("val_loss", "loss", "validation", ""),
        ("acc", "accuracy", "train", ""),
        ("val_acc", "accuracy", "validation", ""),
        ("val_sparse_categorical_accuracy", "accuracy", "validation", ""),
        ("Accuracy/val", "accuracy", "validation", ""),
        ("eval/loss", "loss", "validation", ""),
        ("train_loss_epoch", "loss", "train", "epoch"),
        ("train_loss_step", "loss", "train", "step"),
        ("trainLoss", "loss", "train", ""),
        ("Test Accuracy", "accuracy", "test", ""),
        ("epoch_loss", "loss", "train", "epoch"),
        ("batch_accuracy", "accuracy", "train", "batch"),
        ("evaluation_loss_vs_iterations", "loss", "validation", "iteration"),
        ("auc_1", "auc", "train", ""),
        ("lr", "learning_rate", "", ""),
        ("lr-Adam", "learning_rate", "", ""),
        ("learning_rate", "learning_rate", "", ""),
        ("train/learning_rate", "learning_rate", "", ""),
        ("train/grad_norm", "grad_norm", "", ""),
        ("dice_coef", "dice_coef", "train", ""),
        ("MultiClass", "multiclass", "train", ""),
        ("validation", "validation", "train", ""),
        ("epoch", "epoch", "", ""),
        ("///", "///", "train", ""),
    ],
)
def test_what_names_mean(name: str, metric: str, part: str, unit: str) -> None:
    assert meaning_of(name)[:3] == (metric, part, unit)


def test_two_names_never_mean_the_same() -> None:
    found = meanings_of(["acc", "accuracy", "auc", "auc_1"])
    assert len({one[:3] for one in found.values()}) == 4
    mapped = meanings_of(["loss", "cost"], {"cost": ("loss", "train")})
    assert mapped["cost"][:2] == ("loss", "train")
    assert mapped["loss"][:2] == ("loss (2)", "train")


# --- tables of epochs ----------------------------------------------------------------------------


def test_what_csvlogger_writes() -> None:
    run = read(
        "epoch,accuracy,loss,lr,val_accuracy,val_loss\n0,.5,1.5,.1,.4,1.6\n1,.7,nan,.05,.6,inf\n"
    )
    assert (run.name, run.source, run.metrics) == ("log", "Keras CSVLogger", ("loss", "accuracy"))
    assert values(run, "accuracy") == [0.5, 0.7]
    assert np.isnan(values(run, "loss")[1]) and np.isinf(values(run, "loss", "validation")[1])
    assert values(run, "learning_rate", "") == [0.1, 0.05]
    assert {one.unit for one in run.series} == {"epoch"} and not run.notes


@pytest.mark.parametrize(
    ("content", "counted"),
    [
        ("epoch,loss\n0,3\n1,2\n0,2.5\n1,1\n", [0, 1, 0, 1]),  # started again
        ("epoch,loss\n3,3\n1,2\n1,2.5\n", [3, 1, 1]),  # out of order, and twice
        ("epoch,loss\n0,3\n", [0]),  # one epoch
        ("loss\n3\n2\n", [0, 1]),
        ("epoch;loss\n1;0,5\n2;0,25\n", [1, 2]),
        (",loss\n0,1\n1,2\n", [0, 1]),
        ("step\tloss\r\n100\t1\r\n200\t2\r\n", [100, 200]),
        ("epoch,loss\n0,3\n1,2\n2", [0, 1]),  # still being written
        ("epoch,loss\n0.5,3\n1.0,2\n", [0, 1]),
        ("epoch,loss\n1e300,3\n2,2\n", [0, 1]),
        ("epoch,loss\nnan,3\n2,2\n", [0, 1]),
    ],
)
def test_epochs_stay_as_they_were_logged(content: str, counted: list[int]) -> None:
    run = read(content)
    assert steps(run, "loss") == counted
    if "0.5,3" in content or "1e300" in content or "nan" in content:
        assert "whole numbers" in run.notes[0]


def test_decimal_commas() -> None:
    assert values(read("epoch;loss\n1;0,5\n2;1,25\n"), "loss") == [0.5, 1.25]


def test_blanks_are_nan_where_their_row_was_logged_and_nothing_else_elsewhere() -> None:
    """pandas writes NaN as a blank, Lightning leaves blank what it logs in another row."""
    lost = pd.DataFrame({"epoch": [0, 1], "loss": [1, np.nan], "accuracy": [0.5, 0.1]})
    run = read(lost.to_csv(index=False))
    assert np.isnan(values(run, "loss")[1]) and "taken for NaN" in run.notes[0]
    gone = pd.DataFrame({"epoch": [0, 1], "loss": [1, np.nan], "val_loss": [2, np.nan]})
    run = read(gone.to_csv(index=False))
    assert len(values(run, "loss")) == len(values(run, "loss", "validation")) == 2
    lightning = "epoch,step,train_loss,val_loss\n0,9,.9,\n0,9,,.8\n1,19,.7,\n1,19,,.6\n"
    run = read(lightning)
    assert (values(run, "loss"), steps(run, "loss")) == ([0.9, 0.7], [0, 1])
    assert values(run, "loss", "validation") == [0.8, 0.6]
    assert "Not logged in every row: train_loss (2 of 4 rows)" in run.notes[0]
    often = read("epoch,step,train_loss\n0,10,3\n0,20,2\n1,30,1\n")
    assert (steps(often, "loss"), often.series[0].unit) == ([10, 20, 30], "step")


def test_names_are_mapped_in_place() -> None:
    content = "tick,cost,quality on held out,junk,text\n5,3,.1,9,a\n6,2,.2,9,b\n"
    mapping = {
        "tick": ("epoch", ""),
        "cost": ("loss", "train"),
        "quality on held out": ("accuracy", "validation"),
        "junk": ("", ""),
    }
    run = read(content, mapping=mapping)
    assert [(one.metric, one.part) for one in run.series] == [
        ("loss", "train"),
        ("accuracy", "validation"),
    ]
    assert steps(run, "loss") == [5, 6]
    assert "left out: text" in run.notes[0]
    with pytest.raises(ParameterError, match="'rows'"):
        read(content, mapping={"cost": ("loss", "rows")})
    (events,) = read_runs({"e": losses(1, 2)}, mapping={"loss": ("mse", "test")})
    assert values(events, "mse", "test") == [1, 2]


def test_a_column_of_runs_and_the_long_form() -> None:
    runs = read_runs({"many.csv": b"run,epoch,loss\na,0,1\nb,0,2\na,1,.5\n"})
    assert [(one.name, values(one, "loss")) for one in runs] == [("a", [1, 0.5]), ("b", [2])]
    told = pd.concat([one.frame() for one in runs])
    again = read_runs({"many.csv": told.to_csv(index=False).encode()})
    assert [(one.name, values(one, "loss")) for one in again] == [("a", [1, 0.5]), ("b", [2])]
    exported = b"Wall time,Step,Value\n1e9,0,.5\n1e9,5,.25\n"
    (run,) = read_runs({"run-fit_1-tag-val_loss.csv": exported})
    assert (run.name, steps(run, "loss", "validation")) == ("fit_1", [0, 5])


# --- JSON ----------------------------------------------------------------------------------------

HISTORY = {"loss": [3.0, 2.0, float("nan")], "val_loss": [4.0, 3.0, 2.5], "lr": [0.1, 0.1, 0.1]}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(HISTORY),
        json.dumps({"history": HISTORY, "epoch": [0, 1, 2], "params": {"epochs": 3}}),
        pd.DataFrame(HISTORY).to_json(),
        pd.DataFrame(HISTORY).to_json(orient="records"),
        pd.DataFrame(HISTORY).to_json(orient="records", lines=True),
    ],
)
def test_histories_in_every_form(content: str) -> None:
    run = read(content, "history.json")
    assert (run.source, steps(run, "loss", "validation")) == ("Keras history", [0, 1, 2])
    assert values(run, "loss", "validation") == [4, 3, 2.5]
    assert values(run, "loss")[:2] == [3, 2] and np.isnan(values(run, "loss")[2])


def test_null_is_nan_and_what_is_absent_was_not_logged() -> None:
    rows = [{"loss": 3}, {"loss": None, "val_loss": 2}, {"val_loss": 1}]
    run = read(json.dumps(rows), "rows.json")
    assert len(values(run, "loss")) == 2 and np.isnan(values(run, "loss")[1])
    assert (values(run, "loss", "validation"), steps(run, "loss", "validation")) == ([2, 1], [1, 2])


def test_validation_every_second_epoch_and_the_trainer_of_transformers() -> None:
    run = read(json.dumps({"loss": [4, 3, 2, 1], "val_loss": [3.5, 1.5]}), "h.json")
    assert (values(run, "loss", "validation"), steps(run, "loss", "validation")) == (
        [3.5, 1.5],
        [1, 3],
    )
    assert "2 values for 4 epochs: taken for the last of every 2" in run.notes[0]
    trainer = {
        "log_history": [
            {"epoch": 0.5, "step": 10, "loss": 2.0, "learning_rate": 0.1},
            {"epoch": 1.0, "step": 20, "eval_loss": 1.5},
            {"epoch": 1.5, "step": 30, "loss": 1.0, "learning_rate": 0.05},
        ]
    }
    run = read(json.dumps(trainer), "trainer_state.json")
    assert (values(run, "loss"), steps(run, "loss")) == ([2, 1], [10, 30])
    assert steps(run, "loss", "validation") == [20]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("   \n", "neither events, nor JSON, nor CSV"),
        ("{", "is no JSON"),
        ("[" * 5_000, "is no JSON"),
        ("[]", "no training log"),
        ('{"a": 1}', "no training log"),
        ('{"loss": [[1]]}', "no training log"),
        ('{"loss": [1, 2, 3], "acc": [1, 2]}', "2 values of 'acc'"),
        ("epoch,loss\n", "has no rows"),
        ("epoch,loss\n1,a\n", "no column of numbers"),
        ("epoch,loss,loss\n1,2,3\n", "names a column twice"),
        ("epoch,loss\n1,2,3\n1,2\n", "rows of several lengths"),
        ("\0\1\2", "neither events, nor JSON, nor CSV"),
        ('{"meta": {"learn_metrics": 3}, "iterations": [1]}', "catboost_training.json"),
    ],
)
def test_foreign_content_is_refused_in_a_sentence(content: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as refused:
        read(content, "log.csv")
    assert str(refused.value).endswith(".")


def test_tables_that_would_grow_are_refused() -> None:
    spread = {f"val_{k}": [1] for k in range(3_000)} | {"loss": [1] * 7_000}
    with pytest.raises(DataError, match="too many"):
        read(json.dumps(spread), "h.json")
    rows = [{f"loss {k}": k} for k in range(5_000)]
    with pytest.raises(DataError, match="no training log"):
        read(json.dumps(rows), "h.json")
    told = "metric,step,value\n" + "".join(f"m{k},{k},1\n" for k in range(5_000))
    with pytest.raises(DataError, match="too many"):
        read(told)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for start in (b"", b"epoch,loss\n0,1\n", b'{"loss": [1', b"PK\x03\x04"):
        try:
            assert read_runs({"log": start + content})
        except DataError as error:
            assert str(error).endswith(".")


# --- boosters ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    return X, (X[:, 0] + rng.normal(size=120) > 0).astype(int)


def test_xgboost_as_the_library_reports_it(rows: tuple[np.ndarray, np.ndarray]) -> None:
    import xgboost

    X, y = rows
    model = xgboost.XGBClassifier(
        n_estimators=3, max_depth=2, n_jobs=1, eval_metric=["logloss", "auc"]
    )
    model.fit(X[:80], y[:80], eval_set=[(X[:80], y[:80]), (X[80:], y[80:])], verbose=False)
    said = model.evals_result()
    run = read(json.dumps(said), "xgb.json")
    assert (run.name, run.source) == ("xgb", "XGBoost")
    for part, rows_of in (("train", "validation_0"), ("validation", "validation_1")):
        for metric in ("logloss", "auc"):
            assert values(run, metric, part) == said[rows_of][metric]
    assert steps(run, "auc") == [0, 1, 2] and run.series[0].unit == "iteration"
    assert "validation_0 is taken for the training rows" in run.notes[0]
    mapping = {"validation_0 auc": ("auc", "validation"), "validation_1 auc": ("auc", "test")}
    turned = read(json.dumps(said), "xgb.json", mapping=mapping)
    assert values(turned, "auc", "test") == said["validation_1"]["auc"]
    one = read(json.dumps({"validation_0": said["validation_0"]}), "xgb.json")
    assert values(one, "auc", "validation") == said["validation_0"]["auc"] and not one.notes


def test_lightgbm_as_the_library_reports_it(rows: tuple[np.ndarray, np.ndarray]) -> None:
    import lightgbm

    X, y = rows
    train = lightgbm.Dataset(X[:80], y[:80])
    other = lightgbm.Dataset(X[80:], y[80:], reference=train)
    said: dict[str, Any] = {}
    options = {
        "objective": "binary",
        "verbose": -1,
        "num_threads": 1,
        "metric": ["auc", "binary_logloss"],
    }
    callbacks = [lightgbm.record_evaluation(said)]
    lightgbm.train(options, train, 3, valid_sets=[train, other], callbacks=callbacks)
    run = read(json.dumps(said), "lgb.json")
    assert run.source == "LightGBM" and not run.notes
    for part, rows_of in (("train", "training"), ("validation", "valid_1")):
        for metric in ("auc", "binary_logloss"):
            assert values(run, metric, part) == said[rows_of][metric]


def test_catboost_as_the_library_reports_it(
    rows: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    import catboost

    X, y = rows
    model = catboost.CatBoostClassifier(
        iterations=4,
        depth=2,
        thread_count=1,
        train_dir=tmp_path / "info",
        verbose=False,
        eval_metric="AUC",
    )
    model.fit(X[:60], y[:60], eval_set=[(X[60:90], y[60:90]), (X[90:], y[90:])])
    said = model.get_evals_result()
    folder = tmp_path / "info"
    names = ("catboost_training.json", "learn_error.tsv", "test_error.tsv", "time_left.tsv")
    files = {name: (folder / name).read_bytes() for name in names}
    tables = {f"info/{name}": files[name] for name in names[1:]}
    whole = read_runs({"info": folder})[0]
    for run in (
        whole,
        read_runs({names[0]: files[names[0]]})[0],
        read_runs({"info.zip": zipped(tables)})[0],
    ):
        assert run.source == "CatBoost"
        for part, rows_of in (
            ("train", "learn"),
            ("validation", "validation_0"),
            ("test", "validation_1"),
        ):
            for metric in said[rows_of]:
                found = values(run, metric.casefold(), part)
                np.testing.assert_allclose(found, said[rows_of][metric], rtol=1e-9)
        assert steps(run, "logloss") == [0, 1, 2, 3]
    assert whole.name == "info" and len(read_runs({"info": folder})) == 1
    assert "event files below it hold the same" in " ".join(whole.notes)
    (event_log,) = read_runs({"e": (folder / "learn" / "events.out.tfevents").read_bytes()})
    np.testing.assert_allclose(values(event_log, "logloss"), said["learn"]["Logloss"], rtol=1e-6)


def test_more_sets_than_three_are_said() -> None:
    said = {name: {"rmse": [2.0, 1.0]} for name in ("train", "eval", "a", "b")}
    run = read(json.dumps(said), "x.json")
    assert [(one.part, one.logged_as) for one in run.series] == [
        ("train", "train rmse"),
        ("validation", "eval rmse"),
        ("test", "a rmse"),
    ]
    assert "a is shown as test" in " ".join(run.notes) and "b" in run.notes[-1]


# --- folders and archives ------------------------------------------------------------------------


def test_an_archive_is_its_files(tmp_path: Path) -> None:
    files = {
        "logs/b/train/events.out.tfevents.2": losses(3, 2),
        "logs/b/validation/events.out.tfevents.3": losses(4, 3),
        "logs/a/events.out.tfevents.1": losses(9),
        "logs/a/events.out.tfevents.9": losses(8, 7),
        "logs/a/empty/events.out.tfevents.0": b"",
        "logs/history.csv": b"epoch,loss\n0,1\n",
        "logs/weights.bin": b"\0" * 50,
        "__MACOSX/logs/._history.csv": b"\0",
    }
    runs = {run.name: run for run in read_runs({"runs.zip": zipped(files)})}
    assert list(runs) == ["a", "b", "history"]
    assert values(runs["b"], "loss", "validation") == [4, 3]
    # two files of one folder follow each other; steps begin again
    assert (values(runs["a"], "loss"), steps(runs["a"], "loss")) == ([9, 8, 7], [0, 0, 1])
    said = runs["a"].notes[-1]
    assert "2 files" in said and "events.out.tfevents.0" in said and "weights.bin" in said
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "outside.csv").write_bytes(b"epoch,loss\n0,9\n")
    (tmp_path / "logs" / "outside.csv").symlink_to(tmp_path / "outside.csv")
    found = read_runs({"logs": tmp_path / "logs"})
    assert [run.name for run in found] == ["a", "b", "history"]
    assert [run.frame().equals(runs[run.name].frame()) for run in found] == [True] * 3


def test_data_beside_runs_is_no_run() -> None:
    files = {
        "a/events.out.tfevents.1": losses(1),
        "a/data.csv": b"epoch,height\n1,2\n",
        "a/layers.json": b'{"units": [64, 10]}',
        "b/history.json": b'{"score_x": [1, 2], "val_score_x": [2, 3], "loss": [1, 2]}',
        "c/curves.csv": b"Wall time,Step,Value\n1e9,0,.5\n",
    }
    runs = read_runs({"runs.zip": zipped(files)})
    assert [run.name for run in runs] == ["a", "history", "curves"]
    assert "2 files beside the logs are none" in runs[0].notes[-1]
    for content in (files["a/layers.json"], b"length,width\n1,2\n"):
        with pytest.raises(DataError, match="neither a column of epochs nor a metric"):
            read_runs({"data": content})


def test_files_of_one_folder_may_be_given_one_by_one() -> None:
    """As a browser gives the files of a folder: by their paths in it."""
    files = {
        "runs/a/train/events.out.tfevents.1": losses(1),
        "runs/a/validation/events.out.tfevents.2": losses(2),
        "runs/b/events.out.tfevents.1": losses(3),
        "runs/c/learn_error.tsv": b"iter\tRMSE\n0\t4\n",
        "runs/d/learn_error.tsv": b"iter\tRMSE\n0\t5\n",
        "runs/d/test_error.tsv": b"iter\tRMSE\n0\t6\n",
    }
    runs = {run.name: run for run in read_runs(files)}
    assert list(runs) == ["c", "d", "a", "b"]
    assert values(runs["a"], "loss", "validation") == [2]
    assert values(runs["c"], "rmse") == [4] and values(runs["d"], "rmse", "validation") == [6]


def test_names_never_collide_and_single_runs_are_named_by_their_file() -> None:
    runs = read_runs({"x/log.csv": b"epoch,loss\n0,1\n", "y/log.csv": b"epoch,loss\n0,2\n"})
    assert [run.name for run in runs] == ["log", "log (2)"]
    (run,) = read_runs({"my runs.zip": zipped({"train/events.out.tfevents.1": losses(1)})})
    assert run.name == "my runs"


def test_hostile_archives_are_refused(tmp_path: Path) -> None:
    small = Settings(upload_limit_mb=1, max_runs=3)
    bomb = zipped({"a/events.out.tfevents.1": losses(1) + bytes(20 << 20)})
    with pytest.raises(LimitExceeded, match="max_archive_ratio"):
        read_runs({"bomb.zip": bomb}, settings=Settings(max_archive_ratio=10))
    with pytest.raises(LimitExceeded, match="upload_limit_mb"):
        read_runs({"bomb.zip": bomb}, settings=small)
    with pytest.raises(LimitExceeded, match="upload_limit_mb"):
        read_runs({"large.csv": bytes(2 << 20)}, settings=small)
    many = zipped({f"{k}/events.out.tfevents.1": losses(1) for k in range(4)})
    with pytest.raises(LimitExceeded, match="max_runs"):
        read_runs({"many.zip": many}, settings=small)
    for content, said in (
        (bomb[: len(bomb) // 2], "cut off or damaged"),
        (zipped({"readme.md": b"hello"}), "holds no training log"),
        (zipped({"in.zip": many}), "holds no training log"),
    ):
        with pytest.raises(DataError, match=said):
            read_runs({"a.zip": content})
    with pytest.raises(DataError, match="no log"):
        read_runs({"gone": tmp_path / "gone.csv"})


def test_paths_in_archives_lead_nowhere() -> None:
    names = ("../../etc/x", "/etc/y", "C:\\z\\..\\w", "a/\x1b[31mred")
    content = zipped({f"{name}/events.out.tfevents.1": losses(1) for name in names})
    for run in read_runs({"a.zip": content}):
        assert ".." not in run.name and run.name.isprintable() and not run.name.startswith("/")


def test_a_lying_size_in_an_archive() -> None:
    """The directory says ten bytes, the file holds more: what is read is what was said."""
    plain = bytearray(zipped({"a/events.out.tfevents.1": losses(1, 2)}))
    at = plain.rindex(b"PK\x01\x02")
    plain[at + 24 : at + 28] = struct.pack("<I", 10)
    with pytest.raises(DataError, match="no training log"):
        read_runs({"a.zip": bytes(plain)})


# --- kept columns --------------------------------------------------------------------------------


def test_kept_columns_come_back_equal() -> None:
    runs = [
        *read_runs({"event_files": FILES}),
        *read_runs({"h.json": json.dumps(HISTORY).encode()}),
    ]
    runs.append(Run("odd", "x", config={"a": float("nan"), "b": 1, "c": True, "d": "é\n"}))
    again = decode_runs(encode_runs(runs))
    assert len(again) == len(runs)
    for run, twin in zip(runs, again, strict=True):
        assert (run.name, run.source, run.notes) == (twin.name, twin.source, twin.notes)
        assert repr(dict(run.config)) == repr(dict(twin.config))
        for one, other in zip(run.series, twin.series, strict=True):
            for name in ("metric", "part", "unit", "logged_as"):
                assert getattr(one, name) == getattr(other, name)
            for name in ("steps", "values", "wall"):
                mine, its = getattr(one, name), getattr(other, name)
                assert (mine is None) == (its is None)
                if mine is not None:
                    np.testing.assert_array_equal(mine, its, strict=True)
        for drawn, kept in zip(run.histograms, twin.histograms, strict=True):
            assert (drawn.layer, drawn.kind) == (kept.layer, kept.kind)
            for name in ("steps", "edges", "counts"):
                np.testing.assert_array_equal(getattr(drawn, name), getattr(kept, name))


def test_steps_that_many_series_share_are_kept_once() -> None:
    table = pd.DataFrame({f"loss {k}": np.random.default_rng(k).random(500) for k in range(8)})
    kept = encode_runs(read_runs({"t.csv": table.to_csv().encode()}))
    assert len(kept) < 8 * 500 * 8 + 500 * 4 + 3_000


def test_damaged_columns_are_refused() -> None:
    whole = encode_runs(read_runs({"event_files": FILES}))
    assert decode_runs(whole)
    for size in (0, 5, 15, 100, len(whole) // 2, len(whole) - 8):
        with pytest.raises(DataError, match="kept columns"):
            decode_runs(whole[:size])
    rng = np.random.default_rng(0)
    for _ in range(150):
        changed = bytearray(whole)
        for at in rng.integers(0, 4_000, 3):
            changed[int(at)] = int(rng.integers(256))
        with suppress(DataError):
            assert isinstance(decode_runs(bytes(changed)), list)
    huge = json.dumps({"runs": [], "arrays": [["<f8", [1 << 60, 1 << 60]]]}).encode()
    with pytest.raises(DataError, match="kept columns"):
        decode_runs(whole[:8] + struct.pack("<Q", len(huge)) + huge)
