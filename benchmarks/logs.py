"""Reading TensorBoard's runs against TensorBoard's own EventAccumulator.

tensorboardX and TensorBoard's own writer log a few runs, which are copied under many names: reading
does not know. TensorBoard is timed on some of the runs and counted per run, in turns with ours,
which reads all of them; every step and value of its runs must be equal before a time counts. Both
writers and the reader live in an environment of their own, made here; where that cannot be
installed, the row says so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from dashboard.contracts import Run
from dashboard.logs import decode_runs, encode_runs, read_runs

Row = dict[str, object]

_WRITTEN, _TIMED = 4, 4  # runs
_FORMS = {"tensorboardX": "numbers as simple_value", "tensorboard": "numbers as tensors"}

_WRITE = """
import sys
import numpy as np
folder, form, runs, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if form == "tensorboardX":
    from tensorboardX import SummaryWriter as Writer
else:
    from tensorboard.summary import Writer
for run in range(runs):
    rng = np.random.default_rng(run)
    loss = np.exp(-np.arange(steps) / steps) + rng.normal(0, 0.05, (2, steps))
    writer = Writer(f"{folder}/run-{run}")
    for step in range(steps):
        writer.add_scalar("loss", loss[0, step], step)
        writer.add_scalar("val_loss", loss[1, step], step)
    writer.close()
"""

_READ = """
import json, sys, time
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
found, seconds = {}, 0.0
for folder in sys.argv[2:]:
    start = time.perf_counter()
    read = EventAccumulator(folder, size_guidance={"scalars": 0, "tensors": 0})
    read.Reload()
    seconds += time.perf_counter() - start
    for tag in ("loss", "val_loss"):
        if tag in read.Tags()["scalars"]:
            events = read.Scalars(tag)
            values = [event.value for event in events]
        else:
            events = read.Tensors(tag)
            values = [tensor_util.make_ndarray(event.tensor_proto).item() for event in events]
        found[f"{folder}:{tag}"] = [[event.step for event in events], values]
arrays = {f"{k}{i}": np.array(v) for i, both in enumerate(found.values())
          for k, v in zip(("steps", "values"), both)}
np.savez(sys.argv[1], **arrays)
print(json.dumps({"seconds": seconds, "order": list(found)}))
"""


def run(*, quick: bool = False) -> list[Row]:
    """A row for each form, and one for the kept columns; `quick` takes 10 runs of 500 steps."""
    runs, steps, turns = (10, 500, 1) if quick else (200, 10_000, 3)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        python = _environment(here)
        if isinstance(python, str):
            return [{"work": "TensorBoard was not timed", "against": python}]
        rows = []
        for form, words in _FORMS.items():
            rows += _compared(here / form, python, (form, words), (runs, steps, turns))
        return rows


def _environment(here: Path) -> Path | str:
    """A Python that has TensorBoard and tensorboardX, or why there is none."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        return "uv, which would install it, is not there"
    python = here / "env" / "bin" / "python"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(here / "env")],
        [uv, "pip", "install", "--quiet", "--python", str(python), "tensorboard", "tensorboardX"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["no word"])[-1][:120]
    return python


def _asked(python: Path, program: str, *arguments: object) -> str:
    command = [str(python), "-W", "ignore", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3_600, check=False)
    if done.returncode:
        raise SystemExit(f"The environment of TensorBoard failed: {done.stderr[-500:]}")
    return done.stdout


def _compared(
    folder: Path, python: Path, form: tuple[str, str], size: tuple[int, int, int]
) -> list[Row]:
    runs, steps, turns = size
    _asked(python, _WRITE, folder, form[0], _WRITTEN, steps)
    for at in range(_WRITTEN, runs):
        shutil.copytree(folder / f"run-{at % _WRITTEN}", folder / f"run-{at}")
    ours, theirs, ratios = [], [], []
    for _ in range(turns):
        start = time.perf_counter()
        found = read_runs({"runs": folder})
        ours.append(time.perf_counter() - start)
        theirs.append(_theirs(python, folder, found))
        ratios.append(theirs[-1] * runs / ours[-1])
    work = f"{runs:,} runs × {steps:,} steps × 2, {form[1]}"
    row: Row = {
        "work": work,
        "ours, s": f"{median(ours):.3g}",
        "against": f"EventAccumulator, {_TIMED} runs",
        "it, s a run": f"{median(theirs):.3g}",
        "times as fast": f"{median(ratios):.3g}",
        "checked": f"steps and values of {_TIMED} runs equal",
    }
    return [row, _kept(work, found)]


def _theirs(python: Path, folder: Path, found: list[Run]) -> float:
    """Seconds a run, once its values are seen to be ours."""
    named = {one.name: one for one in found}
    folders = [folder / f"run-{at}" for at in range(_TIMED)]
    arrays = folder.parent / "theirs.npz"
    said = json.loads(_asked(python, _READ, arrays, *folders).strip().splitlines()[-1])
    with np.load(arrays) as held:
        for at, key in enumerate(said["order"]):
            path, _, tag = key.rpartition(":")
            part = "validation" if tag == "val_loss" else "train"
            series = named[Path(path).name].get("loss", part)
            if series is None or not (
                np.array_equal(series.steps, held[f"steps{at}"])
                and np.array_equal(series.values, held[f"values{at}"])
            ):
                raise SystemExit(f"{key}: steps or values differ; no time counts.")
    return float(said["seconds"]) / _TIMED


def _altered(run: Run, seed: int) -> Run:
    noise = np.random.default_rng(seed)
    series = []
    for one in run.series:
        values = (one.values + noise.normal(0, 1e-3, len(one.values))).astype(np.float32)
        wall = one.wall if one.wall is None else one.wall + noise.random(len(one.wall))
        series.append(replace(one, values=values.astype(np.float64), wall=wall))
    return replace(run, series=tuple(series))


def _kept(work: str, found: list[Run]) -> Row:
    """As many runs from kept columns, as at a second opening; no two of them alike."""
    found = [_altered(one, at) for at, one in enumerate(found)]
    kept = encode_runs(found)
    took = []
    for _ in range(5):
        start = time.perf_counter()
        again = decode_runs(kept)
        took.append(time.perf_counter() - start)
    same = all(
        np.array_equal(one.values, other.values) and np.array_equal(one.steps, other.steps)
        for run, twin in zip(found, again, strict=True)
        for one, other in zip(run.series, twin.series, strict=True)
    )
    if not same:
        raise SystemExit("Kept columns differ from what was read; no time counts.")
    return {
        "work": f"as many from kept columns ({len(kept) / 1e6:.0f} MB)",
        "ours, s": f"{median(took):.3g}",
        "checked": "every step and value equal",
    }
