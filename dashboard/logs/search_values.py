"""Values in tables of trials: texts of a CSV back to numbers, seconds, truth values."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts.searches import NOTHING
from ..contracts.vocabulary import listing
from ..errors import DataError

__all__ = ["direction_of", "numbers", "scalar", "seconds", "told_params"]

Floats = npt.NDArray[np.float64]
Scalar = str | int | float | bool
_ABSENT = {"", "nan", "NaN", "<NA>", "--", "null", "NaT"}
_LONGEST = 120  # letters of a value that is an object's text
_MOST_LETTERS = 20_000  # of one `params` cell
_NUMPY = re.compile(r"\bnp\.\w+\(([^()]*)\)")
_DAYS = re.compile(r"(?:(-?\d+) days?,? )?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$")
_ISO = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?$")
_SMALL = re.compile(
    r"loss|error|rmse|mae|mse|mape|deviance|perplexity|entropy|brier|latency|seconds|regret", re.I
)
_LARGE = re.compile(
    r"acc|auc|f1|fbeta|precision|recall|r2|r_2|score|kappa|mcc|map|ndcg|reward|likelihood|gini",
    re.I,
)


def scalar(value: Any) -> Scalar | None:
    """A parameter's value: numbers and truth values out of their texts; None for no value."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (bool, int, float)):
        return value
    text = " ".join(str(value).split())
    if text in _ABSENT:
        return None
    if text in ("True", "False"):
        return text == "True"
    if text[:1] in "+-.0123456789i" or text[:3] == "inf":
        with suppress(ValueError):
            return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else float(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def numbers(values: Sequence[Any], column: str) -> Floats:
    """`(n,)` float64, nan where there is none.

    Raises
    ------
    DataError : other things than numbers.
    """
    found = [scalar(value) for value in values]
    odd = [value for value in found if isinstance(value, str) and value != NOTHING]
    if odd:
        raise DataError(
            f"Column {column!r} holds {listing(odd[:3])} where numbers are needed. Correct it, or "
            "say that it is a parameter."
        )
    return np.array(
        [float(v) if isinstance(v, (int, float)) else math.nan for v in found], dtype=np.float64
    )


def seconds(values: Sequence[Any]) -> Floats:
    """Durations as seconds: numbers, `0 days 00:01:02.5`, `PT1M2S`; nan where unreadable."""
    return np.array([_seconds(value) for value in values], dtype=np.float64)


def _seconds(value: Any) -> float:
    found = scalar(value)
    if isinstance(found, (int, float)):
        return float(found)
    text = str(found)
    if match := _DAYS.match(text):
        days, hours, minutes, rest = (float(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if (match := _ISO.match(text)) and any(match.groups()):
        days, hours, minutes, rest = (float(part or 0) for part in match.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + rest
    return math.nan


def between(begun: Sequence[Any], ended: Sequence[Any]) -> Floats:
    """Seconds between two columns of dates as ISO texts; nan where one is missing."""
    out = np.full(len(begun), math.nan)
    for k, (first, last) in enumerate(zip(begun, ended, strict=True)):
        with suppress(ValueError):
            out[k] = (
                datetime.fromisoformat(str(last)) - datetime.fromisoformat(str(first))
            ).total_seconds()
    return out


def told_params(cell: Any) -> Mapping[str, Any] | None:
    """scikit-learn's `params` of one trial, out of its text; None where it cannot be read."""
    if isinstance(cell, Mapping):
        return cell
    text = str(cell)
    if not text.startswith("{") or len(text) > _MOST_LETTERS:
        return None
    try:
        found = ast.literal_eval(_NUMPY.sub(r"\1", text))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None  # an estimator as a value, for instance
    return found if isinstance(found, dict) else None


def direction_of(metric: str) -> bool | None:
    """Whether larger is better, as far as a metric's name says it."""
    small, large = bool(_SMALL.search(metric)), bool(_LARGE.search(metric))
    if metric.startswith("neg_"):
        return True
    return None if small == large else large
