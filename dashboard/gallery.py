"""The exhibits: which figures answer a question, computed how and drawn how, for any set of models.

One list serves the app (which passes a cached `compute`) and the reports (which compute afresh).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import figures
from .contracts import Predictions, Result, ScoreKind, Task
from .diagnostics import DIAGNOSTICS
from .diagnostics.confusion import ConfusionMatrix
from .diagnostics.metrics import MetricTable
from .diagnostics.thresholds import Counts
from .errors import NotApplicable
from .settings import get_settings
from .wording import (
    headline_binary,
    headline_multiclass,
    headline_regression,
    other_threshold,
    shorten,
)

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .figures.theme import ModelStyle

__all__ = [
    "EXHIBITS",
    "Cells",
    "Drawing",
    "Exhibit",
    "View",
    "compute_now",
    "exhibits",
    "headline",
    "per_row",
]

Shares = Literal["none", "true", "pred", "all", "errors"]
Cells = Literal["true", "pred", "all", "none", "errors", "difference"]
Compute = Callable[..., Any]
_ON_ONE_SCALE = (ScoreKind.PROBABILITY, ScoreKind.INDEPENDENT)


@dataclass(frozen=True)
class View:
    """What the person looks at: the class in focus, the operating points, how cells are shown.

    Attributes
    ----------
    styles : model name → colour, dash and marker.
    label : class or label in focus; None for binary and regression.
    operating : model name → outcomes at its threshold, for the class in focus.
    rule : how the thresholds were placed, see `diagnostics.operating.RULES`.
    normalise : one of `ConfusionMatrix.shares`, or the difference to the reference.
    reference : the model that differences are taken against.
    against_rest : multiclass: show the class in focus against the rest, not all classes.
    cost_fp, cost_fn : price of a false alarm and of a miss, in any one unit.
    """

    styles: Mapping[str, ModelStyle]
    label: int | None = None
    operating: Mapping[str, Counts] = field(default_factory=dict)
    rule: str = "score"
    normalise: Cells = "true"
    against_rest: bool = False
    cost_fp: float = 1.0
    cost_fn: float = 5.0
    output: int | None = None
    reference: str | None = None
    theme: Literal["light", "dark"] = "light"

    def threshold(self, model: str) -> float | None:
        counts = self.operating.get(model)
        return None if counts is None else counts.threshold


@dataclass(frozen=True)
class Drawing:
    """One figure, the model it is of ("" = all of them), and the exact results behind it."""

    model: str
    figure: go.Figure
    results: Mapping[str, Result]
    kept: tuple[int, ...] = ()

    def cell(self, clicked: tuple[int, int]) -> tuple[int, int]:
        """The classes of a clicked matrix cell, where only the most confused ones are drawn."""
        return (self.kept[clicked[0]], self.kept[clicked[1]]) if self.kept else clicked


@dataclass(frozen=True)
class Exhibit:
    """A question with its figures. `per_row` is how many stand side by side at 1280 px.

    `folded` ones stand behind a tab and are drawn when it is opened.
    """

    name: str
    title: str
    question: str
    tasks: frozenset[Task]
    per_row: int
    needs_scores: bool
    draw: Callable[[Sequence[Predictions], View, Compute], list[Drawing]]
    folded: bool = False


def compute_now(name: str, predictions: Predictions, **parameters: Any) -> Any:
    """One diagnostic of the catalogue, computed without a cache."""
    return DIAGNOSTICS[name].load()(predictions, **parameters)


def _scored(models: Sequence[Predictions]) -> list[Predictions]:
    return [each for each in models if each.y_score is not None]


def _matrix(each: Predictions, view: View, compute: Compute) -> ConfusionMatrix:
    whole = each.task is Task.MULTICLASS and not view.against_rest
    label = None if whole or each.task is Task.BINARY else view.label
    threshold = None if whole else view.threshold(each.name)
    matrix: ConfusionMatrix = compute("confusion", each, threshold=threshold, label=label)
    return matrix


def _confusion(models: Sequence[Predictions], view: View, compute: Compute) -> list[Drawing]:
    matrices = {each.name: _matrix(each, view, compute) for each in models}
    limit = get_settings().matrix_classes
    everyone = list(matrices.values())
    drawn = {name: one.most_confused(limit, everyone) for name, one in matrices.items()}
    reference = drawn.get(view.reference or "")
    if view.normalise == "difference" and reference is not None:
        figure_of = partial(figures.plot_confusion_difference, reference=reference, zmax=None)
        others = {name: matrix for name, matrix in drawn.items() if matrix is not reference}
        drawn = {name: one for name, one in others.items() if one.labels == reference.labels}
        if not drawn:
            raise NotApplicable(f"{view.reference} is the only model shown; show another one.")
    else:
        shown: Shares = "true" if view.normalise == "difference" else view.normalise
        # one colour scale for all models, or equal colours would not mean equal values
        top = max((float(one.shares(shown).max(initial=0)) for one in drawn.values()), default=0.0)
        zmax = None if shown in ("true", "pred") else top or None
        figure_of = partial(figures.plot_confusion, normalise=shown, zmax=zmax)
    return [
        Drawing(
            name,
            figure_of(matrix, style=view.styles.get(name), theme=view.theme),
            {name: matrices[name]},
            matrix.kept,
        )
        for name, matrix in drawn.items()
    ]


def _curves(models: Sequence[Predictions], view: View, compute: Compute) -> list[Drawing]:
    drawings = []
    plots: tuple[tuple[str, Any], ...] = (
        ("roc", figures.plot_roc),
        ("precision_recall", figures.plot_precision_recall),
    )
    for name, plot in plots:
        found = {
            each.name: replace(
                compute(name, each, label=view.label), operating=view.operating.get(each.name)
            )
            for each in _scored(models)
        }
        drawings.append(
            Drawing("", plot(list(found.values()), view.styles, theme=view.theme), found)
        )
    return drawings


def _scores(models: Sequence[Predictions], view: View, compute: Compute) -> list[Drawing]:
    found = {
        each.name: replace(
            compute("score_distribution", each, label=view.label),
            threshold=view.threshold(each.name),
        )
        for each in _scored(models)
    }
    # Probabilities share one axis; decision values keep their own.
    alike = all(each.score_kind in _ON_ONE_SCALE for each in _scored(models))
    x_range, y_range = figures.score_ranges(list(found.values()))
    return [
        Drawing(
            name,
            figures.plot_score_distribution(
                result,
                style=view.styles.get(name),
                theme=view.theme,
                x_range=x_range if alike else None,
                y_range=y_range,
            ),
            {name: result},
        )
        for name, result in found.items()
    ]


def _at_thresholds(models: Sequence[Predictions], view: View, compute: Compute) -> list[Drawing]:
    tables = {each.name: compute("thresholds", each, label=view.label) for each in _scored(models)}
    marks = {name: counts.threshold for name, counts in view.operating.items() if name in tables}
    figure = figures.plot_metric_by_threshold(
        tables, view.styles, thresholds=marks, theme=view.theme
    )
    return [Drawing("", figure, tables)]


def _calibration(models: Sequence[Predictions], view: View, compute: Compute) -> list[Drawing]:
    able = [each for each in _scored(models) if each.score_kind in _ON_ONE_SCALE]
    if not able:
        raise NotApplicable("None of the shown models gives probabilities.")
    found = {each.name: compute("calibration", each, label=view.label) for each in able}
    figure = figures.plot_calibration(list(found.values()), view.styles, theme=view.theme)
    return [Drawing("", figure, found)]


def _consequences(models: Sequence[Predictions], view: View, compute: Compute) -> list[Drawing]:
    scored = _scored(models)
    gain = {
        each.name: replace(
            compute("gain", each, label=view.label), operating=view.operating.get(each.name)
        )
        for each in scored
    }
    prices = {"cost_fp": view.cost_fp, "cost_fn": view.cost_fn}
    cost = {each.name: compute("cost", each, label=view.label, **prices) for each in scored}
    return [
        Drawing("", figures.plot_gain(list(gain.values()), view.styles, theme=view.theme), gain),
        Drawing("", figures.plot_lift(list(gain.values()), view.styles, theme=view.theme), gain),
        Drawing("", figures.plot_cost(list(cost.values()), view.styles, theme=view.theme), cost),
    ]


def _fits(models: Sequence[Predictions], view: View, compute: Compute) -> dict[str, Any]:
    return {each.name: compute("fit", each, output=view.output) for each in models}


def _predicted(models: Sequence[Predictions], view: View, compute: Compute) -> list[Drawing]:
    fits = _fits(models, view, compute)
    limits = figures.common_limits(list(fits.values()))
    return [
        Drawing(
            name,
            figures.plot_predicted_actual(
                fit, style=view.styles.get(name), theme=view.theme, limits=limits
            ),
            {name: fit},
        )
        for name, fit in fits.items()
    ]


def _residuals(models: Sequence[Predictions], view: View, compute: Compute) -> list[Drawing]:
    fits = _fits(models, view, compute)
    x_range = figures.common_limits(list(fits.values()))
    y_range = figures.residual_limits(list(fits.values()))
    return [
        Drawing(
            name,
            figures.plot_residuals(
                fit,
                style=view.styles.get(name),
                theme=view.theme,
                x_range=x_range,
                y_range=y_range,
            ),
            {name: fit},
        )
        for name, fit in fits.items()
    ]


def _residual_histogram(
    models: Sequence[Predictions], view: View, compute: Compute
) -> list[Drawing]:
    fits = _fits(models, view, compute)
    figure = figures.plot_residual_histogram(list(fits.values()), view.styles, theme=view.theme)
    return [Drawing("", figure, fits)]


_CLASSES = frozenset({Task.BINARY, Task.MULTICLASS, Task.MULTILABEL})
_VALUES = frozenset({Task.REGRESSION, Task.MULTIOUTPUT_REGRESSION})

EXHIBITS: dict[str, Exhibit] = {
    each.name: each
    for each in (
        Exhibit(
            "confusion",
            "Confusion matrices",
            "Which classes does each model confuse?",
            _CLASSES,
            4,
            False,
            _confusion,
        ),
        Exhibit(
            "curves",
            "ROC and precision–recall",
            "Which model ranks best, and what does each threshold cost?",
            _CLASSES,
            2,
            True,
            _curves,
        ),
        Exhibit(
            "score_distribution",
            "Scores by class",
            "Are the classes told apart, and is the threshold in the gap?",
            _CLASSES,
            4,
            True,
            _scores,
            folded=True,
        ),
        Exhibit(
            "at_thresholds",
            "Every threshold",
            "What would another threshold bring?",
            _CLASSES,
            1,
            True,
            _at_thresholds,
            folded=True,
        ),
        Exhibit(
            "consequences",
            "Consequences",
            "How many must be followed up, and which threshold is cheapest?",
            _CLASSES,
            2,
            True,
            _consequences,
            folded=True,
        ),
        Exhibit(
            "calibration",
            "Calibration",
            "When a model says 70 %, does it happen in 70 of 100 rows?",
            _CLASSES,
            2,
            True,
            _calibration,
            folded=True,
        ),
        Exhibit(
            "predicted_actual",
            "Predicted against actual",
            "Where is each model off?",
            _VALUES,
            4,
            False,
            _predicted,
        ),
        Exhibit(
            "residuals",
            "Residuals",
            "Does the error depend on what is predicted?",
            _VALUES,
            4,
            False,
            _residuals,
            folded=True,
        ),
        Exhibit(
            "residual_histogram",
            "Spread of the errors",
            "How large are the errors, and do they lean to one side?",
            _VALUES,
            2,
            False,
            _residual_histogram,
            folded=True,
        ),
    )
}


def per_row(exhibit: Exhibit, drawings: Sequence[Drawing]) -> int:
    """How many figures stand side by side: fewer where matrices have many classes."""
    columns = exhibit.per_row
    sizes = [
        len(one.labels)
        for drawing in drawings
        for one in drawing.results.values()
        if isinstance(one, ConfusionMatrix)
    ]
    if sizes:
        columns = 4 if max(sizes) <= 4 else 3 if max(sizes) <= 10 else 2
    return max(min(columns, len(drawings)), min(columns, 2))


def exhibits(task: Task, models: Sequence[Predictions]) -> list[Exhibit]:
    """The exhibits that apply to a task and to what these models give."""
    scored = bool(_scored(models))
    return [
        each
        for each in EXHIBITS.values()
        if task in each.tasks and (scored or not each.needs_scores)
    ]


def hardest_class(models: Sequence[Predictions], compute: Compute = compute_now) -> int:
    """The class with the lowest recall over all models by their own answers; 0 without classes."""
    worst = [
        compute("confusion", each).shares("true").diagonal()
        for each in models
        if each.task is Task.MULTICLASS
    ]
    if not worst:
        return 0
    present = np.bincount(models[0].target.y, minlength=len(worst[0])) > 0
    return int(np.argmin(np.where(present, np.mean(worst, axis=0), np.inf)))


def headline(
    everyone: Sequence[Predictions],
    table: MetricTable,
    operating: Mapping[str, Counts],
    compute: Compute = compute_now,
    rule: str = "score",
) -> str:
    """Computed from the numbers: who is best, what it misses, who beats nothing, what to do.

    `everyone` starts with the baseline; `rule` placed the thresholds, and only thresholds that
    nobody chose on purpose ("score") are blamed.
    """
    baseline, *models = everyone
    target = baseline.target
    if target.task is Task.BINARY and target.pos_label is not None:
        said = _binary_headline(baseline, models, table, operating)
        if rule == "score":
            said = f"{said} {_remedy(models, table, operating, compute)}".strip()
        return said
    if not target.task.is_classification:
        last = "last value" in baseline.name
        answer = "repeating the last value" if last else "always answering the mean"
        return headline_regression(table, baseline=baseline.name, answer=answer)
    if target.task is Task.MULTILABEL:
        return headline_multiclass(
            table,
            {},
            metric="f1_micro",
            title="micro F1",
            baseline=baseline.name,
            answer="each label's majority",
            phrase="finds the labels best",
        )
    matrices = {each.name: compute("confusion", each) for each in models}
    return headline_multiclass(table, matrices, baseline=baseline.name)


def _binary_headline(
    baseline: Predictions,
    models: Sequence[Predictions],
    table: MetricTable,
    operating: Mapping[str, Counts],
) -> str:
    target = baseline.target
    majority = baseline.y_pred[0] if baseline.y_pred is not None else 0
    return headline_binary(
        table,
        operating,
        baseline=baseline.name,
        answer=f"“{shorten(str(target.labels[int(majority)]))}”",
        positive=f"rows that are “{shorten(str(target.labels[target.pos_label or 0]))}”",
    )


def _remedy(
    models: Sequence[Predictions],
    table: MetricTable,
    operating: Mapping[str, Counts],
    compute: Compute,
) -> str:
    """What another threshold would bring to the model that ranks best, or ""."""
    ranked = {
        each.name: compute("thresholds", each)
        for each in models
        if each.name in operating and not math.isnan(table.value(each.name, "roc_auc"))
    }
    if not ranked:
        return ""
    name = max(ranked, key=lambda one: table.value(one, "roc_auc"))
    best = ranked[name].at(ranked[name].best("f1"))
    return other_threshold(operating[name], best, name)
