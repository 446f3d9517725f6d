"""Groups of columns that vary together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_breast_cancer

from dashboard.diagnostics.feature_groups import compute_feature_groups
from dashboard.errors import NotApplicable, ParameterError


def test_every_pair_of_a_group_is_close() -> None:
    X = load_breast_cancer(as_frame=True).data
    found = compute_feature_groups(X, 0.9)
    size = next(names for names in found.groups.values() if "mean radius" in names)
    assert {"mean radius", "mean perimeter", "mean area"} <= set(size)
    for names in found.groups.values():
        for a in names:
            for b in names:
                assert abs(spearmanr(X[a], X[b]).statistic) >= 0.9 - 1e-9
    table = found.frame()
    assert table["feature"].is_unique and len(table) == sum(map(len, found.groups.values()))


def test_opposite_bent_constant_and_text_columns() -> None:
    x = np.random.default_rng(0).normal(size=200)
    X = pd.DataFrame({"x": x, "t": "a", "bent": np.exp(x), "down": -x, "one": 1.0, "none": np.nan})
    found = compute_feature_groups(X)
    assert dict(found.groups) == {"x + 2": ("x", "bent", "down")}
    assert not compute_feature_groups(X[["x"]]).groups
    assert not compute_feature_groups(X[["t"]]).groups
    assert (compute_feature_groups(X, max_rows=50).n, found.n_given) == (50, 200)
    with pytest.raises(NotApplicable, match="tables"):
        compute_feature_groups(np.zeros((3, 3)))
    with pytest.raises(ParameterError, match="threshold"):
        compute_feature_groups(X, 0)
