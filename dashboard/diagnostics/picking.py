"""Which rows are worth a closer look: wrong, confidently wrong, in dispute, or simply any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Predictions, ScoreKind, Target, Task
from ..errors import NotApplicable
from ..wording import number, percent, plural, quoted, shorten

__all__ = [
    "PICKS",
    "Pick",
    "RowPick",
    "confident_and_wrong",
    "models_disagree",
    "most_wrong",
    "random_rows",
    "truth_of",
    "wrong_rows",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]
Thresholds = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class RowPick:
    """Rows in the order in which to look at them.

    Attributes
    ----------
    rows : `(k,)` positions in the evaluation set.
    score : `(k,)` what they are ordered by: error, confidence, disagreement; NaN at random.
    truth : `(k,)` the true label or value, as text.
    answers : model → `(k,)` its answer as text, "" where it gives none for the row.
    why : `(k,)` one sentence each, plain text.
    n_found : rows that qualify, of which these are the first; `n` rows looked at.
    """

    rows: Ints
    score: Floats
    truth: tuple[str, ...]
    answers: dict[str, tuple[str, ...]]
    why: tuple[str, ...]
    n_found: int
    n: int

    def frame(self) -> pd.DataFrame:
        """Columns row, truth, one per model, score, why."""
        columns: dict[str, Any] = {"row": self.rows, "truth": list(self.truth)}
        for name, texts in self.answers.items():
            columns[name if name not in columns else f"{name} (answer)"] = list(texts)
        return pd.DataFrame({**columns, "score": self.score, "why": list(self.why)})


class _View(NamedTuple):
    """One model's answers on the rows that all models answer."""

    name: str
    predictions: Predictions
    places: Ints  # of the common rows in `predictions`
    error: Floats  # 0 is right; classes: 1 - probability of the truth, values: distance
    label: Ints | None  # predicted class
    confidence: Floats | None  # of the predicted class, 0 to 1
    scores: Floats  # (n, k) comparable among models: probabilities, or the values themselves


def _views(
    models: Sequence[Predictions], thresholds: Thresholds | None
) -> tuple[list[_View], Ints]:
    if not models:
        raise NotApplicable("No model has answered yet, so there are no rows to pick from.")
    common = np.asarray(models[0].rows, dtype=np.int64)
    for one in models[1:]:
        common = common[np.isin(common, one.rows)]
    if not len(common):
        raise NotApplicable("These models have no answered row in common.")
    cuts = thresholds or {}
    return [_view(one, common, cuts.get(one.name)) for one in models], np.asarray(common)


def _view(one: Predictions, common: Ints, cut: float | None) -> _View:
    at = np.searchsorted(one.rows, common)
    if not one.task.is_classification:
        return _value_view(one, at)
    if one.task is Task.MULTILABEL:
        return _labels_view(one, at, cut)
    return _class_view(one, at, cut)


def _value_view(one: Predictions, at: Ints) -> _View:
    if one.y_pred is None:
        raise NotApplicable(f"{one.name} gives no predicted values.")
    truth = np.asarray(one.target.y, dtype=np.float64).reshape(one.n, -1)
    scale = truth.std(axis=0) if truth.shape[1] > 1 else np.ones(1)
    scale = np.where(scale > 0, scale, 1.0)
    answers = np.asarray(one.y_pred, dtype=np.float64).reshape(one.n, -1)[at]
    error = np.abs((answers - truth[at]) / scale).mean(axis=1)
    return _View(one.name, one, at, error, None, None, answers / scale)


def _labels_view(one: Predictions, at: Ints, cut: float | None) -> _View:
    truth = np.asarray(one.target.y)[at] == 1
    shares = _shares(one)
    if shares is None:
        if one.y_pred is None:
            raise NotApplicable(f"{one.name} gives neither labels nor scores.")
        shares = np.asarray(one.y_pred, dtype=np.float64)
    shares = shares[at]
    error = np.where(truth, 1 - shares, shares).mean(axis=1)
    return _View(one.name, one, at, error, None, None, shares)


def _class_view(one: Predictions, at: Ints, cut: float | None) -> _View:
    truth = np.asarray(one.target.y, dtype=np.int64)[at]
    k = len(one.target.labels)
    shares = _shares(one)
    label = _labels(one, cut)[at]
    if shares is None:
        onehot = np.zeros((len(at), k))
        known = label >= 0
        onehot[np.flatnonzero(known), label[known]] = 1.0
        return _View(one.name, one, at, (label != truth) * 1.0, label, None, onehot)
    shares = shares[at]
    error = 1 - shares[np.arange(len(at)), truth]
    confidence = shares[np.arange(len(at)), np.maximum(label, 0)]
    return _View(one.name, one, at, error, label, confidence, shares)


def _shares(one: Predictions) -> Floats | None:
    """`(n, k)` scores between 0 and 1; unbounded ones through the logistic curve."""
    if one.y_score is None:
        return None
    scores = np.asarray(one.y_score, dtype=np.float64)
    if one.score_kind in (ScoreKind.LOGIT, ScoreKind.DECISION):
        scores = 1 / (1 + np.exp(-np.clip(scores, -700, 700)))
    if one.task is not Task.BINARY:
        return scores
    positive = 1 if one.target.pos_label is None else one.target.pos_label
    pair = (1 - scores, scores) if positive == 1 else (scores, 1 - scores)
    return np.column_stack(pair)


def _labels(one: Predictions, cut: float | None) -> Ints:
    """`(n,)` predicted class; with a threshold, or without labels of its own, from the scores."""
    if (
        one.task is Task.BINARY
        and one.y_score is not None
        and (cut is not None or one.y_pred is None)
    ):
        unbounded = one.score_kind in (ScoreKind.LOGIT, ScoreKind.DECISION)
        limit = cut if cut is not None else 0.0 if unbounded else 0.5
        positive = 1 if one.target.pos_label is None else one.target.pos_label
        return np.where(one.y_score >= limit, positive, 1 - positive).astype(np.int64)
    if one.y_pred is not None:
        return np.asarray(one.y_pred, dtype=np.int64)
    if one.y_score is None:
        raise NotApplicable(f"{one.name} gives neither labels nor scores.")
    return np.asarray(np.argmax(one.y_score, axis=1), dtype=np.int64)


# ---- texts -----------------------------------------------------------------------------------


def truth_of(target: Target, place: int) -> str:
    """The true label, labels or values of one row, as text."""
    y = target.y[place]
    if target.task in (Task.BINARY, Task.MULTICLASS):
        return str(target.labels[int(y)])
    return _several(target, y)


def _truth(one: Predictions, place: int) -> str:
    return truth_of(one.target, place)


def _several(target: Target, values: Any) -> str:
    values = np.atleast_1d(values)
    if target.task is Task.MULTILABEL:
        named = [str(name) for name, v in zip(target.labels, values, strict=True) if v >= 0.5]
        return ", ".join(named) or "none"
    return ", ".join(number(float(v)) for v in values)


def _answer(view: _View, place: int) -> str:
    one = view.predictions
    if view.label is not None:
        label = int(view.label[place])
        name = str(one.target.labels[label]) if label >= 0 else "another class"
        if view.confidence is None:
            return name
        return f"{name} ({percent(float(view.confidence[place]))})"
    if one.task is Task.MULTILABEL:
        return _several(one.target, view.scores[place])
    values: Any = None if one.y_pred is None else one.y_pred[view.places[place]]
    return _several(one.target, values)


def _picked(
    views: Sequence[_View],
    common: Ints,
    order: Ints,
    score: Floats,
    why: Callable[[int], str],
    n_found: int,
) -> RowPick:
    first = views[0]
    return RowPick(
        rows=common[order].astype(np.int64),
        score=score[order],
        truth=tuple(_truth(first.predictions, int(first.places[k])) for k in order),
        answers={view.name: tuple(_answer(view, int(k)) for k in order) for view in views},
        why=tuple(why(int(k)) for k in order),
        n_found=n_found,
        n=len(common),
    )


def _first(score: Floats, k: int, among: npt.NDArray[np.bool_]) -> Ints:
    """The k largest of those that qualify; equals in the order of the data."""
    found = np.flatnonzero(among & np.isfinite(score))
    return found[np.argsort(-score[found], kind="stable")][:k]


def _name(view: _View) -> str:
    return shorten(view.name, 28)


# ---- pickers ---------------------------------------------------------------------------------


def most_wrong(
    models: Sequence[Predictions], k: int = 20, *, thresholds: Thresholds | None = None
) -> RowPick:
    """Rows with the largest error, averaged over the models.

    The error is 1 − the probability of the true class (unbounded scores through the logistic
    curve), or the distance of a number from the truth.

    Raises
    ------
    NotApplicable : no models, or no row that all of them answer.
    """
    views, common = _views(models, thresholds)
    error = np.mean([view.error for view in views], axis=0)
    wrong = error > 0

    def why(place: int) -> str:
        worst = max(views, key=lambda view: float(view.error[place]))
        truth = _truth(worst.predictions, int(worst.places[place]))
        if worst.label is None:
            return f"{_name(worst)} says {_answer(worst, place)}; the truth is {truth}."
        left = percent(1 - float(worst.error[place]))
        return f"{_name(worst)} gives the true class {quoted(truth)} only {left}."

    return _picked(views, common, _first(error, k, wrong), error, why, int(wrong.sum()))


def confident_and_wrong(
    models: Sequence[Predictions], k: int = 20, *, thresholds: Thresholds | None = None
) -> RowPick:
    """Rows where a model is wrong and surest of it.

    Raises
    ------
    NotApplicable : numbers or several labels are predicted, or no model says how sure it is.
    """
    views, common = _views(models, thresholds)
    if views[0].label is None:
        raise NotApplicable(
            "Only a model that chooses one class says how sure it is. Use the most wrong rows."
        )
    sure = [view for view in views if view.confidence is not None]
    if not sure:
        raise NotApplicable("None of the models says how sure it is: they give labels only.")
    wrong = np.array([_is_wrong(view) for view in sure])
    confidence = np.array([view.confidence for view in sure], dtype=np.float64)
    score = np.where(wrong, confidence, -np.inf).max(axis=0)

    def why(place: int) -> str:
        at = int(np.argmax(np.where(wrong[:, place], confidence[:, place], -np.inf)))
        truth = _truth(sure[at].predictions, int(sure[at].places[place]))
        return f"{_name(sure[at])} says {_answer(sure[at], place)}; the truth is {quoted(truth)}."

    any_wrong = np.asarray(wrong.any(axis=0))
    return _picked(views, common, _first(score, k, any_wrong), score, why, int(any_wrong.sum()))


def _is_wrong(view: _View) -> npt.NDArray[np.bool_]:
    truth = np.asarray(view.predictions.target.y)[view.places]
    return np.asarray(view.label != truth)


def models_disagree(
    models: Sequence[Predictions], k: int = 20, *, thresholds: Thresholds | None = None
) -> RowPick:
    """Rows on which the models' answers are furthest apart.

    For classes: rows that they call differently, by the largest difference of a probability; for
    numbers the distance of the lowest from the highest answer.

    Raises
    ------
    NotApplicable : fewer than two models.
    """
    if len(models) < 2:
        raise NotApplicable("One model cannot disagree with itself. Show a second model.")
    views, common = _views(models, thresholds)
    scores = np.array([view.scores for view in views])
    apart = np.ptp(scores, axis=0).max(axis=1)
    if views[0].label is not None:
        labels = np.array([view.label for view in views])
        differ = (labels != labels[0]).any(axis=0)
    else:
        differ = apart > 0

    def why(place: int) -> str:
        column = int(np.argmax(np.ptp(scores[:, place], axis=0)))
        low = views[int(np.argmin(scores[:, place, column]))]
        high = views[int(np.argmax(scores[:, place, column]))]
        return (
            f"{_name(high)} says {_answer(high, place)}, {_name(low)} says {_answer(low, place)}."
        )

    return _picked(views, common, _first(apart, k, differ), apart, why, int(differ.sum()))


def random_rows(
    models: Sequence[Predictions],
    k: int = 20,
    *,
    thresholds: Thresholds | None = None,
    random_state: int = 0,
) -> RowPick:
    """Rows drawn by lot with a seed, in the order drawn."""
    views, common = _views(models, thresholds)
    drawn = np.random.default_rng(random_state).permutation(len(common))[:k]
    score = np.full(len(common), np.nan)
    note = f"Drawn by lot among {plural(len(common), 'row')}."
    return _picked(views, common, drawn, score, lambda place: note, len(common))


def wrong_rows(
    models: Sequence[Predictions], *, share: float = 0.1, thresholds: Thresholds | None = None
) -> dict[str, Ints]:
    """What they are called → positions of the rows that each model gets wrong, and that all do.

    For numbers and several labels: the `share` of rows with the largest error. Groups without
    rows are left out.

    Raises
    ------
    NotApplicable : no models, or no row that all of them answer.
    """
    views, common = _views(models, thresholds)
    found = {}
    for view in views:
        if view.label is None:
            most = np.argsort(-view.error, kind="stable")[: max(1, round(share * len(common)))]
            found[f"rows that {view.name} gets most wrong"] = np.sort(common[most])
        else:
            found[f"rows that {view.name} gets wrong"] = common[_is_wrong(view)]
    if len(views) > 1 and views[0].label is not None:
        every = np.all([_is_wrong(view) for view in views], axis=0)
        found["rows that all models get wrong"] = common[every]
    return {name: rows.astype(np.int64) for name, rows in found.items() if len(rows)}


class Pick(NamedTuple):
    """A way to choose rows: title for a control, one plain sentence, the function."""

    title: str
    sentence: str
    function: Callable[..., RowPick]


PICKS: dict[str, Pick] = {
    "wrong": Pick(
        "Most wrong", "The rows that the models shown get most wrong, on average.", most_wrong
    ),
    "confident": Pick(
        "Most confident and wrong",
        "A model chose the wrong class and was surest of it.",
        confident_and_wrong,
    ),
    "disagree": Pick("Models disagree", "The models' answers are furthest apart.", models_disagree),
    "random": Pick("Random", "Rows drawn by lot, as examples of the usual.", random_rows),
}
