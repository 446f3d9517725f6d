"""Finished parts: found by all they depend on, equal to the last digit, never when damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from dashboard.data import EvalSet, evalset_from_frame
from dashboard.effects import feature_effects, lime_surrogates, two_way_effect
from dashboard.explainers import kept
from dashboard.explainers.kept import KeptParts
from dashboard.explanation import ExplainOptions, explain_words, interaction_values
from dashboard.frames import Frame
from dashboard.models import adapt, load_model
from dashboard.models.confined import ConfinedModel
from dashboard.sandbox.processes import WorkCancelled, watched

N = 400


class Memory(dict[str, bytes]):
    """A store that counts what is put."""

    puts = 0

    def put(self, key: str, content: bytes) -> None:
        self.puts += 1
        self[key] = content


# ---- parts -------------------------------------------------------------------------------------


def test_a_part_comes_back_and_a_damaged_one_does_not() -> None:
    store = Memory()
    parts = KeptParts(store, ("explain", "a model"))
    values, rows = np.array([0.1, np.nan, 1e300]), np.array([3, 1])
    parts.keep(("rows", rows), {"said": 0.1}, [values])
    ((key, content),) = store.items()

    def found(what: tuple[Any, ...] = ("rows", rows), of: KeptParts = parts) -> Frame | None:
        return of.recall(what, lambda frame: frame)

    same = found()
    assert same is not None and same.header == {"said": 0.1}
    assert same.arrays[0].tobytes() == values.tobytes()
    for other in (("rows", rows[::-1]), ("rows", rows.astype(np.int32)), ("pairs", rows)):
        assert found(other) is None
    assert found(of=replace(parts, told=("explain", "another"))) is None
    assert found(of=replace(parts, store=None)) is None
    flipped = bytearray(content)
    flipped[-3] ^= 1  # a number that is still one
    for damaged in (bytes(flipped), content[:-1], content[::-1], content[:32], b"SLf1", b""):
        store[key] = damaged
        assert found() is None
    store[key] = content
    assert found() is not None


def test_a_part_is_asked_for_once() -> None:
    parts, asked = KeptParts(Memory()), list[int]()

    def ask(read: Callable[[Frame], Any]) -> Any:
        asked.append(1)
        return read(Frame({"n": len(asked)}, ()))

    def read(frame: Frame) -> int:
        return int(frame.header["n"])

    assert [parts.answer(("n",), read, ask) for _ in range(3)] == [1, 1, 1]
    assert parts.answer(("n",), read, ask, fresh=True) == 2 == parts.answer(("n",), read, ask)
    assert parts.answer(("m",), read, ask) == 3 == len(asked)
    nowhere = KeptParts(None)
    assert [nowhere.answer(("n",), read, ask) for _ in range(2)] == [4, 5]


# ---- answers of a worker -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def evalset() -> EvalSet:
    rng = np.random.default_rng(3)
    X = pd.DataFrame(rng.normal(size=(N, 3)), columns=list("abc"))
    return evalset_from_frame(X.assign(y=X["a"] + X["b"] * X["c"]), target="y")


def opened(fitted: Any, folder: Path, name: str) -> ConfinedModel:
    path = folder / f"{name}.skops"
    skops.io.dump(fitted, path)
    model = load_model(path, path.name)
    assert isinstance(model, ConfinedModel)
    return model


@pytest.fixture(scope="module")
def model(evalset: EvalSet, tmp_path_factory: pytest.TempPathFactory) -> ConfinedModel:
    tree = DecisionTreeRegressor(max_depth=4, random_state=0).fit(evalset.X, evalset.target.y)
    return opened(tree, tmp_path_factory.mktemp("models"), "tree")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that workers are asked for."""
    names, real = list[str](), ConfinedModel.ask

    def ask(self: ConfinedModel, operation: str, *more: Any, **options: Any) -> Any:
        names.append(operation)
        return real(self, operation, *more, **options)

    monkeypatch.setattr(ConfinedModel, "ask", ask)
    return names


def bits(value: Any) -> Any:
    """All that a result holds, numbers bit for bit."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, pd.DataFrame):
        return list(value.columns), [bits(value[name].to_numpy()) for name in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: bits(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, list | tuple):
        return [bits(one) for one in value]
    return repr(value)


QUESTIONS: dict[str, tuple[str, int, Callable[..., Any]]] = {
    "pdp": ("effects", 3, lambda m, e, **more: feature_effects(m, e, ["a"], **more)),
    "ale": ("effects", 3, lambda m, e, **more: feature_effects(m, e, ["a"], kind="ale", **more)),
    "two-way": ("effects", 3, lambda m, e, **more: two_way_effect(m, e, ("a", "b"), **more)),
    "lime": ("lime", 1, lambda m, e, **more: lime_surrogates(m, e, 5, n_samples=300, **more)),
    "pairs": (
        "interactions",
        2,
        lambda m, e, random_state=0, **more: interaction_values(
            m, e, "m", ExplainOptions(seed=random_state), n_rows=N, **more
        ),
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_is_computed_once(
    question: str, model: ConfinedModel, evalset: EvalSet, asked: list[str]
) -> None:
    operation, n_calls, ask = QUESTIONS[question]
    store = Memory()
    first = ask(model, evalset, store=store)
    assert asked.count(operation) == n_calls == store.puts
    again = ask(model, evalset, store=store)
    assert asked.count(operation) == n_calls == store.puts
    assert bits(first) == bits(again) == bits(ask(model, evalset))  # the last one is not kept
    asked.clear()
    ask(model, evalset, store=store, random_state=1)
    assert asked.count(operation) == n_calls and store.puts == 2 * n_calls


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_damaged_answer_is_computed_anew(
    question: str, model: ConfinedModel, evalset: EvalSet, asked: list[str]
) -> None:
    operation, n_calls, ask = QUESTIONS[question]
    store = Memory()
    first = ask(model, evalset, store=store)
    victim = next(iter(store))
    content = bytearray(store[victim])
    content[-5] ^= 4
    store[victim] = bytes(content)
    asked.clear()
    assert bits(ask(model, evalset, store=store)) == bits(first)
    assert asked.count(operation) == 1 and store.puts == n_calls + 1


def test_answers_of_other_models_rows_or_engines_are_not_taken(
    model: ConfinedModel,
    evalset: EvalSet,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Memory()
    ask = partial(feature_effects, features=["a"], n_rows=60, store=store)
    ask(model, evalset)
    other = adapt(DecisionTreeRegressor(max_depth=2).fit(evalset.X, evalset.target.y), "tree")
    ask(other, evalset)
    assert store.puts == 1  # one without a file is nobody's for long
    object.__setattr__(other.info, "digest", "of another file")
    ask(other, evalset)
    assert store.puts == 2
    changed = evalset.X.assign(y=evalset.target.y)
    changed.iloc[0, 0] += 1e-9
    ask(model, evalset_from_frame(changed, target="y"))
    ask(model, evalset, space="target unit")
    ask(model, evalset, features=["b"])
    ask(model, evalset, n_points=7)
    assert asked.count("effects") == 5 == store.puts - 1
    monkeypatch.setattr(kept, "code_digest", lambda folder: f"{folder} corrected")
    ask(model, evalset)
    assert asked.count("effects") == 6 == store.puts - 1


@pytest.mark.parametrize("question", ["pdp", "pairs"])
def test_what_is_stopped_goes_on_from_its_finished_parts(
    question: str, model: ConfinedModel, evalset: EvalSet, asked: list[str]
) -> None:
    operation, n_calls, ask = QUESTIONS[question]
    store, said = Memory(), list[tuple[int, int]]()
    hears = watched(lambda done, of, _: said.append((done, of)), lambda: store.puts > 0)
    with hears, pytest.raises(WorkCancelled):
        ask(model, evalset, store=store)
    assert store.puts == 1
    assert 0 <= max(done for done, of in said if of == N) < N  # as a part of the whole
    asked.clear()
    resumed = ask(model, evalset, store=store)
    assert asked.count(operation) == n_calls - 1 and store.puts == n_calls
    assert bits(resumed) == bits(ask(model, evalset))


def test_effects_that_the_time_cut_short_come_back_as_they_were(
    model: ConfinedModel, evalset: EvalSet, asked: list[str]
) -> None:
    store = Memory()
    ask = partial(feature_effects, model, evalset, ["a"], store=store, seconds=1e-9)
    first, again = ask(), ask()
    assert asked.count("effects") == 1 and bits(first) == bits(again)
    assert first[0].n == 5 and "5 rows of 400" in first[0].notes[-1]


@pytest.fixture(scope="module")
def texts() -> EvalSet:
    words = ["good film", "bad film", "good plot and cast", "bad plot", "dull and bad"] * 8
    return evalset_from_frame(
        pd.DataFrame({"text": words, "y": [int("good" in one) for one in words]}), target="y"
    )


@pytest.fixture(scope="module")
def reader(texts: EvalSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConfinedModel]:
    pipeline = make_pipeline(CountVectorizer(), LogisticRegression())
    pipeline.fit(texts.X["text"].tolist(), texts.target.y)
    yield opened(pipeline, tmp_path_factory.mktemp("models"), "words")


def test_words_are_taken_out_once(reader: ConfinedModel, texts: EvalSet, asked: list[str]) -> None:
    store = Memory()
    first = explain_words(reader, texts, "m", 2, store=store)
    again = explain_words(reader, texts, "m", 2, store=store)
    assert asked == ["words"] and store.puts == 1
    assert bits(first) == bits(again) == bits(explain_words(reader, texts, "m", 2))
    explain_words(reader, texts, "m", 3, store=store)
    explain_words(reader, texts, "m", 2, ExplainOptions(seed=1), store=store)
    explain_words(reader, texts, "m", 2, ExplainOptions(level=0.9), store=store)
    assert store.puts == 4
    for key in store:
        store[key] = store[key][:-1]
    assert bits(explain_words(reader, texts, "m", 2, store=store)) == bits(first)
    assert store.puts == 5
