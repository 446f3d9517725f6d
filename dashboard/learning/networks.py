"""A loaded network: its layers on the evaluation rows, and how its log says it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..contracts import Model, NetworkSummary, Run
from ..data import EvalSet
from ..evaluation import rows_for
from ..explainers.asking import ask
from ..explainers.ordering import stratified_order
from ..explainers.permutation import truth
from ..frames import Frame, FrameError
from ..refitting.network_summaries import read_summary

__all__ = ["LoggedTraining", "epochs_in_logs", "logged_training", "network_summary"]

MOST_ROWS = 1_000
_BATCHES = ("batch_size", "batch", "batchsize")


@dataclass(frozen=True)
class LoggedTraining:
    """How long a network was trained, and in batches of how many rows where the log tells."""

    epochs: int
    batch_size: int | None = None


def logged_training(run: Run) -> LoggedTraining | None:
    """What a log by epoch says of the training; None where it counts something else."""
    by_epoch = [one for one in run.series if one.unit == "epoch" and len(one.steps)]
    if not by_epoch:
        return None
    epochs = max(len(np.unique(one.steps)) for one in by_epoch)
    told = {str(name).lower().rpartition("/")[2]: value for name, value in run.config.items()}
    batch = next((told[name] for name in _BATCHES if name in told), None)
    whole = isinstance(batch, int | float) and not isinstance(batch, bool) and batch >= 1
    return LoggedTraining(epochs, int(batch) if whole else None)  # type: ignore[arg-type]


def epochs_in_logs(runs: Sequence[Run], models: Sequence[str]) -> int | None:
    """Epochs of the one run that is a model's own: `network_history.csv` is that of `network`."""
    own = {
        found.epochs
        for run in runs
        if Path(run.name).stem.removesuffix("_history").removesuffix("_log") in models
        and (found := logged_training(run)) is not None
    }
    return own.pop() if len(own) == 1 else None


def network_summary(
    model: Model, evalset: EvalSet, name: str, *, n_rows: int = MOST_ROWS, random_state: int = 0
) -> NetworkSummary:
    """The layers of a Keras network, what they answer, and the gradients of its loss.

    Parameters
    ----------
    n_rows : rows on which outputs are taken, a sample stratified by the target; gradients are of
        the first 256 of them.

    Raises
    ------
    NotApplicable : no Keras network.
    ModelError : the network fails on these rows.
    """
    rows = rows_for(model, evalset)
    at = stratified_order(evalset, random_state)[:n_rows]
    told: dict[str, Any] = {
        "rows": at.tolist(),
        "target": truth(evalset.target),
        "name": name,
    }
    y = np.ascontiguousarray(evalset.target.y)
    found = ask(model, "layers", told, {"X": rows, "y": y}, read=partial(_believed, len(at)))
    return replace(found, model=name)


def _believed(n: int, frame: Frame) -> NetworkSummary:
    found = read_summary(frame)
    if found.n_rows != n:
        raise FrameError("The network was measured on other rows than asked.")
    return found
