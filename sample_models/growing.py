"""The network 64-16-10 on the digits: a model to fit again, and its scores at five sizes.

Mosconi, Zero to Deep Learning: more data or a better model? The book's sizes are shares of 70 % of
the digits, and its scores on other rows .857, .932, .952, .963 and .965.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, learning_curve
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler

from .writing import write_csv

__all__ = ["NAME", "SIZES", "TABLE", "fit_network", "write_sizes"]

NAME = "Network 64-16-10"
TABLE = "network_by_size.csv"
SIZES = (125, 409, 691, 974, 1255)
_FOLDS = 5


def make_network() -> Pipeline:
    """Sixteen hidden units, trained for sixty rounds and then stopped."""
    return make_pipeline(
        MinMaxScaler(),
        MLPClassifier(
            (16,), alpha=0.0, batch_size=32, learning_rate_init=0.01, max_iter=60, random_state=0
        ),
    )


def fit_network(X: np.ndarray, y: np.ndarray) -> Pipeline:
    """`X` `(n, 64)` pixels from 0 to 16."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many rounds as are wanted
        return make_network().fit(X, y)


def write_sizes(folder: Path, X: np.ndarray, y: np.ndarray) -> None:
    """Accuracy by scikit-learn's own `learning_curve` on all digits; a row for each fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        sizes, train, held = learning_curve(
            make_network(),
            X,
            y,
            train_sizes=list(SIZES),
            cv=StratifiedKFold(_FOLDS, shuffle=True, random_state=0),
            shuffle=True,
            random_state=0,
        )
    table = pd.DataFrame(
        {
            "model": NAME,
            "train_size": np.repeat(sizes, _FOLDS),
            "fold": np.tile(np.arange(_FOLDS), len(sizes)),
            "train_accuracy": train.ravel(),
            "validation_accuracy": held.ravel(),
        }
    )
    write_csv(folder / TABLE, table)
