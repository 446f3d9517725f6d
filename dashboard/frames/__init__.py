"""The language between the app and a confined worker: frames of JSON and plain number buffers.

Nothing here runs what it reads: no pickle, no object arrays, every length, type and shape checked
before memory is taken for it. The sender is assumed to be hostile.
"""

from __future__ import annotations

from .answers import decode_info, decode_raw, encode_info, encode_raw
from .rows import fingerprint, held_for_fingerprint, read_rows, write_rows
from .tagged import plain_text, tag_value, tag_values, untag_value, untag_values
from .wire import Frame, FrameError, FrameLimits, read_frame, write_frame

__all__ = [
    "Frame",
    "FrameError",
    "FrameLimits",
    "decode_info",
    "decode_raw",
    "encode_info",
    "encode_raw",
    "fingerprint",
    "held_for_fingerprint",
    "plain_text",
    "read_frame",
    "read_rows",
    "tag_value",
    "tag_values",
    "untag_value",
    "untag_values",
    "write_frame",
    "write_rows",
]
