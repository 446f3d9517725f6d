"""`RawPredictions` and `ModelInfo` as frames: what a worker sends, and what its parent believes."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import ModelInfo, RawPredictions, ScoreKind, canonical_label
from .tagged import plain_text, tag_values, untag_values
from .wire import Frame, FrameError

__all__ = ["decode_info", "decode_raw", "encode_info", "encode_raw"]

Array = npt.NDArray[Any]
Answer = tuple[dict[str, Any], list[Array]]

MAX_NOTES = 50
MAX_SENTENCE = 2_000
MAX_NAME = 20_000
MAX_NAMES = 100_000
MAX_PARTS = 10_000
MAX_LABEL_CELLS = 1 << 29  # 4 GB: a code of one byte becomes a reference of eight
MAX_NUMBER_BITS = 1_000  # more is no float any longer
FEW, FEW_SAMPLE = 12, 1_000
_HINTS = ("classifier", "regressor", None)


# ---- predictions, from the worker ------------------------------------------------------------


def encode_raw(raw: RawPredictions, n_rows: int | None = None) -> Answer:
    """The header and arrays of a frame for what a model said, of so many rows when that is known.

    Raises
    ------
    FrameError : values that are neither numbers nor labels, or more or fewer than the rows.
    """
    arrays: list[Array] = []
    header = {
        "labels": _describe(raw.labels, arrays),
        "scores": _describe(raw.scores, arrays),
        "classes": None if raw.classes is None else _class_list(raw.classes),
        "score_kind": None if raw.score_kind is None else str(raw.score_kind.value),
        "notes": [str(note)[:MAX_SENTENCE] for note in raw.notes[:MAX_NOTES]],
    }
    for array in arrays if n_rows is not None else ():
        if array.shape[:1] != (n_rows,):
            given = f"{len(array):,} answers" if array.ndim else "a single answer"
            raise FrameError(f"There are {given} for {n_rows:,} rows.")
    return header, arrays


def _class_list(classes: Sequence[Any]) -> Any:
    """A list of classes; of several outputs, a list of lists."""
    if isinstance(classes, str) or not np.iterable(classes):
        raise FrameError(f"The classes are {str(classes)[:80]!r}; a list is needed.")
    return tag_values(
        item.tolist() if isinstance(item, np.ndarray) and item.ndim else _scalar(item)
        for item in classes
    )


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value


def _describe(values: Any, arrays: list[Array]) -> dict[str, Any] | None:
    if values is None:
        return None
    if isinstance(values, Mapping):
        names = tag_values(values)
        return {"dict": names, "parts": [_part(part, arrays) for part in values.values()]}
    if isinstance(values, pd.DataFrame):
        parts = [_part(values.iloc[:, at], arrays) for at in range(values.shape[1])]
        return {"frame": tag_values(values.columns), "parts": parts}
    if isinstance(values, (list, tuple)) and values and len(getattr(values[0], "shape", ())):
        return {"list": len(values), "parts": [_part(part, arrays) for part in values]}
    return _part(values, arrays)


def _part(values: Any, arrays: list[Array]) -> dict[str, Any]:
    """One array, as it is or as codes into a list of its distinct values."""
    array = _as_array(values)
    if array.dtype.kind in "OUS":
        codes, distinct = _coded(array)
        arrays.append(codes)
        return {"at": len(arrays) - 1, "values": distinct}
    if array.dtype.kind not in "biuf":
        raise FrameError(f"Answers of type {array.dtype} are neither labels nor numbers.")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    arrays.append(array)
    return {"at": len(arrays) - 1}


def _as_array(values: Any) -> Array:
    if hasattr(values, "toarray"):
        values = values.toarray()
    if isinstance(values, np.ma.MaskedArray):
        plain = values.data.astype(object)
        plain[np.ma.getmaskarray(values)] = None
        return np.asarray(plain)
    if isinstance(values, (list, tuple)):
        # np.asarray would write 1 and "a" as texts
        array = np.asarray(values)
        values = array if array.dtype.kind in "biuf" else np.array(values, dtype=object)
    array = np.asarray(values)
    if array.dtype.kind != "O" or not array.size or isinstance(array.flat[0], str):
        return array
    kind = pd.api.types.infer_dtype(array.ravel(), skipna=False)
    if kind in ("boolean", "floating"):
        return array.astype(np.bool_ if kind == "boolean" else np.float64)
    return array


def _coded(array: Array) -> tuple[Array, list[Any]]:
    """Codes of the array's shape, as small as they can be, and the values they stand for."""
    flat = np.ascontiguousarray(array).ravel()
    keys = _identities(flat) if flat.dtype.kind == "O" else _hashes(flat)
    codes, first = _few_codes(keys) or _many_codes(keys)
    distinct = flat[first]
    if flat.dtype.kind != "O" and not np.array_equal(distinct[codes], flat):
        codes, distinct = pd.factorize(flat.astype(object))  # two texts had one hash
    index: dict[tuple[type, Any], int] = {}
    try:  # 1, 1.0 and True stay apart
        merged = [index.setdefault((type(value), value), len(index)) for value in distinct]
    except TypeError as error:
        raise FrameError("Answers are lists or other containers, not labels.") from error
    numbers = np.asarray(merged, dtype=np.min_scalar_type(max(len(index) - 1, 0)))[codes]
    return numbers.reshape(array.shape), tag_values(_scalar(value) for _, value in index)


def _few_codes(keys: Array) -> tuple[Array, list[int]] | None:
    """Codes of keys, and where each is seen first; None for more than a few keys.

    One look at all keys for each that differs is quicker than a table of them.
    """
    if not len(keys) or len(set(keys[:FEW_SAMPLE].tolist())) > FEW:
        return None
    codes = np.zeros(len(keys), dtype=np.uint8)
    first, left = [0], keys != keys[0]
    while left.any():
        if len(first) > FEW:
            return None
        at = int(left.argmax())
        same = keys == keys[at]
        codes += same.view(np.uint8) * np.uint8(len(first))
        left ^= same
        first.append(at)
    return codes, first


def _many_codes(keys: Array) -> tuple[Array, Array]:
    """The same with a table of all keys."""
    codes, _ = pd.factorize(keys)
    return codes, np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))


def _identities(flat: Array) -> Array:
    """Where the objects of an array lie: models answer with the same few again and again."""
    memory = (ctypes.c_char * flat.nbytes).from_address(flat.ctypes.data)
    return np.frombuffer(memoryview(memory), dtype=np.intp)


def _hashes(flat: Array) -> Array:
    """One number for each text of an array of fixed-width texts."""
    if not flat.size:
        return np.empty(0, dtype=np.uint64)
    letters = flat.view(np.uint8).reshape(len(flat), -1)
    if flat.dtype.kind == "U":
        letters = letters.view(np.uint32)
    factors = np.random.default_rng(0).integers(1, 1 << 63, letters.shape[1], dtype=np.uint64)
    keys = np.zeros(len(flat), dtype=np.uint64)
    for at, factor in enumerate(factors):
        keys += letters[:, at] * factor
    return keys


# ---- predictions, in the parent --------------------------------------------------------------


def decode_raw(frame: Frame, n_rows: int) -> RawPredictions:
    """What `encode_raw` wrote, for exactly `n_rows` rows.

    Raises
    ------
    FrameError : anything else.
    """
    header = frame.header
    kind = header.get("score_kind")
    if kind is not None and kind not in [str(each.value) for each in ScoreKind]:
        raise FrameError("The kind of the scores is unknown.")
    classes = header.get("classes")
    arrays = dict(enumerate(frame.arrays))
    small = [each.size for each in frame.arrays if each.dtype.kind in "iu" and each.itemsize < 8]
    if sum(small) > MAX_LABEL_CELLS:
        raise FrameError("The answers are more labels than can be held here.")
    return RawPredictions(
        labels=_rebuild(header.get("labels"), arrays, n_rows),
        scores=_rebuild(header.get("scores"), arrays, n_rows),
        classes=None if classes is None else _known_classes(classes),
        score_kind=None if kind is None else ScoreKind(kind),
        notes=_sentences(header.get("notes")),
    )


def _known_classes(classes: Any) -> list[Any]:
    found = untag_values(classes, MAX_NAME)
    for each in found:
        _check_labels(each if isinstance(each, list) else [each])
    return found


def _check_labels(values: Sequence[Any]) -> None:
    """Single values only, and none that the arithmetic of labels stumbles over."""
    for value in values:
        if isinstance(value, (list, tuple, dict)):
            raise FrameError("A label is a list or another container.")
        if isinstance(value, int) and value.bit_length() > MAX_NUMBER_BITS:
            raise FrameError("A label is a number of too many digits.")


def _sentences(notes: Any) -> tuple[str, ...]:
    if not isinstance(notes, list) or len(notes) > MAX_NOTES:
        raise FrameError("The notes are no short list of sentences.")
    return tuple(plain_text(note, MAX_SENTENCE) for note in notes)


def _rebuild(described: Any, arrays: dict[int, Array], n_rows: int) -> Any:
    if described is None:
        return None
    if not isinstance(described, dict):
        raise FrameError("The answers are not described.")
    if "parts" not in described:
        return _one(described, arrays, n_rows)
    parts = described["parts"]
    if not isinstance(parts, list) or len(parts) > MAX_PARTS:
        raise FrameError("The answers have too many parts.")
    columns = [_one(part, arrays, n_rows) for part in parts]
    if "list" in described:
        return columns
    names = untag_values(described.get("dict", described.get("frame")), MAX_NAME)
    if len(names) != len(columns) or not all(isinstance(name, (str, int)) for name in names):
        raise FrameError("The answers have names that do not fit their parts.")
    if "dict" in described:
        return dict(zip(names, columns, strict=True))
    if any(column.ndim != 1 for column in columns):
        raise FrameError("The answers are a table with columns that are no columns.")
    table = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(n_rows))
    return table.set_axis(names, axis="columns")


def _one(described: Any, arrays: dict[int, Array], n_rows: int) -> Array:
    """One array, which is taken out: used again and again, it would grow without end."""
    at = described.get("at") if isinstance(described, dict) else None
    if type(at) is not int or at not in arrays:
        raise FrameError("The answers point to an array that is not there.")
    array = arrays.pop(at)
    if array.ndim == 0 or len(array) != n_rows:
        given = f"{len(array):,} answers" if array.ndim else "a single answer"
        raise FrameError(f"There are {given} for {n_rows:,} rows.")
    if "values" not in described:
        return array
    values = untag_values(described["values"], MAX_NAME)
    _check_labels(values)
    if array.dtype.kind not in "iu":
        raise FrameError("The codes of the labels are no whole numbers.")
    if array.size and (int(array.min()) < 0 or int(array.max()) >= len(values)):
        raise FrameError("The codes of the labels point to labels that are not there.")
    distinct = np.empty(len(values), dtype=object)
    distinct[:] = values
    return distinct[array]


# ---- what a model says of itself -------------------------------------------------------------


def encode_info(info: ModelInfo) -> dict[str, Any]:
    """The description of a model as JSON; its digest and size are the parent's to say."""
    return {
        "format": info.format,
        "kind": info.kind[:MAX_SENTENCE],
        "feature_names": None if info.feature_names is None else list(info.feature_names),
        "n_features": None if info.n_features is None else int(info.n_features),
        "input_shape": _plain_shape(info.input_shape),
        "classes": None if info.classes is None else tag_values(info.classes),
        "task_hint": info.task_hint,
        "notes": [str(note)[:MAX_SENTENCE] for note in info.notes[:MAX_NOTES]],
    }


def _plain_shape(shape: tuple[int | None, ...] | None) -> list[int | None] | None:
    return None if shape is None else [None if each is None else int(each) for each in shape]


def decode_info(header: Any, *, digest: str = "", size: int = 0) -> ModelInfo:
    """What `encode_info` wrote, checked; `digest` and `size` are what the parent knows itself.

    Raises
    ------
    FrameError : anything else.
    """
    if not isinstance(header, dict) or header.get("task_hint") not in _HINTS:
        raise FrameError("The description of the model is incomplete.")
    info = ModelInfo(
        format=plain_text(header.get("format"), 40),
        kind=plain_text(header.get("kind"), MAX_SENTENCE),
        task_hint=header.get("task_hint"),
        digest=digest,
        size=size,
        notes=_sentences(header.get("notes")),
    )
    return replace(
        info,
        feature_names=_names(header.get("feature_names")),
        n_features=_length(header.get("n_features")),
        input_shape=_shape(header.get("input_shape")),
        classes=_labels(header.get("classes")),
    )


def _names(names: Any) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or len(names) > MAX_NAMES:
        raise FrameError("The names of the columns are no list of at most 100,000 names.")
    found = untag_values(names, MAX_NAME)
    if not all(isinstance(name, str) for name in found):
        raise FrameError("The names of the columns are no texts.")
    return tuple(found)


def _length(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 1 << 48:
        raise FrameError("A length of the description is no whole number.")
    return value


def _shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape is None:
        return None
    if not isinstance(shape, list) or len(shape) > 16:
        raise FrameError("The shape of the inputs is no list of lengths.")
    return tuple(_length(length) for length in shape)


def _labels(classes: Any) -> tuple[Any, ...] | None:
    if classes is None:
        return None
    if not isinstance(classes, list) or len(classes) > MAX_NAMES:
        raise FrameError("The classes are no list of at most 100,000 labels.")
    values = untag_values(classes, MAX_NAME)
    _check_labels(values)
    labels = [canonical_label(value) for value in values]
    return tuple(label for label in labels if label is not None)
