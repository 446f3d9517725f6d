"""Tree SHAP by shap's own code, on trees that we read: for few rows.

shap is given the trees in its neutral form, with values rounded as the model rounds them, and the
whole background: left to itself it reads some models wrongly and cuts the background to 100 rows.
Its interventional code holds thresholds in single precision, so that a row between a threshold and
its rounding goes the wrong way; it is given the places of values among the thresholds instead.
Its way from log-odds to probabilities is not offered: it rescales, and is no Shapley value.
(Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9.)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..contracts import OutputSpace, Work
from ..errors import NotApplicable
from .forest_reading import forest_of
from .forests import UNITS, Forest, Tree
from .subjects import EngineResult, Game, Subject

__all__ = ["MERGED", "ShapTrees", "explainer_of", "in_parts"]

FloatArray = npt.NDArray[np.floating[Any]]

MERGED = (
    "It gives the columns that a feature is made into values of their own, and their sum is not "
    "the value of the feature."
)
IMPORT_SECONDS = 4.0
# What its interventional code counts in 16 bits, and what binomial coefficients overflow beyond.
MOST_NODES, MOST_FEATURES = 32_767, 30
PART_SECONDS = 0.2  # shap holds the interpreter while it computes


class ShapTrees:
    """shap's compiled Tree SHAP in one of the two games."""

    exact = True
    level: Literal["raw", "prepared"] = "prepared"

    def __init__(self, key: str, method: str, game: Game) -> None:
        self.key, self.method, self.game = key, method, game

    def refuses(self, subject: Subject, space: OutputSpace) -> str:
        """Why not: no readable trees, splits by category, another unit, incomplete counts."""
        try:
            forest = forest_of(subject)
        except NotApplicable as reason:
            return str(reason)
        if forest.has_choices:
            return "shap computes splits by category wrongly."
        if forest.is_merged:
            return MERGED
        if not forest.in_space(space):
            return f"The trees add up to {UNITS[forest.unit]}, not to the {space.value}."
        if self.game == "path-dependent" and not forest.counted:
            return "The trees hold no counts of the training rows for some of their nodes."
        return _too_large(forest) if self.game == "interventional" else ""

    def seconds(self, subject: Subject, n_rows: int, n_background: int) -> float:
        """From the number of leaves and the features on their paths."""
        forest = forest_of(subject)
        d, leaves = forest.mean_features, forest.n_leaves * forest.n_outputs
        first = 0.02 if "shap" in sys.modules else IMPORT_SECONDS
        if self.game == "path-dependent":
            return first + n_rows * leaves * d * d * 5e-9
        return float(first + n_rows * n_background * leaves**0.5 * d * 5e-8)

    def explain(
        self,
        subject: Subject,
        rows: Any,
        background: Any,
        space: OutputSpace,
        work: Work,
        options: Mapping[str, Any],
    ) -> EngineResult:
        """Exact values `(n, m, n_outputs)`; `background` is not used by the path-dependent game."""
        forest = forest_of(subject)
        matrix = forest.matrix(rows)
        others = None if self.game == "path-dependent" else forest.matrix(background)
        explainer = explainer_of(forest, others)
        if others is not None:
            matrix = _places(matrix, forest.thresholds)
        mean = forest.expectation if others is None else explainer.expected_value
        values = np.empty((len(matrix), forest.n_columns, forest.n_outputs))
        for part in in_parts(len(matrix), work):
            found = explainer.shap_values(matrix[part], check_additivity=False)
            values[part] = np.asarray(found).reshape(values[part].shape)
        return EngineResult(
            forest.spread(values), np.atleast_1d(np.asarray(mean, dtype=np.float64))
        )


def _too_large(forest: Forest) -> str:
    if max(len(tree.left) for tree in forest.trees) > MOST_NODES:
        return f"shap counts wrongly in trees of more than {MOST_NODES:,} nodes."
    if forest.widest > MOST_FEATURES:
        return f"shap counts wrongly on paths with more than {MOST_FEATURES} different features."
    return ""


def _places(matrix: FloatArray, thresholds: Sequence[FloatArray]) -> FloatArray:
    """How many thresholds of its column lie below each value; missing values stay missing.

    A value is at most the threshold of place i exactly where its own place is at most i, and
    places are whole numbers, which single precision holds.
    """
    found = np.empty(matrix.shape)
    for at, known in enumerate(thresholds):
        found[:, at] = np.searchsorted(known, matrix[:, at], side="left")
    found[np.isnan(matrix)] = np.nan
    return found


def in_parts(n: int, work: Work, sentence: str = "Rows") -> Any:
    """Slices of rows, as many as take a fifth of a second; tells progress, stops when asked to."""
    start, size, begun = 0, 1, time.monotonic()
    while start < n:
        work.check()
        work.progress(start, n, f"{sentence}: {start:,} of {n:,}")
        yield slice(start, min(start + size, n))
        start += size
        now = time.monotonic()
        rate = size / max(now - begun, 1e-6)
        size, begun = int(np.clip(rate * PART_SECONDS, 1, 8 * size)), now


# The last explainer of each game; making one takes longer than asking it for a row.
_MADE: WeakKeyDictionary[Forest, dict[bool, tuple[bytes, Any]]] = WeakKeyDictionary()


def explainer_of(forest: Forest, background: FloatArray | None) -> Any:
    """`shap.TreeExplainer` for these trees; its background is never cut."""
    made = _MADE.setdefault(forest, {})
    digest = b"" if background is None else sha256(background.tobytes()).digest()
    known = made.get(background is None)
    if known is None or known[0] != digest:
        known = made[background is None] = digest, _explainer(forest, background)
    return known[1]


def _explainer(forest: Forest, background: FloatArray | None) -> Any:
    import shap

    trees = forest.trees
    if background is not None:
        trees = tuple(_placed(tree, forest.thresholds) for tree in trees)
        background = _places(background, forest.thresholds)
    neutral = {
        "trees": [_neutral(tree) for tree in trees],
        "base_offset": forest.base,
        "input_dtype": np.float64,
        "internal_dtype": np.float64,
    }
    if background is None:
        return shap.TreeExplainer(neutral, feature_perturbation="tree_path_dependent")
    return shap.TreeExplainer(
        neutral,
        shap.maskers.Independent(background, max_samples=len(background)),
        feature_perturbation="interventional",
    )


def _placed(tree: Tree, known: Sequence[FloatArray]) -> Tree:
    """The tree with each threshold's place among those of its column."""
    asked = np.flatnonzero(tree.left >= 0)
    places = np.zeros(len(tree.left))
    for column in np.unique(tree.feature[asked]):
        at = asked[tree.feature[asked] == column]
        places[at] = np.searchsorted(known[column], tree.threshold[at])
    return replace(tree, threshold=places)


def _neutral(tree: Tree) -> dict[str, Any]:
    return {
        "children_left": tree.left,
        "children_right": tree.right,
        "children_default": np.where(tree.missing_left, tree.left, tree.right),
        "features": tree.feature,
        "thresholds": tree.threshold,
        "values": tree.values,
        "node_sample_weight": tree.cover.copy(),  # shap writes counts of the background into it
    }


SHAP_PATH = ShapTrees("tree", "Tree SHAP, path-dependent", "path-dependent")
SHAP_BACKGROUND = ShapTrees("tree-interventional", "Tree SHAP, interventional", "interventional")
