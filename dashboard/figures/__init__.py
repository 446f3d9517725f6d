"""`plot_*(result) -> go.Figure`: one theme, one style per model; computes nothing, sees no model.

`figure.layout.meta` of every figure carries `alt` (for screen readers), `caption` (what to see
in it, computed) and `name` (a file stem). Names given by people are plain text everywhere.
"""

from __future__ import annotations

from .attributions import plot_by_class, plot_cohorts, plot_interactions
from .beeswarm import plot_beeswarm
from .clusters import plot_clusters
from .curves import (
    plot_calibration,
    plot_cost,
    plot_gain,
    plot_lift,
    plot_precision_recall,
    plot_roc,
)
from .dependence import plot_dependence
from .effects import plot_effects
from .export import figure_config, figure_html, file_stem
from .importance_agreement import plot_agreement, plot_importance_gap, plot_rank_flow
from .importances import plot_importances
from .matrices import plot_confusion, plot_confusion_difference
from .metrics import plot_metrics
from .panels import Clicked, clicked
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
from .surrogates import plot_surrogates
from .theme import ModelStyle, baseline_style, style_of, template
from .two_way_effects import plot_two_way, two_way_limits
from .waterfalls import plot_decision_paths, plot_waterfalls

__all__ = [
    "Clicked",
    "ModelStyle",
    "baseline_style",
    "clicked",
    "common_limits",
    "figure_config",
    "figure_html",
    "file_stem",
    "plot_agreement",
    "plot_beeswarm",
    "plot_by_class",
    "plot_calibration",
    "plot_clusters",
    "plot_cohorts",
    "plot_confusion",
    "plot_confusion_difference",
    "plot_cost",
    "plot_decision_paths",
    "plot_dependence",
    "plot_effects",
    "plot_gain",
    "plot_importance_gap",
    "plot_importances",
    "plot_interactions",
    "plot_lift",
    "plot_metric_by_threshold",
    "plot_metrics",
    "plot_precision_recall",
    "plot_predicted_actual",
    "plot_rank_flow",
    "plot_residual_histogram",
    "plot_residuals",
    "plot_roc",
    "plot_score_distribution",
    "plot_surrogates",
    "plot_two_way",
    "plot_waterfalls",
    "residual_limits",
    "score_ranges",
    "style_of",
    "template",
    "two_way_limits",
]
