"""Large delimited text → frames on all cores, with the very result that pandas' own parser gives.

pandas' parser works on one core and makes a Python object of every text cell. Above a few
megabytes polars parses instead. It is told every column's type, learnt by pandas from a sample,
so that it guesses nothing; wherever the two could differ (quotes inside cells, bare carriage
returns, blank lines, a decimal comma), the answer is None and pandas reads the file after all.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError
from ..settings import Settings
from .dialects import NUMBER, Dialect
from .table_limits import MEGABYTE, check_shape

__all__ = ["LARGE", "LargeText", "has_leading_zeros", "read_large"]

LARGE = 16 * MEGABYTE  # below this pandas is as quick as importing the other library
SAMPLES = 15
SAMPLE_BYTES = 32 * 1024
TRIES = 12
COMPARED_CELLS = 20_000
EXACT = 2**53
# What pandas takes for a missing cell; an empty one is beside them.
MISSING = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
UNPARSED = re.compile(
    r"could not parse `(.*?)` as dtype `\w+` at column '.*' \(column number (\d+)\)", re.DOTALL
)
FRACTION = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)

Parse = Callable[[bytes], pd.DataFrame]


@dataclass(frozen=True)
class LargeText:
    """A frame, and a way to read some of its columns once more as text.

    `has_zeros`: whether any cell of the file starts with 0 and a digit.
    """

    frame: pd.DataFrame
    texts: Callable[[Sequence[str]], pd.DataFrame]
    has_zeros: bool


@dataclass
class _Plan:
    """What polars is told: a type for each column, and how missing numbers are spelt.

    `kinds`: "int", "float", "bool" or "text" by column, in the order of the file.
    `unknown`: columns without a cell in the sample, read as text.
    """

    dialect: Dialect
    kinds: dict[str, str]
    unknown: set[str] = field(default_factory=set)
    words: dict[str, str] = field(default_factory=dict)
    all_words: bool = False

    def read(self, data: bytes, columns: Sequence[str] | None = None) -> Any:
        """A polars frame; with `columns` these alone, as text."""
        import polars as pl

        types = {"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean, "text": pl.String}
        texts = columns is not None
        words: Any = list(MISSING) if self.all_words else self.words or None
        found: Any = pl.read_csv(
            data,
            has_header=False,
            skip_rows=1 if self.dialect.header_cells else 0,
            schema={n: pl.String if texts else types[kind] for n, kind in self.kinds.items()},
            columns=[list(self.kinds).index(name) for name in columns] if columns else None,
            null_values=None if texts else words,
            separator=self.dialect.delimiter,
            missing_columns="raise",
            extra_columns="raise",
            raise_if_empty=False,
        )
        return found

    def widen(self, message: str) -> bool:
        """Give a column the type that the cell of an error message asks for; False: unclear."""
        found = UNPARSED.search(message)
        if found is None:
            return False
        cell, name = found[1], list(self.kinds)[int(found[2]) - 1]
        if len(cell) > 1 and cell[0] == cell[-1] == '"':  # told as it is written
            cell = cell[1:-1].replace('""', '"')
        kind = self.kinds[name]
        if cell in MISSING:
            self.all_words = name in self.words
            self.words.setdefault(name, cell)
        elif kind == "int" and _is_fraction(cell):
            self.kinds[name] = "float"
        elif kind in ("bool", "int", "float") and _is_word(cell):
            self.kinds[name] = "text"
            self.words.pop(name, None)
        else:
            return False
        return True


def _is_fraction(cell: str) -> bool:
    if FRACTION.fullmatch(cell):
        return True
    return bool(NUMBER.fullmatch(cell)) and not cell.lstrip("+-").isdigit()


def _is_word(cell: str) -> bool:
    """Whether pandas takes a lone cell for text; what it would take for a number is no word."""
    line = io.StringIO()
    csv.writer(line).writerow([cell, "x"])
    read = pd.read_csv(io.StringIO(line.getvalue()), header=None)
    return isinstance(read[0].dtype, pd.StringDtype)


def read_large(
    data: bytes, dialect: Dialect, parse: Parse, settings: Settings, name: str = "the data"
) -> LargeText | None:
    """The table as pandas would read it, or None where that cannot be promised.

    `parse` is pandas' own reading of a part of the file, in the same dialect.

    Raises
    ------
    LimitExceeded : more rows than `max_rows`.
    """
    learnt = _learn(data, dialect, parse)
    if learnt is None:
        return None
    plan, sample = learnt
    with ThreadPoolExecutor(1) as pool:  # the scan needs one core for a part of the time
        scan = pool.submit(_scan, data, dialect.delimiter)
        table = _read(plan, data)
        regular, zeros = scan.result()
    if table is None or not regular:
        return None
    table = _without_blank_lines(table, data)
    if table is None:
        return None
    check_shape(table.height, 0, name, settings)
    frame = _to_pandas(table, plan, data, settings.threads)
    if frame is None or not _agrees(frame, sample):
        return None
    return LargeText(frame, lambda columns: _texts(plan, data, columns, len(frame)), zeros)


def _learn(data: bytes, dialect: Dialect, parse: Parse) -> tuple[_Plan, pd.DataFrame] | None:
    """What pandas makes of a sample, and a plan that holds for its head; None: no such plan."""
    if not _fits(dialect) or (head := _head(data)) is None:
        return None
    try:
        sample = parse(head + _spread(data, len(head)))
    except DataError:  # the reading of the whole file will say what is wrong, and in which line
        return None
    plan = _plan(dialect, sample)
    return None if plan is None or _read(plan, head) is None else (plan, sample)


def _fits(dialect: Dialect) -> bool:
    """With a decimal comma polars would also take 2.5 for a number, and pandas does not."""
    return (
        dialect.decimal == "."
        and not dialect.skip
        and len(dialect.names) > 1
        and dialect.delimiter.isascii()
        and dialect.delimiter not in ' "\r\n'
    )


def _head(data: bytes) -> bytes | None:
    """The first complete lines, or None when they are no UTF-8 or one of them is endless."""
    end = max(SAMPLES * SAMPLE_BYTES, 16 * data.find(b"\n", 0, 2 * MEGABYTE))
    head = data[: data.rfind(b"\n", 0, end) + 1]
    for _ in range(SAMPLES):  # a cut inside a quoted cell of several lines
        if head.count(b'"') % 2 == 0:
            break
        head = head[: head.rfind(b"\n", 0, len(head) - 1) + 1]
    try:
        head.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return head or None


def _spread(data: bytes, start: int) -> bytes:
    """Lines from all over the file; none where a quoted cell may hold the end of a line."""
    if b'"' in data:
        return b""
    parts = []
    for at in np.linspace(start, len(data), SAMPLES, endpoint=False, dtype=np.int64).tolist():
        first = data.find(b"\n", at, at + SAMPLE_BYTES) + 1
        last = data.rfind(b"\n", at, at + SAMPLE_BYTES) + 1
        parts.append(data[first:last] if first else b"")
    return b"".join(parts)


def _plan(dialect: Dialect, sample: pd.DataFrame) -> _Plan | None:
    if not isinstance(sample.index, pd.RangeIndex) or not len(sample):
        return None  # longer rows than the header
    plan = _Plan(dialect, {})
    for name in dialect.names:
        kind = _kind(sample[name])
        if kind is None:
            return None
        if not sample[name].notna().any():
            plan.unknown.add(name)
            kind = "text"
        plan.kinds[name] = kind
    return plan


def _kind(column: pd.Series[Any]) -> str | None:
    dtype = column.dtype
    if isinstance(dtype, pd.StringDtype):
        return "text"
    if dtype == np.bool_:
        return "bool"
    if dtype == np.int64:
        return "int"
    if dtype == np.float64:
        kept = column.dropna().to_numpy()
        whole = len(kept) < len(column) and bool(np.all(np.isfinite(kept) & (kept % 1 == 0)))
        return "int" if whole else "float"  # gaps make floats of whole numbers
    if dtype.kind == "O" and pd.api.types.infer_dtype(column, skipna=True) == "boolean":
        return "bool"
    return None


def _read(plan: _Plan, data: bytes) -> Any:
    """Polars' frame, its columns widened until each holds all of its cells, or None."""
    import polars as pl

    for _ in range(TRIES):
        try:
            return plan.read(data)
        except pl.exceptions.ComputeError as error:
            if not plan.widen(str(error)):
                return None
        except pl.exceptions.PolarsError:
            return None
    return None


def _scan(data: bytes, delimiter: str) -> tuple[bool, bool]:
    """Whether quotes and carriage returns are regular, and whether a cell starts with 0 and digit.

    Runs beside the parser: one thread is enough.
    """
    regular = True
    if b'"' in data:
        regular = data.count(b'"') % 2 == 0
    if b"\r" in data:
        regular = regular and data.count(b"\r") == data.count(b"\r\n")
    return regular, has_leading_zeros(data, delimiter)


def has_leading_zeros(data: bytes, delimiter: str, block: int = 128 * 1024) -> bool:
    """Whether a cell starts with 0 and a digit: one vectorised pass in blocks that fit a cache."""
    raw = np.frombuffer(data, dtype=np.uint8)
    for start in range(0, len(raw) - 2, block):
        part = raw[start : start + block + 2]
        before = part[:-2]
        edge = before == (ord(delimiter) & 255)
        edge |= before == 10
        edge |= before == 34
        edge &= part[1:-1] == 48
        edge &= part[2:] - np.uint8(48) < 10
        if edge.any():
            return True
    return False


def _without_blank_lines(table: Any, data: bytes) -> Any:
    """Without the empty rows that polars makes of blank last lines; None: others are inside."""
    import polars as pl

    if not table.to_series(table.width - 1).null_count():
        return table
    lines = data[-4096:].split(b"\n")
    blank = len(lines) - next((i for i in range(len(lines), 0, -1) if lines[i - 1].strip()), 0)
    blank -= lines[-1] == b""
    rest = table.head(table.height - blank) if blank > 0 else table
    first, *others = table.columns
    if blank > 0 and table[first].tail(blank).null_count() < blank:
        return None  # blanks, which may have made text of a column of numbers
    lone = rest.lazy().filter(pl.all_horizontal(pl.col(others).is_null())).select(first).collect()
    texts = lone.to_series().drop_nulls().cast(pl.String).str.strip_chars()
    return None if len(texts) < lone.height or (texts == "").any() else rest


def _to_pandas(table: Any, plan: _Plan, data: bytes, threads: int) -> pd.DataFrame | None:
    """pandas' own types; polars' memory is given back column by column."""

    waiting = {name: table.drop_in_place(name) for name in plan.kinds}

    def convert(name: str) -> Any:
        series, kind = waiting.pop(name), plan.kinds[name]
        if kind == "float" and series.is_nan().any() and _is_odd(series, plan, data):
            return None
        column = _CONVERTERS[kind](series)
        return _settle_unknown(column) if name in plan.unknown else column

    with ThreadPoolExecutor(threads) as pool:
        columns = dict(zip(plan.kinds, pool.map(convert, plan.kinds), strict=True))
    if any(column is None for column in columns.values()):
        return None
    return pd.DataFrame(columns, copy=False)


def _is_odd(series: Any, plan: _Plan, data: bytes) -> bool:
    """Whether a cell that polars reads as NaN is a word to pandas, such as NAN."""
    texts = plan.read(data, [series.name]).to_series().head(len(series))
    cells = texts.filter(series.is_nan().fill_null(False))
    return not cells.is_in(list(MISSING)).all()


def _integers(series: Any) -> Any:
    """Whole numbers; with gaps floats as in pandas, or exact where a float would round."""
    if not series.null_count():
        return series.to_numpy(writable=True)
    if max(abs(series.min() or 0), abs(series.max() or 0)) > EXACT:
        return _from_arrow(pd.Int64Dtype(), series)
    return _floats(series.cast(float))


def _floats(series: Any) -> npt.NDArray[np.float64]:
    filled = series.fill_null(float("nan")) if series.null_count() else series
    numbers: npt.NDArray[np.float64] = filled.to_numpy(writable=True)
    return numbers


def _booleans(series: Any) -> npt.NDArray[Any]:
    """Truth values; with gaps objects, as pandas has them."""
    values = np.array(series.fill_null(False).to_numpy())
    if not series.null_count():
        return values
    return np.where(series.is_null().to_numpy(), np.nan, values.astype(object))


def _words(series: Any) -> pd.Series[Any]:
    """Text in Arrow's memory, as pandas keeps it; the words for a missing cell become gaps.

    So does `""`, which is an empty text to polars alone.
    """
    import polars as pl

    missing = series.is_in(["", *MISSING])
    if missing.any():
        series = pl.select(pl.when(missing).then(None).otherwise(series)).to_series()
    return _from_arrow(pd.StringDtype(na_value=np.nan), series)


def _from_arrow(dtype: Any, series: Any) -> pd.Series[Any]:
    return pd.Series(dtype.__from_arrow__(series.to_arrow()))


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "int": _integers,
    "float": _floats,
    "bool": _booleans,
    "text": _words,
}


def _settle_unknown(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """A column that was empty in the sample: what pandas makes of its few cells, or None."""
    filled = column.dropna()
    if filled.empty:
        return column.astype("float64")
    lines = io.StringIO()
    csv.writer(lines, quoting=csv.QUOTE_ALL).writerows([cell] for cell in filled)
    lines.seek(0)
    parsed = pd.read_csv(lines, header=None, low_memory=False)[0]
    parsed.index = filled.index
    if isinstance(parsed.dtype, pd.StringDtype):
        return column
    if parsed.dtype == np.bool_:
        return parsed.astype(object).reindex(column.index)
    if parsed.dtype == np.float64 or (parsed.dtype == np.int64 and parsed.abs().max() <= EXACT):
        return parsed.astype("float64").reindex(column.index)
    return None


def _texts(plan: _Plan, data: bytes, columns: Sequence[str], rows: int) -> pd.DataFrame:
    """The first rows of some columns as text; what follows them are blank lines."""
    table = plan.read(data, columns).head(rows)
    return pd.DataFrame({name: _words(table[name]) for name in columns})


def _agrees(frame: pd.DataFrame, sample: pd.DataFrame) -> bool:
    """Whether the first rows are pandas' first rows: no line of the header among them."""
    rows = max(min(len(sample), COMPARED_CELLS // sample.shape[1]), 2)
    ours = frame.head(rows).to_numpy(dtype=object).ravel().tolist()
    theirs = sample.head(rows).to_numpy(dtype=object).ravel().tolist()
    return len(ours) == len(theirs) and all(map(_is_same, ours, theirs))


def _is_same(one: Any, other: Any) -> bool:
    if one is pd.NA:
        return bool(pd.isna(other))
    if isinstance(one, (float, int)) and isinstance(other, (float, int)):
        if one != one or other != other:
            return one != one and other != other
        return one == other or abs(one - other) <= 1e-14 * abs(one)
    return str(one) == str(other)
