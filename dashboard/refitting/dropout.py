"""MC dropout: how far a network's answers vary when its dropout stays on.

Gal and Ghahramani, Dropout as a Bayesian Approximation, ICML 2016; Géron, Hands-On Machine
Learning, chapter 11. Only dropout is on: batch normalisation keeps its running means. The network
is left as it was, seeds of its layers too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import DropoutSpread, Task, Work

__all__ = ["MOST_ROWS", "PASSES", "dropout_spread", "has_dropout"]

Floats = npt.NDArray[np.float64]

PASSES = 20
MOST_ROWS = 200
SURE, WIDE = 0.9, 0.1  # mean probability; standard deviation over the passes
_DROPOUT = (
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "AlphaDropout",
    "GaussianDropout",
)
_SEEDS = "seed_generator_state"


def _layers(network: Any) -> list[Any]:
    return list(network._flatten_layers(include_self=False))


def has_dropout(network: Any) -> bool:
    """Whether any layer drops a share of its inputs while it is trained."""
    return any(
        type(one).__name__ in _DROPOUT and getattr(one, "rate", 0) > 0 for one in _layers(network)
    )


def _others(network: Any) -> list[str]:
    """Kinds of layers that are random or change themselves in training, dropout aside."""
    found = []
    for one in _layers(network):
        name, module = type(one).__name__, type(one).__module__
        drawn = "image_preprocessing" in module and hasattr(one, "generator")
        if drawn or name in ("GaussianNoise", "SpectralNormalization"):
            found.append(name)
    return sorted(set(found))


@contextmanager
def _dropping(network: Any, seed: int) -> Iterator[None]:
    """Dropout of a known seed, batch normalisation as in prediction; all put back at the end."""
    norms = [one for one in _layers(network) if type(one).__name__ == "BatchNormalization"]
    before = [(one, one.trainable) for one in norms]
    kept = [(one, np.asarray(one).copy()) for one in network.non_trainable_variables]
    try:
        for one in norms:
            one.trainable = False  # in Keras: its running means count, whatever is trained
        seeds = [one for one, _ in kept if one.path.endswith(_SEEDS)]
        for place, one in enumerate(seeds):
            one.assign(np.array([seed + place, 0]))
        yield
    finally:
        for one, was in before:
            one.trainable = was
        for one, value in kept:
            one.assign(value)


def dropout_spread(
    network: Any,
    given: Any,
    task: Task | None,
    activation: str,
    notes: list[str],
    work: Work,
    seed: int = 0,
) -> DropoutSpread | None:
    """The spread of `PASSES` answers to the same rows, each with other units dropped.

    Parameters
    ----------
    given : rows as the network is called with them, at most `MOST_ROWS`.
    task : None = read off the activation of the last layer.
    notes : is told why there is no spread.

    Returns
    -------
    None for networks without dropout, of several outputs, or with other layers that are random.
    """
    import keras

    outputs = getattr(network, "outputs", None) or []
    if not has_dropout(network) or len(outputs) != 1 or len(outputs[0].shape) != 2:
        return None
    others = _others(network)
    if others:
        notes.append(
            f"What dropout changes is not shown: {', '.join(others)} would be random as well."
        )
        return None

    def answer(dropping: bool) -> Floats:
        values = network(given, training=dropping)
        return np.asarray(keras.ops.cast(values, "float32"), dtype=np.float64)

    plain = answer(False)
    passes = []
    with _dropping(network, seed):
        for k in range(PASSES):
            work.check()
            work.progress(k, PASSES, f"Answering with dropout on: {k} of {PASSES} passes")
            passes.append(answer(True))
    return _spread(plain, np.stack(passes), _kind(task, activation, plain.shape[1]))


def _kind(task: Task | None, activation: str, k: int) -> str:
    """What the outputs are: probabilities "of each" or "of one", raw scores of these, "numbers"."""
    if activation == "softmax" and k > 1:
        return "one"
    if activation == "sigmoid" and (task is None or task.is_classification):
        return "each"
    if task is None or not task.is_classification:
        return "numbers"
    return "one logits" if k > 1 and task is not Task.MULTILABEL else "each logits"


def _probabilities(values: Floats, kind: str) -> Floats:
    if kind == "one logits":
        powers = np.exp(values - values.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    return 1 / (1 + np.exp(-values)) if kind == "each logits" else values


def _spread(plain: Floats, passes: Floats, kind: str) -> DropoutSpread:
    """`plain` `(n, k)` without dropout; `passes` `(p, n, k)`."""
    p, n = passes.shape[:2]
    if kind == "numbers":
        sd = passes.std(axis=0, ddof=1).mean(axis=1)
        over_rows = float(plain.std(axis=0).mean())
        return DropoutSpread(p, n, float(sd.mean()), float(sd.max()), answers_sd=over_rows)
    plain, passes = _probabilities(plain, kind), _probabilities(passes, kind)
    if kind.startswith("one"):
        chosen = plain.argmax(axis=1)
        held = passes[:, np.arange(n), chosen][:, :, None]
        changed = (passes.argmax(axis=2) != chosen).any(axis=0)
    else:
        yes = plain >= 0.5
        held = np.where(yes, passes, 1 - passes)
        changed = ((passes >= 0.5) != yes).any(axis=(0, 2))
    sd = held.std(axis=0, ddof=1).max(axis=1)
    sure = held.mean(axis=0).min(axis=1) >= SURE
    return DropoutSpread(
        p,
        n,
        float(sd.mean()),
        float(sd.max()),
        changed=float(changed.mean()),
        n_sure=int(sure.sum()),
        n_shaky=int((sure & (sd > WIDE)).sum()),
    )
