"""How a text table is written: encoding, delimiter, decimal mark, header, from its first lines."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ..errors import DataError
from ..wording import listing
from .table_limits import check_columns, check_rows_given

__all__ = [
    "HEAD_BYTES",
    "SNIFF_ROWS",
    "Dialect",
    "decode",
    "find_delimiter",
    "head_encoding",
    "read_head",
    "say_mark",
    "sniff",
]

HEAD_BYTES = 256 * 1024
HEAD_LINES = 20
LONGEST_HEAD = 32 * 1024 * 1024
SNIFF_ROWS = 500
MOST_PREAMBLE = 30
DELIMITERS = (",", ";", "\t", "|")
RARE_DELIMITERS = ("\x01", "^", "~", ":", " ")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space", ":": "colon"}
# Each way to read a text is the only one: `\d+\.?\d*` takes minutes for a long row of digits.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
LEADING_ZERO = re.compile(r"[+-]?0\d+")
COMMA_NUMBER = re.compile(r"[+-]?(\d*,\d+([eE][+-]?\d+)?|\d{1,3}(\.\d{3})+(,\d+)?)")
SURE_COMMA = re.compile(r"[+-]?(0,\d+|\d*,(\d{1,2}|\d{4,})|\d{4,},\d+|\d{1,3}(\.\d{3})+,\d+)")
SURE_POINT = re.compile(r"[+-]?(0\.\d+|\d*\.(\d{1,2}|\d{4,})|\d{4,}\.\d+|\d{1,3}(,\d{3})+\.\d+)")
MISSING_WORDS = frozenset(
    {"NA", "N/A", "n/a", "None", "null", "NULL", "nan", "NaN", "<NA>", "#N/A"}
)


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes
    ----------
    delimiter, decimal : one character each.
    names : the column names, in order.
    header_cells : cells of the line that holds the names (one may be lacking); 0 = no such line.
    skip : lines before the header (an Excel `sep=;` line).
    text : positions of columns whose digits are codes ("007") and stay text.
    notes : sentences on what was found.
    """

    delimiter: str
    decimal: str
    names: tuple[str, ...]
    header_cells: int = 0
    skip: int = 0
    text: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def decode(data: bytes, name: str, encoding: str | None = None) -> tuple[bytes, str]:
    """UTF-8 bytes without a byte-order mark, and the encoding that they came in.

    Without a mark: UTF-8 when valid, else UTF-16 by its zero bytes, else Windows-1252.

    Raises
    ------
    DataError : not text, or not in the encoding given.
    """
    given = encoding or _marked_encoding(data)
    if given is None:
        start = data[:HEAD_BYTES]
        if b"\0" in start:
            raise DataError(
                f"{name} is not a text table: it holds zero bytes. Load CSV, Parquet, Feather, "
                f"Excel (.xlsx), JSON, NPZ or NPY."
            )
        if _is_utf8(data):
            return data, "UTF-8"
        given = "cp1252"
    try:
        plain = codecs.lookup(given).name
        if plain == "utf-8" and not data.startswith(codecs.BOM_UTF8):
            _require_utf8(data)
            return data, "UTF-8"
        text = data.decode("utf-8-sig" if plain == "utf-8" else given)
    except LookupError as error:
        raise DataError(f"There is no encoding {given!r}. Try utf-8, utf-16 or cp1252.") from error
    except UnicodeError as error:
        raise DataError(
            f"{name} is not valid {given} text. Save it as UTF-8, or give another encoding."
        ) from error
    return text.removeprefix("\ufeff").encode("utf-8"), given.upper()


def head_encoding(data: bytes) -> str | None:
    """ "UTF-8" or "UTF-8-SIG" when the first lines are that, else None: decode the whole."""
    if b"\0" in data[:HEAD_BYTES] or _marked_encoding(data) not in (None, "utf-8-sig"):
        return None
    cut = data.rfind(b"\n", 0, HEAD_BYTES)
    if not _is_utf8(data[: cut if cut >= 0 else HEAD_BYTES]):
        return None
    return "UTF-8-SIG" if data.startswith(codecs.BOM_UTF8) else "UTF-8"


def _marked_encoding(data: bytes) -> str | None:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return encoding
    head = data[:2000]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > 0.4 * len(head) / 2 and even == 0:
        return "utf-16-le"
    if even > 0.4 * len(head) / 2 and odd == 0:
        return "utf-16-be"
    return None


def _is_utf8(data: bytes) -> bool:
    try:
        _require_utf8(data)
    except UnicodeDecodeError:
        return False
    return True


def _require_utf8(data: bytes, block: int = 4 * 1024 * 1024) -> None:
    """Validate in blocks: decoding as a whole would need four times the memory of the file."""
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for start in range(0, len(view), block):
        decoder.decode(view[start : start + block])
    decoder.decode(b"", final=True)


def read_head(data: bytes) -> str:
    """The first complete lines: enough bytes, and enough lines of a very wide table."""
    if len(data) <= HEAD_BYTES:
        return data.decode("utf-8")
    end = HEAD_BYTES
    for _ in range(HEAD_LINES):
        if data.count(b"\n", 0, end) >= HEAD_LINES or end >= min(len(data), LONGEST_HEAD):
            break
        end *= 2
    cut = data.rfind(b"\n", 0, end)
    return data[: cut + 1 if cut >= 0 else end].decode("utf-8", errors="ignore")


def _rows(text: str, delimiter: str, limit: int = SNIFF_ROWS) -> list[list[str]]:
    rows: list[list[str]] = []
    csv.field_size_limit(LONGEST_HEAD)  # a document in a cell has more than the 128 kB of before
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    # A cell beyond even that ends the sample; the rows before it are enough.
    with contextlib.suppress(csv.Error):
        rows.extend(row for row in islice(reader, limit) if row)
    return rows


def _agreement(rows: list[list[str]]) -> tuple[float, int]:
    """How well the rows agree on a number of columns (0–1), and that number."""
    if not rows:
        return 0.0, 0
    widths = Counter(map(len, rows[1:] or rows))
    head = len(rows[0])
    width = max(widths, key=lambda found: (widths[found], found == head))
    share = widths[width] / sum(widths.values())
    # A header may lack the name of the first column, as R writes it.
    fit = 1.0 if head == width else 0.9 if 1 < head == width - 1 else 0.1
    return share * fit, width


def find_delimiter(text: str) -> str:
    """The character that splits the rows into equally many columns, at least two."""
    best, best_key = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        share, width = _agreement(_rows(text, delimiter))
        if width > 1 and (round(share, 2), width) > best_key:
            best, best_key = delimiter, (round(share, 2), width)
    if best_key[0] >= 0.5:
        return best
    for delimiter in RARE_DELIMITERS:
        rows = _rows(text, delimiter)
        share, width = _agreement(rows)
        if width > 1 and share == 1 and len(rows) > 2 and len(rows[0]) == width:
            return delimiter
    return best


def sniff(
    text: str, name: str, *, delimiter: str | None = None, decimal: str | None = None
) -> Dialect:
    """The dialect of a text table from its first lines.

    Raises
    ------
    DataError : a header without rows, the same column name twice, or a wrong delimiter given.
    """
    skip = 0
    first, _, rest = text.partition("\n")
    if match := re.fullmatch(r'"?sep=(.)"?\r?', first):
        delimiter, skip, text = delimiter or match[1], 1, rest
    preamble = 0 if skip else _preamble(text)
    if preamble:
        skip, text = preamble, "\n".join(text.split("\n")[preamble:])
    chosen = delimiter or find_delimiter(text)
    if len(chosen) != 1:
        raise DataError(f"The delimiter must be one character, got {chosen!r}.")
    rows = _rows(text, chosen)
    if not rows:
        raise DataError(f"{name} is empty. Load a file with a header line and at least one row.")
    dialect = _with_names(Dialect(chosen, decimal or ".", (), skip=skip), rows, name)
    _check_delimiter(dialect, text, name, given=delimiter is not None)
    check_columns(dialect.names, name)
    check_rows_given(len(rows) - bool(dialect.header_cells), len(dialect.names), name)
    body = rows[1:] if dialect.header_cells else rows
    found = decimal or _find_decimal(body, chosen)
    text_columns = _code_columns(body, len(dialect.names))
    above = [f"{_lines(preamble)} above the names and were left out."]
    notes = [*dialect.notes, *(above if preamble else [])]
    notes += [*_spoken(chosen, found), *_missing_words(body)]
    return replace(dialect, decimal=found, text=text_columns, notes=tuple(notes))


def _preamble(text: str) -> int:
    """Lines above the names: comments after a #, or titles of one cell above a wide table."""
    lines = text.split("\n")[:MOST_PREAMBLE]
    comments = next((i for i, line in enumerate(lines) if not line.startswith("#")), 0)
    if comments and lines[comments].strip() and _is_wider(lines[comments:], 2):
        mark = find_delimiter("\n".join(lines[comments:]))
        named = lines[comments - 1].count(mark) == lines[comments].count(mark)
        return comments - named  # "# x,y" above numbers holds the names
    first = next((i for i, line in enumerate(lines) if any(m in line for m in DELIMITERS)), 0)
    titled = 0 < first < len(lines) - 1 and any(line.strip() for line in lines[:first])
    return first if titled and _is_wider(lines[first:], 3) else 0


def _is_wider(lines: Sequence[str], columns: int) -> bool:
    """Whether the lines agree on at least so many columns."""
    text = "\n".join(line for line in lines if line.strip())
    share, width = _agreement(_rows(text, find_delimiter(text)))
    return share == 1 and width >= columns


def _with_names(dialect: Dialect, rows: list[list[str]], name: str) -> Dialect:
    first = rows[0]
    if len(rows) > 1 and _is_data(first):
        names = tuple(f"column_{i + 1}" for i in range(len(first)))
        note = f"The first line holds numbers, not names: the columns are called {names[0]}, …"
        return replace(dialect, names=names, notes=(note,))
    names = tuple(cell if cell.strip() else f"Unnamed: {i}" for i, cell in enumerate(first))
    dialect = replace(dialect, header_cells=len(first))
    wider = len(rows) > 1 and all(len(row) == len(first) + 1 for row in rows[1:])
    if wider and all(row[-1] == "" for row in rows[1:]):
        note = "Every row ends with a delimiter: the empty last column is ignored."
        return replace(dialect, names=(*names, f"Unnamed: {len(names)}"), notes=(note,))
    if wider:
        note = "The header lacks one name: the first column is taken for row names."
        return replace(dialect, names=("Unnamed: 0", *names), notes=(note,))
    return replace(dialect, names=names)


def _is_data(cells: Sequence[str]) -> bool:
    """A first line of numbers that cannot be names (1, 2, 3 … or years can)."""
    if not all(NUMBER.fullmatch(cell.strip()) for cell in cells):
        return False
    return len(set(cells)) < len(cells) or not all(cell.strip().isdigit() for cell in cells)


def _check_delimiter(dialect: Dialect, text: str, name: str, *, given: bool) -> None:
    if len(dialect.names) > 1:
        return
    first = dialect.names[0]
    other = next((mark for mark in DELIMITERS if mark in first and mark != dialect.delimiter), None)
    if other is None:
        return
    if given:
        better = find_delimiter(text)
        raise DataError(
            f"{name} has one column, {first!r}, with the delimiter {say_mark(dialect.delimiter)}. "
            f"Its columns look separated by a {say_mark(better if better in first else other)}; "
            f"give that."
        )
    raise DataError(
        f"{name} has one column, {first!r}, whose rows do not split into equally many parts at "
        f"{say_mark(other)}. Check the file, or give the delimiter."
    )


def _find_decimal(body: list[list[str]], delimiter: str) -> str:
    """ "," when more columns read as numbers with a comma than with a point."""
    votes = Counter[str]()
    for cells in zip(*(row for row in body if row), strict=False):
        filled = [cell.strip() for cell in cells if cell.strip() not in MISSING_WORDS | {""}]
        if not filled:
            continue
        if all(COMMA_NUMBER.fullmatch(c) or NUMBER.fullmatch(c) for c in filled):
            commas = any(SURE_COMMA.fullmatch(c) for c in filled)
            points = any(SURE_POINT.fullmatch(c) for c in filled)
            maybe = delimiter == ";" and any("," in c for c in filled)
            votes[","] += 1 if commas else 0
            votes["."] += 1 if points else 0
            votes["?"] += 1 if maybe and not commas and not points else 0
    if votes[","] > votes["."]:
        return ","
    return "," if votes["?"] and not votes["."] else "."


def _code_columns(body: list[list[str]], width: int) -> tuple[int, ...]:
    columns = {
        i
        for row in body
        for i, cell in enumerate(row[:width])
        if cell[:1] in "0+-" and LEADING_ZERO.fullmatch(cell)
    }
    return tuple(sorted(columns))


def say_mark(delimiter: str) -> str:
    return NAMES.get(delimiter, repr(delimiter))


def _spoken(delimiter: str, decimal: str) -> list[str]:
    comma = "; numbers have a decimal comma" if decimal == "," else ""
    return [f"Columns are separated by a {say_mark(delimiter)}{comma}."]


def _lines(n: int) -> str:
    return "The first line stands" if n == 1 else f"The first {n} lines stand"


def _missing_words(body: list[list[str]]) -> list[str]:
    words = sorted({cell for row in body for cell in row if cell in MISSING_WORDS})
    if not words:
        return []
    return [f"Cells that say {listing(words, limit=6)} are read as missing values."]
