"""Bytes of a file, within limits: read, told apart by content, unpacked.

What a file *is* comes from its first bytes, never from its name.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DataError, LimitExceeded
from ..settings import Settings
from ..wording import listing
from .table_limits import MEGABYTE, check_unpacked_size

__all__ = ["DAMAGED", "Unpacked", "identify", "read_bytes", "read_members", "unpack"]

BLOCK = 4 * MEGABYTE
XZ_MEMORY = 256 * MEGABYTE

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"FEA1", "feather"),
    (b"\xff\xff\xff\xff", "arrow stream"),
    (b"\x93NUMPY", "npy"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"RIFF", "a sound, picture or film"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
)
# What zipfile and zlib raise on broken archives.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
)
COMPRESSED = ("gzip", "bzip2", "xz", "zstandard")
WHAT_TO_DO = {
    "an old Excel workbook (.xls)": "Save it as .xlsx or CSV in Excel and load that.",
    "a binary Excel workbook (.xlsb)": "Save it as .xlsx or CSV in Excel and load that.",
    "an HDF5 file": "Save the table as Parquet or CSV; a network goes in as a model, as .keras.",
    "an SQLite database": "Export the table as CSV or Parquet and load that.",
    "a pickle": "Pickles can run code and are not opened; save the table as Parquet or CSV.",
    "a model file": "Load it as a model, not as data.",
    "a web page": "Download the data itself, not the page that shows it.",
    "a tar archive": "Unpack it and load the one table in it.",
}
# Names that a zip archive's tables have; pictures and texts beside them are left out.
TABLE_NAME = re.compile(
    r"\.(csv|tsv|tab|psv|parquet|pq|feather|arrow|arrows|ipc|xlsx|xlsm|json|jsonl|ndjson|npz|npy)"
    r"(\.(gz|bz2|xz|zst))?$",
    re.IGNORECASE,
)
MOST_MEMBERS = 1_000
READABLE = "CSV, TSV, Parquet, Feather, Excel (.xlsx), JSON, JSON lines, NPZ or NPY"


@dataclass(frozen=True)
class Unpacked:
    """Plain bytes, what they hold ("text", "parquet", "excel", …), and sentences on how.

    "tables": a zip archive of several, to be read one by one.
    """

    data: bytes
    kind: str
    name: str
    notes: tuple[str, ...] = ()


def read_bytes(source: Path | str | bytes | BinaryIO, name: str, settings: Settings) -> bytes:
    """All bytes of a source, refused before reading when they exceed `upload_limit_mb`.

    Raises
    ------
    LimitExceeded : larger than the limit.
    DataError : no such file, or it cannot be read.
    """
    limit = settings.upload_limit_mb * MEGABYTE
    if isinstance(source, (bytes, bytearray, memoryview)):
        _check_size(len(source), name, settings)
        return bytes(source)
    if isinstance(source, (str, Path)):
        return _read_path(Path(source), settings)
    data = source.read(limit + 1)
    _check_size(len(data), name, settings)
    return data


def _read_path(path: Path, settings: Settings) -> bytes:
    if path.is_dir():
        raise DataError(f"{path} is a folder. Give one data file: {READABLE}.")
    try:
        _check_size(path.stat().st_size, path.name, settings)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}. Check the path.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _check_size(size: int, name: str, settings: Settings) -> None:
    if size > settings.upload_limit_mb * MEGABYTE:
        raise LimitExceeded(
            f"{name} is {size / MEGABYTE:,.1f} MB; the limit upload_limit_mb is "
            f"{settings.upload_limit_mb:,} MB. Load a smaller file, or raise the limit with "
            f"SIDELIGHT_UPLOAD_LIMIT_MB."
        )


def identify(data: bytes) -> str:
    """What the bytes hold: "text", "parquet", "excel", "gzip", …, or a phrase ("a PNG picture").

    "json" and delimited text are both "text" here; the reader looks at the text itself.
    """
    for magic, kind in MAGIC:
        if data.startswith(magic):
            return _identify_zip(data) if kind == "zip" else kind
    if data[257:262] == b"ustar":
        return "a tar archive"
    if re.match(rb"\x80[\x02-\x05][\x95c\}\]\(K]", data):
        return "a pickle"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    return "text"


def _identify_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
    except DAMAGED:
        return "zip"
    if "xl/workbook.xml" in names:
        return "excel"
    if "xl/workbook.bin" in names:
        return "a binary Excel workbook (.xlsb)"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    if {"metadata.json", "config.json"} <= set(names) or "schema.json" in names:
        return "a model file"
    if "content.xml" in names and "mimetype" in names:
        return "an OpenDocument file"
    if "word/document.xml" in names:
        return "a Word document"
    return "zip"


def unpack(data: bytes, name: str, settings: Settings) -> Unpacked:
    """Peel gzip, bzip2, xz, zstandard and zip off (two layers at most).

    A zip archive with several tables stays one, of the kind "tables".

    Raises
    ------
    DataError : empty, truncated, an archive without a table, or not a data file at all.
    LimitExceeded : unpacks to more than the limits allow.
    """
    if _is_blank(data):
        raise DataError(f"{name} is empty. Load a file with a header line and at least one row.")
    notes: list[str] = []
    kind = identify(data)
    for _ in range(2):
        if kind in COMPRESSED:
            data = _decompress(data, kind, name, settings)
            notes.append(f"Unpacked from {kind}.")
        elif kind == "zip":
            members, left = _choose_members(data, name)
            notes += left
            if len(members) > 1:
                return Unpacked(data, "tables", name, tuple(notes))
            data = _read_member(data, members[0], name, settings)
            notes.append(f"Unpacked {members[0]} from a zip archive.")
        else:
            break
        if _is_blank(data):
            raise DataError(f"{name} holds an empty file. Load one with a header and rows.")
        kind = identify(data)
    if kind in COMPRESSED or kind == "zip":
        raise DataError(f"{name} is packed more than twice. Unpack it and load the table itself.")
    if " " in kind and kind != "arrow stream":
        advice = WHAT_TO_DO.get(kind, f"Load {READABLE}.")
        raise DataError(f"{name} is {kind}, not a data table. {advice}")
    return Unpacked(data, kind, name, tuple(notes))


def _is_blank(data: bytes) -> bool:
    return not data or data.isspace()


def _decompress(data: bytes, kind: str, name: str, settings: Settings) -> bytes:
    plain = io.BytesIO()  # grows in place and gives its bytes away without another copy
    try:
        for block in _blocks(data, kind):
            plain.write(block)
            check_unpacked_size(plain.tell(), len(data), name, settings)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(
            f"{name} is a {kind} file that is cut off or damaged. Copy or download it again."
        ) from error
    return plain.getvalue()


def _blocks(data: bytes, kind: str) -> Iterator[bytes]:
    if kind == "xz":
        yield from _xz_blocks(data)
        return
    stream: Any
    if kind == "gzip":
        stream = gzip.GzipFile(fileobj=io.BytesIO(data))
    elif kind == "bzip2":
        stream = bz2.BZ2File(io.BytesIO(data))
    else:
        import pyarrow as pa

        stream = pa.CompressedInputStream(pa.BufferReader(data), "zstd")
    with stream:
        while block := stream.read(BLOCK):
            yield block


def _xz_blocks(data: bytes) -> Iterator[bytes]:
    """lzma.LZMAFile knows no memory limit, its decompressor does."""
    while data:
        decompressor = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
        yield decompressor.decompress(data, BLOCK)
        while not decompressor.eof:
            if decompressor.needs_input:
                raise EOFError("xz stream is cut off")
            yield decompressor.decompress(b"", BLOCK)
        data = decompressor.unused_data.lstrip(b"\0")


def _choose_members(data: bytes, name: str) -> tuple[list[str], list[str]]:
    """The names of the tables in a zip archive, and a note on files that are left out."""
    with _opened(data, name) as archive:
        members = [
            member.filename
            for member in archive.infolist()
            if member.filename
            and not member.is_dir()
            and not member.filename.startswith("__MACOSX/")
            and not Path(member.filename).name.startswith(".")
        ]
    tables = members if len(members) == 1 else list(filter(TABLE_NAME.search, members))
    if not 1 <= len(tables) <= MOST_MEMBERS:
        held = listing(members, 5) or "no file"
        raise DataError(
            f"{name} is a zip archive with {len(members):,} files ({held}) and "
            f"{len(tables):,} tables among them. Load an archive of one table, or of several with "
            f"the same columns."
        )
    left = [member for member in members if member not in tables]
    return tables, [f"Left out of the archive: {listing(left, 5)}."] if left else []


def read_members(archive: Unpacked, settings: Settings) -> Iterator[tuple[bytes, str]]:
    """The bytes and name of each table in a zip archive, one after the other.

    Raises
    ------
    DataError : damaged, or with a password.
    LimitExceeded : unpacks to too much, one by one or together.
    """
    members, _ = _choose_members(archive.data, archive.name)
    with _opened(archive.data, archive.name) as opened:
        size = sum(opened.getinfo(member).file_size for member in members)
    check_unpacked_size(size, len(archive.data), archive.name, settings)
    for member in dict.fromkeys(members):
        yield _read_member(archive.data, member, archive.name, settings), member


def _read_member(data: bytes, member: str, name: str, settings: Settings) -> bytes:
    with _opened(data, name) as archive:
        about = archive.getinfo(member)
        check_unpacked_size(about.file_size, about.compress_size, name, settings)
        return archive.read(about)


@contextmanager
def _opened(data: bytes, name: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except DAMAGED as error:
        raise DataError(
            f"{name} is a zip archive that is cut off or damaged. Copy or download it again."
        ) from error
    except RuntimeError as error:
        raise DataError(
            f"{name} is a zip archive with a password. Unpack it and load the table itself."
        ) from error
