"""Inside a network over its training: each layer's logged histograms, summed up by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Finding, Histograms, Run
from ..errors import NotApplicable
from ..wording import number, percent

__all__ = ["LayerCurve", "compute_layer_curves", "find_in_layers"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer[Any]]

# Findings, as shares of what the same network does elsewhere or did at first.
VANISHED = 1e-3  # of the largest spread among the layers' gradients
EXPLODED = 1e3  # times the spread of the first steps
STILL = 1e-3  # relative change of a layer's weights over the whole training
DEAD = 0.9  # share of the activations that are exactly or nearly 0
NEAR = 1e-7
SATURATED = 0.9  # share of the activations where tanh is flat
FLAT = 0.9  # of its range: its slope is below .2 beyond


@dataclass(frozen=True, eq=False)
class LayerCurve:
    """One array inside a network over the steps of one run.

    Attributes
    ----------
    run, layer, kind : whose; kind as in `Histograms`.
    steps : `(t,)`, increasing; of a step that was logged twice the last.
    count, mean, sd, norm : `(t,)`; the norm is the square root of the sum of squares, taken as if
        every number lay in the middle of its bin.
    near_zero : `(t,)` share of the numbers in bins that hold 0.
    quantiles : `(t, 5)` at .05, .25, .5, .75, .95, linear within a bin.
    edges, counts : `(t, b + 1)` and `(t, b)` as logged.
    """

    run: str
    layer: str
    kind: str
    steps: Ints
    count: Floats
    mean: Floats
    sd: Floats
    norm: Floats
    near_zero: Floats
    quantiles: Floats
    edges: Floats
    counts: Floats

    def frame(self) -> pd.DataFrame:
        """A row for each step: run, layer, kind, step, count, mean, sd, norm, near_zero, q05 …"""
        names = ("q05", "q25", "q50", "q75", "q95")
        return pd.DataFrame(
            {
                "run": self.run,
                "layer": self.layer,
                "kind": self.kind,
                "step": self.steps,
                "count": self.count,
                "mean": self.mean,
                "sd": self.sd,
                "norm": self.norm,
                "near_zero": self.near_zero,
                **{name: self.quantiles[:, at] for at, name in enumerate(names)},
            }
        )


def compute_layer_curves(run: Run) -> list[LayerCurve]:
    """The histograms of a run by layer, in the order in which they were logged.

    Raises
    ------
    NotApplicable : the log holds no histograms.
    """
    if not run.histograms:
        raise NotApplicable(
            f"{run.name} holds no histograms. Log them with keras.callbacks.TensorBoard("
            "histogram_freq=1), or `SummaryWriter.add_histogram`."
        )
    return [_curve(run.name, one) for one in run.histograms if len(one.steps)]


def _curve(run: str, given: Histograms) -> LayerCurve:
    # stable: of equal steps the last logged one is the last here as well
    order = np.argsort(given.steps, kind="stable")
    steps = given.steps[order]
    last = np.append(steps[1:] != steps[:-1], True)
    order, steps = order[last], steps[last]
    edges = np.asarray(given.edges[order], dtype=np.float64)
    counts = np.asarray(given.counts[order], dtype=np.float64)
    count = counts.sum(axis=1)
    middle = (edges[:, :-1] + edges[:, 1:]) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counts / count[:, None]
        mean = (shares * middle).sum(axis=1)
        squares = (shares * middle**2).sum(axis=1)
    holds = (edges[:, :-1] <= NEAR) & (edges[:, 1:] >= -NEAR)
    return LayerCurve(
        run=run,
        layer=given.layer,
        kind=given.kind,
        steps=steps,
        count=count,
        mean=mean,
        sd=np.sqrt(np.maximum(squares - mean**2, 0)),
        norm=np.sqrt(squares * count),
        near_zero=(shares * holds).sum(axis=1),
        quantiles=np.stack([_quantiles(e, c) for e, c in zip(edges, counts, strict=True)]),
        edges=edges,
        counts=counts,
    )


def _quantiles(edges: Floats, counts: Floats) -> Floats:
    total = counts.sum()
    if not total:
        return np.full(5, np.nan)
    reached = np.append(0.0, np.cumsum(counts)) / total
    # the first place that reaches each share: empty bins are passed over
    keep = np.append(True, np.diff(reached) > 0)
    places = [0.05, 0.25, 0.5, 0.75, 0.95]
    return np.asarray(np.interp(places, reached[keep], edges[keep]))


# -- findings -------------------------------------------------------------------------------------


def find_in_layers(curves: Sequence[LayerCurve]) -> list[Finding]:
    """Vanishing and exploding gradients, dead and saturated units, weights that do not move.

    Gradients are judged against the layer with the largest ones, weights against their own start.
    """
    found: list[Finding] = []
    for run in dict.fromkeys(one.run for one in curves):
        own = [one for one in curves if one.run == run and len(one.steps)]
        gradients = [one for one in own if one.kind == "gradient"]
        found += _vanishing(run, gradients)
        found += _exploding(run, gradients)
        activations = [one for one in own if one.kind == "activation"]
        found += _dead(run, activations)
        found += _saturated(run, activations)
        found += _still(run, [one for one in own if one.kind == "weight"])
    return found


def _vanishing(run: str, gradients: Sequence[LayerCurve]) -> list[Finding]:
    if len(gradients) < 2:
        return []
    spread = {one.layer: float(np.nanmedian(one.sd)) for one in gradients}
    largest = max(spread, key=lambda layer: spread[layer])
    most = spread[largest]
    found = []
    for one in gradients:
        own = spread[one.layer]
        if not most > 0 or own > VANISHED * most:
            continue
        found.append(
            Finding(
                "vanishing_gradients",
                "problem",
                f"{run}: {one.layer}",
                f"Gradients of {one.layer} are pinned near zero: their spread is {number(own)}, "
                f"that of {largest} is {number(most)}. The layer hardly learns.",
                {"spread": own, "largest_spread": most, "largest_in": largest},
                (
                    "Scale the inputs to mean 0 and standard deviation 1.",
                    "Use an activation of the ReLU family with He initialisation.",
                    "Add batch normalisation or residual connections.",
                ),
                "layers",
                float(one.steps[-1]),
            )
        )
    return found


def _exploding(run: str, gradients: Sequence[LayerCurve]) -> list[Finding]:
    found = []
    for one in gradients:
        first, last = float(one.sd[0]), float(np.nanmax(one.sd))
        is_finite = bool(np.isfinite(one.edges).all())
        if is_finite and (not first > 0 or last < EXPLODED * first):
            continue
        how = f"{number(last / first)} times" if is_finite else "beyond all bounds from"
        found.append(
            Finding(
                "exploding_gradients",
                "problem",
                f"{run}: {one.layer}",
                f"Gradients of {one.layer} grow to {how} their spread at the first step "
                f"({number(first)}).",
                {"first_spread": first, "largest_spread": last},
                (
                    "Divide the learning rate by 10.",
                    "Clip gradients by norm (clipnorm=1) or value.",
                    "Add batch normalisation; regularise.",
                ),
                "layers",
                float(one.steps[int(np.nanargmax(one.sd))]),
            )
        )
    return found


def _dead(run: str, activations: Sequence[LayerCurve]) -> list[Finding]:
    found = []
    for one in activations:
        share = float(one.near_zero[-1])
        if not share >= DEAD:
            continue
        found.append(
            Finding(
                "dead_units",
                "warning",
                f"{run}: {one.layer}",
                f"{percent(share)} of the activations of {one.layer} are zero at step "
                f"{int(one.steps[-1]):,}: most of its units do nothing.",
                {"share_of_zeros": share},
                (
                    "Lower the learning rate.",
                    "Use leaky ReLU, ELU or SELU.",
                    "Scale the inputs; use He initialisation.",
                ),
                "layers",
                float(one.steps[-1]),
            )
        )
    return found


def _saturated(run: str, activations: Sequence[LayerCurve]) -> list[Finding]:
    """Layers whose answers lie at both ends of -1 to 1, where tanh and its kind are flat."""
    found = []
    for one in activations:
        edges, counts = one.edges[-1], one.counts[-1]
        within = bool(np.abs(edges[[0, -1]]).max() <= 1 + NEAR)
        if not within or edges[0] > -FLAT or edges[-1] < FLAT or not counts.sum() > 0:
            continue  # a layer without bounds, or with answers from 0 to 1 as softmax gives
        share = float(counts[np.abs(edges[:-1] + edges[1:]) / 2 >= FLAT].sum() / counts.sum())
        if share < SATURATED:
            continue
        found.append(
            Finding(
                "saturated_units",
                "warning",
                f"{run}: {one.layer}",
                f"{percent(share)} of the activations of {one.layer} lie at the ends of −1 to 1 at "
                f"step {int(one.steps[-1]):,}, where the activation is flat: hardly any gradient "
                "comes through.",
                {"share": share},
                (
                    "Scale the inputs to mean 0 and standard deviation 1 (pixels: divide by 255).",
                    "Use an activation of the ReLU family with He initialisation.",
                    "Add batch normalisation.",
                ),
                "layers",
                float(one.steps[-1]),
            )
        )
    return found


def _still(run: str, weights: Sequence[LayerCurve]) -> list[Finding]:
    """Layers whose distribution of weights stays as it began while that of others moves."""
    moved = {one.layer: _moved(one) for one in weights if len(one.steps) > 1}
    if not moved or max(moved.values()) < 10 * STILL:
        return []
    found = []
    for layer, share in moved.items():
        if share >= STILL:
            continue
        most = max(moved, key=lambda name: moved[name])
        found.append(
            Finding(
                "not_moving",
                "warning",
                f"{run}: {layer}",
                f"Weights of {layer} do not move: their distribution changed by {percent(share)} "
                f"of its spread, that of {most} by {percent(moved[most])}.",
                {"change": share, "largest_change": moved[most], "largest_in": most},
                (
                    "See whether the layer is frozen on purpose.",
                    "Look at its gradients: they may vanish.",
                ),
                "layers",
                None,
            )
        )
    return found


def _moved(one: LayerCurve) -> float:
    """How far quantiles of the weights went from the first step to the last, in spreads."""
    first = float(one.sd[0])
    distance = float(np.abs(one.quantiles[-1] - one.quantiles[0]).max())
    return distance / first if first > 0 else (0.0 if distance == 0 else float("inf"))
