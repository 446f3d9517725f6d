"""Runs as columns: one block of bytes that opens at once, for whoever opens a log again.

    magic (8 bytes) | length of the description (8 bytes, little-endian) | description | arrays

The description is JSON; arrays follow without gaps, each eight bytes aligned, little-endian. An
array that several series share, as steps often are, is kept once, and numbers that float32 holds
exactly are kept as that.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import Histograms, Run, Series
from ..contracts.runs import Scalar
from ..errors import DataError, ParameterError

__all__ = ["decode_runs", "encode_runs"]

Array = npt.NDArray[Any]

_MAGIC = b"SLruns1\n"
_TYPES = ("<i8", "<i4", "<f8", "<f4")
_DAMAGED = "The kept columns of a training log are damaged. Give the log again."


def encode_runs(runs: Sequence[Run]) -> bytes:
    """The runs as one block of bytes; `decode_runs` gives them back, equal."""
    arrays = _Arrays()
    told = [
        {
            "name": run.name,
            "source": run.source,
            "config": {key: _told(value) for key, value in run.config.items()},
            "notes": list(run.notes),
            "series": [_series(one, arrays) for one in run.series],
            "histograms": [_histograms(one, arrays) for one in run.histograms],
        }
        for run in runs
    ]
    head = json.dumps({"runs": told, "arrays": arrays.told}).encode()
    head += b" " * (-len(head) % 8)
    return b"".join([_MAGIC, struct.pack("<Q", len(head)), head, *arrays.blocks])


def decode_runs(content: bytes) -> list[Run]:
    """The runs of `encode_runs`; their arrays lie in `content` and are read only.

    Raises
    ------
    DataError : the bytes are not what `encode_runs` gives.
    """
    try:
        if content[:8] != _MAGIC:
            raise ValueError("another beginning")
        (size,) = struct.unpack_from("<Q", content, 8)
        head = json.loads(content[16 : 16 + size])
        arrays = _read_arrays(content, 16 + size, head["arrays"])
        return [_run(one, arrays) for one in head["runs"]]
    except (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError),
        *(struct.error, RecursionError, ParameterError),
    ) as error:
        raise DataError(_DAMAGED) from error


class _Arrays:
    """What is kept, each content once."""

    def __init__(self) -> None:
        self.told: list[list[Any]] = []
        self.blocks: list[bytes] = []
        self._known: dict[bytes, int] = {}

    def keep(self, values: Array) -> int:
        """The place of an array among all that are kept."""
        small = _narrow(np.asarray(values))
        data = small.tobytes()
        key = hashlib.blake2b(data, digest_size=16).digest() + small.dtype.str.encode()
        key += repr(small.shape).encode()
        if key not in self._known:
            self._known[key] = len(self.told)
            self.told.append([small.dtype.str, list(small.shape)])
            self.blocks.append(data + bytes(-len(data) % 8))
        return self._known[key]


def _narrow(values: Array) -> Array:
    """Half the bytes where nothing is lost."""
    if values.dtype.kind in "iu":
        whole = values.astype("<i8")
        small = whole.astype("<i4")
        return small if np.array_equal(small, whole) else whole
    real = values.astype("<f8")
    with np.errstate(over="ignore", invalid="ignore"):
        half = real.astype("<f4")
    # NaN has many forms; what comes back is one, as after any computation
    return half if np.array_equal(half.astype("<f8"), real, equal_nan=True) else real


def _told(value: Scalar) -> Any:
    """JSON has no NaN of its own that every reader takes."""
    return ["float", repr(value)] if isinstance(value, float) else value


def _series(one: Series, arrays: _Arrays) -> list[Any]:
    wall = None if one.wall is None else arrays.keep(one.wall)
    kept = (arrays.keep(one.steps), arrays.keep(one.values), wall)
    return [one.metric, one.part, one.unit, one.logged_as, *kept]


def _histograms(one: Histograms, arrays: _Arrays) -> list[Any]:
    kept = (arrays.keep(one.steps), arrays.keep(one.edges), arrays.keep(one.counts))
    return [one.layer, one.kind, one.logged_as, *kept]


def _read_arrays(content: bytes, start: int, told: Any) -> list[Array]:
    found: list[Array] = []
    for written, shape in told:
        if written not in _TYPES or not 1 <= len(shape) <= 2:
            raise ValueError("another type")
        if not all(type(size) is int and size >= 0 for size in shape):
            raise ValueError("another shape")
        count = int(np.prod(shape, dtype=object))
        size = count * int(written[-1])
        array = np.frombuffer(content, written, count, start).reshape(shape)
        # widened here, once, however many series share it
        found.append(array.astype(f"<{written[1]}8", copy=False))
        start += size + -size % 8
    return found


def _run(told: Mapping[str, Any], arrays: Sequence[Array]) -> Run:
    config = {
        str(key): float(value[1]) if isinstance(value, list) else value
        for key, value in told["config"].items()
    }
    if not all(isinstance(value, (str, int, float, bool)) for value in config.values()):
        raise ValueError("another value")
    return Run(
        str(told["name"]),
        str(told["source"]),
        tuple(_read_series(one, arrays) for one in told["series"]),
        tuple(_read_histograms(one, arrays) for one in told["histograms"]),
        config,
        tuple(map(str, told["notes"])),
    )


def _read_series(told: Any, arrays: Sequence[Array]) -> Series:
    metric, part, unit, logged_as, steps, values, wall = told
    walls = None if wall is None else _line(arrays[wall], "f")
    found = (_line(arrays[steps], "i"), _line(arrays[values], "f"))
    return Series(str(metric), str(part), *found, str(unit), walls, str(logged_as))


def _line(values: Array, kind: str) -> Array:
    if values.ndim != 1 or values.dtype.kind != kind:
        raise ValueError("another array")
    return values


def _read_histograms(told: Any, arrays: Sequence[Array]) -> Histograms:
    layer, kind, logged_as, steps, edges, counts = told
    at, by, of = (_line(arrays[steps], "i"), arrays[edges], arrays[counts])
    t, b = of.shape
    if by.shape != (t, b + 1) or at.shape != (t,) or by.dtype.kind + of.dtype.kind != "ff":
        raise ValueError("another shape")
    return Histograms(str(layer), str(kind), at, by, of, str(logged_as))
