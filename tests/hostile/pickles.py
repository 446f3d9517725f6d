"""Pickles that bite: on opening, in their structure, or only when the model is asked."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import pickle
import struct
import zlib
from typing import Any

import joblib
import numpy as np

from .attacks import prelude
from .scene import Scene

__all__ = ["forged", "model_of", "running", "structures"]


class _Call:
    """Pickled as a call of `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __call__(self) -> None:
        """Only so that pickle takes the answer of one call as the function of the next."""

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def running(code: str, scene: Scene) -> bytes:
    """A pickle that runs `code` when it is opened."""
    return pickle.dumps(_Call(exec, prelude(scene) + code, {"__name__": "hostile"}))


_MODEL = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
class Model(ClassifierMixin, BaseEstimator):
    classes_ = np.array([0, 1])
    n_features_in_ = 4
    def fit(self, X, y=None):
        return self
    def __sklearn_is_fitted__(self):
        return True
    def predict(self, X):
{body}
"""


def model_of(body: str, scene: Scene, before: str = "") -> bytes:
    """A pickle of a fitted classifier whose `predict(X)` runs `body`."""
    indented = "".join(f"        {line}\n" for line in body.splitlines())
    code = prelude(scene) + _MODEL.format(body=indented) + before
    expression = "[exec(code, space), space['Model']()][1]"
    space = {"__name__": "hostile"}
    return pickle.dumps(_Call(eval, expression, {"code": code, "space": space}))


_TAKEN_OVER = """
import dashboard.worker.operations as operations
def say(**changes):
    honest = operations.encode_info
    operations.encode_info = lambda info: {**honest(info), **changes}
def answer(body, arrays, error=None):
    import dashboard.worker.serving as serving
    plain = {"labels": None, "scores": None, "classes": None, "score_kind": None, "notes": []}
    operations.OPERATIONS["predict"] = lambda desk, call: ({**plain, **body}, arrays)
    if error:
        tell = serving._Line.answer
        serving._Line.answer = lambda line, number, header, *rest: tell(line, number, error)
"""


def forged(code: str, scene: Scene) -> bytes:
    """A pickle of a decent classifier that makes the worker say what `code` wants."""
    body = "return np.array(['yes', 'no'] * len(X))[: len(X)]"
    return model_of(body, scene, _TAKEN_OVER + code)


def structures(scene: Scene) -> dict[str, bytes]:
    """File name → pickles whose structure is the attack, and disguises of one that runs code."""
    bite = prelude(scene) + "open(CANARY + '.bite', 'w')\nbreach('ran')\n"
    plain = pickle.dumps(_Call(exec, bite, {}))
    long = b"\x80\x04\x8e" + struct.pack("<Q", 1_200 << 20)  # so many bytes follow
    return {
        "gzip.pkl": gzip.compress(plain),
        "zlib.pkl": zlib.compress(plain),
        "bz2.pkl": bz2.compress(plain),
        "xz.pkl": lzma.compress(plain),
        "protocol-0.pkl": pickle.dumps(_Call(exec, bite, {}), protocol=0),
        "inside.joblib": _joblib(bite),
        "gadget-numpy.pkl": _through_numpy(plain),
        "gadget-joblib.pkl": _through_joblib(plain),
        "computed-name.pkl": _computed_name(bite),
        "renamed.skops": _other(bite, "skops"),
        "renamed.keras": _other(bite, "keras"),
        "renamed.onnx": _other(bite, "onnx"),
        "renamed.h5": _other(bite, "h5"),
        "renamed.txt": _other(bite, "txt"),
        "behind-a-picture.pkl": b"\x89PNG\r\n\x1a\n" + plain,
        "gzip-bomb.pkl": gzip.compress(long) + gzip.compress(bytes(1 << 24)) * 128,
        "xz-bomb.joblib": lzma.compress(long) + lzma.compress(bytes(1 << 22)) * 512,
        "memo-bomb.pkl": b"\x80\x04" + b"]" + b"r" + struct.pack("<I", 0xFFFFFFF0) + b".",
        "length-lies.pkl": b"\x80\x04" + b"\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
        "text-length-lies.pkl": b"\x80\x04" + b"\x8d" + struct.pack("<Q", (1 << 63) - 1) + b"x.",
        "huge-arrays.pkl": pickle.dumps([_Call(np.zeros, 1 << 44), _Call(bytearray, 1 << 44)]),
        "doubling.pkl": _doubling(),
        "nested.pkl": b"\x80\x04" + b"]" * 2_000_000 + b"a" * 1_999_999 + b".",
        "nested-tuples.pkl": b"\x80\x04N" + b"\x85" * 3_000_000 + b".",
        "frame-lies.pkl": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N.",
        "truncated.pkl": plain[: len(plain) // 2],
        "no-stop.pkl": plain[:-1],
        "persistent-id.pkl": b"\x80\x04\x8c\x03abcQ.",
        "extension-code.pkl": b"\x80\x02\x82\x01.",
        "two-pickles.pkl": pickle.dumps(1) + plain,
    }


def _other(code: str, name: str) -> bytes:
    """The same in other bytes: a file that was there already is refused for that alone."""
    return pickle.dumps(_Call(exec, f"{code}# {name}\n", {}))


def _joblib(code: str) -> bytes:
    buffer = io.BytesIO()
    joblib.dump([np.arange(100.0), _Call(exec, code, {})], buffer, compress=3)
    return buffer.getvalue()


def _through_numpy(plain: bytes) -> bytes:
    """Names nothing but numpy.load: an allow-list of modules lets it pass."""
    return pickle.dumps(_Call(np.load, io.BytesIO(plain), None, True))


def _through_joblib(plain: bytes) -> bytes:
    return pickle.dumps(_Call(joblib.load, io.BytesIO(plain)))


def _computed_name(code: str) -> bytes:
    """The name of what is called is put together while the pickle runs: no list shows it."""
    module = _Call(importlib.import_module, "".join(["built", "ins"]))
    name = _Call("".join, ["ex", "ec"])
    return pickle.dumps(_Call(_Call(getattr, module, name), code, {}))


def _doubling() -> bytes:
    """Sixty times `x + x`: a list that is 2**60 long when it is written out."""
    import operator

    value: Any = [0] * 10
    for _ in range(60):
        value = _Call(operator.concat, *[value] * 2)
    return pickle.dumps(value)
