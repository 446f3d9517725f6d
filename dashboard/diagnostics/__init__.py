"""The catalogue of diagnostics: what each answers, where it applies, what it needs.

Nothing is loaded by looking something up here; `Diagnostic.load()` imports the function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..contracts import Task

__all__ = ["DIAGNOSTICS", "Diagnostic", "Parameter", "applicable"]

CLASSIFICATION = frozenset({Task.BINARY, Task.MULTICLASS, Task.MULTILABEL})
REGRESSION = frozenset({Task.REGRESSION, Task.MULTIOUTPUT_REGRESSION})


@dataclass(frozen=True)
class Parameter:
    """A setting of a diagnostic: bounds (both allowed), default, one plain sentence."""

    name: str
    low: float
    high: float
    default: float
    sentence: str


@dataclass(frozen=True)
class Diagnostic:
    """One kind of result.

    Attributes
    ----------
    function : module and function below `dashboard.diagnostics`, "curves.compute_roc".
    needs_model : predictions alone are not enough.
    slow : more than a moment; to be run on request.
    needs_scores : labels alone are not enough.
    """

    name: str
    title: str
    question: str
    function: str
    tasks: frozenset[Task]
    needs_model: bool = False
    slow: bool = False
    parameters: tuple[Parameter, ...] = ()
    needs_scores: bool = False

    def load(self) -> Callable[..., Any]:
        """The `compute_*` function itself."""
        module, _, name = self.function.rpartition(".")
        function: Callable[..., Any] = getattr(import_module(f".{module}", __name__), name)
        return function


LEVEL = Parameter("level", 0.5, 0.999, 0.95, "Share of intervals that hold the true value.")
BINS = Parameter("n_bins", 2, 200, 40, "Number of bars.")

_ALL = (
    Diagnostic(
        "metrics",
        "Scores",
        "How good is each model, and is it better than guessing?",
        "metrics.compute_metrics",
        CLASSIFICATION | REGRESSION,
        parameters=(
            LEVEL,
            Parameter("n_bootstrap", 100, 10_000, 1_000, "Resamples behind an interval."),
            Parameter("random_state", 0, 2**31 - 1, 0, "Seed of the resamples."),
        ),
    ),
    Diagnostic(
        "baseline",
        "Baseline",
        "What does anyone reach without looking at a feature?",
        "baseline.compute_baseline",
        CLASSIFICATION | REGRESSION,
    ),
    Diagnostic(
        "confusion",
        "Confusion matrix",
        "Which classes are taken for which?",
        "confusion.compute_confusion",
        CLASSIFICATION,
    ),
    Diagnostic(
        "thresholds",
        "Thresholds",
        "What happens to right and wrong answers as the threshold moves?",
        "thresholds.compute_thresholds",
        CLASSIFICATION,
        needs_scores=True,
    ),
    Diagnostic(
        "roc",
        "ROC curve",
        "How many negatives are flagged for each positive found?",
        "curves.compute_roc",
        CLASSIFICATION,
        parameters=(LEVEL,),
        needs_scores=True,
    ),
    Diagnostic(
        "precision_recall",
        "Precision and recall",
        "How clean are the flagged rows as more positives are found?",
        "curves.compute_precision_recall",
        CLASSIFICATION,
        parameters=(LEVEL,),
        needs_scores=True,
    ),
    Diagnostic(
        "gain",
        "Gain and lift",
        "How many positives are found when only the highest scores are followed up?",
        "curves.compute_gain",
        CLASSIFICATION,
        needs_scores=True,
    ),
    Diagnostic(
        "cost",
        "Cost",
        "Which threshold costs least when the two errors do not weigh the same?",
        "curves.compute_cost",
        CLASSIFICATION,
        parameters=(
            Parameter("cost_fp", 0, 1e9, 1, "Cost of flagging a negative row."),
            Parameter("cost_fn", 0, 1e9, 1, "Cost of missing a positive row."),
        ),
        needs_scores=True,
    ),
    Diagnostic(
        "score_distribution",
        "Scores by class",
        "How well do the scores keep the classes apart?",
        "curves.compute_score_distribution",
        CLASSIFICATION,
        parameters=(BINS,),
        needs_scores=True,
    ),
    Diagnostic(
        "calibration",
        "Calibration",
        "When the model says 70 %, does it happen in 70 of 100 rows?",
        "curves.compute_calibration",
        CLASSIFICATION,
        parameters=(Parameter("n_bins", 2, 100, 10, "Number of groups of similar scores."), LEVEL),
        needs_scores=True,
    ),
    Diagnostic(
        "fit",
        "Predicted and actual values",
        "Where are predictions too high or too low, and by how much?",
        "regression.compute_fit",
        REGRESSION,
    ),
)

DIAGNOSTICS: dict[str, Diagnostic] = {one.name: one for one in _ALL}


def applicable(task: Task, has_model: bool = True, has_scores: bool = True) -> list[Diagnostic]:
    """The diagnostics for this task that can run with what is there."""
    return [
        one
        for one in DIAGNOSTICS.values()
        if task in one.tasks
        and (has_model or not one.needs_model)
        and (has_scores or not one.needs_scores)
    ]
