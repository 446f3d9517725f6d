"""Bits turned in files of every kind: what the app itself reads answers with a sentence, always.

Each target runs in a process of its own, since a parser written in C can take one with it. An input
that was found to break something is kept below and tried on every run.
"""

from __future__ import annotations

import base64
import contextlib
import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.data import (
    Table,
    evalset_from_frame,
    infer_answers,
    infer_prediction_columns,
    read_table,
)
from dashboard.errors import DiagnosticsError
from dashboard.frames import write_frame
from tests.hostile.fuzzing import LEAST, TARGETS, replay
from tests.hostile.scene import Scene
from tests.hostile.tables import traps

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 40
SEEDS = (1, 2)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("target", TARGETS)
def test_turned_bits(target: str, seed: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.hostile.fuzzing", target, str(SECONDS), str(seed)]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    if done.returncode:
        content = (tmp_path / "input").read_bytes()
        kept = base64.b85encode(content[:20_000]).decode()
        pytest.fail(f"exit code {done.returncode}\n{done.stderr[-3_000:]}\ninput: {kept}")
    assert int(done.stdout.split()[0]) >= LEAST, done.stdout


def _frame(header: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    write_frame(stream, header)
    return stream.getvalue()


NAMELESS = (
    b"PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00!\x00\xc2A$5\x03\x00\x00\x00\x03\x00\x00\x00"
    b"\x00\x00\x00\x00abc"
    b"PK\x01\x02\x14\x00\x14\x00\x00\x00\x00\x00\x00\x00!\x00\xc2A$5\x03\x00\x00\x00\x03\x00"
    b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00.\x00\x00\x00!\x00\x00\x00\x00\x00"
)
# What was found: target and input. Each was fixed, and stays fixed.
FOUND = {
    "a description of a model without a hint of its task": (
        "frames",
        _frame({"info": {"format": "a", "kind": "b"}}),
    ),
    "a zip archive with a member without a name": ("tables", NAMELESS),
    "an archive of logs with a member without a name": ("training logs", NAMELESS),
    "an archive of models with a member without a name": ("archives", NAMELESS),
    "a table whose first cell is longer than the csv module likes": (
        "tables",
        b"a,kind\n" + b"x" * 300_000 + b",1\n",
    ),
    "a training history with a number beyond all floats": (
        "histories",
        b'{"loss": [1%s, 2], "val_loss": [1, 2]}' % (b"0" * 400),
    ),
    "an array whose header is longer than a screen": (
        "tables",
        traps(Scene(Path("nowhere"), Path("nowhere")))["header-deep.npy"],
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_fixed(name: str) -> None:
    replay(*FOUND[name])


def test_a_long_first_cell_is_a_row() -> None:
    content = FOUND["a table whose first cell is longer than the csv module likes"][1]
    assert read_table(content, "long.csv").n_read == 1


ROWS_OF = {
    "digits and a letter": "1" * 200_000 + "x",
    "numbers with points": "1.111" * 40_000 + "x",
    "numbers with commas": "1,111" * 40_000 + "x",
    "numbers with spaces": "1 111 " * 40_000 + "x",
    "zeros": "0" * 200_000 + "x",
    "pieces of dates": "2024-01-" * 40_000,
    "slashes": "1/1/" * 40_000,
    "exponents": "1e" * 100_000,
    "minus signs": "-" * 200_000,
}


@pytest.mark.parametrize("name", ROWS_OF)
def test_a_long_cell_takes_no_time(name: str) -> None:
    """Some patterns take the square of the length of what nearly fits them."""
    cell, start = ROWS_OF[name], time.process_time()
    table = read_table(f"a;kind\n{cell};0\n{cell};1\n{cell};0\n".encode(), "long.csv")
    assert table.n_read == 3
    assert time.process_time() - start < 5


@pytest.mark.parametrize("name", ["proba_" + "1" * 50_000, "_" * 50_000, "pred" + "_" * 50_000])
def test_a_long_name_takes_no_time(name: str) -> None:
    start = time.process_time()
    evalset = evalset_from_frame(pd.DataFrame({"a": range(8), "kind": [0, 1] * 4}), target="kind")
    said = Table.from_frame("said.csv", pd.DataFrame({name: [0, 1] * 4, f"{name}x": range(8)}))
    with contextlib.suppress(DiagnosticsError):
        infer_prediction_columns(said, evalset)
    with contextlib.suppress(DiagnosticsError):
        infer_answers(Table.from_frame("d.csv", said.frame.assign(kind=[0, 1] * 4)))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_and_a_few_changes(target: str) -> None:
    """So that the slow run does not find out that it cannot even start."""
    seeds, rng = TARGETS[target].seeds(), np.random.default_rng(0)
    assert seeds
    for content in seeds[:6]:
        replay(target, content)
        for _ in range(3):
            replay(target, TARGETS[target].change(content, rng))
