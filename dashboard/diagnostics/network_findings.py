"""What the layers of a loaded network say: does it fit its task, its loss, its rows?"""

from __future__ import annotations

from ..contracts import Finding, LayerSummary, NetworkSummary, Task
from ..wording import count, listing, number, percent, plural

__all__ = ["find_in_network"]

_RELU = frozenset({"relu", "relu6", "leaky_relu", "leakyrelu", "elu", "prelu"})
_EVEN = frozenset({"tanh", "softmax", "sigmoid", "linear", ""})
# Activation of the output → losses that belong to it, by task.
_BINARY = frozenset({"binary_crossentropy", "binary_focal_crossentropy"})
_SEVERAL = frozenset(
    {
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "categorical_focal_crossentropy",
        "kl_divergence",
    }
)
_NUMBERS = frozenset(
    {
        "mse", "mae", "mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "logcosh",
        "mean_absolute_percentage_error", "mean_squared_logarithmic_error", "poisson",
    }
)  # fmt: skip
_SCALING = frozenset({"Normalization", "Rescaling", "BatchNormalization", "LayerNormalization"})

WIDE = 10.0  # standard deviation of the inputs from which they count as not scaled
DEAD, SATURATED = 0.5, 0.5
VANISHED = 1e-3


def find_in_network(
    summary: NetworkSummary, task: Task | None = None, n_training: int | None = None
) -> list[Finding]:
    """Findings on the output and its loss, initialisers, inputs, units, gradients and size.

    Parameters
    ----------
    task : what is predicted; None leaves out what depends on it.
    n_training : rows that it was trained on, where that is known.
    """
    return [
        *_output(summary, task),
        *_loss(summary, task),
        *_initialisers(summary),
        *_inputs(summary),
        *_units(summary),
        *_gradients(summary),
        *_size(summary, n_training),
        *_dropout(summary),
    ]


def _last(summary: NetworkSummary) -> LayerSummary | None:
    return summary.layers[-1] if summary.layers else None


def _output(summary: NetworkSummary, task: Task | None) -> list[Finding]:
    last = _last(summary)
    if last is None or task is None or not last.shape:
        return []
    units, activation = last.shape[-1], last.activation
    said = ""
    remedy = ""
    if activation == "softmax" and units == 1:
        said = "ends in softmax over one unit, which always answers 1"
        remedy = "Use one unit with sigmoid, or one unit per class with softmax."
    elif task.is_classification and activation in ("relu", "tanh"):
        said = f"ends in {activation}, which gives no probabilities"
        remedy = "End in sigmoid (two classes, labels) or softmax (one of several classes)."
    elif task is Task.MULTICLASS and activation == "sigmoid":
        said = "ends in sigmoid, which gives each class a probability of its own"
        remedy = "End in softmax where a row belongs to one class."
    elif task is Task.REGRESSION and activation in ("sigmoid", "softmax", "tanh"):
        low = "−1" if activation == "tanh" else "0"
        said = f"ends in {activation}, which keeps every answer between {low} and 1"
        remedy = "End in a linear layer, or scale the target to that range."
    if not said:
        return []
    return [
        Finding(
            "output_mismatch",
            "problem",
            f"{summary.model}: {last.name}",
            f"The network {said}.",
            {"activation": activation, "units": units or 0},
            (remedy,),
            "network",
        )
    ]


def _loss(summary: NetworkSummary, task: Task | None) -> list[Finding]:
    last = _last(summary)
    losses = [one for one in summary.losses if one]
    if last is None or task is None or len(losses) != 1:
        return []
    loss, activation = losses[0], last.activation
    found = []
    wanted = {
        Task.BINARY: _BINARY | _SEVERAL,
        Task.MULTICLASS: _SEVERAL,
        Task.MULTILABEL: _BINARY,
    }.get(task, _NUMBERS)
    known = _BINARY | _SEVERAL | _NUMBERS
    if loss in known and loss not in wanted:
        fits = "sigmoid with binary cross-entropy" if task is Task.MULTILABEL else ""
        fits = fits or {
            Task.BINARY: "sigmoid with binary cross-entropy",
            Task.MULTICLASS: "softmax with (sparse) categorical cross-entropy",
        }.get(task, "a linear output with mean squared or absolute error, or Huber's")
        found.append(
            Finding(
                "loss_mismatch",
                "warning",
                f"{summary.model}: {last.name}",
                f"It was trained with {loss.replace('_', ' ')}, which is not meant for this task.",
                {"loss": loss, "activation": activation},
                (f"Train it with {fits}.",),
                "network",
            )
        )
    bounded = activation in ("sigmoid", "softmax")
    if loss in _BINARY | _SEVERAL and summary.from_logits is bounded:
        told = "raw scores" if summary.from_logits else "probabilities"
        gives = "probabilities" if bounded else "raw scores"
        found.append(
            Finding(
                "logits_mismatch",
                "problem",
                f"{summary.model}: {last.name}",
                f"The loss was told to expect {told}, and the network gives {gives}.",
                {"loss": loss, "activation": activation},
                (f"Train it with from_logits={not summary.from_logits}.",),
                "network",
            )
        )
    return found


def _initialisers(summary: NetworkSummary) -> list[Finding]:
    odd = []
    for one in summary.layers:
        if not one.initializer or not one.n_parameters:
            continue
        name = one.initializer.lower()
        if one.activation == "selu" and "lecun" not in name:
            odd.append((one.name, "LeCun"))
        elif one.activation in _RELU and name.startswith(("glorot", "lecun")):
            odd.append((one.name, "He"))
        elif one.activation in _EVEN and name.startswith("he"):
            odd.append((one.name, "Glorot"))
    if not odd:
        return []
    fits = listing([f"{layer}: {which}" for layer, which in odd], 6)
    return [
        Finding(
            "initialiser",
            "info",
            summary.model,
            f"{len(odd)} of {len(summary.layers)} layers begin with weights that are not made for "
            "their activation. It slows training down, and matters in deep networks.",
            {"layers": len(odd)},
            (f"Initialisers that fit: {fits}.",),
            "network",
        )
    ]


def _inputs(summary: NetworkSummary) -> list[Finding]:
    spread, largest = summary.input_sd, summary.input_largest
    scaled = any(one.kind in _SCALING for one in summary.layers)
    if spread is None or largest is None or scaled or not spread > WIDE:
        return []
    return [
        Finding(
            "unscaled_inputs",
            "warning",
            summary.model,
            f"Its inputs are not scaled: standard deviation {number(spread)}, up to "
            f"{number(largest)} in size, and no layer scales them.",
            {"standard_deviation": spread, "largest": largest},
            (
                "Scale the inputs to mean 0 and standard deviation 1 (pixels: divide by 255).",
                "Put a Normalization or Rescaling layer first, so that it is part of the model.",
            ),
            "network",
        )
    ]


def _units(summary: NetworkSummary) -> list[Finding]:
    found = []
    inner = [one for one in summary.layers[:-1] if one.activation]
    for one in inner:
        dead = one.dead is not None and one.dead >= DEAD
        flat = one.saturated is not None and one.saturated >= SATURATED
        if not dead and not (flat and one.activation not in _RELU):
            continue
        share = one.dead if dead else one.saturated
        assert share is not None  # noqa: S101 - one of the two is there
        what = (
            f"{percent(share)} of the units of {one.name} give the same answer for every row"
            if dead
            else f"{percent(share)} of the answers of {one.name} lie where {one.activation} is flat"
        )
        found.append(
            Finding(
                "dead_units" if dead else "saturated_units",
                "warning",
                f"{summary.model}: {one.name}",
                f"{what} ({count(summary.n_rows)} of {count(summary.n_given)} rows).",
                {"share": share, "rows": summary.n_rows},
                (
                    "Scale the inputs.",
                    "Lower the learning rate, and train it again.",
                    "Use He initialisation with ReLU, or leaky ReLU, ELU, SELU.",
                ),
                "network",
            )
        )
    return found


def _gradients(summary: NetworkSummary) -> list[Finding]:
    """Of each kernel relative to its size, against the layer with the largest."""
    known = [
        (one, one.gradient_norm / one.weight_norm)
        for one in summary.layers
        if one.gradient_norm is not None and one.weight_norm
    ]
    if len(known) < 2:
        return []
    most, largest = max(known, key=lambda pair: pair[1])
    low = [(one, size) for one, size in known if size <= VANISHED * largest]
    if not low or not largest > 0:
        return []
    names = listing([one.name for one, _ in low], 6)
    least = min(size for _, size in low)
    return [
        Finding(
            "vanishing_gradients",
            "warning",
            f"{summary.model}: {low[0][0].name}",
            f"Gradients of {names} are near zero: {number(least)} of the size of the weights, that "
            f"of {most.name} is {number(largest)}.",
            {"relative_gradient": least, "largest": largest, "largest_in": most.name},
            (
                "Scale the inputs; use the ReLU family with He initialisation.",
                "Add batch normalisation or residual connections.",
            ),
            "network",
        )
    ]


def _size(summary: NetworkSummary, n_training: int | None) -> list[Finding]:
    if not n_training or summary.n_trainable < n_training:
        return []
    return [
        Finding(
            "more_parameters_than_rows",
            "info",
            summary.model,
            f"{count(summary.n_trainable)} parameters were fitted to {count(n_training)} rows: it "
            "is free to learn them by heart.",
            {"parameters": summary.n_trainable, "rows": n_training},
            (
                "Watch the gap between training and validation loss.",
                "Use a smaller network, dropout, weight decay or early stopping.",
                "Get more rows, or make some (augmentation).",
            ),
            "network",
        )
    ]


def _dropout(summary: NetworkSummary) -> list[Finding]:
    """How far its answers hang on single units."""
    spread = summary.dropout
    if spread is None:
        return []
    passes = f"With dropout left on ({spread.n_passes} passes over {count(spread.n_rows)} rows)"
    told: dict[str, float | int | str] = {
        "passes": spread.n_passes,
        "rows": spread.n_rows,
        "mean_sd": spread.mean_sd,
        "largest_sd": spread.largest_sd,
    }
    if spread.changed is None:
        beside = (
            ""
            if spread.answers_sd is None
            else f", where rows differ by {number(spread.answers_sd)}"
        )
        told |= {} if spread.answers_sd is None else {"answers_sd": spread.answers_sd}
        said = f"{passes} an answer varies by {number(spread.mean_sd)} on average{beside}."
        remedies: tuple[str, ...] = ("Treat rows whose answer varies most with caution.",)
    else:
        sure, shaky = spread.n_sure or 0, spread.n_shaky or 0
        told |= {"changed": spread.changed, "sure": sure, "sure_but_varying": shaky}
        said = (
            f"{passes} the probability of the class that it answers varies by "
            f"{number(spread.mean_sd)} on average, and {percent(spread.changed)} of the rows "
            f"change their class at least once. Of {plural(sure, 'row')} that it is sure of (.9 or "
            f"more on average) {count(shaky)} vary by more than .1."
        )
        remedies = ("Treat rows that are sure on average and vary all the same with caution.",)
    return [
        Finding(
            "dropout_spread",
            "info",
            summary.model,
            f"{said} It tells how much hangs on single units (MC dropout), a rough sign of what "
            "the network does not know; it is no interval.",
            told,
            remedies,
            "network",
        )
    ]
