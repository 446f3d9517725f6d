"""Keras networks: expected gradients over columns, pixels or steps, checked for completeness."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import OutputSpace, Work
from ..errors import ModelError
from ..models.network_inputs import InputSpec, input_arrays
from ..models.networks import KERAS_LOCK, input_specs, network_batch
from .answers import CLIP
from .completeness import check_complete, rounded_up
from .convolutions import quick_convolutions
from .gradients import Sums, design_for, integrand, outputs_at, samples_for, slopes_at, summed
from .outputs import Answer, before_activation, flat_outputs, match_answers
from .subjects import EngineResult, Game, Subject

__all__ = ["GRADIENTS", "GradientEngine", "is_network", "sees_pictures"]

FloatArray = npt.NDArray[np.floating[Any]]

SAMPLES = 200
_MOST_TURNS = 3  # doublings of the samples where a row's sum is further off than its error says
_SPEED = 3e10  # multiplications a second of two cores, at a guess
_BYTES = 64 << 20  # of the values of one output in one call
_MOST_VALUES = 4_000_000  # of one row
_MOST_ENDS = 32_000_000  # slopes at rows and background rows that are kept
_PROBE = 64  # rows of each kind on which answers and outputs are compared
_CUT = math.log((1 - CLIP) / CLIP)
_SURE = 3.0  # standard errors that a row's sum may be off before it gets more samples
_MOST = 5.0  # and when all are taken; beyond, gradients do not explain the network
_MOST_OVERALL = 2.0  # root mean square over several rows: chance would even out
_PRECISION = 2e-4  # of float32 networks, relative
# Words, codes and bins: nothing lies between two of them.
_STEPWISE = {
    "CategoryEncoding": "turns codes into columns",
    "Discretization": "cuts numbers into bins",
    "Embedding": "looks up codes in a table",
    "HashedCrossing": "hashes words",
    "Hashing": "hashes words",
    "IntegerLookup": "looks up codes in a table",
    "ReversibleEmbedding": "looks up codes in a table",
    "StringLookup": "looks up words in a table",
    "TextVectorization": "splits text into words",
}
_CLOSED = ("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper")
_CHANGES = {
    OutputSpace.PROBABILITY: ("same", "complement", "sigmoid", "softmax"),
    OutputSpace.TARGET: ("same",),
    OutputSpace.DECISION: ("same", "opposite"),
    OutputSpace.LOG_ODDS: ("same", "opposite", "softmax log-odds"),
}


def is_network(candidate: Any) -> bool:
    """Whether it is a keras.Model; Keras is not imported to find out."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(candidate, keras.Model)


class GradientEngine:
    """Expected gradients of a Keras network; sampled, and not Shapley values."""

    key = "gradients"
    method = "Expected gradients (not Shapley values)"
    game: Game = "expected gradients"
    exact = False
    level: Literal["raw", "prepared"] = "prepared"

    def refuses(self, subject: Subject, space: OutputSpace) -> str:
        """Why there are no gradients from answers to features, in one sentence, or ""."""
        network = subject.estimator
        if not is_network(network):
            return "Expected gradients need a Keras network."
        if space not in subject.spaces:
            return f"The model does not answer in {space.value}."
        return _no_gradients(network)

    def seconds(self, subject: Subject, n_rows: int, n_background: int) -> float:
        """Tracing, and three passes over the weights for each sample and output."""
        passes = n_rows * SAMPLES * (1 + 2 * subject.n_outputs)
        return 0.5 + 0.3 * subject.n_outputs + passes * _operations(subject.estimator) / _SPEED

    def explain(
        self,
        subject: Subject,
        rows: Any,
        background: Any,
        space: OutputSpace,
        work: Work,
        options: Mapping[str, Any],
    ) -> EngineResult:
        """Values of the columns or cells of the prepared rows.

        `options`: "draws" or "budget" (gradients a row, 200), "random_state", "level".

        Raises
        ------
        ModelError : missing values, answers that are none of the network's outputs, or values
            that do not add up within their error after eight times the samples.
        """
        wanted = max(20, int(options.get("draws") or options.get("budget") or SAMPLES))
        seed = int(options.get("random_state") or 0)
        lines = _lined_up(subject, rows, background, space)
        samples = samples_for(wanted, len(lines.background[0]))
        sums, gaps = _sampled(lines, samples, seed, work)
        values, errors = sums.settled(gaps, float(options.get("level") or 0.95))
        notes = (*_notes(gaps, samples, int(sums.samples.max())), *lines.notes())
        errors = np.sqrt(lines.to_columns(errors**2))
        return EngineResult(
            lines.to_columns(values), lines.base, errors, notes, unanswered=lines.unanswered
        )


GRADIENTS = GradientEngine()


def _no_gradients(network: Any) -> str:
    keras = sys.modules["keras"]
    if keras.backend.backend() != "tensorflow":
        return f"Keras runs on {keras.backend.backend()}; gradients are taken with TensorFlow."
    if not getattr(network, "inputs", None):
        return "The network does not know its inputs."
    coarse = [spec for spec in input_specs(network) if not _is_float(spec.dtype)]
    if coarse:
        return (
            f"Input {coarse[0].name} takes {_coarse(coarse[0].dtype)}; there is nothing between "
            "two of them that a gradient could follow."
        )
    for layer in _layers(network):
        kind = type(layer).__name__
        if kind in _STEPWISE:
            return f"Layer {layer.name} {_STEPWISE[kind]}, which has no gradient."
        if kind in _CLOSED:
            return f"Layer {layer.name} ({kind}) is closed: gradients do not pass through it."
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
            return f"Layer {layer.name} remembers earlier rows, so a row has no answer of its own."
    return ""


def _coarse(dtype: str) -> str:
    return "text" if dtype == "string" else "yes or no" if dtype == "bool" else "whole numbers"


def _is_float(dtype: str) -> bool:
    return "float" in dtype


def _layers(network: Any) -> Iterator[Any]:
    for layer in getattr(network, "layers", ()):
        yield layer
        yield from _layers(layer)
        for name in ("layer", "forward_layer", "backward_layer", "cell"):
            inner = getattr(layer, name, None)
            if inner is not None and hasattr(inner, "name"):
                yield inner


def sees_pictures(network: Any) -> bool:
    """Whether it has layers for pixels, so that rows of two axes are no steps in time."""
    return any("2D" in type(layer).__name__ for layer in _layers(network))


def _operations(network: Any) -> float:
    """Multiplications for one row: weights, times the places where each layer uses them."""
    total = 1_000.0
    for layer in _layers(network):
        try:
            places = math.prod(size or 1 for size in layer.input.shape[1:-1])
        except (AttributeError, ValueError):  # no input of its own, or several
            places = 1
        total += sum(math.prod(weight.shape) for weight in layer.trainable_weights) * places
    return total


# Steps of the computation


@dataclass(frozen=True, eq=False)
class _Lines:
    """Rows and background as the network takes them, and what has to come out.

    Attributes
    ----------
    rows, background : one float32 array per input.
    column_of : `(M,)` for each cell of all inputs the column of the prepared rows, -1 none.
    m : prepared columns or cells.
    truth : `(n, k)` the model's own answers; base : `(k,)` their mean over the background.
    size : `(k,)` how far answers lie apart.
    unanswered : places of background rows left out: no line begins at a missing value.
    """

    network: Any
    specs: tuple[InputSpec, ...]
    rows: list[npt.NDArray[Any]]
    background: list[npt.NDArray[Any]]
    column_of: npt.NDArray[np.int64]
    m: int
    answers: tuple[Answer, ...]
    scores: bool
    truth: FloatArray
    base: FloatArray
    size: FloatArray
    unanswered: tuple[int, ...]

    def notes(self) -> tuple[str, ...]:
        """What has to be said about the background."""
        if not self.unanswered:
            return ()
        n = len(self.background[0])
        return (
            f"Lines begin at {n:,} of {n + len(self.unanswered):,} background rows: the others "
            "have missing values, where no line can begin, or no number as their answer.",
        )

    def gaps(self, sums: Sums) -> FloatArray:
        """`(n, k)` what the values lack to the model's own answers."""
        missing: FloatArray = self.truth - self.base - sums.values.sum(axis=1)
        return missing

    def allowed(self, sums: Sums, sure: float = _SURE) -> FloatArray:
        """`(n, k)` how large a gap may be by chance."""
        room: FloatArray = sure * sums.whole_errors + _PRECISION * self.size
        return room

    def to_columns(self, cells: FloatArray) -> FloatArray:
        """`(n, M, k)` of the network's cells → `(n, m, k)` of the prepared columns."""
        if np.array_equal(self.column_of, np.arange(self.m)):
            return cells
        columns: FloatArray = np.zeros((len(cells), self.m, cells.shape[2]))
        for cell in np.flatnonzero(self.column_of >= 0):
            columns[:, self.column_of[cell]] += cells[:, cell]
        return columns

    def with_ends(self) -> bool:
        """Whether the slopes at all ends of lines are few enough to be kept."""
        n = len(self.truth) + len(self.background[0])
        return n * len(self.column_of) * len(self.answers) <= _MOST_ENDS

    def batch(self) -> int:
        """Gradients in one call."""
        cells = max(1, len(self.column_of))
        fit = network_batch(self.network, "The network", kept=2)  # outputs and their slopes
        return max(2, min(fit, _BYTES // (4 * cells)))


def _lined_up(subject: Subject, rows: Any, background: Any, space: OutputSpace) -> _Lines:
    network = subject.estimator
    specs = tuple(input_specs(network))
    given, all_backs = _numbers(rows, specs), _numbers(background, specs)
    if broken := [
        spec for array, spec in zip(given, specs, strict=True) if not _whole(array).all()
    ]:
        raise ModelError(
            f"Input {broken[0].name} has missing or infinite values; no line leads there, so there "
            "are no gradients along it."
        )
    cells = sum(math.prod(array.shape[1:]) for array in given)
    if cells * subject.n_outputs > _MOST_VALUES:
        raise ModelError(
            f"One row would have {cells:,} × {subject.n_outputs:,} values; at most "
            f"{_MOST_VALUES:,} can be shown. Use smaller pictures or fewer outputs."
        )
    truth = np.asarray(subject.answer_prepared(rows, space), dtype=np.float64)
    known = np.asarray(subject.answer_prepared(background, space), dtype=np.float64)
    sound = np.logical_and.reduce([_whole(known), *(_whole(array) for array in all_backs)])
    if not sound.any():
        raise ModelError(
            "Every background row has missing values or no number as its answer, so there is no "
            "line from one to a row along which gradients could be taken."
        )
    backs, known = [array[sound] for array in all_backs], known[sound]
    probe = [np.concatenate([a[:_PROBE], b[:_PROBE]]) for a, b in zip(given, backs, strict=True)]
    wanted = np.concatenate([truth[:_PROBE], known[:_PROBE]])
    answers, scores = _found(network, specs, probe, wanted, space)
    column_of, m = _columns(rows, specs)
    return _Lines(
        network=network,
        specs=specs,
        rows=given,
        background=backs,
        column_of=column_of,
        m=m,
        answers=answers,
        scores=scores,
        truth=truth,
        base=known.mean(axis=0),
        size=_size(np.concatenate([truth, known])),
        unanswered=tuple(np.flatnonzero(~sound).tolist()),
    )


def _whole(array: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """`(n,)` which rows hold finite numbers only."""
    found: npt.NDArray[np.bool_] = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    return found


def _size(answers: FloatArray) -> FloatArray:
    size: FloatArray = np.maximum(np.ptp(answers, axis=0), np.abs(answers.mean(axis=0)))
    return np.maximum(size, 1e-30)


def _numbers(given: Any, specs: Sequence[InputSpec]) -> list[npt.NDArray[Any]]:
    """One array for each input, in the precision of the network."""
    arrays = (
        [np.asarray(array) for array in given]
        if isinstance(given, list | tuple)
        else input_arrays(given, specs, "The network")[0]
    )
    return [array.astype(np.float32) for array in arrays]


def _columns(given: Any, specs: Sequence[InputSpec]) -> tuple[npt.NDArray[np.int64], int]:
    """Where each cell of the inputs comes from: a row of positions sent the same way."""
    if isinstance(given, list | tuple):  # one array an input
        m = sum(math.prod(np.shape(array)[1:]) for array in given)
        return np.arange(m), m
    shape = given.shape[1:]
    m = math.prod(shape)
    places: Any = np.arange(1, m + 1, dtype=np.float64).reshape(1, *shape)
    if isinstance(given, pd.DataFrame):
        places = pd.DataFrame(places, columns=given.columns)
    exact = [replace(spec, dtype="float64") for spec in specs]
    arrays, _ = input_arrays(places, exact, "The network")
    found = np.concatenate([array.reshape(-1) for array in arrays])
    return np.rint(found).astype(np.int64) - 1, m


@lru_cache(maxsize=4)
def _scores_of(network: Any) -> Any:
    with KERAS_LOCK:
        return before_activation(network)


def _found(
    network: Any,
    specs: Sequence[InputSpec],
    probe: list[npt.NDArray[Any]],
    wanted: FloatArray,
    space: OutputSpace,
) -> tuple[tuple[Answer, ...], bool]:
    """Which outputs the answers are, and whether before the last activation.

    Raises
    ------
    ModelError : the answers are none of the network's own numbers.
    """
    raw = space is OutputSpace.LOG_ODDS and _scores_of(network) is not None
    candidates = (False, True) if raw else (False,)
    for scores in candidates:
        outputs = np.asarray(_outputs(network, scores)(*probe))
        answers = match_answers(outputs, wanted, _CHANGES[space], _CUT if scores else None)
        if answers is not None:
            return answers, scores
    raise ModelError(
        f"The model's answers in {space.value} are none of the network's own outputs, so its "
        "gradients do not explain them."
    )


def _reader(each: Any, network: Any, specs: Sequence[InputSpec]) -> Any:
    """Arrays or tensors of every input → flat outputs `(n, K)` of `each`, a part of `network`."""
    import keras

    structure = getattr(network, "_inputs_struct", None)

    def read(flat: Sequence[Any]) -> Any:
        tensors = [
            keras.ops.cast(keras.ops.convert_to_tensor(one), spec.dtype)
            for one, spec in zip(flat, specs, strict=True)
        ]
        if each is not network:
            return flat_outputs(each, tensors)
        packed = (
            tensors[0] if structure is None else keras.tree.pack_sequence_as(structure, tensors)
        )
        return flat_outputs(each, packed)

    return read


@lru_cache(maxsize=8)
def _outputs(network: Any, scores: bool) -> Any:
    """The traced network, or what it holds before its last activation."""
    specs = input_specs(network)
    with KERAS_LOCK:
        return outputs_at(
            specs, _reader(_scores_of(network) if scores else network, network, specs)
        )


@lru_cache(maxsize=4)
def _graphs(network: Any, answers: tuple[Answer, ...], scores: bool, ends: bool) -> tuple[Any, Any]:
    """The traced sums along lines of one network for these answers, and its slopes at points."""
    import keras

    specs = input_specs(network)
    read = _reader(_scores_of(network) if scores else network, network, specs)

    ops = keras.ops

    def answered(flat: list[Any]) -> Any:
        outputs = read(flat)
        columns = [each.read(outputs, ops) for each in answers]
        return ops.concatenate([column[:, None] for column in columns], axis=1)

    with KERAS_LOCK, quick_convolutions(_layers(network)):
        return integrand(specs, answered, ends=ends), slopes_at(specs, answered)


def _sampled(lines: _Lines, samples: int, seed: int, work: Work) -> tuple[Sums, FloatArray]:
    """Sums of all rows and their gaps; rows whose gap is too large get more samples.

    Where a network is nearly flat but for narrow edges, few samples meet an edge, and the spread
    of the samples tells too little of the error; more samples tell both. What then is missing by
    more than chance is no matter of samples: the network has steps.

    Raises
    ------
    ModelError : rows whose values do not add up however many samples are taken.
    """
    import tensorflow as tf

    known = lines.with_ends()
    graph, slopes = _graphs(lines.network, lines.answers, lines.scores, known)
    background = [tf.constant(array) for array in lines.background]
    ends = _ends(lines, slopes) if known else None

    def take(rows: npt.NDArray[Any], samples: int, turn: int) -> Sums:
        def each(done: int) -> None:
            work.progress(done, len(rows), f"Gradients of {done:,} of {len(rows):,} rows.")
            work.check()

        arrays = [array[rows] for array in lines.rows]
        design = design_for(arrays, len(lines.background[0]), samples, seed, turn)
        some = ends and (ends[0][:, rows], ends[1])
        return summed(graph, arrays, background, design, lines.batch(), each, some)

    sums = take(np.arange(len(lines.truth)), samples, 0)
    for turn in range(_MOST_TURNS + 1):
        gaps, allowed = lines.gaps(sums), lines.allowed(sums)
        off = np.flatnonzero(~(np.abs(gaps) <= allowed).all(axis=1))
        if not len(off):
            break
        if turn < _MOST_TURNS:
            more = samples_for(samples << turn, len(lines.background[0]))
            sums = sums.plus(off, take(off, more, turn + 1))
    check_complete(gaps, lines.allowed(sums, _MOST), lines.allowed(sums, _MOST_OVERALL))
    return sums, gaps


def _ends(lines: _Lines, slopes: Any) -> tuple[npt.NDArray[Any], Any]:
    """Slopes `(k, …, M)` at the rows, and as a tensor those at the background rows."""
    import tensorflow as tf

    found = []
    for arrays in (lines.rows, lines.background):
        size = lines.batch()
        parts = range(0, len(arrays[0]), size)
        each = [np.asarray(slopes(*(one[at : at + size] for one in arrays))) for at in parts]
        found.append(np.concatenate(each, axis=1))
    return found[0], tf.constant(found[1])


def _notes(gaps: FloatArray, least: int, most: int) -> tuple[str, ...]:
    said = [
        "Expected gradients say how the answer changes along straight lines from background rows "
        "to the row. They add up like Shapley values and are not the same.",
        f"{least:,} gradients a row: their sums were within "
        f"{rounded_up(float(np.abs(gaps).max(initial=0)))} of the network's answers, and were "
        "then settled to equal them.",
    ]
    if most > least:
        said.append("Rows that were further off got up to eight times as many.")
    return tuple(said)
