"""Zipped MLflow folders as MLflow writes them, without MLflow: equal to the model inside."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dashboard.errors import ModelError, UntrustedModel
from dashboard.models import carries_code, identify, inspect_model, load_model, load_native
from dashboard.models.mlflow_folder import parse_mlmodel
from tests.test_boosters import (
    BINARY,
    NUMBERS,
    TABLE,
    THREE,
    TYPED,
    VALUES,
    answers,
    assert_equal,
    cat,
    lgb,
    native_answers,
    raw_of,
    xgb,
)

GIVEN = NUMBERS.fillna(0)
MANIFEST = """artifact_path: model
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.{flavour}
    model_path: {member}
    predict_fn: predict
    python_version: 3.11.7
  {flavour}:
    code: {code}
{facts}
is_signature_from_type_hint: false
mlflow_version: 3.4.0
model_size_bytes: 1234
model_uuid: 0e2b9d38e4ba4b7b8ea1b1b0f2f0a6c1
run_id: 7f3c
signature:
  inputs: '{signature}'
  outputs: '[{{"type": "tensor", "tensor-spec": {{"dtype": "int64", "shape": [-1]}}}}]'
  params: null
utc_time_created: '2026-03-01 10:11:12.345678'
"""
REQUIREMENTS = b"mlflow==3.4.0\ncloudpickle==3.1.1\nnumpy==1.26.4\nscikit-learn==1.6.1\n"


def folded(text: str, width: int = 70) -> str:
    """As YAML writes a long quoted text: over several lines, broken at blanks."""
    lines, line = [], ""
    for word in text.replace("'", "''").split(" "):
        if line and len(line) + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n    ".join([*lines, line])


def mlflow(
    flavour: str,
    facts: dict[str, str],
    files: dict[str, bytes],
    *,
    root: str = "",
    code: str = "null",
    columns: list[str] | None = None,
) -> bytes:
    inputs = [{"type": "double", "name": name, "required": True} for name in columns or NUMBERS]
    manifest = MANIFEST.format(
        flavour=flavour,
        member=next(iter(files)),
        code=code,
        facts="\n".join(f"    {key}: {value}" for key, value in facts.items()),
        signature=folded(json.dumps(inputs)),
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{root}MLmodel", manifest)
        archive.writestr(f"{root}requirements.txt", REQUIREMENTS)
        archive.writestr(f"{root}conda.yaml", "name: mlflow-env\n")
        for name, content in files.items():
            archive.writestr(f"{root}{name}", content)
    return buffer.getvalue()


SKLEARN = {"pickled_model": "model.pkl", "sklearn_version": "1.6.1"}
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression())


@pytest.mark.parametrize("root", ["", "model/", "runs/7f3c/artifacts/model/"])
@pytest.mark.parametrize("dump", [pickle.dumps, cloudpickle.dumps, skops.io.dumps])
def test_a_folder_of_scikit_learn(root: str, dump: Any) -> None:
    native = PIPELINE.fit(GIVEN, BINARY)
    content = mlflow("sklearn", SKLEARN, {"model.pkl": dump(native)}, root=root)
    assert identify(content, "model.zip") == "mlflow"
    assert carries_code("mlflow")
    model = load_native(content, "model.zip")
    np.testing.assert_array_equal(model.predict(GIVEN).scores, native.predict_proba(GIVEN))
    assert model.info.format == "mlflow sklearn"
    assert model.info.feature_names == tuple(NUMBERS)
    assert model.info.size == len(content)
    assert any("Saved with scikit-learn 1.6.1" in note for note in model.info.notes)
    assert any("Saved with numpy 1.26.4" in note for note in model.info.notes)


def test_the_signature_names_the_columns_of_a_model_that_does_not() -> None:
    native = Ridge().fit(GIVEN.to_numpy(), VALUES)
    columns = ["age", "net income"]
    content = mlflow("sklearn", SKLEARN, {"model.pkl": pickle.dumps(native)}, columns=columns)
    model = load_native(content, "m.zip")
    turned = GIVEN.assign(city=TABLE["city"])[["net income", "city", "age"]]
    raw = model.predict(turned)
    np.testing.assert_array_equal(raw.labels, native.predict(GIVEN.to_numpy()))
    assert model.info.feature_names == ("age", "net income")
    assert raw.notes[0] == "Columns the model does not use: city."
    longer = mlflow("sklearn", SKLEARN, {"model.pkl": pickle.dumps(native)}, columns=["a"] * 3)
    assert load_native(longer, "m.zip").info.feature_names is None


BOOSTERS: dict[str, tuple[Any, Any, Any, dict[str, str], str]] = {
    "xgboost": (xgb, TYPED, BINARY, {"data": "model.ubj", "xgb_version": "2.1.4"}, "ubj"),
    "lightgbm": (lgb, TYPED, THREE, {"data": "model.lgb", "lgb_version": "4.1.0"}, "txt"),
    "lightgbm, pickled": (lgb, TYPED, THREE, {"data": "model.pkl"}, "pickle"),
    "catboost": (cat, NUMBERS, THREE, {"data": "model.cb", "save_format": "cbm"}, "cbm"),
}


@pytest.mark.parametrize("case", list(BOOSTERS))
def test_folders_of_boosters(case: str, tmp_path: Path) -> None:
    make, features, target, facts, form = BOOSTERS[case]
    native = make().fit(features, target)
    files = {facts["data"]: raw_of(native, features, form, tmp_path)}
    flavour = case.partition(",")[0]
    model = load_native(mlflow(flavour, facts, files), "m.zip")
    given = TABLE if features is TYPED else features
    assert_equal(answers(model.predict(given)), native_answers(native, features), 1e-6)
    assert model.info.format == f"mlflow {flavour}"
    if form == "ubj":
        assert "Saved with xgboost 2.1.4; opened with " in " ".join(model.info.notes)


def test_a_folder_of_onnx() -> None:
    from skl2onnx import to_onnx

    native = PIPELINE.fit(GIVEN.to_numpy(), BINARY)
    network = to_onnx(native, GIVEN.to_numpy(dtype=np.float32)[:1])
    files = {"model.onnx": network.SerializeToString()}
    model = load_native(mlflow("onnx", {"data": "model.onnx"}, files), "m.zip")
    raw = model.predict(GIVEN)
    assert_equal(np.asarray(raw.scores)[:, -1], native.predict_proba(GIVEN.to_numpy())[:, 1], 1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when it saves
@pytest.mark.parametrize("flavour", ["keras", "tensorflow", "tensorflow, a graph"])
def test_folders_of_networks(flavour: str, tmp_path: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")]
    network = keras.Sequential(layers)
    expected = network(GIVEN.to_numpy(dtype=np.float32)).numpy()
    if "graph" in flavour:
        network.export(tmp_path / "graph", verbose=False)
        facts = {"saved_model_dir": "tfmodel", "model_type": "tf2-module"}
        files = {
            f"tfmodel/{path.relative_to(tmp_path / 'graph').as_posix()}": path.read_bytes()
            for path in (tmp_path / "graph").rglob("*")
            if path.is_file()
        }
    else:
        network.save(tmp_path / "model.keras")
        facts = {"data": "data", "model_type": "keras", "keras_version": keras.__version__}
        files = {"data/model.keras": (tmp_path / "model.keras").read_bytes()}
    content = mlflow(flavour.partition(",")[0], facts, files)
    raw = load_native(content, "m.zip").predict(GIVEN)
    scores = raw.scores if not isinstance(raw.scores, dict) else next(iter(raw.scores.values()))
    assert_equal(np.asarray(scores), expected, 1e-6)


def test_a_folder_through_the_confined_worker(tmp_path: Path) -> None:
    native = PIPELINE.fit(GIVEN, BINARY)
    content = mlflow("sklearn", SKLEARN, {"model.pkl": cloudpickle.dumps(native)})
    model = load_model(content, "m.zip")
    np.testing.assert_array_equal(model.predict(GIVEN).scores, native.predict_proba(GIVEN))
    found = inspect_model(content, "m.zip")
    assert found.kind == "mlflow"
    assert found.versions["numpy"] == ("1.26.4", np.__version__)
    assert found.notes[0] == "It is an MLflow folder with a model of sklearn."


def test_own_code_that_was_logged_is_found(tmp_path: Path) -> None:
    content = b"\x80\x04cmy_mlflow_steps\nModel\n)\x81."
    source = b"class Model:\n    def predict(self, X):\n        return [5] * len(X)"
    files = {"model.pkl": content, "code/my_mlflow_steps.py": source}
    model = load_native(mlflow("sklearn", SKLEARN, files, code="code"), "m.zip")
    assert model.predict(GIVEN).labels == [5] * len(GIVEN)


def without_flavour(*lines: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("MLmodel", "\n".join(lines))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (without_flavour("flavors:", "  spark:", "    data: x"), "of flavour spark, which is not"),
        (without_flavour("flavors:", "  python_function:", "    a: b"), "of own Python code"),
        (without_flavour("run_id: x"), "names no flavour"),
        (without_flavour("flavors: x"), "names no flavour"),
        (
            without_flavour("flavors:", "  sklearn:", "    a: b"),
            r"the file 'model\.pkl'.*not in it",
        ),
        (without_flavour("flavors:", "  onnx:", "    data: ../../etc/x"), "is not in it"),
        (without_flavour("x" * 2_000_000), "far too long"),
        (mlflow("sklearn", SKLEARN, {"model.pkl": b"PNG"}), r"m\.zip \(model\.pkl\) is no format"),
    ],
)
def test_folders_that_cannot_be_opened(content: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        load_native(content, "m.zip")
    assert "\n" not in str(caught.value)


def test_a_folder_in_a_folder_and_paths_that_leave_it() -> None:
    inner = mlflow("sklearn", SKLEARN, {"model.pkl": b"x"})
    with pytest.raises(ModelError, match="a zip archive of other files"):
        load_native(mlflow("sklearn", SKLEARN, {"model.pkl": inner}), "m.zip")
    with pytest.raises(UntrustedModel, match="leaves the archive"):
        load_native(mlflow("sklearn", SKLEARN, {"../model.pkl": b"x"}), "m.zip")


def test_the_part_of_yaml_that_mlflow_writes() -> None:
    text = """
# a comment
artifact_path: model
list:
- one
- 'two: 2'
flavors:
  keras:
    code: null
    data: "data/\\
      model"
    empty:
signature:
  inputs: '[{"name": "it''s", "type":
    "double"}]'
  plain: a text that goes on
    here
quoted key: "with \\"quotes\\""
...
"""
    assert parse_mlmodel(text) == {
        "artifact_path": "model",
        "list": ("one", "two: 2"),
        "flavors": {"keras": {"code": None, "data": "data/model", "empty": None}},
        "signature": {
            "inputs": '[{"name": "it\'s", "type": "double"}]',
            "plain": "a text that goes on here",
        },
        "quoted key": 'with "quotes"',
    }
    assert parse_mlmodel("") == {}
    assert parse_mlmodel("- a\n- b") == {}
    assert parse_mlmodel("a: 'never closed\nb: c") == {"a": "'never closed b: c"}


def test_a_hostile_manifest_is_read_in_little_time() -> None:
    deep = "\n".join(" " * at + "a:" for at in range(1_400))
    assert "a" in parse_mlmodel(deep)
    long = "a: 'b\n" + "c\n" * 400_000
    assert len(parse_mlmodel(long)["a"]) > 800_000
