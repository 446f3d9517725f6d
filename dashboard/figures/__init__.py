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
from .drawn import meta_of
from .effects import plot_effects
from .epoch_curves import plot_epoch_curves
from .epoch_groups import plot_epoch_groups, plot_gap
from .export import figure_config, figure_html, file_stem
from .folds import plot_fold_differences, plot_fold_scores
from .importance_agreement import plot_agreement, plot_rank_flow
from .importance_gaps import plot_importance_gap
from .importances import plot_importances
from .layers import plot_layer_heatmap, plot_layer_norms, plot_layers, plot_ridges
from .matrices import plot_confusion, plot_confusion_difference
from .metrics import plot_metrics
from .neighbours import plot_neighbours
from .panels import Clicked, clicked
from .parameter_curves import plot_parameter_curves
from .place_marks import mark_place
from .rate_search import plot_rate_search, plot_schedule
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
from .search_lines import plot_search_lines
from .search_maps import plot_search_map
from .search_rounds import plot_search_rounds
from .searches import plot_search_parameter, plot_search_times, plot_search_training
from .size_curves import plot_fit_times, plot_size_curves
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
    "mark_place",
    "meta_of",
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
    "plot_epoch_curves",
    "plot_epoch_groups",
    "plot_fit_times",
    "plot_fold_differences",
    "plot_fold_scores",
    "plot_gain",
    "plot_gap",
    "plot_importance_gap",
    "plot_importances",
    "plot_interactions",
    "plot_layer_heatmap",
    "plot_layer_norms",
    "plot_layers",
    "plot_lift",
    "plot_metric_by_threshold",
    "plot_metrics",
    "plot_neighbours",
    "plot_parameter_curves",
    "plot_precision_recall",
    "plot_predicted_actual",
    "plot_rank_flow",
    "plot_rate_search",
    "plot_residual_histogram",
    "plot_residuals",
    "plot_ridges",
    "plot_roc",
    "plot_schedule",
    "plot_score_distribution",
    "plot_search_lines",
    "plot_search_map",
    "plot_search_parameter",
    "plot_search_rounds",
    "plot_search_times",
    "plot_search_training",
    "plot_size_curves",
    "plot_surrogates",
    "plot_two_way",
    "plot_waterfalls",
    "residual_limits",
    "score_ranges",
    "style_of",
    "template",
    "two_way_limits",
]
