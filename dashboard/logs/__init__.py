"""Training logs, whatever wrote them, read as runs: numbers only, no library of their writers."""

from __future__ import annotations

from .kept_runs import decode_runs, encode_runs
from .run_folders import read_runs

__all__ = ["decode_runs", "encode_runs", "read_runs"]
