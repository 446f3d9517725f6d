"""A compressed file as a stream of what is inside, read piece by piece within limits."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import IO, Any

from ..errors import LimitExceeded, ModelError
from ..settings import Settings

__all__ = ["compression_of", "open_stream"]

_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x78\x01", "zlib"),
    (b"\x78\x5e", "zlib"),
    (b"\x78\x9c", "zlib"),
    (b"\x78\xda", "zlib"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "lzma"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"ZF", "joblib before 0.10"),
)


def compression_of(content: bytes) -> str:
    """How the content is compressed, "" if it is not."""
    return next((kind for magic, kind in _MAGIC if content.startswith(magic)), "")


def open_stream(content: bytes, name: str, settings: Settings) -> io.BufferedReader:
    """What `content` holds once unpacked; reading beyond `max_model_mb` raises LimitExceeded.

    Raises
    ------
    ModelError : a compression that is not read here.
    """
    kind = compression_of(content)
    if not kind:
        return io.BufferedReader(io.BytesIO(content))
    if kind == "joblib before 0.10":
        raise ModelError(
            f"{name} was written by joblib before 0.10, which is not read any more; load it where "
            'it was made and save it again, `joblib.dump(model, "model.joblib")`.'
        )
    return io.BufferedReader(_Limited(_decoder(kind, content), len(content), name, settings))


def _decoder(kind: str, content: bytes) -> Any:
    source = io.BytesIO(content)
    if kind == "gzip":
        return gzip.GzipFile(fileobj=source)
    if kind == "zlib":
        return _Zlib(source)
    if kind == "bz2":
        return bz2.BZ2File(source)
    if kind == "lzma":
        return lzma.LZMAFile(source)
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.py_buffer(content), kind)


class _Zlib:
    """Bare zlib streams have no file object in the standard library."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._decoder = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        while not self._decoder.eof:
            given = self._decoder.unconsumed_tail or self._source.read(1 << 16)
            if not given:
                raise EOFError("The compressed data end too early")
            found = self._decoder.decompress(given, size)
            if found:
                return found
        return b""


class _Limited(io.RawIOBase):
    """Counts what comes out, so that a small file cannot unpack to more than the limits."""

    def __init__(self, source: Any, size: int, name: str, settings: Settings) -> None:
        self._source, self._size, self._name, self._settings = source, size, name, settings
        self._passed = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._passed

    def readinto(self, buffer: Any) -> int:
        found = self._source.read(len(buffer))
        self._passed += len(found)
        self._check()
        buffer[: len(found)] = found
        return len(found)

    def _check(self) -> None:
        limit = self._settings.max_model_mb
        if self._passed > limit << 20:
            raise LimitExceeded(
                f"{self._name} unpacks to more than {limit:,} MB; the limit is {limit:,} MB "
                "(setting max_model_mb)."
            )
        most = self._settings.max_archive_ratio
        if self._passed > max(1 << 20, self._size * most):
            raise LimitExceeded(
                f"{self._name} unpacks to more than {most:,} times its size; the limit is "
                f"{most:,} times (setting max_archive_ratio)."
            )
