"""Models fitted anew: curves by training size and by parameter, and cross-validation."""

from __future__ import annotations

from .cross_validation import (
    CrossValidation,
    FoldOptions,
    OutOfFold,
    cross_validation_in_stages,
)
from .estimating import Estimate, estimate_fits, estimate_size_curve
from .folding import Fold, Folds, choose_folds
from .inner import curves_of_model
from .lanes import Fit, FitOptions, Refit, Request, fits_in_lanes, refit_of
from .parameters import (
    ParameterOptions,
    parameter_curve_in_stages,
    suggested_values,
    tunable_parameters,
)
from .sizes import SizeCurves, SizeOptions, learning, size_curve_in_stages

__all__ = [
    "CrossValidation",
    "Estimate",
    "Fit",
    "FitOptions",
    "Fold",
    "FoldOptions",
    "Folds",
    "OutOfFold",
    "ParameterOptions",
    "Refit",
    "Request",
    "SizeCurves",
    "SizeOptions",
    "choose_folds",
    "cross_validation_in_stages",
    "curves_of_model",
    "estimate_fits",
    "estimate_size_curve",
    "fits_in_lanes",
    "learning",
    "parameter_curve_in_stages",
    "refit_of",
    "size_curve_in_stages",
    "suggested_values",
    "tunable_parameters",
]
