"""Models behind a worker: the same answers as in process, and nothing of their misdeeds here."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import sys
import threading
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from dashboard.contracts import Model, Task
from dashboard.errors import ModelError
from dashboard.explainers.answers import Asked
from dashboard.frames import FrameLimits, untag_values
from dashboard.models.confined import ConfinedModel, confined_inspect, confined_load
from dashboard.sandbox.pool import get_pool
from dashboard.sandbox.processes import WorkCancelled, watched
from dashboard.settings import Settings

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": RNG.random(60),
        "age": np.where(RNG.random(60) < 0.2, np.nan, RNG.random(60)),
        "town": pd.Series(RNG.choice(["Ulm", "Köln"], 60), dtype="str"),
    }
)
LABELS = np.where(TABLE["size"] > 0.5, "yes", "no")

# What a stranger may upload beside a model; the second column of the rows says how it behaves.
HELPER = """
import json, os, struct, sys, time
import numpy as np

class Odd:
    classes_ = np.array(["no", "yes"])

    def predict(self, X):
        X = np.asarray(X)
        return (self.fine, self.short, self.writing, self.leaving, self.dying, self.sleeping,
                self.shouting, self.objects, self.swelling, self.printing, self.lying
                )[int(X[0, 1])](X)

    def fine(self, X):
        return np.where(X[:, 0] > .5, "yes", "no")

    def short(self, X):
        return self.fine(X)[1:]

    def writing(self, X):
        X[:, 0] = 1 - X[:, 0]
        return self.fine(X)

    def leaving(self, X):
        sys.exit("bye")

    def dying(self, X):
        os.kill(os.getpid(), 11)

    def sleeping(self, X):
        time.sleep(60)

    def shouting(self, X):
        raise ValueError("<b>" + "x" * 100000 + chr(0))

    def objects(self, X):
        return np.array([object()] * len(X), dtype=object)

    def swelling(self, X):
        return np.ones((len(X), 1 << 32))

    def printing(self, X):
        for _ in range(2000):
            print("z" * 1000)
        return self.fine(X)

    def lying(self, X):
        # answer in the worker's stead, through every open descriptor
        told = {"id": 1, "answer": {"labels": {"at": 0}, "notes": []}}
        for number in range(40):
            told["id"] = number
            text = json.dumps({"body": told, "arrays": [["<f8", [1 << 30]]]}).encode()
            for fd in range(3, 30):
                try:
                    os.write(fd, struct.pack("<4sI", b"SLf1", len(text)) + text)
                except OSError:
                    pass
        time.sleep(60)
"""
WAYS = [
    *("fine", "short", "writing", "leaving", "dying", "sleeping"),
    *("shouting", "objects", "swelling", "printing", "lying"),
]


def rows(way: str) -> np.ndarray:
    return np.column_stack([TABLE["size"], np.full(len(TABLE), WAYS.index(way))])


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    made = Settings(home=str(tmp_path_factory.mktemp("home")), spare_workers=0, max_workers=3)
    yield made
    get_pool(made).close()


@pytest.fixture(scope="module", autouse=True)
def landlocked(settings: Settings) -> Iterator[Settings]:
    made = replace(settings, sandbox="landlock")
    yield made
    get_pool(made).close()


@pytest.fixture(scope="module")
def odd() -> bytes:
    """A pickle of a model whose class is in the helper file only."""
    module = types.ModuleType("odd_models")
    exec(HELPER, module.__dict__)
    sys.modules["odd_models"] = module
    try:
        return pickle.dumps(module.Odd())
    finally:
        del sys.modules["odd_models"]


def load(content: bytes, name: str, settings: Settings, **more: Any) -> ConfinedModel:
    digest = hashlib.sha256(content).hexdigest()
    return confined_load(content, name, digest, settings=settings, **more)


@pytest.fixture(scope="module")
def odd_model(odd: bytes, settings: Settings) -> ConfinedModel:
    return load(odd, "odd.pkl", settings, helpers={"odd_models.py": HELPER.encode()}, scope="one")


def worker_of(model: ConfinedModel) -> Any:
    place = model._upload.pool._places.get(model._upload.key)
    return None if place is None else place.worker


@pytest.fixture(scope="module")
def pipeline() -> Any:
    encode = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    model = make_pipeline(encode, HistGradientBoostingClassifier(max_iter=5))
    plain = TABLE.astype({"town": "object"})
    return model.fit(plain, LABELS)


@pytest.fixture(scope="module")
def loaded(pipeline: Any, settings: Settings) -> ConfinedModel:
    return load(skops.io.dumps(pipeline), "towns.skops", settings)


def test_a_confined_model_is_a_model(loaded: ConfinedModel, pipeline: Any) -> None:
    info = loaded.info
    assert isinstance(loaded, Model)
    assert info.kind.startswith("Pipeline: ColumnTransformer")
    assert (info.format, info.task_hint, info.classes) == ("skops", "classifier", ("no", "yes"))
    assert info.feature_names == ("size", "age", "town")
    assert len(info.digest) == 64
    assert info.size == len(skops.io.dumps(pipeline))


def test_answers_are_those_of_the_library(loaded: ConfinedModel, pipeline: Any) -> None:
    raw = loaded.predict(TABLE.assign(more=1))
    plain = TABLE.astype({"town": "object"})
    np.testing.assert_array_equal(raw.labels, pipeline.predict(plain))
    np.testing.assert_array_equal(raw.scores, pipeline.predict_proba(plain))
    assert list(raw.classes or ()) == ["no", "yes"]
    assert raw.notes == ("Columns the model does not use: more.",)


def test_rows_written_into_are_sent_again(loaded: ConfinedModel, pipeline: Any) -> None:
    table = TABLE.copy()
    loaded.predict(table)
    table.loc[:, "size"] = 1 - table["size"]
    table.loc[5, "town"] = "Ulm"
    expected = pipeline.predict_proba(table.astype({"town": "object"}))
    np.testing.assert_array_equal(loaded.predict(table).scores, expected)


def test_operations_see_what_was_written_into_a_table(loaded: ConfinedModel) -> None:
    table = TABLE.copy()
    asked = Asked(Task.BINARY, ("no", "yes"), 1, "bought").to_json()

    def prepared() -> list[Any]:
        """What reaches the last step: two columns of towns, then size and age."""
        return loaded.ask(
            "prepared",
            {"rows": [3], "asked": asked},
            {"X": table},
            limits=FrameLimits(),
            read=lambda frame: untag_values(frame.header["cells"][0]),
        )

    assert prepared()[2] == table.loc[3, "size"]
    table.loc[3, "size"] = 17.0
    assert prepared()[2] == 17.0


def test_refusals_keep_their_words(loaded: ConfinedModel) -> None:
    with pytest.raises(ModelError, match=r"towns\.skops was fitted on 3 columns.*town"):
        loaded.predict(TABLE[["size", "age"]])
    with pytest.raises(ModelError, match="pass a table or an array"):
        loaded.predict(3)  # type: ignore[arg-type]
    assert worker_of(loaded).is_alive


def test_a_worker_that_was_ended_is_started_anew(loaded: ConfinedModel) -> None:
    raw = loaded.predict(TABLE)
    worker = worker_of(loaded)
    os.kill(worker.pid, 9)
    worker._process.wait()
    np.testing.assert_array_equal(loaded.predict(TABLE).scores, raw.scores)
    assert worker_of(loaded) is not worker


def test_landlock_gives_the_same_answers(
    loaded: ConfinedModel, pipeline: Any, landlocked: Settings
) -> None:
    other = load(skops.io.dumps(pipeline), "towns.skops", landlocked)
    np.testing.assert_array_equal(other.predict(TABLE).scores, loaded.predict(TABLE).scores)
    image = RNG.random((4, 1, 1))
    with pytest.raises(ModelError, match=r"towns\.skops"):
        other.predict(image)


def test_helper_files_scopes_and_one_transfer(
    odd: bytes, odd_model: ConfinedModel, settings: Settings
) -> None:
    X, helpers = rows("fine"), {"odd_models.py": HELPER.encode()}
    second = load(odd, "odd.pkl", settings, helpers=helpers, scope="two")
    assert worker_of(second) is not worker_of(odd_model)
    same = load(odd, "odd.pkl", settings, helpers=helpers, scope="two")
    assert worker_of(same) is worker_of(second)
    assert "odd_models" not in sys.modules
    for model in (odd_model, second):
        np.testing.assert_array_equal(model.predict(X).labels, LABELS)
    shelved = get_pool(settings).shelf.shelve_rows(X)
    assert shelved.path.stat().st_nlink == 3  # written once; two inboxes have links to it
    with pytest.raises(ModelError, match="Odd"):
        load(odd, "odd.pkl", settings, scope="one")  # without the helper
    worker = worker_of(second)
    del second, same, model
    gc.collect()
    deadline = time.monotonic() + 60
    while worker.is_alive and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not worker.is_alive  # nobody holds the model any more
    assert worker_of(odd_model).is_alive


@pytest.mark.parametrize("name", ["../x.py", "a/b.py", "", ".hidden.py", "a\nb.py", "x" * 300])
def test_names_of_helper_files(name: str, settings: Settings) -> None:
    with pytest.raises(ModelError, match="has a name that cannot be used"):
        load(b"", "a.pkl", settings, helpers={name: b""})


def test_looking_into_a_file(odd: bytes, settings: Settings) -> None:
    digest = hashlib.sha256(odd).hexdigest()
    found = confined_inspect(odd, "odd.pkl", digest, settings=settings)
    assert found.carries_code
    assert "odd_models.Odd" in found.names


HARMLESS = {
    "short": "odd.pkl gave answers that cannot be used: There are 59 answers for 60 rows",
    "leaving": "odd.pkl tried to end the program",
    "objects": "odd.pkl gave answers that cannot be used: A value of type object",
    "swelling": "memory|Unable to allocate",
    "shouting": "odd.pkl failed on these rows: ValueError: <b>xxx",
}


def test_failures_are_told_and_the_worker_goes_on(odd_model: ConfinedModel) -> None:
    odd_model.predict(rows("fine"))
    worker = worker_of(odd_model)
    for way, words in HARMLESS.items():
        with pytest.raises(ModelError, match=words) as caught:
            odd_model.predict(rows(way))
        assert len(str(caught.value)) < 2_100
        assert not set("\0\n") & set(str(caught.value))
    assert worker_of(odd_model) is worker


def test_models_that_write_and_print(odd_model: ConfinedModel) -> None:
    X = rows("writing")
    before = X.copy()
    raw = odd_model.predict(X)
    np.testing.assert_array_equal(raw.labels, np.where(1 - X[:, 0] > 0.5, "yes", "no"))
    np.testing.assert_array_equal(X, before)
    assert len(odd_model.predict(rows("printing")).labels) == 60
    assert 0 < len(worker_of(odd_model).output) <= 64 << 10


def test_misdeeds_end_the_worker_alone(odd_model: ConfinedModel, loaded: ConfinedModel) -> None:
    with pytest.raises(
        ModelError, match=r"Asking odd\.pkl ended its worker: it crashed \(SIGSEGV\)"
    ):
        odd_model.predict(rows("dying"))
    with pytest.raises(ModelError, match="cannot be used"):
        odd_model.predict(rows("lying"))
    hurried = replace(
        odd_model._upload, settings=replace(odd_model._upload.settings, predict_seconds=1)
    )
    with pytest.raises(ModelError, match=r"Asking odd\.pkl took longer than 1 s"):
        ConfinedModel(hurried, odd_model.info).predict(rows("sleeping"))
    assert len(loaded.predict(TABLE).labels) == 60


def test_cancelling(odd_model: ConfinedModel) -> None:
    odd_model.predict(rows("fine"))
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    stopped = pytest.raises(WorkCancelled, match=r"You stopped asking odd\.pkl")
    with stopped, watched(cancelled=stop.is_set):
        odd_model.predict(rows("sleeping"))
    assert time.monotonic() - begun < 30


def test_a_file_that_is_no_model(settings: Settings) -> None:
    with pytest.raises(ModelError, match=r"x\.bin"):
        load(b"no model", "x.bin", settings)
