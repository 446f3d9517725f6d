"""`plot_*(result) -> go.Figure`: one theme, one style per model; computes nothing, sees no model.

`figure.layout.meta` of every figure carries `alt` (for screen readers), `caption` (what to see
in it, computed) and `name` (a file stem). Names given by people are plain text everywhere.
"""

from __future__ import annotations

from .curves import (
    plot_calibration,
    plot_cost,
    plot_gain,
    plot_lift,
    plot_precision_recall,
    plot_roc,
)
from .export import figure_config, figure_html, file_stem
from .matrices import plot_confusion, plot_confusion_difference
from .metrics import plot_metrics
from .regression import (
    common_limits,
    plot_predicted_actual,
    plot_residual_histogram,
    plot_residuals,
    residual_limits,
)
from .scores import (
    plot_metric_by_threshold,
    plot_score_distribution,
    score_ranges,
)
from .theme import ModelStyle, baseline_style, style_of, template

__all__ = [
    "ModelStyle",
    "baseline_style",
    "common_limits",
    "figure_config",
    "figure_html",
    "file_stem",
    "plot_calibration",
    "plot_confusion",
    "plot_confusion_difference",
    "plot_cost",
    "plot_gain",
    "plot_lift",
    "plot_metric_by_threshold",
    "plot_metrics",
    "plot_precision_recall",
    "plot_predicted_actual",
    "plot_residual_histogram",
    "plot_residuals",
    "plot_roc",
    "plot_score_distribution",
    "residual_limits",
    "score_ranges",
    "style_of",
    "template",
]
