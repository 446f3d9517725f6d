"""What a network looks like inside: its layers, how they answer, and what a loss asks of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

__all__ = ["DropoutSpread", "LayerSummary", "NetworkSummary"]


@dataclass(frozen=True)
class DropoutSpread:
    """How far the answers to some rows vary over passes with dropout left on (MC dropout).

    Attributes
    ----------
    n_passes, n_rows : how often these rows were answered.
    mean_sd, largest_sd : standard deviation over the passes, of the rows' mean and largest: of the
        probability of the class that is answered without dropout (of several labels the one that
        varies most), or of the number that is answered.
    changed : share of rows that change their class (any label) in at least one pass, at .5 or the
        largest probability; None for numbers.
    n_sure, n_shaky : rows with a mean probability of .9 or more, and those of them with a standard
        deviation above .1; None for numbers.
    answers_sd : standard deviation of the numbers answered over the rows; None for classes.
    """

    n_passes: int
    n_rows: int
    mean_sd: float
    largest_sd: float
    changed: float | None = None
    n_sure: int | None = None
    n_shaky: int | None = None
    answers_sd: float | None = None


@dataclass(frozen=True)
class LayerSummary:
    """One layer, and what its outputs and gradients are on some rows; None where not measured.

    Attributes
    ----------
    name, kind : its name, and its class in Keras.
    shape : of its output for one row.
    n_parameters, trainable : weights that it holds, and whether training moves them.
    activation, initializer : in Keras' words, "" where it has none.
    mean, sd : of all its outputs.
    n_units : places of its output: the last axis, or all of a flat one.
    dead : share of the units whose output is the same for every row.
    saturated : share of the outputs where the activation is flat: a ReLU at 0, a sigmoid within
        .01 of 0 or 1, a tanh within .01 of -1 or 1.
    weight_norm : Euclidean norm of its kernel.
    gradient_norm : Euclidean norm of the gradient of the loss by its kernel.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    n_parameters: int
    trainable: bool
    activation: str = ""
    initializer: str = ""
    mean: float | None = None
    sd: float | None = None
    n_units: int | None = None
    dead: float | None = None
    saturated: float | None = None
    weight_norm: float | None = None
    gradient_norm: float | None = None


@dataclass(frozen=True)
class NetworkSummary:
    """A network on some rows.

    Attributes
    ----------
    model : its name.
    layers : in the order of the network.
    n_parameters : of all layers; n_trainable : those that training moves.
    n_rows, n_given : rows on which it was measured, of how many.
    losses, from_logits, optimizer, rate : how it was trained, as far as the file tells.
    measured_loss : the loss whose gradients were taken; "" where there are none.
    input_mean, input_sd, input_largest : of what reaches the first layer, all inputs together.
    dropout : of networks with dropout; None without.
    notes : sentences on what was left out.
    """

    model: str
    layers: tuple[LayerSummary, ...]
    n_parameters: int
    n_trainable: int
    n_rows: int
    n_given: int
    losses: tuple[str, ...] = ()
    from_logits: bool = False
    optimizer: str = ""
    rate: float | None = None
    measured_loss: str = ""
    input_mean: float | None = None
    input_sd: float | None = None
    input_largest: float | None = None
    dropout: DropoutSpread | None = None
    notes: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """A row for each layer; columns as the attributes of `LayerSummary`, with model before."""
        rows: list[dict[str, Any]] = [{"model": self.model, **asdict(one)} for one in self.layers]
        frame = pd.DataFrame(rows)
        if "shape" in frame:
            frame["shape"] = [" × ".join(str(n or "?") for n in one.shape) for one in self.layers]
        return frame
