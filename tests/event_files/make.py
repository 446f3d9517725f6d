"""How the event files in this folder were written, and what TensorBoard reads out of them.

Needs tensorflow, keras, tensorboard, tensorboardX and torch, which the tests do not: they compare
with `expected.json`. Run it in this folder, in an environment of its own.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorboardX
import torch.utils.tensorboard
from tensorboard import data_compat
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.hparams import api
from tensorboard.util import tensor_util

HERE = Path(__file__).resolve().parent
EDGES = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0]
EVERYTHING = {"scalars": 0, "tensors": 0, "histograms": 0}


def write_keras(folder: str) -> None:
    keras.utils.set_random_seed(0)
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
    network = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2, activation="relu", name="hidden"),
            keras.layers.Dense(1, activation="sigmoid", name="out"),
        ]
    )
    rate = keras.optimizers.schedules.CosineDecay(0.01, 6)
    network.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    logger = keras.callbacks.TensorBoard(folder, histogram_freq=1, update_freq=1, write_graph=False)
    parameters = {"units": 2, "rate": 0.01, "optimizer": "adam", "dropout": False}
    network.fit(
        rows,
        (rows[:, 0] > 0).astype(int),
        batch_size=10,
        epochs=3,
        validation_split=0.5,
        callbacks=[logger, api.KerasCallback(folder, parameters)],
        verbose=0,
    )


def write_tensorboard_x(folder: str) -> None:
    with tensorboardX.SummaryWriter(folder) as writer:
        for step in range(20):
            lost = math.nan if step == 7 else math.inf if step == 9 else 0.1 + 1 / (step + 1)
            for tag, value in (("train/loss", 1 / (step + 1)), ("valid/loss", lost), ("lr", 0.1)):
                writer.add_scalar(tag, value, 200 * step, walltime=1e9 + step)
            if step % 10 == 0:
                drawn = np.random.default_rng(step).normal(size=50)
                writer.add_histogram("fc1/weight", drawn, step, bins=EDGES, walltime=1e9 + step)
        writer.add_hparams({"lr": 0.1, "name": "adam", "flag": True}, {"hparam/acc": 0.9}, name="h")


def write_torch(folder: str) -> None:
    with torch.utils.tensorboard.SummaryWriter(folder) as writer:
        for step in range(5):
            wall = 1e9 + step
            writer.add_scalar("Loss/train", 1 / (step + 1), step, walltime=wall)
            writer.add_scalar("Loss/val", 2 / (step + 1), step, walltime=wall, new_style=True)
            writer.add_scalar("half", step / 3, step, walltime=wall, double_precision=True)
            writer.add_scalars("acc", {"train": step / 5, "val": step / 6}, step, walltime=wall)
            drawn = np.random.default_rng(step).normal(size=50)
            writer.add_histogram("fc1.weight.grad", drawn, step, bins=EDGES, walltime=wall)


def plain(values: object) -> list[str]:
    """Every digit, and NaN too, as JSON has neither."""
    return [repr(float(value)) for value in np.ravel(values)]


def read(folder: Path) -> dict[str, object]:
    """Every scalar and histogram as TensorBoard has it, tensors for both."""
    read = EventAccumulator(str(folder), size_guidance=EVERYTHING)
    read.Reload()
    found: dict[str, object] = {}
    for tag in read.Tags()["scalars"]:
        events = read.Scalars(tag)
        found[tag] = as_lists(events, [event.value for event in events])
    for tag in read.Tags()["histograms"]:
        events = read.Histograms(tag)
        tables = []
        for event in events:
            old = event.histogram_value
            proto = summary_pb2.HistogramProto(
                min=old.min, max=old.max, bucket_limit=old.bucket_limit, bucket=old.bucket
            )
            value = data_compat.migrate_value(summary_pb2.Summary.Value(tag=tag, histo=proto))
            tables.append(plain(tensor_util.make_ndarray(value.tensor)))
        found[tag] = {**as_lists(events, []), "tables": tables}
    for tag in read.Tags()["tensors"]:
        events = read.Tensors(tag)
        arrays = [tensor_util.make_ndarray(event.tensor_proto) for event in events]
        plugin = read.summary_metadata[tag].plugin_data.plugin_name
        if plugin == "histograms":
            found[tag] = {**as_lists(events, []), "tables": [plain(one) for one in arrays]}
        elif plugin == "scalars":
            found[tag] = as_lists(events, arrays)
    return found


def as_lists(events: object, values: object) -> dict[str, object]:
    return {
        "steps": [event.step for event in events],
        "walls": plain([event.wall_time for event in events]),
        "values": plain(values),
    }


if __name__ == "__main__":
    os.chdir(HERE)
    for name, write in (
        ("keras", write_keras),
        ("tensorboard_x", write_tensorboard_x),
        ("torch", write_torch),
    ):
        shutil.rmtree(name, ignore_errors=True)
        write(name)
    for path in sorted(HERE.rglob("events.out.tfevents.*")):
        # no name of a machine
        path.rename(path.with_name(".".join([*path.name.split(".")[:4], "host"])))
    for path in sorted((HERE / "torch").iterdir()):
        if path.is_dir() and path.name[0].isdigit():
            path.rename(path.with_name("session"))
    folders = sorted({path.parent for path in HERE.rglob("events.out.tfevents.*")})
    said = {str(folder.relative_to(HERE)): read(folder) for folder in folders}
    Path("expected.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
