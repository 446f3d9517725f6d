"""A loaded network looked into: its layers on the evaluation rows, headless and for the app."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..contracts import Model, NetworkSummary
from ..data import EvalSet
from ..evaluation import rows_for
from ..explainers.asking import ask
from ..explainers.ordering import stratified_order
from ..explainers.permutation import truth
from ..frames import Frame, FrameError
from ..refitting.network_summaries import read_summary

__all__ = ["network_summary"]

MOST_ROWS = 1_000


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
