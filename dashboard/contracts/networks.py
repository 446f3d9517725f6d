"""What a network looks like inside: its layers, how they answer, and what a loss asks of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

__all__ = ["LayerSummary", "NetworkSummary"]


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
    notes: tuple[str, ...] = ()

    def frame(self) -> pd.DataFrame:
        """A row for each layer; columns as the attributes of `LayerSummary`, with model before."""
        rows: list[dict[str, Any]] = [{"model": self.model, **asdict(one)} for one in self.layers]
        frame = pd.DataFrame(rows)
        if "shape" in frame:
            frame["shape"] = [" × ".join(str(n or "?") for n in one.shape) for one in self.layers]
        return frame
