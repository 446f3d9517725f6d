"""What an engine is given: the part of a model that it looks into, and how rows reach it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..contracts import Label, OutputSpace, Work

__all__ = ["Engine", "EngineResult", "Game", "Offer", "Subject"]

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]

# Which question the values answer: features outside a coalition follow the training counts of a
# tree's own paths, are replaced by background rows, or gradients are averaged along a line.
Game = Literal["path-dependent", "interventional", "expected gradients"]


@dataclass(frozen=True, eq=False)
class Subject:
    """One model, taken apart as far as it can be.

    Attributes
    ----------
    estimator : the native object that engines look into: the last step of a pipeline, unwrapped
        (an estimator, a Booster, a keras.Model), or None for what only answers (ONNX, functions).
    prepare : raw rows → what `estimator` takes, `(n, m)` frame or array (or `(n, …)` for cells).
    answer : raw rows and space → `(n, n_outputs)` float64, the *whole* model's own output.
    answer_prepared : prepared rows and space → the same, from the last step only.
    features : the person's own columns that the model reads (cells for images and sequences).
    sources : `(m,)` for each column of the prepared rows the position of its one source in
        `features`, or None where prepared columns mix several sources (PCA, products).
    output_names : the positive class only (two classes), every class, or the target's name(s).
    spaces : in which units it can answer; the first is its natural one.
    cell_shape : shape of one row, where features are cells of an array.
    notes : sentences on what was unwrapped or cannot be.
    """

    estimator: Any
    prepare: Callable[[Any], Any]
    answer: Callable[[Any, OutputSpace], FloatArray]
    answer_prepared: Callable[[Any, OutputSpace], FloatArray]
    features: tuple[str, ...]
    sources: IntArray | None
    output_names: tuple[Label, ...]
    spaces: tuple[OutputSpace, ...]
    cell_shape: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_outputs(self) -> int:
        return len(self.output_names)


@dataclass(frozen=True, eq=False)
class EngineResult:
    """Raw output of an engine, before it is checked and summed back to the person's columns.

    Attributes
    ----------
    values : `(n, m, n_outputs)` float64; m columns of the prepared rows (`level` "prepared"), or
        the features themselves (`level` "raw").
    base : `(n_outputs,)`.
    errors : standard errors of the values, None where they are exact.
    kept : places of the rows that have values, where others were left out; n counts these.
    unanswered : places of background rows that stood in for nothing: the model gives no number.
    """

    values: FloatArray
    base: FloatArray
    errors: FloatArray | None = None
    notes: tuple[str, ...] = ()
    kept: IntArray | None = None
    unanswered: tuple[int, ...] = ()


class Engine(Protocol):
    """One way to compute attributions.

    Attributes
    ----------
    key : for options, caches and tests, "tree-interventional".
    method : for people, "Tree SHAP, interventional".
    exact : values are exact Shapley values of the game (else sampled, with `errors`).
    level : whether rows and background come prepared or raw.
    """

    key: str
    method: str
    game: Game
    exact: bool
    level: Literal["raw", "prepared"]

    def refuses(self, subject: Subject, space: OutputSpace) -> str:
        """Why it is not offered for this model and space, in one sentence; "" where it is."""
        ...

    def seconds(self, subject: Subject, n_rows: int, n_background: int) -> float:
        """Estimated time, before anything was measured; for choosing, not for promising."""
        ...

    def explain(
        self,
        subject: Subject,
        rows: Any,
        background: Any,
        space: OutputSpace,
        work: Work,
        options: Mapping[str, Any],
    ) -> EngineResult:
        """Values for all outputs.

        `options`: "random_state", "draws" (coalitions, orders or gradients a row), "level" of the
        intervals that the errors are for.
        """
        ...


@dataclass(frozen=True)
class Offer:
    """One engine as a choice: what it would cost, or why it cannot be had."""

    key: str
    method: str
    game: str
    exact: bool
    seconds_fixed: float = 0.0
    seconds_per_row: float = 0.0
    refusal: str = ""
    notes: tuple[str, ...] = field(default=())
