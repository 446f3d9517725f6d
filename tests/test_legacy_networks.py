"""Networks that Keras 2 wrote: real files, in every form, with the answers that it gave."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import numpy as np
import pytest

from dashboard.contracts import Model, ScoreKind
from dashboard.errors import ModelError, UntrustedModel
from dashboard.models import load_native
from dashboard.models.legacy_networks import modern_config
from dashboard.models.networks import modern

FILES = zipfile.ZipFile(Path(__file__).parent / "keras2" / "networks.zip")
NETWORKS = sorted(name.removesuffix(".h5") for name in FILES.namelist() if name.count(".h5") == 1)
NETWORKS = [name for name in NETWORKS if "." not in name]
IN_PARTS = sorted(name.removesuffix(".json") for name in FILES.namelist() if name.endswith("json"))


def content(member: str) -> bytes:
    return FILES.read(member)


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", ".").replace("_in_", "/"), data)
    return buffer.getvalue()


def assert_answers(model: Model, network: str) -> Any:
    """The raw predictions, once they are those of Keras 2."""
    with np.load(io.BytesIO(content(f"{network}.npz"))) as known:
        given = [known[name] for name in sorted(known) if name.startswith("x")]
        expected = [known[name] for name in sorted(known) if name.startswith("y")]
    raw = model.predict(np.hstack(given) if len(given) > 1 else given[0])
    answers = raw.scores
    if isinstance(answers, dict):
        answers = list(answers.values())
    answers = answers if isinstance(answers, list) else [answers]
    for ours, theirs in zip(answers, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    return raw


def test_all_networks_are_here() -> None:
    assert len(NETWORKS) == 11
    assert IN_PARTS == ["chain", "heads", "value"]


@pytest.mark.parametrize(
    ("network", "ending"),
    [*((name, "h5") for name in NETWORKS), *((name, "keras") for name in IN_PARTS)],
)
def test_whole_models_answer_as_keras_2_did(network: str, ending: str) -> None:
    model = load_native(content(f"{network}.{ending}"), f"net.{ending}")
    assert_answers(model, network)
    assert model.info.format == {"h5": "hdf5", "keras": "keras"}[ending]
    assert model.info.notes[0].startswith("Saved with Keras 2.21.0; opened with 3.")


@pytest.mark.parametrize(
    ("network", "layout"), [("chain", "older"), ("heads", "older"), ("value", "weights")]
)
def test_architecture_and_weights_in_one_zip(network: str, layout: str) -> None:
    parts = zipped(
        net_in_architecture__json=content(f"{network}.json"),
        net_in_weights__h5=content(f"{network}.{layout}.h5"),
        net_in_readme__py=b"print('never run')",
    )
    model = load_native(parts, "net.zip")
    assert_answers(model, network)
    assert model.info.format == "architecture and weights"


@pytest.mark.parametrize("network", IN_PARTS)
def test_saved_model_folders_of_keras_2(network: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in FILES.namelist():
            if member.startswith(f"{network}/"):
                archive.writestr(member, content(member))
    raw = assert_answers(load_native(buffer.getvalue(), "net.zip"), network)
    assert raw.score_kind is (ScoreKind.PROBABILITY if network == "chain" else None)
    if network == "heads":
        assert list(raw.scores) == ["price", "rooms"]


def reconfigured(network: str, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The HDF5 file with its configuration changed."""
    buffer = io.BytesIO(content(f"{network}.h5"))
    with h5py.File(buffer, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)
    return buffer.getvalue()


def bare(value: Any) -> None:
    """As Keras wrote before 2.12: class names without their modules."""
    if isinstance(value, dict):
        for key in ("module", "registered_name", "build_config"):
            value.pop(key, None)
        for inner in value.values():
            bare(inner)
    elif isinstance(value, list):
        for inner in value:
            bare(inner)


@pytest.mark.parametrize("network", ["images", "labels", "shared", "value"])
def test_class_names_without_their_modules(network: str) -> None:
    assert_answers(load_native(reconfigured(network, bare), "net.h5"), network)


def test_a_chain_as_a_bare_list_of_layers() -> None:
    def change(config: dict[str, Any]) -> None:
        bare(config)
        config["config"] = [
            layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"
        ]

    assert_answers(load_native(reconfigured("binary", change), "net.h5"), "binary")


def setting(name: str, value: Any, layer: int = 1) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["config"]["layers"][layer]["config"][name] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["config"]["layers"][1].update(class_name="Lambda"), "a Lambda layer"),
        (
            lambda c: c["config"]["layers"][1].update(module="os", class_name="system"),
            r"os\.system",
        ),
        (
            lambda c: c["config"]["layers"][1].update(module=None, class_name="Mine"),
            r"own code\.Mine",
        ),
        (lambda c: c["config"]["layers"][1].update(registered_name="Mine>Dense"), "Dense"),
        (lambda c: c.update(registered_name="Mine>Chain"), "Sequential"),
        (setting("kernel_initializer", {"class_name": "Own", "config": {}}), r"own code\.Own"),
        (setting("kernel_regularizer", {"class_name": "Own", "config": {}}), r"own code\.Own"),
    ],
)
def test_own_code_in_older_files_is_refused_by_name(change: Any, words: str) -> None:
    with pytest.raises(UntrustedModel, match=words):
        load_native(reconfigured("chain", change), "net.h5")


def test_arguments_that_mean_something_are_not_dropped() -> None:
    with pytest.raises(ModelError, match="time_major") as caught:
        load_native(reconfigured("sequences", setting("time_major", True, 2)), "net.h5")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "config",
    [
        None,
        [],
        {},
        {"class_name": "Sequential"},
        {"class_name": 3, "config": {}},
        {"class_name": "Sequential", "config": {"layers": 3}},
        {"class_name": "Functional", "config": {"layers": [3]}},
        {"class_name": "Model", "config": {"layers": [{"class_name": "Dense", "config": {}}]}},
    ],
)
def test_configurations_of_no_network(config: Any) -> None:
    with pytest.raises(ValueError, match=r"no |without"):
        modern_config(config)
    with pytest.raises(ModelError, match="describes no network"):
        modern(config, "net.json")


def test_what_is_modern_already_stays() -> None:
    once = modern_config(json.loads(content("heads.json")))
    assert modern_config(once) == once
