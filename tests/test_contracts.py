"""Every shape that a source can answer in, and the one form that it becomes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.contracts import (
    Label,
    Model,
    ModelInfo,
    Predictions,
    RawPredictions,
    Result,
    ScoreKind,
    Target,
    Task,
)
from dashboard.errors import DataError, NotApplicable, ParameterError, PredictionError

NAN, INF = np.nan, np.inf
P, S, L, D = ScoreKind.PROBABILITY, ScoreKind.INDEPENDENT, ScoreKind.LOGIT, ScoreKind.DECISION

NO_YES = ["no", "yes", "no", "yes"]  # codes 0 1 0 1
ABC = ["a", "b", "c", "a"]  # codes 0 1 2 0
TAGS = pd.DataFrame({"sun": [1, 0, 1], "rain": [1, 0, 0], "wind": [0, 0, 1]})
OUTPUTS = pd.DataFrame({"height": [1.5, 2.5, 3.5], "weight": [10.0, 20.0, 30.0]})


@dataclass(frozen=True)
class Case:
    """`raw` against `truth` must give these arrays; `note` is a part of what is said."""

    name: str
    truth: Any
    raw: RawPredictions
    y_pred: list[Any] | None = None
    y_score: list[Any] | None = None
    kind: ScoreKind | None = None
    note: str | None = None
    rows: list[int] | None = None
    options: dict[str, Any] = field(default_factory=dict)


def raw(labels: Any = None, scores: Any = None, classes: Any = None, kind: Any = None) -> Any:
    return RawPredictions(labels, scores, classes, kind)


LABELS = [
    Case("texts", NO_YES, raw(["yes", "no", "no", "yes"]), [1, 0, 0, 1]),
    Case("numpy texts", NO_YES, raw(np.array(["yes", "no", "no", "yes"])), [1, 0, 0, 1]),
    Case("object array", NO_YES, raw(np.array(NO_YES, dtype=object)), [0, 1, 0, 1]),
    Case("bytes", NO_YES, raw(np.array([b"no", b"yes", b"no", b"yes"])), [0, 1, 0, 1]),
    Case("a category", NO_YES, raw(pd.Series(NO_YES, dtype="category")), [0, 1, 0, 1]),
    Case("Arrow text", NO_YES, raw(pd.Series(NO_YES, dtype="string[pyarrow]")), [0, 1, 0, 1]),
    Case("a frame of one column", NO_YES, raw(pd.DataFrame({"x": NO_YES})), [0, 1, 0, 1]),
    Case("(n, 1)", NO_YES, raw(np.array(NO_YES).reshape(4, 1)), [0, 1, 0, 1]),
    Case("ints", [0, 1, 1], raw(np.array([1, 1, 0])), [1, 1, 0]),
    Case("int8 for int64", [0, 1, 1], raw(np.array([1, 1, 0], dtype=np.int8)), [1, 1, 0]),
    Case("floats that are ints", [0, 1, 1], raw(np.array([1.0, 1.0, 0.0])), [1, 1, 0]),
    Case("ints for floats that are ints", [0.0, 1.0, 1.0], raw([1, 1, 0]), [1, 1, 0]),
    Case("nullable ints", [0, 1, 1], raw(pd.Series([1, 1, 0], dtype="Int64")), [1, 1, 0]),
    Case("bools for ints", [0, 1, 1], raw(np.array([True, True, False])), [1, 1, 0]),
    Case("ints for bools", [False, True, True], raw([1, 1, 0]), [1, 1, 0]),
    Case("texts of ints for ints", [3, 7, 7], raw(["7", "3", "7"]), [1, 0, 1]),
    Case("ints for texts of ints", ["3", "7", "7"], raw([7, 3, 7]), [1, 0, 1]),
    Case("texts of floats for ints", [3, 7, 7], raw(["7.0", "3.0", "7.0"]), [1, 0, 1]),
    Case("texts of bools for bools", [False, True], raw(["True", "False"]), [1, 0]),
    Case("bools for texts of bools", ["False", "True"], raw([True, False]), [1, 0]),
    Case("lower-case bools", [False, True], raw(["true", "false"]), [1, 0]),
    Case("0/1 for texts of bools", ["False", "True"], raw([1, 0]), [1, 0]),
    Case("codes", NO_YES, raw([0, 1, 1, 1]), [0, 1, 1, 1], note="0 = no, 1 = yes"),
    Case("bools as codes", NO_YES, raw([False, True, True, True]), [0, 1, 1, 1], note="codes"),
    Case("codes of few classes", ABC, raw([2, 2, 0, 0]), [2, 2, 0, 0], note="codes"),
    # XGBoost counts the classes 1, 2, 3 as 0, 1, 2: 1 and 2 are equal to labels, 0 is not.
    Case("codes beside equal labels", [1, 2, 3], raw([0, 1, 2]), [0, 1, 2], note="0 = 1, 1 = 2"),
    Case(
        "codes by the classes",
        [1, 2, 3],
        raw([1, 1, 2], classes=[0, 1, 2]),
        [1, 1, 2],
        note="codes",
    ),
    Case("labels before codes", [1, 2, 3], raw([1, 1, 2]), [0, 0, 1]),
    Case("mixed types", ["b", 1, 2.5, "a"], raw(["a", "b", 1, 2.5]), [2, 3, 0, 1]),
    Case("one-hot", ABC, raw([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 1, 0]]), [2, 0, 1, 1]),
    Case(
        "one-hot in another order",
        ABC,
        raw([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 1, 0]], classes=["c", "b", "a"]),
        [0, 2, 1, 1],
    ),
    Case(
        "softmax given as labels",
        ["a", "b", "c"],
        raw(np.array([[0.2, 0.3, 0.5], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])),
        [2, 0, 1],
        [[0.2, 0.3, 0.5], [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]],
        P,
        note="read as scores",
    ),
    Case(
        "binary softmax given as labels",
        NO_YES[:2],
        raw(np.array([[0.25, 0.75], [0.5, 0.5]])),
        [1, 0],
        [0.75, 0.5],
        P,
        note="read as scores",
    ),
    Case(
        "sigmoid given as labels",
        [0, 1, 1],
        raw(np.array([[0.25], [0.75], [0.5]])),
        None,
        [0.25, 0.75, 0.5],
        P,
        note="read as scores",
    ),
    Case("missing label", NO_YES, raw(["yes", None, "no", "yes"]), [1, 0, 1], rows=[0, 2, 3],
         note="1 of 4 rows has no usable predicted label and is left out for this model."),
    Case("NaN label", [0, 1, 1, 1], raw(np.array([1, NAN, NAN, 0])), [1, 0], rows=[0, 3],
         note="2 of 4 rows have no usable predicted label and are left out for this model."),
    Case("pd.NA label", [0, 1, 1], raw(pd.array([1, pd.NA, 0])), [1, 0], rows=[0, 2]),
    Case("several columns in a frame", ABC, raw(pd.DataFrame({"c": [0, 0, 1, 0], "a": [1, 0, 0, 1],
         "b": [0, 1, 0, 0]})), [0, 1, 2, 0]),
    Case("masked label", [0, 1, 1], raw(np.ma.array([1, 9, 0], mask=[0, 1, 0])), [1, 0],
         rows=[0, 2]),
]  # fmt: skip

BINARY = [
    Case("(n,)", [0, 1, 1], raw(scores=np.array([0.1, 0.9, 0.5])), None, [0.1, 0.9, 0.5], P),
    Case("(n, 1)", [0, 1, 1], raw(scores=[[0.1], [0.9], [0.5]]), None, [0.1, 0.9, 0.5], P),
    Case("(n, 1, 1)", [0, 1], raw(scores=np.array([[[0.1]], [[0.9]]])), None, [0.1, 0.9], P),
    Case("(n, 2)", [0, 1], raw(scores=[[0.75, 0.25], [0.5, 0.5]]), None, [0.25, 0.5], P,
         note="in the order 0, 1"),
    Case("(n, 2) of classes", NO_YES[:2], raw(scores=[[0.75, 0.25], [0.5, 0.5]],
         classes=["yes", "no"]), None, [0.75, 0.5], P),
    Case("(n, 2) of classes as texts", [0, 1], raw(scores=[[0.75, 0.25], [0.5, 0.5]],
         classes=["1", "0"]), None, [0.75, 0.5], P),
    Case("(n, 2) of codes", NO_YES[:2], raw(scores=[[0.75, 0.25], [0.5, 0.5]], classes=[0, 1]),
         None, [0.25, 0.5], P, note="codes"),
    Case("a frame named by classes", NO_YES[:2], raw(scores=pd.DataFrame({"yes": [0.25, 0.5],
         "no": [0.75, 0.5]})), None, [0.25, 0.5], P),
    Case("positive class first, (n, 2)", NO_YES[:2], raw(scores=[[0.75, 0.25], [0.5, 0.5]],
         classes=["no", "yes"]), None, [0.75, 0.5], P, options={"pos_label": "no"}),
    Case("positive class first, (n,)", NO_YES[:2], raw(scores=[0.25, 0.5], classes=["no", "yes"]),
         None, [0.75, 0.5], P, note="turned round", options={"pos_label": "no"}),
    Case("positive class first, unnamed ints", [0, 1], raw(scores=[0.25, 0.5]),
         None, [0.75, 0.5], P, note="turned round", options={"pos_label": 0}),
    Case("positive class first, log-odds", NO_YES[:2], raw(scores=[-3.0, 2.0],
         classes=["no", "yes"]), None, [3.0, -2.0], L, note="turned", options={"pos_label": "no"}),
    Case("one column of a named class", NO_YES[:2], raw(scores=[0.25, 0.5], classes=["no"]),
         None, [0.75, 0.5], P, note="turned round"),
    Case("one unnamed column for texts", ["bad", "good"], raw(scores=[0.25, 0.5]), None,
         [0.25, 0.5], P, note="read as that of bad"),
    Case("one unnamed column, own labels agree", ["bad", "good"],
         raw(["good", "bad"], scores=[0.25, 0.75]), [1, 0], [0.25, 0.75], P),
    Case("one unnamed column, own labels disagree", ["bad", "good"],
         raw(["good", "bad"], scores=[0.75, 0.25]), [1, 0], [0.25, 0.75], P, note="turned round"),
    Case("own labels disagree, log-odds", ["bad", "good"],
         raw(["good", "bad"], scores=[2.0, -1.0]), [1, 0], [-2.0, 1.0], L, note="turned round"),
    Case("labels and scores", [0, 1], raw([0, 0], scores=[0.25, 0.75]), [0, 0], [0.25, 0.75], P),
    Case("rounding is clipped", [0, 1], raw(scores=[-1e-8, 1 + 1e-7]), None, [0.0, 1.0], P),
    Case("log-odds", [0, 1], raw(scores=[-2.5, 0.5]), None, [-2.5, 0.5], L,
         note="range from -2.5 to 0.5, so they are read as log-odds"),
    Case("just beyond rounding", [0, 1], raw(scores=[0.0, 1.00001]), None, [0.0, 1.00001], D),
    Case("points", [0, 1], raw(scores=[20.0, 70.0]), None, [20.0, 70.0], D, note="percentages"),
    Case("decision values", [0, 1], raw(scores=[-2.5, 0.5], kind=D), None, [-2.5, 0.5], D),
    Case("decision values inside 0 and 1", [0, 1], raw(scores=[0.25, 0.5], kind=D), None,
         [0.25, 0.5], D),
    Case("infinite log-odds", [0, 1, 1], raw(scores=[-INF, 2.0, INF]), None, [-INF, 2.0, INF], L),
    Case("infinite decision values", [0, 1], raw(scores=[-INF, INF], kind=D), None, [-INF, INF], D),
    Case("two columns of log-odds", [0, 1], raw(scores=[[1.0, 3.0], [2.0, -1.0]]), None,
         [2.0, -3.0], L, note="difference"),
    Case("two columns of decision values", [0, 1], raw(scores=[[1.0, 3.0], [2.0, -1.0]],
         classes=[1, 0], kind=D), None, [-2.0, 3.0], D, note="difference"),
    Case("inf - inf", [0, 1, 1], raw(scores=[[1.0, 3.0], [INF, INF], [0.0, -INF]]), None,
         [2.0, -INF], L, rows=[0, 2], note="1 of 3 rows has no usable score"),
    Case("two sigmoids", [0, 1], raw(scores=[[0.75, 0.75], [0.25, 0.5]]), None, [0.75, 0.5], S,
         note="sum to 0.75 … 1.5"),
    Case("percentages", [0, 1], raw(scores=[[75, 25], [40, 60]]), None, [0.25, 0.6], P,
         note="percentages"),
    Case("NaN", [0, 1, 1], raw(scores=[0.25, NAN, 0.5]), None, [0.25, 0.5], P, rows=[0, 2],
         note="1 of 3 rows has no usable score and is left out for this model."),
    Case("None", [0, 1, 1], raw(scores=[0.25, None, 0.5]), None, [0.25, 0.5], P, rows=[0, 2]),
    Case("infinite probability", [0, 1, 1], raw(scores=[0.25, INF, 0.5]), None, [0.25, 0.5], P,
         rows=[0, 2]),
    Case("NaN in the other column", [0, 1], raw(scores=[[NAN, 0.5], [0.5, 0.5]]), None, [0.5], P,
         rows=[1]),
    Case("score and label missing in turn", [0, 1, 1], raw([1, None, 0], scores=[NAN, 0.5, 0.25]),
         [0], [0.25], P, rows=[2],
         note="2 of 3 rows have no usable score or predicted label and are left out"),
    Case("exported, one entry", [0, 1], raw(scores={"output_0": np.array([[0.25], [0.5]])}), None,
         [0.25, 0.5], P),
    Case("a list in a dict", [0, 1], raw(scores={"proba": [0.25, 0.5]}), None, [0.25, 0.5], P),
    Case("exported, logits", [0, 1], raw(scores={"logits": np.array([[0.25], [0.5]])}), None,
         [0.25, 0.5], L),
    Case("exported, both", [0, 1], raw(scores={"logits": np.array([-1.0, 2.0]),
         "probabilities": np.array([0.25, 0.5])}), None, [0.25, 0.5], P, note="'probabilities'"),
    Case("exported, named by classes", NO_YES[:2], raw(scores={"yes": np.array([0.25, 0.5]),
         "no": np.array([0.75, 0.5])}), None, [0.25, 0.5], P),
    Case("exported, the positive class only", NO_YES[:2], raw(scores={"yes": [0.25, 0.5]}), None,
         [0.25, 0.5], P),
    Case("a list of one array", [0, 1], raw(scores=[np.array([[0.25], [0.5]])]), None,
         [0.25, 0.5], P),
    Case("text of numbers", [0, 1], raw(scores=np.array(["0.25", "0.5"])), None, [0.25, 0.5], P),
    Case("masked score", [0, 1], raw(scores=np.ma.array([0.25, 0.5], mask=[1, 0])), None, [0.5], P,
         rows=[1]),
    Case("masked score in a dict", [0, 1], raw(scores={1: np.ma.array([0.25, 0.5], mask=[1, 0]),
         0: np.array([0.5, 0.5])}), None, [0.5], P, rows=[1]),
    Case("sparse", [0, 1], raw(scores=scipy.sparse.csr_matrix([[0.25, 0.75], [0.5, 0.5]])), None,
         [0.75, 0.5], P),
    Case("a frame of other names", [0, 1], raw(scores=pd.DataFrame({"p": [0.25, 0.5]},
         dtype=np.float32)), None, [0.25, 0.5], P),
    Case("a polars or Arrow column", [0, 1], raw(scores=pa.array([0.25, 0.5])), None, [0.25, 0.5],
         P),
    Case("pairs by class", [0, 1], raw(scores={0: np.array([[0, 1.0], [0.5, 0.5]]), 1: np.array(
         [[1, 0.0], [0.5, 0.5]])}), None, [0.0, 0.5], P),
    Case("Arrow numbers", [0, 1], raw(scores=pd.Series([0.25, 0.5], dtype="double[pyarrow]")),
         None, [0.25, 0.5], P),
    Case("one class known", NO_YES[:2], raw(scores=[[1.0], [1.0]], classes=["no"]), None,
         [0.0, 0.0], P),
]  # fmt: skip

# softmax of (0, log 2, log 5) is (1, 2, 5) / 8
LOG = [[0.0, np.log(2), np.log(5)], [np.log(5), 0.0, np.log(2)], [np.log(2), np.log(5), 0.0]]
LOG2, EQUAL = np.log(2), [34.0, 34.0, 34.0]
EIGHTHS = [[0.125, 0.25, 0.625], [0.625, 0.125, 0.25], [0.25, 0.625, 0.125]]
CYCLE = ["a", "b", "c"]

MULTICLASS = [
    Case("(n, k)", CYCLE, raw(scores=EIGHTHS), [2, 0, 1], EIGHTHS, P, note="in the order a, b, c"),
    Case("(n, 1, k)", CYCLE, raw(scores=np.array(EIGHTHS)[:, None, :]), [2, 0, 1], EIGHTHS, P),
    Case("classes in another order", CYCLE, raw(scores=EIGHTHS, classes=["c", "a", "b"]), [1, 2, 0],
         [[0.25, 0.625, 0.125], [0.125, 0.25, 0.625], [0.625, 0.125, 0.25]], P),
    Case("class codes", CYCLE, raw(scores=EIGHTHS, classes=[0, 1, 2]), [2, 0, 1], EIGHTHS, P,
         note="codes"),
    Case("own labels win", CYCLE, raw(["a", "a", "a"], scores=EIGHTHS), [0, 0, 0], EIGHTHS, P),
    Case("logits by name", CYCLE, raw(scores={"logits": np.array(LOG) / 1.0}), [2, 0, 1], EIGHTHS,
         P, note="softmax"),
    Case("one infinite logit", CYCLE, raw(scores=[[INF, 0.0, 5.0], [0.0, 0.0, -INF],
         [0.0, 0.0, -INF]]), [0, 0, 0], [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0]], P),
    Case("two infinite logits", CYCLE, raw(scores=[[INF, INF, 5.0], [0.0, 0.0, -INF], LOG[0]]),
         [0, 2], [[0.5, 0.5, 0], EIGHTHS[0]], P, rows=[1, 2]),
    # A softmax network's log-odds have negatives; these are columns of overshooting shares.
    Case("shares up to 1.3", CYCLE, raw(scores=[[0.1, 0.1, 1.3], [0.9, 0.25, 0.25],
         [0.25, 1.0, 0.15]]), [2, 0, 1], [[0.1, 0.1, 1.3], [0.9, 0.25, 0.25],
         [0.25, 1.0, 0.15]], D, note="neither probabilities nor log-odds"),
    Case("votes", CYCLE, raw(scores=[[3, 1, 6], [7, 3, 1], [0, 8, 2]]), [2, 0, 1],
         [[3, 1, 6], [7, 3, 1], [0, 8, 2]], D, note="percentages or points"),
    Case("log-odds without negatives, said", CYCLE, raw(scores=LOG, kind=L), [2, 0, 1], EIGHTHS,
         P, note="softmax"),
    Case("log-odds around zero", CYCLE, raw(scores=np.array(LOG) - LOG2), [2, 0, 1], EIGHTHS, P,
         note="read as log-odds"),
    Case("decision values", CYCLE, raw(scores=LOG, kind=D), [2, 0, 1], LOG, D),
    Case("sigmoids", CYCLE, raw(scores=[[0.5, 0.5, 0.75], [0.0, 0.25, 0.0], [1.0, 0.5, 0.25]]),
         [2, 1, 0], [[0.5, 0.5, 0.75], [0.0, 0.25, 0.0], [1.0, 0.5, 0.25]], S,
         note="sum to 0.25 … 1.75"),
    Case("sums within the tolerance", CYCLE, raw(scores=[[0.25, 0.25, 0.50095], [0.5, 0.25, 0.25],
         [0.25, 0.25, 0.49905]]), [2, 0, 2], [[0.25, 0.25, 0.50095], [0.5, 0.25, 0.25],
         [0.25, 0.25, 0.49905]], P),
    Case("sums beyond the tolerance", CYCLE, raw(scores=[[0.25, 0.25, 0.50105], [0.5, 0.25, 0.25],
         [0.25, 0.25, 0.5]]), [2, 0, 2], [[0.25, 0.25, 0.50105], [0.5, 0.25, 0.25],
         [0.25, 0.25, 0.5]], S, note="not to 1"),
    # two decimals in three columns move a sum by .015 at most
    Case("beyond rounding", CYCLE, raw(scores=[[0.33, 0.33, 0.32], [0.5, 0.25, 0.25],
         [0.25, 0.25, 0.5]]), [0, 0, 2], [[0.33, 0.33, 0.32], [0.5, 0.25, 0.25],
         [0.25, 0.25, 0.5]], S, note="sum to 0.98 … 1"),
    # (.33, .33, .33) / .99 = thirds; (.67, .17, .17) / 1.01
    Case("rounded", CYCLE, raw(scores=[[0.33, 0.33, 0.33], [0.67, 0.17, 0.17], [0.2, 0.3, 0.5]]),
         [0, 0, 2], [[1 / 3] * 3, [67 / 101, 17 / 101, 17 / 101], [0.2, 0.3, 0.5]], P,
         note="rescaled to 1"),
    Case("percentages, rounded", CYCLE, raw(scores=[[33, 33, 33], [10, 10, 80], [0, 100, 0]]),
         [0, 2, 1], [[1 / 3] * 3, [0.1, 0.1, 0.8], [0, 1, 0]], P, note="rescaled to 1"),
    Case("log-odds, one row sums to nearly 100", CYCLE, raw(scores=[[LOG2, 0, 98], EQUAL,
         np.negative(EQUAL)]), [2, 0, 0], [[2 * np.exp(-98), np.exp(-98), 1], [1 / 3] * 3,
         [1 / 3] * 3], P, note="softmax"),
    Case("points that sum to nearly 100", CYCLE, raw(scores=[[LOG2, 0, 98], EQUAL, EQUAL]),
         [2, 0, 0], [[LOG2, 0, 98], EQUAL, EQUAL], D, note="percentages or points"),
    Case("percentages", CYCLE, raw(scores=[[50, 30, 20], [10, 10, 80], [0, 100, 0]]), [0, 2, 1],
         [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0, 1, 0]], P, note="percentages"),
    Case("class unknown to the model", CYCLE, raw(scores=[[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]],
         classes=["a", "c"]), [0, 2, 0], [[0.5, 0, 0.5], [0.25, 0, 0.75], [1, 0, 0]], P,
         note="does not know b"),
    Case("class unknown, decision values", CYCLE, raw(scores=[[-2.0, 1.0], [0.5, 0.25], [-1, -3]],
         classes=["a", "c"], kind=D), [2, 0, 0], [[-2, -INF, 1], [0.5, -INF, 0.25], [-1, -INF, -3]],
         D, note="does not know b"),
    Case("ties", CYCLE, raw(scores=[[0.25, 0.375, 0.375], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]]),
         [1, 0, 2], [[0.25, 0.375, 0.375], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]], P),
    Case("NaN", CYCLE, raw(scores=[[0.125, NAN, 0.625], EIGHTHS[1], EIGHTHS[2]]), [0, 1],
         EIGHTHS[1:], P, rows=[1, 2], note="1 of 3 rows has no usable score"),
    Case("labels given as scores", [3, 4, 5], raw(scores=np.array([5, 3, 4])), [2, 0, 1],
         note="read as predicted labels"),
    Case("a dict of columns", CYCLE, raw(scores={name: np.array(EIGHTHS)[:, i] for i, name in
         enumerate(CYCLE)}), [2, 0, 1], EIGHTHS, P),
    Case("a list of columns", ABC, raw(scores=[np.array([0.5, 0.25, 0, 1]), np.array([0.5, 0.5, 1,
         0]), np.array([0, 0.25, 0, 0])]), [0, 1, 1, 0], [[0.5, 0.5, 0], [0.25, 0.5, 0.25],
         [0, 1, 0], [1, 0, 0]], P),
    Case("two classes, one sigmoid", NO_YES[:2], raw(scores=[0.25, 0.75]), [0, 1], [[0.75, 0.25],
         [0.25, 0.75]], P, options={"task": Task.MULTICLASS}),
    Case("two classes, one log-odds", NO_YES[:2], raw(scores=[np.log(3), -np.log(3)]), [1, 0],
         [[0.25, 0.75], [0.75, 0.25]], P, options={"task": Task.MULTICLASS}),
    Case("two classes, one decision value", NO_YES[:2], raw(scores=[2.0, -1.0], kind=D), [1, 0],
         [[-2, 2], [1, -1]], D, options={"task": Task.MULTICLASS}),
    Case("one-hot target keeps the order of its columns", pd.DataFrame({"z": [1, 0, 0], "a":
         [0, 1, 0], "m": [0, 0, 1]}), raw(scores=EIGHTHS), [2, 0, 1], EIGHTHS, P,
         note="in the order z, a, m"),
]  # fmt: skip

PAIRS = [
    np.array([[0.25, 0.75], [0.5, 0.5], [1, 0]]),
    np.array([[0.75, 0.25], [1, 0], [0.0, 1]]),
    np.array([[1.0], [1.0], [1.0]]),
]
MULTILABEL = [
    Case("sparse labels", TAGS, raw(scipy.sparse.csr_matrix([[1, 0, 0], [0, 0, 0], [1, 1, 1]])),
         [[1, 0, 0], [0, 0, 0], [1, 1, 1]]),
    Case("labels beside classes of each label", TAGS, raw(np.array([[1, 0, 0], [0, 0, 0], [1, 1,
         1]]), classes=[np.array([0, 1])] * 3), [[1, 0, 0], [0, 0, 0], [1, 1, 1]]),
    Case("scores beside classes of each label", TAGS, raw(scores=np.array(EIGHTHS), classes=[
         np.array([0, 1])] * 3), None, EIGHTHS, P),
    Case("(n, k) scores", TAGS, raw(scores=EIGHTHS), None, EIGHTHS, P,
         note="The source names no labels; its columns are read in the order sun, rain, wind."),
    Case("labels without names", TAGS, raw(np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]])),
         [[1, 0, 0], [0, 0, 0], [1, 1, 1]], note="in the order sun, rain, wind."),
    Case("labels", TAGS, raw(np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]])),
         [[1, 0, 0], [0, 0, 0], [1, 1, 1]]),
    Case("bools", TAGS, raw(np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]], dtype=bool)),
         [[1, 0, 0], [0, 0, 0], [1, 1, 1]]),
    Case("a frame in another order", TAGS, raw(pd.DataFrame({"wind": [1, 0, 0], "sun": [0, 1, 0],
         "rain": [1, 1, 0]})), [[0, 1, 1], [1, 1, 0], [0, 0, 0]]),
    Case("a list of pairs, one label constant", TAGS, raw(scores=PAIRS), None,
         [[0.75, 0.25, 0], [0.5, 0, 0], [0, 1, 0]], P, note="Label 3 was never present"),
    Case("constant by its classes", TAGS, raw(scores=PAIRS, classes=[np.array([0, 1]),
         np.array([0, 1]), np.array([1])]), None, [[0.75, 0.25, 1], [0.5, 0, 1], [0, 1, 1]], P,
         note="Label 3 was always present"),
    Case("network with one head per label", TAGS, raw(scores=[np.array([[0.5], [0.25], [1]]),
         np.array([[0.0], [0.5], [1]]), np.array([[0.75], [0], [0]])]), None,
         [[0.5, 0, 0.75], [0.25, 0.5, 0], [1, 1, 0]], P),
    Case("a dict of labels", TAGS, raw(scores={"wind": np.array([0.5, 0, 1]), "rain":
         np.array([0.25, 0, 0]), "sun": np.array([1, 0.5, 0])}), None,
         [[1, 0.25, 0.5], [0.5, 0, 0], [0, 0, 1]], P),
    Case("named columns", TAGS, raw(scores=EIGHTHS, classes=["rain", "wind", "sun"]), None,
         [[0.625, 0.125, 0.25], [0.25, 0.625, 0.125], [0.125, 0.25, 0.625]], P),
    Case("positions as classes", TAGS, raw(scores=EIGHTHS, classes=[0, 1, 2]), None, EIGHTHS, P),
    Case("logits", TAGS, raw(scores=[[-1.0, 2, 0], [3, 0, 0], [0, 0, -2]]), None,
         [[-1.0, 2, 0], [3, 0, 0], [0, 0, -2]], L, note="log-odds"),
    Case("fractions given as labels", TAGS, raw(np.array(EIGHTHS)), None, EIGHTHS, P,
         note="read as scores"),
    Case("missing", TAGS, raw(np.array([[1, 0, NAN], [0, 0, 0], [1, 1, 1]])),
         [[0, 0, 0], [1, 1, 1]], rows=[1, 2]),
]  # fmt: skip

REGRESSION = [
    Case("(n,)", [1.5, 2.5, 3.5], raw([1, 2, 3]), [1.0, 2.0, 3.0]),
    Case("(n, 1)", [1.5, 2.5, 3.5], raw(np.array([[1.0], [2], [3]])), [1.0, 2.0, 3.0]),
    Case("float32", [1.5, 2.5], raw(np.array([1.25, 2.5], dtype=np.float32)), [1.25, 2.5]),
    Case("a network's scores", [1.5, 2.5], raw(scores=np.array([[1.0], [2]])), [1.0, 2.0]),
    Case("text of numbers", [1.5, 2.5], raw(["1.0", "2.0"]), [1.0, 2.0]),
    Case("nullable", [1.5, 2.5], raw(pd.array([1.0, pd.NA])), [1.0], rows=[0]),
    Case("infinite and NaN", [1.5, 2.5, 3.5], raw([INF, NAN, 3.0]), [3.0], rows=[2],
         note="2 of 3 rows have no usable prediction and are left out for this model."),
    Case("several outputs", OUTPUTS, raw([[1, 10], [2, 20], [3, 30]]), [[1, 10], [2, 20], [3, 30]],
         note="The source names no outputs; its columns are read in the order height, weight."),
    Case("outputs in another order", OUTPUTS, raw(pd.DataFrame({"weight": [10, 20, 30], "height":
         [1, 2, 3]})), [[1, 10], [2, 20], [3, 30]]),
    Case("three outputs, each moved", pd.DataFrame({"a": [1.5, 2], "b": [3, 4], "c": [5, 6]}), raw(
         [[50, 10, 30], [60, 20, 40]], classes=["c", "a", "b"]), [[10, 30, 50], [20, 40, 60]]),
    Case("a dict of outputs", OUTPUTS, raw(scores={"weight": np.array([[10], [20], [30]]), "height":
         np.array([[1], [2], [3]])}), [[1, 10], [2, 20], [3, 30]]),
    Case("a list of heads", OUTPUTS, raw(scores=[np.array([[1], [2], [3]]), np.array([[10], [20],
         [30]])]), [[1, 10], [2, 20], [3, 30]]),
    Case("one output missing", OUTPUTS, raw([[1, NAN], [2, 20], [3, 30]]), [[2, 20], [3, 30]],
         rows=[1, 2]),
]  # fmt: skip

CASES = [
    pytest.param(case, id=f"{group}: {case.name}")
    for group, cases in {
        "labels": LABELS,
        "binary": BINARY,
        "multiclass": MULTICLASS,
        "multilabel": MULTILABEL,
        "regression": REGRESSION,
    }.items()
    for case in cases
]


@pytest.mark.parametrize("case", CASES)
def test_normalise(case: Case) -> None:
    target = Target.from_values(case.truth, **case.options)
    got = Predictions.normalise(case.raw, target, name="m")
    rows = list(range(target.n)) if case.rows is None else case.rows
    assert got.rows.tolist() == rows
    assert got.n == len(rows) == got.target.n
    assert got.n_given == target.n
    np.testing.assert_array_equal(got.target.y, target.y[rows])
    assert (got.y_pred is None, got.y_score is None) == (case.y_pred is None, case.y_score is None)
    if case.y_pred is not None:
        np.testing.assert_array_equal(got.y_pred, case.y_pred)
        assert got.y_pred.dtype == target.y.dtype
    if case.y_score is not None:
        np.testing.assert_allclose(got.y_score, case.y_score, rtol=1e-14, atol=0)
    assert got.score_kind is case.kind
    if case.note is not None:
        assert any(case.note in note for note in got.notes), got.notes


REFUSED = [
    ("nothing", NO_YES, raw(), "Neither labels nor scores"),
    ("short labels", NO_YES, raw(["yes"] * 3), "have 3 rows; the evaluation set has 4"),
    ("long scores", NO_YES, raw(scores=[0.5] * 5), "has 5 rows; the evaluation set has 4"),
    ("unknown label", NO_YES, raw(["yes", "maybe", "no", "no"]), "maybe are no classes.*no, yes"),
    (
        "columns against classes",
        ["a", "b", "c", "d"],
        raw(scores=np.full((4, 3), 1 / 3)),
        r"y_score has 3 columns; 4 classes are named \(a, b, c, d\)\. "
        r"Pass one column per class in that order\.",
    ),
    (
        "columns against its own classes",
        CYCLE,
        raw(scores=EIGHTHS, classes=["a", "b"]),
        r"y_score has 3 columns; 2 classes are named \(a, b\)",
    ),
    (
        "a class that the target lacks",
        NO_YES[:2],
        raw(scores=[[0.2, 0.3, 0.5]] * 2, classes=["no", "yes", "maybe"]),
        r"knows 1 class \(maybe\) that the target lacks; the target's are no, yes",
    ),
    ("a class twice", [0, 1], raw(scores=[[0.5, 0.5]] * 2, classes=[1, "1"]), "twice"),
    ("a missing class", [0, 1], raw(scores=[[0.5, 0.5]] * 2, classes=[1, None]), "missing value"),
    ("one score for three classes", CYCLE, raw(scores=[0.5, 0.25, 0.75]), "has 1 column; 3 cl"),
    ("one column, three classes", [0, 1], raw(scores=[0.5, 0.1], classes=[0, 1, 2]), "1 column; 3"),
    ("a sequence", [0, 1], raw(scores=np.zeros((2, 5, 3))), r"has the shape \(2, 5, 3\)"),
    ("a number", [0, 1], raw(scores=0.5), "y_score is a single float; pass one per row"),
    ("a number as an array", [0, 1], raw(scores=np.array(0.5)), "y_score is a single"),
    ("a number in a dict", [0, 1], raw(scores={"p": 0.5}), "is a single"),
    ("numbers in a dict", [0, 1], raw(scores={0: 0.5, 1: 0.5}), "is a single number; 2 rows"),
    ("a text", [0, 1], raw(labels="yes"), "Predicted labels is a single str"),
    ("no columns", [0, 1], raw(scores=np.zeros((2, 0))), "has no columns"),
    ("classes as a text", [0, 1], raw(scores=[[0.5, 0.5]] * 2, classes="ab"), "'ab'; a list"),
    ("text scores", [0, 1], raw(scores=["high", "low"]), "no numbers"),
    ("dates as scores", [0, 1], raw(scores=pd.to_datetime(["2020", "2021"])), "no numbers"),
    ("a frame of dates", [0, 1], raw(scores=pd.DataFrame({"x": pd.to_datetime(["2020"] * 2)})),
     "no numbers"),
    ("no usable row", [0, 1], raw(scores=[NAN, NAN]), "None of 2 rows has a usable score"),
    ("no usable label", [0, 1], raw([None, None]), "None of 2 rows has a usable predicted label"),
    ("not probabilities", [0, 1], raw(scores=[-3.0, 2.0], kind=P), "ranges from -3 to 2"),
    ("unclear dict", [0, 1], raw(scores={"x": [0.1, 0.2], "y": [0.1, 0.2]}), "2 outputs.*x, y"),
    ("ragged rows", [0, 1], raw(scores=[[0.1, 0.9], [0.2]]), "differ in length"),
    ("heads of three", CYCLE, raw(scores=[np.zeros((3, 3))] * 3), "3 arrays of 3 columns"),
    ("fractions for classes", [0, 1, 1], raw(np.array([0.3, 17.2, 2])), "from 0.3 to 17.2"),
    ("fractions for many classes", CYCLE, raw(np.array([0.3, 0.2, 2])), "Use a classifier"),
    ("labels of five columns", CYCLE, raw(np.eye(5)[:3]), "have 5 columns; 3 classes are named"),
    ("counts for labels", TAGS, raw(np.array([[1, 2, 0]] * 3)), "other than 0 and 1"),
    ("two of three labels", TAGS, raw(np.array([[1, 0]] * 3)), "2 columns.*3 labels"),
    ("one column for labels", TAGS, raw(["sun", "rain", "wind"]), "no numbers"),
    ("three columns for a label", TAGS, raw(scores=[np.zeros((3, 3))] * 3), "for label 1; two"),
    ("text for a number", [1.5, 2.5], raw(["low", "high"]), "y_pred holds values that are no num"),
    ("two numbers for one", [1.5, 2.5], raw(np.zeros((2, 2))), "2 columns; the target has one out"),
    ("one number for two", OUTPUTS, raw([1, 2, 3]), r"1 column; the target has 2 outputs \(height"),
    ("no usable number", [1.5, 2.5], raw([INF, NAN]), "None of 2 rows has a usable prediction"),
]  # fmt: skip


@pytest.mark.parametrize(("truth", "given", "message"), [
    pytest.param(*case, id=name) for name, *case in REFUSED
])  # fmt: skip
def test_normalise_refuses(truth: Any, given: RawPredictions, message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        Predictions.normalise(given, Target.from_values(truth), name="m")


RNG = np.random.default_rng(0)
ODD: list[Any] = [
    None, [], [None] * 6, [NAN] * 6, ["a"] * 6, [1] * 6, [[1, 0]] * 6, RNG.random((6, 3)),
    RNG.random((6, 2, 2)), [RNG.random((6, 2))] * 2, [RNG.random((6, 1))] * 3, [RNG.random(6)] * 2,
    {}, {"logits": None}, {"a": 1, "b": 2}, np.array("x"), np.array(5.0), 5, "text", object(),
    [object()] * 6, [{}] * 6, [[]] * 6, [["a"], ["b", "c"]] * 3, pd.DataFrame(), pd.DataFrame(
    {"a": ["x"] * 6}), pd.DataFrame({"x": [1, 0] * 3, "y": [0, 1] * 3}), pd.Series(pd.date_range(
    "2020", periods=6)), pd.Categorical(["a", "b"] * 3), np.array([1 + 2j] * 6), np.full(6, INF),
    np.full((6, 3), -INF), np.full((6, 3), NAN), np.zeros((6, 0)), np.zeros((0, 3)), [1e400] * 6,
    np.ma.masked_invalid([1, NAN] * 3), np.array([[1e308, -1e308]] * 6), [2**80] * 6,
    scipy.sparse.csr_matrix(np.eye(6, 3)), (x for x in [1] * 6),
]  # fmt: skip
ODD_CLASSES = [None, [], 5, "ab", [None], [0, 1], ["a", "b", "c"], [[0, 1]] * 2, [[1], [2, 3]]]


@pytest.mark.parametrize("truth", [
    ["no", "yes"] * 3, ["a", "b", "c"] * 2, [1, 2, 3] * 2, [0.5, 1.5, 2.5] * 2,
    pd.DataFrame({"x": [1, 0, 1, 0, 1, 1], "y": [0, 0, 1, 1, 1, 0]}),
    pd.DataFrame({"x": [1.5, 0, 1, 0, 1, 1], "y": [0, 0, 1, 1, 1, 0]}),
])  # fmt: skip
def test_the_oddest_answers_are_read_or_refused_in_a_sentence(truth: Any) -> None:
    target = Target.from_values(truth)
    for odd in ODD:
        for classes in ODD_CLASSES:
            for answer in (raw(odd, None, classes), raw(None, odd, classes)):
                more = target.known_to([answer])
                with contextlib.suppress(PredictionError, DataError):
                    got = Predictions.normalise(answer, more, name="m")
                    assert got.y_score is None or not np.isnan(got.y_score).any()
                    assert got.y_pred is None or got.y_pred.shape == got.target.y.shape


@pytest.mark.parametrize(
    ("truth", "given"),
    [
        (TAGS, raw(scores={"wind": [0.5, 0, 1], "sun": [0, 0, 1], "rain": [0.25, 1, 0]})),
        (TAGS, raw(pd.DataFrame(0, index=range(3), columns=["wind", "sun", "rain"]))),
        (OUTPUTS, raw(scores={"weight": [10.0, 20, 30], "height": [1.0, 2, 3]})),
        (OUTPUTS, raw([[10, 1], [20, 2], [30, 3]], classes=["weight", "height"])),
    ],
)
def test_named_outputs_need_no_word_on_their_order(truth: Any, given: RawPredictions) -> None:
    notes = Predictions.normalise(given, Target.from_values(truth), name="m").notes
    assert not any("in the order" in note for note in notes)


def test_the_order_is_said_once_for_labels_and_scores() -> None:
    both = raw(TAGS.to_numpy(), scores=TAGS.to_numpy() / 2)
    notes = Predictions.normalise(both, Target.from_values(TAGS), name="m").notes
    assert sum("in the order sun, rain, wind" in note for note in notes) == 1


def test_shares_that_overshoot_are_ranked_and_not_turned_into_probabilities() -> None:
    from sklearn.metrics import roc_auc_score

    from dashboard.diagnostics.metrics import compute_metrics

    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 400)
    scores = rng.dirichlet([0.4] * 3, 400) + 0.3 * np.eye(3)[truth]
    scores *= 1.4 / scores.sum(axis=1, keepdims=True)
    scores = np.minimum(scores, 1.3)
    names = np.array(["a", "b", "c"])
    target = Target.from_values(names[truth])
    got = Predictions.normalise(raw(scores=scores, classes=list("abc")), target, name="m")
    assert got.score_kind is D
    table = compute_metrics(got, metrics=["log_loss", "roc_auc"], n_bootstrap=2)
    assert np.isnan(table.value("m", "log_loss"))
    for k, name in enumerate(names):
        expected = roc_auc_score(truth == k, scores[:, k])
        assert table.value("m", "roc_auc", str(name)) == pytest.approx(expected, abs=1e-12)


def test_float32_scores_stay_float32() -> None:
    single = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
    target = Target.from_values([0, 1])
    for scores in (single, single[:, 1], single[:, 1:]):
        got = Predictions.normalise(raw(scores=scores), target, name="m")
        assert got.y_score is not None
        assert got.y_score.dtype == np.float32
    half = Predictions.normalise(raw(scores=single[:, 1].astype(np.float16)), target, name="m")
    assert half.y_score is not None
    assert half.y_score.dtype == np.float32


def test_scores_need_not_be_copied() -> None:
    scores = np.array([0.25, 0.75])
    got = Predictions.normalise(raw(scores=scores), Target.from_values([0, 1]), name="m")
    assert got.y_score is not None
    assert np.shares_memory(got.y_score, scores)


def test_source_arrays_are_left_alone() -> None:
    scores = np.array([[1.5, -0.5], [INF, NAN], [0.0, 2.0]])
    before = scores.copy()
    Predictions.normalise(raw(scores=scores), Target.from_values([0, 1, 1]), name="m")
    np.testing.assert_array_equal(scores, before)


def test_weights_follow_the_kept_rows() -> None:
    target = Target.from_values([0, 1, 1, 0])
    weights = np.array([1.0, 2.0, 3.0, 4.0], dtype=np.float32)
    got = Predictions.normalise(
        raw(scores=[0.25, NAN, 0.5, 0.75]), target, name="m", sample_weight=weights
    )
    assert got.sample_weight is not None
    assert got.sample_weight.tolist() == [1.0, 3.0, 4.0]
    assert got.sample_weight.dtype == np.float64


@pytest.mark.parametrize(("weights", "message"), [
    ([1.0], "has 1 value; the evaluation set has 2"),
    ([1.0, -1.0], "not negative"),
    ([1.0, NAN], "finite"),
    ([0.0, 0.0], "not all zero"),
])  # fmt: skip
def test_bad_weights(weights: list[float], message: str) -> None:
    target = Target.from_values([0, 1])
    with pytest.raises(ParameterError, match=message):
        Predictions.normalise(
            raw(scores=[0.25, 0.5]), target, name="m", sample_weight=np.array(weights)
        )


def test_notes_of_the_source_come_first() -> None:
    given = RawPredictions(scores=[-1.0, 2.0], notes=("Joined by id.",))
    got = Predictions.normalise(given, Target.from_values([0, 1]), name="m")
    assert got.notes[0] == "Joined by id."


# ---- thresholds, one class, digests ----------------------------------------------------------


def predictions(truth: Any, scores: Any, **options: Any) -> Predictions:
    return Predictions.normalise(
        RawPredictions(scores=scores, **options), Target.from_values(truth), name="m"
    )


def test_threshold_of_probabilities() -> None:
    got = predictions([0, 1], [0.25, 0.75])
    assert got.default_threshold == 0.5
    assert [got.threshold_from_share(share) for share in (0, 0.3, 1)] == [0, 0.3, 1]


def test_threshold_of_log_odds() -> None:
    got = predictions([0, 1], [-2.0, 3.0])
    assert got.default_threshold == 0
    # logit(.8) = log(.8 / .2) = log 4
    assert got.threshold_from_share(0.8) == pytest.approx(np.log(4), rel=1e-14)
    assert [got.threshold_from_share(share) for share in (0, 0.5, 1)] == [-INF, 0, INF]


def test_threshold_of_decision_values() -> None:
    # root mean square of (3, -4, 5) and not of the infinity: sqrt(50 / 3)
    got = predictions([0, 1, 1, 0], [3.0, -4.0, 5.0, INF], score_kind=D)
    assert got.default_threshold == 0
    assert got.threshold_from_share(0.8) == pytest.approx(np.log(4) * np.sqrt(50 / 3), rel=1e-14)
    assert [got.threshold_from_share(share) for share in (0, 0.5, 1)] == [-INF, 0, INF]
    flat = predictions([0, 1], [0.0, 0.0], score_kind=D)
    assert flat.threshold_from_share(0.8) == pytest.approx(np.log(4), rel=1e-14)


@pytest.mark.parametrize("share", [-0.01, 1.01, NAN])
def test_share_out_of_bounds(share: float) -> None:
    with pytest.raises(ParameterError, match="0 <= share <= 1, got"):
        predictions([0, 1], [0.25, 0.75]).threshold_from_share(share)


def test_labels_only_have_a_harmless_threshold() -> None:
    got = Predictions.normalise(raw(["no", "yes"]), Target.from_values(NO_YES[:2]), name="m")
    assert got.default_threshold == 0.5
    with pytest.raises(NotApplicable, match="m gives no scores"):
        got.scores_of(1)


def test_scores_and_truth_of_one_class() -> None:
    got = predictions(NO_YES[:2], [0.25, 0.75])
    np.testing.assert_array_equal(got.scores_of(1), [0.25, 0.75])
    np.testing.assert_array_equal(got.scores_of(0), [0.75, 0.25])
    np.testing.assert_array_equal(got.truth_of(0), [True, False])
    np.testing.assert_array_equal(predictions([0, 1], [-2.0, 3.0]).scores_of(0), [2.0, -3.0])
    three = predictions(CYCLE, EIGHTHS)
    np.testing.assert_array_equal(three.scores_of(2), [0.625, 0.25, 0.125])
    np.testing.assert_array_equal(three.truth_of(2), [False, False, True])
    many = predictions(TAGS, EIGHTHS)
    np.testing.assert_array_equal(many.scores_of(1), [0.25, 0.125, 0.625])
    np.testing.assert_array_equal(many.truth_of(1), [True, False, False])
    assert many.truth_of(1).dtype == np.bool_


def test_no_such_class() -> None:
    got = predictions(CYCLE, EIGHTHS)
    for ask in (got.scores_of, got.truth_of):
        for label in (-1, 3):
            with pytest.raises(ParameterError, match=rf"from 0 to 2 \(a, b, c\), got {label}"):
                ask(label)
    number = Predictions.normalise(raw([1, 2]), Target.from_values([1.5, 2.5]), name="m")
    with pytest.raises(NotApplicable, match="has no classes"):
        number.truth_of(0)


def test_digest_follows_every_content() -> None:
    target = Target.from_values([0, 1, 1, 0])
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    weights = np.ones(4)

    def digest(name: str = "m", truth: Target = target, w: Any = weights, **given: Any) -> str:
        given = {"scores": scores, **given}
        return Predictions.normalise(
            RawPredictions(**given), truth, name=name, sample_weight=w
        ).digest()

    moved = scores.copy()
    moved[3] = np.nextafter(moved[3], 1)
    variants = [
        digest(),
        digest(name="n"),
        digest(scores=moved),
        digest(scores=scores.astype(np.float32)),
        digest(score_kind=D),
        digest(labels=[0, 1, 1, 0]),
        digest(labels=[0, 1, 1, 1]),
        digest(w=None),
        digest(w=np.array([1, 1, 1, 2.0])),
        digest(truth=Target.from_values([0, 1, 1, 1])),
        digest(truth=Target.from_values([0, 1, 1, 0], name="other")),
        digest(truth=Target.from_values(["0", "1", "1", "0"])),
        digest(truth=Target.from_values([0, 1, 1, 0], pos_label=0)),
    ]
    assert len(set(variants)) == len(variants)
    assert digest() == variants[0]
    assert len(variants[0]) == 64


# ---- the target ------------------------------------------------------------------------------


def test_classes_that_only_a_model_knows() -> None:
    target = Target.from_values(["a", "c", "c", "d"])
    more = target.with_labels(["a", "b", "c", "d"])
    assert more.labels == ("a", "b", "c", "d")
    assert more.y.tolist() == [0, 2, 2, 3]
    assert more.task is Task.MULTICLASS
    assert "1 class that no row has (b) is known to a model" in more.notes[-1]
    scores = np.full((4, 4), 0.25)
    got = Predictions.normalise(raw(scores=scores, classes=list("dcba")), more, name="m")
    assert got.y_pred is not None
    assert got.y_pred.tolist() == [0, 0, 0, 0]


def test_more_classes_make_a_binary_target_multiclass() -> None:
    more = Target.from_values(["no", "yes"]).with_labels(["maybe"])
    assert (more.task, more.pos_label) == (Task.MULTICLASS, None)
    assert more.labels == ("maybe", "no", "yes")
    assert more.y.tolist() == [1, 2]


@pytest.mark.parametrize("more", [
    [], ["1", "2", "3"], [3, 2, 1], [1.0, 2.0], [0, 1, 2], ["0", "1", "2"], [None, NAN, 3],
])  # fmt: skip
def test_nothing_new(more: list[Any]) -> None:
    target = Target.from_values([1, 2, 3])
    assert target.with_labels(more) is target


def test_one_hot_targets_keep_the_order_of_their_columns() -> None:
    target = Target.from_values(pd.DataFrame(np.eye(3, dtype=int), columns=["z", "a", "m"]))
    more = target.with_labels(["b"])
    assert more.labels == ("z", "a", "m", "b")
    assert more.y.tolist() == [0, 1, 2]


def test_other_tasks_gain_no_classes() -> None:
    for truth in (TAGS, OUTPUTS, [1.5, 2.5]):
        target = Target.from_values(truth)
        assert target.with_labels(["x"]) is target
        assert target.known_to([raw(["x"])]) is target


@pytest.mark.parametrize(("truth", "sources", "labels"), [
    (CYCLE, [raw(classes=["a", "b", "c", "d"])], ("a", "b", "c", "d")),
    (CYCLE, [raw(["d", "a", "b"])], ("a", "b", "c", "d")),
    (CYCLE, [raw(["x1", "x2", "a"])], ("a", "b", "c")),  # mostly strange: the wrong column
    (CYCLE, [raw(np.array([0.5, 1.0, 1.5]))], ("a", "b", "c")),
    (CYCLE, [raw(classes=[0, 1, 2, 3]), raw(classes=["a", "d"])], ("a", "b", "c", "d")),
    (CYCLE, [raw(classes=["a", "d"]), raw(classes=[0, 1, 2, 3])], ("a", "b", "c", "d")),
    ([1, 2, 3], [raw(classes=["1", "2", "3", "4"])], (1, 2, 3, 4)),
    (["1", "2", "3"], [raw(classes=[1, 2, 3, 4])], ("1", "2", "3", "4")),
    ([1, 2, 3], [raw(classes=["1", "x"])], (1, 2, 3)),
    ([1, 2, 4], [raw(scores=np.zeros((3, 5)))], (0, 1, 2, 3, 4)),
    ([1, 2, 5], [raw(scores=np.zeros((3, 5)))], (1, 2, 5)),
    (CYCLE, [raw(scores=np.zeros((3, 5)))], ("a", "b", "c")),
    (NO_YES, [raw(classes=["no", "yes", "maybe"])], ("no", "yes")),
])  # fmt: skip
def test_classes_of_several_sources(truth: Any, sources: Any, labels: tuple[Label, ...]) -> None:
    assert Target.from_values(truth).known_to(sources).labels == labels


def test_take() -> None:
    target = Target.from_values(ABC)
    part = target.take(np.array([3, 1]))
    assert part.y.tolist() == [0, 1]
    assert part.labels == target.labels
    assert part.n == 2
    assert part.digest() != target.digest()


# ---- properties ------------------------------------------------------------------------------


def table(seed: int, n: int = 12, k: int = 4) -> tuple[Any, Any]:
    """Truth with every class, and probabilities."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    scores = rng.dirichlet(np.ones(k), n)
    return rng.permutation(truth), scores


SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.lists(
    st.one_of(st.integers(-1000, 1000), st.text("abcdefg", min_size=1, max_size=4)),
    min_size=4,
    max_size=4,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, order=st.permutations(range(4)), names=NAMES)
def test_order_and_names_of_classes_change_nothing(
    seed: int, order: list[int], names: list[Label]
) -> None:
    codes, scores = table(seed)
    truth = [names[code] for code in codes]
    got = Predictions.normalise(
        raw(scores=scores[:, order], classes=[names[i] for i in order]),
        Target.from_values(truth, task=Task.MULTICLASS),
        name="m",
    )
    assert got.y_score is not None
    assert got.y_pred is not None
    labels = got.target.labels
    place = [labels.index(name) for name in names]
    np.testing.assert_array_equal(got.y_score[:, place], scores)
    assert [labels[code] for code in got.target.y] == truth
    assert [labels[code] for code in got.y_pred] == [names[i] for i in scores.argmax(axis=1)]


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    kind=st.sampled_from([P, L, D]),
    flip=st.booleans(),
    missing=st.sets(st.integers(0, 11), max_size=5),
)
def test_rows_in_another_order_change_nothing_else(
    seed: int, kind: ScoreKind, flip: bool, missing: set[int]
) -> None:
    rng = np.random.default_rng(seed)
    truth = np.concatenate([[0, 1], rng.integers(0, 2, 10)])
    scores = rng.random(12) if kind is P else rng.normal(size=12)
    scores[list(missing)] = NAN
    order = rng.permutation(12)

    def normalised(rows: Any) -> Predictions:
        return Predictions.normalise(
            raw(scores=scores[rows], kind=kind),
            Target.from_values(truth[rows], pos_label=0 if flip else None),
            name="m",
            sample_weight=np.arange(1.0, 13.0)[rows],
        )

    plain, moved = normalised(np.arange(12)), normalised(order)
    back = np.argsort(order[moved.rows])
    assert plain.y_score is not None
    assert moved.y_score is not None
    assert plain.sample_weight is not None
    assert moved.sample_weight is not None
    np.testing.assert_array_equal(np.sort(order[moved.rows]), plain.rows)
    np.testing.assert_array_equal(moved.y_score[back], plain.y_score)
    np.testing.assert_array_equal(moved.target.y[back], plain.target.y)
    np.testing.assert_array_equal(moved.sample_weight[back], plain.sample_weight)
    assert moved.notes == plain.notes


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, positive=st.sampled_from([0, 1]))
def test_either_positive_class_ranks_the_same(seed: int, positive: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.array([0, 1, *rng.integers(0, 2, 10)])
    pair = rng.dirichlet([1, 1], 12)
    target = Target.from_values(truth, pos_label=positive)
    two = Predictions.normalise(raw(scores=pair, classes=[0, 1]), target, name="m")
    one = Predictions.normalise(raw(scores=pair[:, 1], classes=[0, 1]), target, name="m")
    logits = Predictions.normalise(
        raw(scores=np.log(pair) + 3, classes=[0, 1], kind=L), target, name="m"
    )
    for got in (two, one, logits):
        assert got.y_score is not None
    np.testing.assert_array_equal(two.y_score, pair[:, positive])
    np.testing.assert_allclose(one.y_score, pair[:, positive], rtol=0, atol=1e-15)
    odds = np.log(pair[:, positive]) - np.log(pair[:, 1 - positive])
    np.testing.assert_allclose(logits.y_score, odds, rtol=0, atol=1e-12)


# ---- real models -----------------------------------------------------------------------------


def test_scikit_learn_classifiers() -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    X, y = load_iris(return_X_y=True)
    truth = np.array(["setosa", "versicolor", "virginica"])[y]
    target = Target.from_values(truth)
    proba = LogisticRegression(max_iter=1000).fit(X, truth)
    got = Predictions.normalise(
        raw(proba.predict(X), proba.predict_proba(X), proba.classes_), target, name="m"
    )
    assert got.score_kind is P
    assert got.y_pred is not None
    assert float(np.mean(got.y_pred == got.target.y)) == proba.score(X, truth)
    svc = LinearSVC().fit(X, truth)
    got = Predictions.normalise(
        raw(None, svc.decision_function(X), svc.classes_, D), target, name="m"
    )
    assert got.y_pred is not None
    assert [got.target.labels[code] for code in got.y_pred] == svc.predict(X).tolist()


def test_scikit_learn_multilabel_forest() -> None:
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X > 0).astype(int)
    y[:, 2] = 0  # never present: predict_proba answers (n, 1) for this label
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    scores = forest.predict_proba(X)
    assert [part.shape for part in scores] == [(60, 2), (60, 2), (60, 1)]
    target = Target.from_values(y, task=Task.MULTILABEL)
    got = Predictions.normalise(raw(forest.predict(X), scores, forest.classes_), target, name="m")
    expected = np.column_stack([scores[0][:, 1], scores[1][:, 1], np.zeros(60)])
    np.testing.assert_array_equal(got.y_score, expected)
    np.testing.assert_array_equal(got.y_pred, forest.predict(X))


# ---- protocols -------------------------------------------------------------------------------


def test_protocols_are_recognised() -> None:
    class Constant:
        info = ModelInfo(format="in-memory", kind="always yes")

        def predict(self, X: Any) -> RawPredictions:
            return RawPredictions(labels=["yes"] * len(X))

    class Answer:
        def frame(self) -> pd.DataFrame:
            return pd.DataFrame()

    assert isinstance(Constant(), Model)
    assert isinstance(Answer(), Result)
    assert not isinstance(Answer(), Model)


def test_tasks() -> None:
    kinds = [task for task in Task if task.is_classification]
    assert kinds == [Task.BINARY, Task.MULTICLASS, Task.MULTILABEL]
    assert Task("multi-output regression") is Task.MULTIOUTPUT_REGRESSION
