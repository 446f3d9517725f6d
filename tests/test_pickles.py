"""Pickles of every writer: equal to the object itself, own classes from helper files, one sentence
for what is missing. They are opened right here; that the app does not is tested in test_confined.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import sys
import types
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pyarrow
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from dashboard.errors import LimitExceeded, ModelError
from dashboard.models import identify, load_model, load_native
from dashboard.settings import Settings

N = 80
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(N, 3)), columns=["age", "income", "rooms"]).assign(
    city=np.where(RNG.normal(size=N) > 0, "Rome", "Oslo")
)
X = FRAME[["age", "income", "rooms"]]
BINARY = np.where(X["age"] > 0, "yes", "no")
THREE = np.array(["low", "mid", "high"])[np.digitize(X["age"], [-0.5, 0.5])]
VALUES = (X["age"] - 2 * X["income"]).to_numpy()
LABELS = np.column_stack([X["age"] > 0, X["income"] > 0]).astype(int)
OUTPUTS = np.column_stack([VALUES, -VALUES])

MODELS: dict[str, tuple[Callable[[], Any], Any, Any]] = {
    "binary, pipeline on columns": (
        lambda: make_pipeline(
            make_column_transformer((OneHotEncoder(), ["city"]), remainder=StandardScaler()),
            LogisticRegression(),
        ),
        FRAME,
        BINARY,
    ),
    "binary, calibrated": (lambda: CalibratedClassifierCV(LogisticRegression(), cv=2), X, BINARY),
    "three classes, stacking": (
        lambda: StackingClassifier([("l", LogisticRegression()), ("k", KNeighborsClassifier())]),
        X,
        THREE,
    ),
    "three classes, search": (
        lambda: GridSearchCV(RandomForestClassifier(4, random_state=0), {"max_depth": [2]}, cv=2),
        X,
        THREE,
    ),
    "labels": (lambda: RandomForestClassifier(4, random_state=0, n_jobs=2), X, LABELS),
    "regression, histogram boosting": (
        lambda: HistGradientBoostingRegressor(max_iter=4),
        X,
        VALUES,
    ),
    "regression, vote with a transformed target": (
        lambda: TransformedTargetRegressor(VotingRegressor([("a", Ridge()), ("b", Ridge(9))])),
        X,
        VALUES,
    ),
    "outputs": (lambda: MultiOutputRegressor(Ridge()), X.to_numpy(), OUTPUTS),
}


def arrow(codec: str) -> Callable[[bytes], bytes]:
    def compress(content: bytes) -> bytes:
        sink = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(sink, codec) as stream:
            stream.write(content)
        return bytes(sink.getvalue())

    return compress


def joblib_dump(compress: Any) -> Callable[[Any], bytes]:
    def dump(model: Any) -> bytes:
        buffer = io.BytesIO()
        joblib.dump(model, buffer, compress=compress)
        return buffer.getvalue()

    return dump


WRITERS: dict[str, Callable[[Any], bytes]] = {
    **{f"pickle {p}": lambda model, p=p: pickle.dumps(model, protocol=p) for p in range(6)},
    "cloudpickle": cloudpickle.dumps,
    "joblib": joblib_dump(0),
    **{f"joblib {kind}": joblib_dump((kind, 3)) for kind in ("zlib", "gzip", "bz2", "lzma", "xz")},
    "pickle in gzip": lambda model: gzip.compress(pickle.dumps(model)),
    "pickle in zlib": lambda model: zlib.compress(pickle.dumps(model)),
    "pickle in bz2": lambda model: bz2.compress(pickle.dumps(model)),
    "pickle in xz": lambda model: lzma.compress(pickle.dumps(model)),
    "pickle in zstandard": lambda model: arrow("zstd")(pickle.dumps(model)),
    "joblib in lz4": lambda model: arrow("lz4")(joblib_dump(0)(model)),
}


@pytest.fixture(scope="module")
def fitted() -> dict[str, Any]:
    return {name: make().fit(given, target) for name, (make, given, target) in MODELS.items()}


@pytest.mark.parametrize("writer", list(WRITERS))
def test_answers_equal_the_object_for_every_writer(writer: str, fitted: dict[str, Any]) -> None:
    for name, native in fitted.items():
        content = WRITERS[writer](native)
        assert identify(content, "model.pkl") in ("pickle", "joblib")
        model = load_native(content, "model.pkl")
        given = MODELS[name][1]
        raw = model.predict(given)
        np.testing.assert_array_equal(raw.labels, native.predict(given))
        if hasattr(native, "predict_proba"):
            np.testing.assert_array_equal(raw.scores, native.predict_proba(given))
        assert model.info.notes == ()
        assert model.info.format == "pickle"
        assert model.info.size == len(content)


def test_one_file_through_the_confined_worker(fitted: dict[str, Any]) -> None:
    native = fitted["binary, pipeline on columns"]
    model = load_model(joblib_dump(3)(native), "loans.joblib")
    np.testing.assert_array_equal(model.predict(FRAME).scores, native.predict_proba(FRAME))
    assert model.info.feature_names == ("age", "income", "rooms", "city")


# --- own classes ------------------------------------------------------------------------------

STEPS = b"""
from sklearn.base import BaseEstimator, TransformerMixin
from more_steps import FACTOR

class Doubled(TransformerMixin, BaseEstimator):
    class Inner:
        factor = 1
    def fit(self, X, y=None):
        self.fitted_ = True
        return self
    def transform(self, X):
        return X * FACTOR

def squared(X):
    return X ** 2
"""
MORE = b"FACTOR = 2"


class Doubled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    class Inner:
        factor = 1

    def fit(self, X: Any, y: Any = None) -> Any:
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return X * 2


def squared(X: Any) -> Any:
    return X**2


def as_if_from(module: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The classes above pretend to be of another module while they are pickled."""
    fake = types.ModuleType(module)
    for part in (Doubled, Doubled.Inner, squared):
        monkeypatch.setattr(part, "__module__", module)
        setattr(fake, part.__name__, part)
    parents = module.split(".")[:-1]
    for depth in range(1, len(parents) + 1):
        above = ".".join(parents[:depth])
        monkeypatch.setitem(sys.modules, above, types.ModuleType(above))
    monkeypatch.setitem(sys.modules, module, fake)
    model = make_pipeline(Doubled(), FunctionTransformer(squared), Ridge()).fit(X, VALUES)
    expected = model.predict(X)
    content = pickle.dumps(model)
    joblibs = joblib_dump(3)(model)
    monkeypatch.undo()
    return content, joblibs, expected


def beside(folder: Path, **files: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.py").write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What helper files brought in is gone after each test."""
    before, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - before:
        if "steps" in name or "uploaded_" in name:
            del sys.modules[name]
    sys.path[:] = path


@pytest.mark.parametrize("module", ["__main__", "my_steps", "project.features.my_steps"])
def test_own_classes_come_from_helper_files(
    module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    *contents, expected = as_if_from(module, monkeypatch)
    folder = beside(tmp_path / "helpers", my_steps=STEPS, more_steps=MORE)
    for content in contents:
        model = load_native(content, "own.pkl", helpers_folder=folder)
        np.testing.assert_array_equal(model.predict(X).labels, expected)
    assert sys.path[-1] == str(folder)


def test_missing_own_classes_are_named_with_the_file_that_helps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script, *_ = as_if_from("__main__", monkeypatch)
    with pytest.raises(ModelError, match=r"own\.pkl needs Doubled, which the script or notebook"):
        load_native(script, "own.pkl")
    other = beside(tmp_path / "a", unrelated_steps=b"x = 1")
    with pytest.raises(ModelError, match=r"needs Doubled.*\(unrelated_steps\.py does not\)"):
        load_native(script, "own.pkl", helpers_folder=other)
    module, *_ = as_if_from("my_steps", monkeypatch)
    with pytest.raises(ModelError, match=r"needs my_steps\.Doubled.*upload my_steps\.py"):
        load_native(module, "own.pkl")
    lacking = beside(tmp_path / "b", my_steps=b"x = 1")
    with pytest.raises(ModelError, match=r"Doubled, which the uploaded my_steps\.py does not def"):
        load_native(module, "own.pkl", helpers_folder=lacking)
    broken = beside(tmp_path / "c", my_steps=b"import nothing_like_it_steps")
    with pytest.raises(ModelError, match=r"my_steps\.py cannot be imported \(ModuleNotFoundError"):
        load_native(module, "own.pkl", helpers_folder=broken)
    ends = beside(tmp_path / "d", my_steps=b"raise SystemExit(3)")
    with pytest.raises(ModelError, match=r"my_steps\.py cannot be imported \(SystemExit: 3"):
        load_native(module, "own.pkl", helpers_folder=ends)


def test_a_helper_hides_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = beside(tmp_path / "h", json=b"def steps(X): return X * 3", sklearn=b"1 / 0")
    own = types.ModuleType("json.own")
    own_steps: Any = lambda X: X * 3  # noqa: E731
    own_steps.__name__ = own_steps.__qualname__ = "steps"
    own_steps.__module__ = "json"
    own.steps = own_steps  # type: ignore[attr-defined]
    import json

    with monkeypatch.context() as patched:
        patched.setattr(json, "steps", own_steps, raising=False)
        native = make_pipeline(FunctionTransformer(own_steps), Ridge()).fit(X, VALUES)
        content, expected = pickle.dumps(native), native.predict(X)
    model = load_native(content, "m.pkl", helpers_folder=folder)
    np.testing.assert_array_equal(model.predict(X).labels, expected)
    assert sys.modules["json"] is json


def test_helpers_of_trusted_files_and_functions_by_value() -> None:
    double = cloudpickle.dumps(lambda rows: rows[:, 0] * 2)
    raw = load_native(double, "f.pkl").predict(X.to_numpy())
    np.testing.assert_array_equal(raw.scores, X.to_numpy()[:, 0] * 2)
    content = b"\x80\x04cmy_steps\nModel\n)\x81."
    source = b"class Model:\n    def predict(self, X):\n        return [1] * len(X)"
    model = load_model(content, "m.pkl", helpers={"my_steps.py": source}, trust=True)
    assert model.predict(X).labels == [1] * N


# --- what is missing, and what is no model ----------------------------------------------------


class Own(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


def pickled(function: str, arguments: str = ")") -> bytes:
    """A pickle that calls `module name` with nothing."""
    return f"c{function.replace(' ', chr(10))}\n{arguments}R.".encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80\x04cimblearn.pipeline\nPipeline\n.", r"library imbalanced-learn.*pip install imb"),
        (b"\x80\x04csklearn.linear_model.logistic\nX\n.", r"the installed scikit-learn does not h"),
        (b"\x80\x04csklearn.tree\nNoTree\n.", r"sklearn\.tree\.NoTree, which the installed scik"),
        (pickled("builtins exit"), "tried to end the process"),
        (pickled("builtins memoryview"), r"cannot be opened here \(TypeError"),
        (b"\x80\x04].", "is of type list; needed is a fitted estimator"),
        (b"\x80\x04cbuiltins\nint\n.", "is a class; a model is a fitted object"),
        (b"\x80\x04", "is cut off or damaged"),
        (b"ZF0x1234" + b"\x00" * 40, r"joblib before 0\.10"),
        (gzip.compress(pickle.dumps(np.arange(900.0)))[:-40], "is cut off or damaged"),
    ],
)
def test_each_failure_is_one_sentence(content: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_native(content, "model.pkl")
    assert "\n" not in str(caught.value)


def test_a_library_that_the_named_one_needs_is_the_one_that_is_named(tmp_path: Path) -> None:
    package = tmp_path / "half_steps"
    package.mkdir()
    (package / "__init__.py").write_text("import imblearn")
    sys.path.append(str(tmp_path))
    with pytest.raises(ModelError, match="needs the library imbalanced-learn"):
        load_native(b"\x80\x04chalf_steps\nModel\n.", "m.pkl")


def test_versions_are_said_when_they_differ() -> None:
    forest = RandomForestClassifier(2, random_state=0).fit(X, BINARY)
    import sklearn

    old = pickle.dumps(forest).replace(sklearn.__version__.encode(), b"1.2.1")
    model = load_native(old, "old.pkl")
    assert model.info.notes == (
        f"Saved with scikit-learn 1.2.1; opened with {sklearn.__version__}: answers can differ.",
    )
    older = old.replace(b"\x8c\x06values", b"\x8c\x06valuex")
    with pytest.raises(ModelError, match=r"KeyError: 'values'\).*Saved with scikit-learn 1\.2\.1"):
        load_native(older, "older.pkl")


def test_a_model_among_other_things_is_found_or_the_reason_is_said() -> None:
    ridge, scaler = Ridge().fit(X, VALUES), StandardScaler().fit(X)
    model = load_native(pickle.dumps({"model": ridge, "columns": list(X)}), "m.pkl")
    assert model.info.notes == ("The file holds a dict; the model is its entry 'model'.",)
    np.testing.assert_array_equal(model.predict(X).labels, ridge.predict(X))
    with pytest.raises(ModelError, match=r"steps beside the model: scaler: StandardScaler, m: Ri"):
        load_native(pickle.dumps({"m": ridge, "scaler": scaler}), "m.pkl")
    with pytest.raises(ModelError, match=r"list with several models \(0, 1\): 0: Ridge, 1: Own"):
        load_native(pickle.dumps([ridge, Own()]), "m.pkl")
    with pytest.raises(ModelError, match="Ridge that is not fitted"):
        load_native(pickle.dumps(Ridge()), "m.pkl")
    with pytest.raises(ModelError, match="of type StandardScaler; needed is a fitted"):
        load_native(pickle.dumps(scaler), "m.pkl")


def test_threads_are_bounded_and_indices_checked() -> None:
    forest = RandomForestClassifier(3, random_state=0, n_jobs=-1).fit(X, BINARY)
    assert load_native(pickle.dumps(forest), "m.pkl")._estimator.n_jobs == 1  # type: ignore[attr-defined]
    forest.estimators_[0].n_features_in_ = 7
    with pytest.raises(ModelError, match="inconsistent internals"):
        load_native(pickle.dumps(forest), "m.pkl")


def test_compressed_files_unpack_within_limits() -> None:
    bomb = gzip.compress(pickle.dumps(bytes(30 << 20)))
    small = replace(Settings(), max_model_mb=8)
    with pytest.raises(LimitExceeded, match=r"more than 8 MB; the limit is 8 MB"):
        load_native(bomb, "bomb.pkl", settings=small)
    dense = replace(Settings(), max_archive_ratio=50)
    with pytest.raises(LimitExceeded, match="more than 50 times its size"):
        load_native(bomb, "bomb.pkl", settings=dense)
