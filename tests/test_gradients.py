"""Expected gradients of Keras networks against quadrature, closed forms and shap."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.gradients import quadrature
from dashboard.contracts import OutputSpace
from dashboard.errors import ModelError, NotApplicable
from dashboard.explainers.answers import log_odds
from dashboard.explainers.gradients import design_for
from dashboard.explainers.networks import GRADIENTS, sees_pictures
from dashboard.explainers.outputs import Answer, before_activation, match_answers
from dashboard.explainers.subjects import EngineResult, Subject
from dashboard.models import adapt

PROBABILITY, TARGET = OutputSpace.PROBABILITY, OutputSpace.TARGET


class Alone:
    """Nobody waits; remembers what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[int, int]] = []

    def progress(self, done: int, total: int, sentence: str, /) -> None:
        self.said.append((done, total))

    def check(self) -> None:
        return


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    keras.utils.set_random_seed(3)
    return keras


def subject_for(
    network: Any,
    *,
    outputs: int = 1,
    spaces: tuple[OutputSpace, ...] = (TARGET,),
    turn: Callable[[Any], Any] = lambda scores: scores,
) -> Subject:
    model = adapt(network, "net")

    def answer(rows: Any, space: OutputSpace) -> Any:
        scores = turn(np.asarray(model.predict(rows).scores, dtype=np.float64))
        scores = scores.reshape(len(scores), -1)
        return log_odds(scores) if space is OutputSpace.LOG_ODDS else scores

    return Subject(
        estimator=network,
        prepare=lambda rows: rows,
        answer=answer,
        answer_prepared=answer,
        features=("unused",),
        sources=None,
        output_names=tuple(range(outputs)),
        spaces=spaces,
    )


def explain(
    subject: Subject, rows: Any, background: Any, space: OutputSpace = TARGET, **options: Any
) -> EngineResult:
    assert GRADIENTS.refuses(subject, space) == ""
    return GRADIENTS.explain(subject, rows, background, space, Alone(), options)


def drawn(n: int, *shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


# ---- closed forms ----------------------------------------------------------------------------


def test_linear_network_has_its_weights_times_the_distance(keras: Any) -> None:
    network = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    rows, background = drawn(7, 5), drawn(20, 5, seed=1)
    found = explain(subject_for(network, outputs=2), rows, background, budget=40)
    weights = np.asarray(network.layers[0].kernel, dtype=np.float64)
    exact = (rows - background.mean(axis=0))[:, :, None] * weights
    assert found.values == pytest.approx(exact, abs=2e-6)
    assert found.base == pytest.approx(np.asarray(network(background)).mean(axis=0), abs=1e-6)


def test_log_odds_of_a_logistic_network_are_linear(keras: Any) -> None:
    network = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(1, activation="sigmoid")]
    )
    subject = subject_for(network, spaces=(PROBABILITY, OutputSpace.LOG_ODDS))
    rows, background = drawn(5, 4), drawn(10, 4, seed=1)
    found = explain(subject, rows, background, OutputSpace.LOG_ODDS, budget=20)
    slope = np.asarray(network.layers[0].kernel @ network.layers[1].kernel, dtype=np.float64)
    exact = (rows - background.mean(axis=0))[:, :, None] * slope
    assert found.values == pytest.approx(exact, abs=5e-6)


def test_quadratic_network_by_hand(keras: Any) -> None:
    """f = x²: along a line from b the values are exactly x² − b²; the mean is over b."""
    given = keras.Input((2,))
    network = keras.Model(given, keras.ops.sum(given**2, axis=1, keepdims=True))
    rows, background = drawn(3, 2), drawn(50, 2, seed=1)
    found = explain(subject_for(network), rows, background, budget=2_000)
    exact = (rows**2 - (background**2).mean(axis=0))[:, :, None]
    assert found.errors is not None
    assert np.abs(found.values - exact).max() < 0.02
    assert (np.abs(found.values - exact) <= 4 * found.errors + 1e-5).all()
    # slopes are straight lines between those at both ends: nothing is left to be sampled
    few = explain(subject_for(network), rows, background, budget=20)
    assert few.values == pytest.approx(exact, abs=1e-4)
    same = explain(subject_for(network), rows, background, draws=20)
    np.testing.assert_array_equal(same.values, few.values)


# ---- where samples are taken -------------------------------------------------------------------


def test_background_rows_and_places_are_even() -> None:
    """One place in each part of the line; each background row as often, in each part of its own."""
    rows = drawn(300, 3)
    few, many = design_for([rows], 50, 20, seed=1), design_for([rows], 50, 150, seed=1)
    for design, samples in ((few, 20), (many, 150)):
        middles = np.arange(samples) + 0.5
        assert np.abs(np.sort(design.places, axis=1) * samples - middles).max() < 0.5001
    assert all(len(set(picks)) == 20 for picks in few.picks.tolist())
    own = many.places.reshape(300, 50, 3)
    assert np.abs(own * 3 - (np.arange(3) + 0.5)).max() < 0.5001
    assert (many.picks.reshape(300, 50, 3) == many.picks[:, ::3, None]).all()
    # 300 rows with 20 of 50: 120 ± 8.5 times each, and no place belongs to a background row
    assert np.abs(np.bincount(few.picks.reshape(-1), minlength=50) - 120).max() < 34
    assert abs(np.corrcoef(few.picks.reshape(-1), few.places.reshape(-1))[0, 1]) < 0.05


def test_the_samples_of_a_row_are_its_own() -> None:
    rows = drawn(9, 3)
    whole, part = design_for([rows], 30, 20, seed=1), design_for([rows[4:6]], 30, 20, seed=1)
    assert np.array_equal(whole.picks[4:6], part.picks)
    assert np.array_equal(whole.places[4:6], part.places)
    others = [design_for([rows], 30, 20, seed=2), design_for([rows], 30, 20, seed=1, turn=1)]
    assert all((other.places != whole.places).mean() > 0.99 for other in others)
    assert len(np.unique(whole.places)) > 0.99 * whole.places.size


# ---- every kind of layer, against quadrature --------------------------------------------------


def _dense(keras: Any, layers: Any) -> Any:
    return [keras.Input((4,)), layers.Dense(6, activation="tanh"), layers.Dense(2)]


def _modern(keras: Any, layers: Any) -> Any:
    return [
        keras.Input((4,)),
        layers.Dense(6, activation="gelu"),
        layers.LayerNormalization(),
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.Dense(6, activation="silu"),
        layers.Dense(2, activation="softmax"),
    ]


def _lstm(keras: Any, layers: Any) -> Any:
    return [keras.Input((5, 2)), layers.LSTM(4), layers.Dense(1)]


def _both_ways(keras: Any, layers: Any) -> Any:
    return [keras.Input((5, 2)), layers.Bidirectional(layers.GRU(3)), layers.Dense(1)]


def _convolution(keras: Any, layers: Any) -> Any:
    return [
        keras.Input((6, 6)),
        layers.Reshape((6, 6, 1)),
        layers.Conv2D(3, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(1, activation="leaky_relu"),
    ]


KINDS = {
    "dense": _dense,
    "modern": _modern,
    "lstm": _lstm,
    "both ways": _both_ways,
    "convolution": _convolution,
}


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=pytest.mark.slow) if kind in ("lstm", "both ways") else kind
        for kind in KINDS
    ],
)
def test_against_quadrature(keras: Any, kind: str) -> None:
    network = keras.Sequential(KINDS[kind](keras, keras.layers))
    shape, k = network.input_shape[1:], network.output_shape[1]
    rows, background = drawn(3, *shape), drawn(16, *shape, seed=1)
    found = explain(subject_for(network, outputs=k), rows, background, budget=320)
    truth = np.stack([quadrature(network, row, background) for row in rows])
    assert found.values.shape == truth.shape
    assert found.errors is not None
    apart = np.abs(found.values - truth)
    assert np.sqrt((apart**2).mean() / (truth**2).mean()) < 0.12
    # relu and pooling have edges that a quadrature only comes close to
    edge = 5e-3 * np.abs(truth).max()
    assert (apart <= 2 * found.errors + edge).mean() > 0.9
    assert (apart <= 5 * found.errors + edge).all()
    total = np.asarray(network(rows), dtype=np.float64)
    assert found.base + found.values.sum(axis=1) == pytest.approx(total, abs=1e-6)


def test_attention_and_several_inputs(keras: Any) -> None:
    steps, plain = keras.Input((3, 2), name="steps"), keras.Input((1,), name="age")
    mixed = keras.layers.MultiHeadAttention(1, 2)(steps, steps)
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(mixed), plain])
    network = keras.Model([steps, plain], keras.layers.Dense(1)(joined))
    names = ["age", *(f"s{at}" for at in range(6))]
    rows = pd.DataFrame(drawn(4, 7), columns=names)
    background = pd.DataFrame(drawn(12, 7, seed=1), columns=names)
    found = explain(subject_for(network), rows, background, budget=240)
    weight = float(np.asarray(network.layers[-1].kernel)[-1, 0])
    exact = (rows["age"] - background["age"].mean()) * weight
    assert found.values.shape == (4, 7, 1)  # columns in the order of the frame
    assert found.errors is not None
    apart = np.abs(found.values[:, 0, 0] - exact)
    assert apart.max() < 1e-5  # what is linear has no error, and is told none
    assert found.errors[:, 0, 0].max() < 1e-5
    assert found.errors[:, 1:].max() > 1e-5


def test_columns_by_name_and_one_that_is_not_read(keras: Any) -> None:
    inputs = {name: keras.Input((1,), name=name) for name in ("a", "b")}
    network = keras.Model(inputs, 3 * inputs["a"] - inputs["b"])
    names = ["b", "extra", "a"]
    rows, background = (pd.DataFrame(drawn(5, 3, seed=s), columns=names) for s in (0, 1))
    found = explain(subject_for(network), rows, background, budget=20)
    away = rows - background.mean()
    exact = np.stack([-away["b"], 0 * away["b"], 3 * away["a"]], axis=1)
    assert found.values[:, :, 0] == pytest.approx(exact, abs=1e-5)


# ---- against shap, in a process of its own: it leaves marks on the gradients -------------------

_SHAP = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, shap
folder = sys.argv[1]
network = keras.saving.load_model(folder + "/net.keras")
rows, background = np.load(folder + "/rows.npy"), np.load(folder + "/background.npy")
gradient = shap.GradientExplainer(network, background, batch_size=2000)
drawn = gradient.shap_values(rows, nsamples=8000, rseed=1)
line = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
line.layers[0].set_weights([np.arange(12.0).reshape(6, 2) / 7, np.ones(2)])
deep = shap.DeepExplainer(line, background).shap_values(rows, check_additivity=False)
print(json.dumps([np.asarray(drawn).tolist(), np.asarray(deep).tolist()]))
"""


@cache
def shap_values(folder: str) -> tuple[Any, Any]:
    command = [sys.executable, "-c", _SHAP, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=200)
    drawn_by_shap, deep = json.loads(done.stdout.splitlines()[-1])
    return np.asarray(drawn_by_shap), np.asarray(deep)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when it saves
def test_against_shap(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(10, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    rows, background = drawn(3, 6), drawn(30, 6, seed=1)
    network.save(tmp_path / "net.keras")
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "background.npy", background)
    theirs, deep = shap_values(str(tmp_path))
    subject = subject_for(network, outputs=3, spaces=(PROBABILITY,))
    ours = explain(subject, rows, background, PROBABILITY, budget=600)
    assert ours.errors is not None
    # shap's own error at 8,000 samples, and ours
    assert np.abs(ours.values - theirs).max() < 0.012
    line = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    line.layers[0].set_weights([np.arange(12.0).reshape(6, 2) / 7, np.ones(2)])
    linear = explain(subject_for(line, outputs=2), rows, background, budget=60)
    assert linear.values == pytest.approx(deep, abs=1e-5)


# ---- what is not offered, and what is not believed ---------------------------------------------


def test_networks_without_gradients_are_refused(keras: Any) -> None:
    layers = keras.layers
    words = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Embedding(9, 2)])
    lookups = keras.Sequential([keras.Input((4,)), layers.Embedding(9, 2), layers.Flatten()])
    bins = keras.Sequential([keras.Input((1,)), layers.Discretization([0.0, 1.0])])
    memory = keras.Sequential([keras.Input((3, 1), batch_size=2), layers.LSTM(2, stateful=True)])
    reasons = [
        GRADIENTS.refuses(subject_for(network), TARGET)
        for network in (words, lookups, bins, memory)
    ]
    assert "whole numbers" in reasons[0]
    assert "looks up codes" in reasons[1]
    assert "bins" in reasons[2]
    assert "remembers" in reasons[3]
    line = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    assert "log-odds" in GRADIENTS.refuses(subject_for(line), OutputSpace.LOG_ODDS)


def test_what_is_no_network_is_refused() -> None:
    from dataclasses import replace

    blank = Subject(None, len, len, len, (), None, ("y",), (TARGET,))  # type: ignore[arg-type]
    assert "Keras" in GRADIENTS.refuses(blank, TARGET)
    assert "Keras" in GRADIENTS.refuses(replace(blank, estimator=object()), TARGET)


@pytest.mark.parametrize(("budget", "n_background"), [(200, 10), (20, 30)])
def test_a_network_with_steps_is_not_believed(keras: Any, budget: int, n_background: int) -> None:
    """However many samples are taken; 20 of 30 background rows become 60 of them, not 40."""
    given = keras.Input((3,))
    network = keras.Model(given, keras.layers.Dense(1)(keras.ops.round(3 * given) + 0.2 * given))
    with pytest.raises(ModelError, match="do not add up"):
        explain(subject_for(network), drawn(12, 3), drawn(n_background, 3, seed=1), budget=budget)


def stepped(keras: Any, height: float) -> tuple[Any, Any]:
    """A straight network with one small step, and its true values, which are those of any game."""
    given = keras.Input((6,))
    step = height * keras.ops.sign(given[:, :1])
    network = keras.Model(
        given, keras.layers.Dense(1)(keras.ops.concatenate([given, step], axis=1))
    )
    weights = np.array([0.5, -0.3, 0.2, 0.4, -0.6, 0.1, 0.7])
    network.layers[-1].set_weights([weights[:, None], np.zeros(1)])

    def truth(rows: Any, background: Any) -> Any:
        values = weights[:6] * (rows - background.mean(axis=0, dtype=np.float64))
        sides = np.sign(rows[:, 0]) - np.sign(background[:, 0]).mean()
        values[:, 0] += weights[6] * height * sides
        return values[:, :, None]

    return network, truth


def test_a_small_step_is_found_before_sums_are_settled(keras: Any) -> None:
    """Its gradients' values missed the true ones by ten times what they stated."""
    from dashboard.contracts import Task
    from dashboard.evaluation import as_evalset
    from dashboard.explanation import ExplainOptions, explain_rows

    network, truth = stepped(keras, 0.15)
    rows = drawn(200, 6)
    answers = np.asarray(network(rows), dtype=np.float64)[:, 0]
    evalset = as_evalset(rows, answers, "y", task=Task.REGRESSION)
    model = adapt(network, "net")
    with pytest.raises(NotApplicable, match="is missing in one of"):
        explain_rows(model, evalset, "net", range(20), ExplainOptions(engine="gradients"))
    one = explain_rows(model, evalset, "net", range(20), ExplainOptions(n_background=200))
    assert one.engine != "gradients"  # which of the others depends on how busy the machine is
    apart = np.abs(one.values - truth(rows[:20], rows))
    assert (apart <= 1e-5 + (0 if one.errors is None else 5 * one.errors)).all()


@pytest.mark.parametrize("height", [2e-3, 2e-4, 0.0])
def test_stated_errors_cover_steps_that_are_too_small_to_tell(keras: Any, height: float) -> None:
    network, truth = stepped(keras, height)
    rows, background = drawn(40, 6), drawn(20, 6, seed=1)
    try:
        found = explain(subject_for(network), rows, background, budget=40)
    except ModelError:
        assert height > 1e-3
        return
    assert height < 1e-3
    assert found.errors is not None
    apart = np.abs(found.values - truth(rows, background))
    assert (apart <= 1.96 * found.errors + 1e-6).mean() > 0.95


def test_answers_that_are_not_the_networks_own(keras: Any) -> None:
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    subject = subject_for(network, turn=lambda scores: scores**3)
    with pytest.raises(ModelError, match="none of the network's own outputs"):
        explain(subject, drawn(4, 3), drawn(5, 3, seed=1))


def test_missing_values_are_said(keras: Any) -> None:
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    rows = drawn(4, 3)
    rows[1, 2] = np.nan
    with pytest.raises(ModelError, match="missing or infinite"):
        explain(subject_for(network), rows, drawn(5, 3, seed=1))


def test_too_many_values_a_row(keras: Any) -> None:
    network = keras.Sequential([keras.Input((4001, 1)), keras.layers.Flatten()])
    with pytest.raises(ModelError, match=r"4,001 × 4,001 values"):
        explain(subject_for(network, outputs=4001), np.zeros((1, 4001, 1)), np.zeros((1, 4001, 1)))


# ---- edges -----------------------------------------------------------------------------------


def test_values_do_not_depend_on_the_block_and_progress_is_told(keras: Any) -> None:
    network = keras.Sequential(KINDS["dense"](keras, keras.layers))
    subject = subject_for(network, outputs=2)
    rows, background = drawn(30, 4), drawn(10, 4, seed=1)
    work = Alone()
    whole = GRADIENTS.explain(subject, rows, background, TARGET, work, {"random_state": 4})
    part = explain(subject, rows[7:9], background, random_state=4)
    other = explain(subject, rows[7:9], background, random_state=5)
    assert whole.values[7:9] == pytest.approx(part.values, abs=1e-6)
    assert np.abs(part.values - other.values).max() > 1e-5
    assert work.said[-1] == (30, 30)


def test_one_row_that_is_its_own_background(keras: Any) -> None:
    network = keras.Sequential(KINDS["dense"](keras, keras.layers))
    row = drawn(1, 4)
    found = explain(subject_for(network, outputs=2), row, row)
    assert not found.values.any()
    assert found.errors is not None
    assert not found.errors.any()


def test_notes_say_what_it_is(keras: Any) -> None:
    network = keras.Sequential(KINDS["dense"](keras, keras.layers))
    found = explain(subject_for(network, outputs=2), drawn(3, 4), drawn(9, 4, seed=1), budget=54)
    assert "not the same" in found.notes[0]
    assert "54 gradients a row" in found.notes[1]
    assert "not Shapley values" in GRADIENTS.method
    assert GRADIENTS.exact is False


@pytest.mark.parametrize(
    ("turn", "change"),
    [
        (lambda s: s[:, :1], Answer(0)),
        (lambda s: 1 - s[:, 1:], Answer(0)),
        (lambda s: 1 - s[:, :1], Answer(1)),
    ],
)
def test_two_columns_and_one_answer(turn: Callable[[Any], Any], change: Answer) -> None:
    first = np.linspace(0.1, 0.8, 9)
    scores = np.stack([first, 1 - first], axis=1)
    assert match_answers(scores, turn(scores), ("same", "complement")) == (change,)


def test_answers_from_raw_scores() -> None:
    from scipy.special import expit, softmax

    raw = np.random.default_rng(0).normal(size=(20, 3))
    kinds = ("same", "complement", "sigmoid", "softmax")
    every = match_answers(raw, softmax(raw, axis=1), kinds)
    assert every == tuple(Answer(at, "softmax") for at in range(3))
    assert match_answers(raw[:, :1], expit(raw[:, :1]), kinds) == (Answer(0, "sigmoid"),)
    assert match_answers(raw[:, :1], 1 - expit(raw[:, :1]), kinds) is None
    assert match_answers(raw, raw**2, kinds) is None


def test_log_odds_of_softmax_classes(keras: Any) -> None:
    network = keras.Sequential(KINDS["modern"](keras, keras.layers))
    subject = subject_for(network, outputs=2, spaces=(PROBABILITY, OutputSpace.LOG_ODDS))
    rows, background = drawn(4, 4), drawn(8, 4, seed=1)
    found = explain(subject, rows, background, OutputSpace.LOG_ODDS, budget=160)
    total = log_odds(np.asarray(network(rows), dtype=np.float64))
    assert found.base + found.values.sum(axis=1) == pytest.approx(total, abs=1e-5)
    assert found.values[:, :, 0] == pytest.approx(-found.values[:, :, 1], abs=1e-4)
    assert before_activation(network).output_shape == (None, 2)


def test_pictures_and_steps_are_told_apart(keras: Any) -> None:
    assert sees_pictures(keras.Sequential(KINDS["convolution"](keras, keras.layers)))
    assert not sees_pictures(keras.Sequential(KINDS["lstm"](keras, keras.layers)))


def test_time_grows_with_rows_and_outputs(keras: Any) -> None:
    one = subject_for(keras.Sequential(KINDS["lstm"](keras, keras.layers)))
    two = subject_for(keras.Sequential(KINDS["dense"](keras, keras.layers)), outputs=2)
    assert GRADIENTS.seconds(one, 10_000, 100) > GRADIENTS.seconds(one, 10, 100) > 0
    assert GRADIENTS.seconds(two, 10, 100) > GRADIENTS.seconds(one, 10, 100)


def test_stated_errors_are_the_size_of_the_real_ones(keras: Any) -> None:
    network = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(12, activation="relu"), keras.layers.Dense(1)]
    )
    subject, rows, background = subject_for(network), drawn(6, 4), drawn(15, 4, seed=1)
    truth = np.stack([quadrature(network, row, background) for row in rows])
    found = [explain(subject, rows, background, budget=44, random_state=seed) for seed in range(20)]
    apart = np.array([one.values for one in found]) - truth
    errors = np.array([one.errors for one in found])
    assert 0.4 < np.sqrt((apart**2).mean() / (errors**2).mean()) < 1.05
    assert (np.abs(apart) <= 1.96 * errors).mean() > 0.95


# ---- from the plan to the values ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "convolution", "lstm"])
def test_a_network_is_explained_through_the_plan(keras: Any, kind: str) -> None:
    """Cells of pictures and steps are the features; their sums are the network's own answers."""
    from dashboard.contracts import Task
    from dashboard.evaluation import as_evalset
    from dashboard.explanation import ExplainOptions, explain_in_stages, plan_explanation

    network = keras.Sequential(KINDS[kind](keras, keras.layers))
    rows = drawn(30, *network.input_shape[1:])
    answers = np.asarray(network(rows), dtype=np.float64)[:, 0]
    model = adapt(keras.Model(network.inputs, network.outputs[0][:, :1]), "net")
    evalset = as_evalset(rows, answers, "y", task=Task.REGRESSION)
    options = ExplainOptions(game="expected gradients", n_background=12)
    plan = plan_explanation(model, evalset, options)
    *_, one = explain_in_stages(model, evalset, "net", plan=plan, stages=(4,))
    assert (one.engine, one.exact, one.n) == ("gradients", False, 4)
    truth = np.stack(
        [quadrature(model.network, rows[at], rows[plan.background_rows]) for at in one.rows]
    )
    assert one.errors is not None
    assert (np.abs(one.values - truth) <= 5 * one.errors + 1e-4).all()
    assert one.predictions[:, 0] == pytest.approx(answers[one.rows], abs=1e-5)


def test_words_that_are_looked_up_have_no_gradient(keras: Any) -> None:
    """Text and an embedding behind it: the sentence names the layer, inside and out."""
    words = keras.layers.TextVectorization(output_sequence_length=3, name="split")
    words.adapt(["good film", "bad film"])
    whole = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            words,
            keras.layers.Embedding(9, 2, name="table"),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )
    subject = Subject(
        estimator=whole,
        prepare=lambda rows: rows,
        answer=lambda rows, space: rows,
        answer_prepared=lambda rows, space: rows,
        features=("text",),
        sources=None,
        output_names=(0,),
        spaces=(TARGET,),
    )
    assert "takes text" in GRADIENTS.refuses(subject, TARGET)
    given = keras.Input((3,), name="codes")
    inner = keras.Sequential([keras.layers.Embedding(9, 2, name="table"), keras.layers.Flatten()])
    nested = keras.Model(given, keras.layers.Dense(1)(inner(given)))
    refusal = GRADIENTS.refuses(subject_for(nested), TARGET)
    assert refusal == "Layer table looks up codes in a table, which has no gradient."


def test_background_rows_with_missing_values_are_left_out_and_counted(keras: Any) -> None:
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh")])
    subject = subject_for(network, outputs=2)
    rows, background = drawn(6, 3), drawn(12, 3, seed=1)
    holed = background.copy()
    holed[3, 0], holed[9, 2] = np.nan, np.inf
    found = explain(subject, rows, holed)
    without = explain(subject, rows, np.delete(background, [3, 9], axis=0))
    np.testing.assert_array_equal(found.values, without.values)
    np.testing.assert_array_equal(found.base, without.base)
    assert found.unanswered == (3, 9) and without.unanswered == ()
    assert any("10 of 12 background rows" in note for note in found.notes)
    with pytest.raises(ModelError, match="Every background row has missing values"):
        explain(subject, rows, np.full((4, 3), np.nan, dtype=np.float32))
