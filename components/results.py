"""Finished results in a workspace, as frames: what was computed once is not computed again.

Called from threads as well as from the script. A result that cannot be read is computed anew, and
one that cannot be kept is computed again next time: neither stops anybody.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard import __version__
from dashboard.contracts import RawPredictions, Run
from dashboard.diagnostics.metrics import MetricRow, MetricTable
from dashboard.errors import DiagnosticsError
from dashboard.frames import (
    Frame,
    FrameError,
    FrameLimits,
    decode_raw,
    encode_raw,
    plain_text,
    read_frame,
    write_frame,
)
from dashboard.logs import decode_runs, encode_runs

if TYPE_CHECKING:
    from components.workspaces import Kept

__all__ = [
    "keep_metrics",
    "keep_raw",
    "keep_runs",
    "recall_metrics",
    "recall_raw",
    "recall_runs",
]

_NUMBERS = ("value", "low", "high", "n")
_TEXTS = ("label", "metric", "reason")
_MAX_ROWS = 1_000_000


def _key(kind: str, *parts: object) -> str:
    return f"{kind}/{hashlib.sha256(repr(parts).encode()).hexdigest()}"


def _get(kept: Kept, key: str) -> Frame | None:
    content = kept.store.get_result(kept.id, key, kept.owner)
    if content is None:
        return None
    limits = FrameLimits(header_bytes=len(content), array_bytes=len(content), arrays=10_000)
    return read_frame(io.BytesIO(content), limits)


def _put(
    kept: Kept, key: str, header: dict[str, Any], arrays: Sequence[Any], model: str = ""
) -> None:
    buffer = io.BytesIO()
    write_frame(buffer, header, arrays)
    kept.store.put_result(kept.id, key, buffer.getvalue(), model=model, owner=kept.owner)


# -- what a model answered -----------------------------------------------------------------------


def recall_raw(kept: Kept, model: str, evalset: str) -> RawPredictions | None:
    """A model's answers for an evaluation set, both named by digest, if they were kept."""
    try:
        frame = _get(kept, _key("raw", __version__, model, evalset))
        if frame is None:
            return None
        rows, header = frame.header.get("rows"), frame.header.get("raw")
        if type(rows) is not int or not isinstance(header, dict):
            return None
        return decode_raw(Frame(header, frame.arrays), rows)
    except (DiagnosticsError, EOFError):
        return None


def keep_raw(kept: Kept, model: str, evalset: str, raw: RawPredictions) -> None:
    """Keep a model's answers the moment they are there."""
    if not kept.writable:
        return
    try:
        header, arrays = encode_raw(raw)
        about = {"rows": len(arrays[0]) if arrays else 0, "raw": header}
        _put(kept, _key("raw", __version__, model, evalset), about, arrays, model.partition(":")[0])
    except DiagnosticsError as error:
        kept.problem = str(error)


# -- training logs -------------------------------------------------------------------------------


def recall_runs(kept: Kept, name: str, digest: str) -> list[Run] | None:
    """The runs in a log, named by its digest and its own name, if they were kept."""
    try:
        content = kept.store.get_result(
            kept.id, _key("runs", __version__, name, digest), kept.owner
        )
        return None if content is None else decode_runs(content)
    except DiagnosticsError:
        return None


def keep_runs(kept: Kept, name: str, digest: str, runs: Sequence[Run]) -> None:
    """Keep the columns of a log that took long to read."""
    if not kept.writable:
        return
    try:
        key = _key("runs", __version__, name, digest)
        kept.store.put_result(kept.id, key, encode_runs(runs), owner=kept.owner)
    except DiagnosticsError as error:
        kept.problem = str(error)


# -- score tables ----------------------------------------------------------------------------------


def recall_metrics(kept: Kept, name: str, *asked: object) -> MetricTable | None:
    """The score table of a model now called `name`, if one was kept for what is asked."""
    try:
        frame = _get(kept, _key("metrics", __version__, *asked))
        return None if frame is None else MetricTable(_rows(frame, name))
    except (DiagnosticsError, EOFError):
        return None


def _rows(frame: Frame, name: str) -> tuple[MetricRow, ...]:
    texts = frame.header.get("texts")
    if not isinstance(texts, list) or len(texts) > _MAX_ROWS or len(frame.arrays) != len(_NUMBERS):
        raise FrameError("It is no score table.")
    sound = all(isinstance(one, list) and len(one) == len(_TEXTS) for one in texts)
    if not sound or any(array.shape != (len(texts),) for array in frame.arrays):
        raise FrameError("The rows of the score table are of different lengths.")
    value, low, high, n = (array.tolist() for array in frame.arrays)
    return tuple(
        MetricRow(
            name,
            plain_text(label),
            plain_text(metric),
            float(value[at]),
            float(low[at]),
            float(high[at]),
            int(n[at]),
            plain_text(reason),
        )
        for at, (label, metric, reason) in enumerate(texts)
    )


def keep_metrics(kept: Kept, table: MetricTable, *asked: object) -> None:
    """Keep a score table of one model; its display name may change later."""
    if not kept.writable:
        return
    try:
        texts = [[getattr(row, field) for field in _TEXTS] for row in table.rows]
        kinds = dict.fromkeys(_NUMBERS, np.float64) | {"n": np.int64}
        arrays = [
            np.array([getattr(row, field) for row in table.rows], dtype=kind)
            for field, kind in kinds.items()
        ]
        _put(kept, _key("metrics", __version__, *asked), {"texts": texts}, arrays)
    except DiagnosticsError as error:
        kept.problem = str(error)
