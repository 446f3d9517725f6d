"""What a person has chosen on the page about learning: kept in the link and the workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from components.checking import Wrong, read_text
from components.chosen import Chosen, between, one_of, yes_or_no

__all__ = ["DRAWN", "KINDS", "TABS", "TITLES", "Studied"]

TITLES = {
    "epochs": "By epoch",
    "inside": "Inside the network",
    "sizes": "By training size",
    "parameters": "By parameter",
    "folds": "Across folds",
}
TABS = tuple(TITLES)
DRAWN = ("overlay", "grid", "groups", "gap")
KINDS = ("auto", "stratified", "k-fold", "group", "time")
MOST_PATIENCE, MOST_FOLDS, MOST_REPEATS, MOST_SIZES, MOST_EPOCHS = 10_000, 20, 20, 20, 1_000
MOST_BATCH, MOST_STOP = 100_000, 1_000


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise Wrong
    return float(value)


@dataclass(frozen=True)
class Studied(Chosen):
    """Each with its default.

    Attributes
    ----------
    tab : the open one; "" = the first that has something to show.
    at : the place that is marked on a chart, as JSON; see `components.pointing`.
    left : names of runs that are left out, one a line.
    names : what names in the logs mean, as JSON; see `components.log_names`.
    metric, drawn, smoothing, patience, half, log_x, log_y, robust, rate : curves by epoch.
    layer, kind : what is looked at inside the network.
    scored : the metric of everything that is fitted again; "" = the usual one of the task.
    wanted : scores that are to be reached, as JSON from metric to what was written.
    folds, splits, repeats : how rows are divided.
    sizes : how many training sizes; typed : the sizes themselves, as a person wrote them.
    epochs, batch, stop : of networks: 0 = left out, as Keras has it, never early.
    grown, varied, crossed : whether curves by size, by parameter and cross-validation were asked.
    project : whether curves by size are continued.
    parameter, values, of : the parameter that is varied, what is tried, and of which model.
    search : the file of search results that is looked at; scores : which way their scores are
        better, as JSON from file to true (larger) or false.
    """

    PREFIX: ClassVar[str] = "learn_"

    tab: str = ""
    at: str = ""
    left: str = ""
    names: str = ""
    metric: str = "loss"
    drawn: str = "overlay"
    smoothing: float = 0.0
    patience: int = 10
    half: bool = True
    log_x: bool = False
    log_y: bool = False
    robust: bool = False
    rate: bool = False
    layer: str = ""
    kind: str = ""
    scored: str = ""
    wanted: str = ""
    folds: str = "auto"
    splits: int = 5
    repeats: int = 1
    sizes: int = 6
    typed: str = ""
    epochs: int = 0
    batch: int = 0
    stop: int = 0
    grown: bool = False
    varied: bool = False
    crossed: bool = False
    project: bool = True
    parameter: str = ""
    values: str = ""
    of: str = ""
    search: str = ""
    scores: str = ""

    READERS: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "tab": one_of("", *TABS),
        "at": read_text,
        "left": read_text,
        "names": read_text,
        "metric": read_text,
        "drawn": one_of(*DRAWN),
        "smoothing": _share,
        "patience": between(1, MOST_PATIENCE),
        "half": yes_or_no,
        "log_x": yes_or_no,
        "log_y": yes_or_no,
        "robust": yes_or_no,
        "rate": yes_or_no,
        "layer": read_text,
        "kind": read_text,
        "scored": read_text,
        "wanted": read_text,
        "folds": one_of(*KINDS),
        "splits": between(2, MOST_FOLDS),
        "repeats": between(1, MOST_REPEATS),
        "sizes": between(2, MOST_SIZES),
        "typed": read_text,
        "epochs": between(0, MOST_EPOCHS),
        "batch": between(0, MOST_BATCH),
        "stop": between(0, MOST_STOP),
        "grown": yes_or_no,
        "varied": yes_or_no,
        "crossed": yes_or_no,
        "project": yes_or_no,
        "parameter": read_text,
        "values": read_text,
        "of": read_text,
        "search": read_text,
        "scores": read_text,
    }
