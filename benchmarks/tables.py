"""A large CSV file: our reader, with all its checks, against the quickest libraries there are.

Each reading is a process of its own, so that its peak memory is its own. `--full`: 1 GB.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, object]

MEGABYTE = 1024 * 1024
BLOCK_ROWS = 100_000
ROUNDS = 3


def write_csv(path: Path, size: int) -> int:
    """A table of numbers, gaps, words, dates and truth values; its rows, about 220 bytes each."""
    import pandas as pd

    rng = np.random.default_rng(0)
    n = BLOCK_ROWS
    columns: dict[str, Any] = {f"x{i}": rng.normal(size=n).round(6) for i in range(14)}
    columns |= {f"n{i}": rng.integers(0, 10 ** (i + 2), n) for i in range(5)}
    columns["gap"] = np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n).round(3))
    columns["city"] = rng.choice(["Berlin", "Paris, FR", "New York", "São Paulo", "Oslo"], n)
    columns["colour"] = rng.choice(["red", "green", "blue"], n)
    columns["member"] = rng.choice([True, False], n)
    seconds = pd.to_timedelta(rng.integers(0, 10**8, n), unit="s")
    columns["when"] = (pd.Timestamp("2020-01-01") + seconds).strftime("%Y-%m-%d %H:%M:%S")
    columns["target"] = rng.choice(["yes", "no", "maybe"], n)
    header, _, body = pd.DataFrame(columns).to_csv(index=False).partition("\n")
    block = body.encode()
    blocks = max(size // len(block), 1)
    with path.open("wb") as file:
        file.write(f"{header}\n".encode())
        for _ in range(blocks):
            file.write(block)
    return int(blocks * n)


def _ours(path: Path) -> Any:
    from dashboard.data import read_table
    from dashboard.settings import Settings

    return read_table(path, settings=Settings(upload_limit_mb=2048, max_rows=10_000_000)).frame


def _pandas(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path, low_memory=False)


def _pandas_pyarrow(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path, engine="pyarrow")


def _polars(path: Path) -> Any:
    import polars as pl

    return pl.read_csv(path, try_parse_dates=True)


def _polars_text_dates(path: Path) -> Any:
    import polars as pl

    return pl.read_csv(path)


def _polars_pandas(path: Path) -> Any:
    return _polars(path).to_pandas()


def _duckdb(path: Path) -> Any:
    import duckdb

    return duckdb.sql(f"SELECT * FROM read_csv('{path}')").to_arrow_table()


def _duckdb_pandas(path: Path) -> Any:
    import duckdb

    return duckdb.sql(f"SELECT * FROM read_csv('{path}')").df()


READERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "ours": (_ours, "pandas, dates as dates, checked, sha-256"),
    "pandas": (_pandas, "pandas, dates as text"),
    "pandas (pyarrow)": (_pandas_pyarrow, "pandas, dates as dates"),
    "polars → pandas": (_polars_pandas, "pandas, dates as dates"),
    "duckdb → pandas": (_duckdb_pandas, "pandas, dates as dates"),
    "polars": (_polars, "its own, dates as dates"),
    "duckdb": (_duckdb, "Arrow, dates as dates"),
    "polars, no dates": (_polars_text_dates, "its own, dates as text"),
}
# What takes longer than everything else is measured once.
ONCE = ("pandas",)


def _peak_mb() -> float:
    """The most memory that this process has held since it started."""
    status = Path("/proc/self/status")
    if status.exists():  # the usual call counts what the parent held, too
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


def _read_here(name: str, path: Path, small: Path) -> dict[str, float]:
    """Seconds, peak memory and rows of one reading, after one of a small file for the imports."""
    read, _ = READERS[name]
    read(small)
    started = time.perf_counter()
    frame = read(path)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak": _peak_mb(), "rows": frame.shape[0]}


def _measure(name: str, path: Path, small: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.tables", name, str(path), str(small)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(*, quick: bool = False, full: bool = False) -> list[Row]:
    """One row per library: the best of three rounds, in which all take turns."""
    size = (1024 if full else 40 if quick else 256) * MEGABYTE
    with tempfile.TemporaryDirectory() as folder:
        path, small = Path(folder, "large.csv"), Path(folder, "small.csv")
        rows = write_csv(path, size)
        write_csv(small, 20 * MEGABYTE)
        path.read_bytes()  # from the disk once, for nobody in particular
        found: dict[str, list[dict[str, float]]] = {name: [] for name in READERS}
        for turn in range(1 if quick else ROUNDS):
            for name in READERS:
                if turn == 0 or name not in ONCE:
                    found[name].append(_measure(name, path, small))
        megabytes = path.stat().st_size / MEGABYTE
    wrong = [name for name, runs in found.items() if any(run["rows"] != rows for run in runs)]
    if wrong:
        raise SystemExit(f"Not every row was read by {', '.join(wrong)}.")
    best = {name: min(run["seconds"] for run in runs) for name, runs in found.items()}
    return [
        {
            "reader": name,
            "frame": frame,
            "MB": f"{megabytes:,.0f}",
            "rows": f"{rows:,}",
            "seconds": f"{best[name]:.2f}",
            "ours ÷ it": f"{best['ours'] / best[name]:.2f}",
            "peak MB": f"{max(run['peak'] for run in found[name]):,.0f}",
        }
        for name, (_, frame) in READERS.items()
    ]


if __name__ == "__main__":
    _name, _path, _small = sys.argv[1:]
    print(json.dumps(_read_here(_name, Path(_path), Path(_small))))
