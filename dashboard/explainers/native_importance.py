"""What a model itself counts of its features: gain, splits, impurity, coefficients.

Counts of the columns that reach the last step of a pipeline are summed back to the columns that
people uploaded; where those are mixed on the way, the model's own columns are shown instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contracts import Model, Work, canonical_label
from ..errors import NotApplicable
from .answers import Asked, family_of
from .pipelines import known_subject, prepare_answered, prepared_names, raw_rows, rows_at
from .subjects import Subject

__all__ = ["KINDS", "native_importance"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Key → for people, its unit, and what it cannot see.
KINDS: dict[str, tuple[str, str, str]] = {
    "impurity": (
        "Impurity decrease",
        "share of the impurity decrease",
        "How much the splits on a feature sorted the training rows: it favours columns with many "
        "different values, and counts what was memorised.",
    ),
    "gain": (
        "Gain",
        "share of the gain",
        "How much the splits on a feature lowered the training loss: it favours columns with many "
        "different values, and counts what was memorised.",
    ),
    "split": (
        "Splits",
        "share of the splits",
        "How often the trees split on a feature, however little each split helped: columns with "
        "many different values are split most often.",
    ),
    "prediction-change": (
        "Change of the answer",
        "share of the change",
        "How much the answer changes along the splits on a feature, on the training rows "
        "(CatBoost's PredictionValuesChange).",
    ),
    "coefficient": (
        "Size of the coefficient",
        "standard deviation of the contribution",
        "The coefficient times the spread of its column on these rows: features that vary together "
        "trade their coefficients, so single ones can be large, or of the wrong sign, by chance.",
    ),
}
MOST_ROWS = 2_000


@dataclass(frozen=True, eq=False)
class _Counted:
    """What the last step counts, for each column that reaches it.

    Attributes
    ----------
    values : `(m,)`, not negative.
    coefficients : `(k, m)` of a linear model, one row for each output, else None.
    flipped : the answer that is shown goes the other way than these coefficients.
    """

    values: Floats
    coefficients: Floats | None = None
    flipped: bool = False


def native_importance(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> tuple[dict[str, Any], Sequence[Any]]:
    """Every kind of importance that the model itself has.

    Parameters
    ----------
    tables : "X" rows as the model is given them.
    arguments : "rows" (positions in X on which spreads are measured), "asked", "prepared"
        (whether the columns that reach the last step are wanted, not the person's own).

    Returns
    -------
    Header "features", "kinds" (keys of `KINDS`, the most telling first), "signed" (whether signs
    follow), "level" ("raw", or "prepared" where the features are the model's own columns),
    "notes". Arrays: `(n_kinds, n_features)` values, `(n_kinds, n_features)` signs.

    Raises
    ------
    NotApplicable : the model counts nothing of the kind.
    """
    at = np.asarray(arguments["rows"], dtype=np.int64)
    subject = known_subject(model, tables["X"][:100], Asked.from_json(arguments["asked"]))
    work.check()
    counted = _counted(subject, arguments["asked"])
    if not counted:
        raise NotApplicable(_none(subject))
    rows = raw_rows(subject, rows_at(tables["X"], at))
    made, answered = prepare_answered(subject, rows)
    if any(each.coefficients is not None for each in counted.values()):
        whole = np.flatnonzero(pd.DataFrame(made).notna().all(axis=1))
        made, answered = rows_at(made, whole), answered[whole]  # a sum of missing values is none
    rows = rows_at(rows, answered)
    m = len(next(iter(counted.values())).values)
    sources, features, level = _destination(model, subject, made, m, arguments)
    values, signs = [], []
    for each in counted.values():
        one, sign = _mapped(each, made, sources, len(features))
        if each.coefficients is not None and level == "raw":
            sign = _of_bent_lines(each, made, sources, rows, features, sign)
        values.append(one)
        signs.append(sign)
    notes = list(subject.notes)
    if level == "prepared" and not arguments.get("prepared"):
        notes = [_MIXED]
    return {
        "features": list(features),
        "kinds": list(counted),
        "signed": [each.coefficients is not None for each in counted.values()],
        "level": level,
        "notes": notes,
    }, [np.stack(values), np.stack(signs)]


_MIXED = (
    "On the way into the model columns are mixed with one another, so what is counted are the "
    "columns that reach its last step."
)


def _none(subject: Subject) -> str:
    kind = f" ({type(subject.estimator).__name__})" if subject.estimator is not None else ""
    return (
        f"This model{kind} keeps no counts of its features; use permutation importance or "
        "contributions."
    )


# ---- what the last step counts -----------------------------------------------------------------


def _counted(subject: Subject, asked: Mapping[str, Any]) -> dict[str, _Counted]:
    """Kind → counts, the most telling first; empty where there are none."""
    estimator = subject.estimator
    if estimator is None:
        return {}
    family = family_of(estimator)
    if family == "xgboost":
        return _of_xgboost(estimator)
    if family == "lightgbm":
        return _of_lightgbm(estimator)
    if family == "catboost":
        changes = estimator.get_feature_importance(type="PredictionValuesChange")
        return {"prediction-change": _Counted(_as_shares(changes))}
    if hasattr(estimator, "_predictors"):
        return _of_histograms(estimator)
    inner = getattr(estimator, "regressor_", estimator)  # of a transformed target
    if getattr(inner, "coef_", None) is not None:
        return _of_coefficients(inner, subject, asked)
    found = _fitted_importances(inner)
    return {} if found is None else {"impurity": _Counted(found)}


def _fitted_importances(estimator: Any) -> Floats | None:
    """scikit-learn's own, where the estimator has them."""
    try:
        found = getattr(estimator, "feature_importances_", None)
    except (AttributeError, ValueError):  # AdaBoost of members without importances
        return None
    return None if found is None else np.asarray(found, dtype=np.float64)


def _as_shares(values: Any) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    total = array.sum()
    return array / total if total > 0 else array


def _of_xgboost(estimator: Any) -> dict[str, _Counted]:
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    m = int(booster.num_features())
    names = booster.feature_names or [f"f{at}" for at in range(m)]
    weights = booster.get_score(importance_type="weight")
    if _is_linear(booster):
        return {}
    gains = booster.get_score(importance_type="total_gain")
    place = {name: at for at, name in enumerate(names)}
    out = {}
    for kind, scores in (("gain", gains), ("split", weights)):
        values = np.zeros(m)
        for name, score in scores.items():
            values[place[name]] = np.sum(score)
        out[kind] = _Counted(_as_shares(values))
    return out


def _is_linear(booster: Any) -> bool:
    config = json.loads(booster.save_config())
    return str(config["learner"]["gradient_booster"].get("name")) == "gblinear"


def _of_lightgbm(estimator: Any) -> dict[str, _Counted]:
    booster = getattr(estimator, "booster_", estimator)
    return {
        kind: _Counted(_as_shares(booster.feature_importance(importance_type=kind)))
        for kind in ("gain", "split")
    }


def _of_histograms(estimator: Any) -> dict[str, _Counted]:
    """Sums over all trees; scikit-learn has the gains and offers no sum of them.

    Where it holds categories, its trees number columns with the categories first.
    """
    m = int(estimator.n_features_in_)
    gain, split = np.zeros(m), np.zeros(m)
    for round_ in estimator._predictors:
        for tree in round_:
            inner = tree.nodes[tree.nodes["is_leaf"] == 0]
            np.add.at(gain, inner["feature_idx"], inner["gain"])
            np.add.at(split, inner["feature_idx"], 1.0)
    order = _own_order(estimator, m)
    counts = {"gain": gain, "split": split}
    out = {}
    for kind, values in counts.items():
        moved = np.zeros(m)
        moved[order] = values
        out[kind] = _Counted(_as_shares(moved))
    return out


def _own_order(estimator: Any, m: int) -> Ints:
    """`(m,)` the given column of each column of the trees."""
    flags = getattr(estimator, "is_categorical_", None)
    if getattr(estimator, "_preprocessor", None) is None or flags is None:
        return np.arange(m)
    flags = np.asarray(flags, dtype=bool)
    return np.concatenate([np.flatnonzero(flags), np.flatnonzero(~flags)])


def _of_coefficients(
    estimator: Any, subject: Subject, asked: Mapping[str, Any]
) -> dict[str, _Counted]:
    found = estimator.coef_
    dense = np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float64)
    table = dense.reshape(1, -1) if dense.ndim == 1 else dense
    if getattr(estimator, "_estimator_type", "") and hasattr(estimator, "dual_coef_"):
        k = len(getattr(estimator, "classes_", ()))
        if k > 2:
            return {}  # one row for each pair of classes
    return {"coefficient": _Counted(np.zeros(table.shape[1]), table, _is_flipped(subject, asked))}


def _is_flipped(subject: Subject, asked: Mapping[str, Any]) -> bool:
    """Whether the positive class is the first of the model's two."""
    told = Asked.from_json(asked)
    if told.pos_label is None or subject.n_outputs != 1 or len(told.labels) != 2:
        return False
    negative = told.labels[1 - told.pos_label]
    return str(canonical_label(subject.output_names[0])) == str(canonical_label(negative))


# ---- back to the person's columns --------------------------------------------------------------


def _destination(
    model: Model, subject: Subject, made: Any, m: int, arguments: Mapping[str, Any]
) -> tuple[Ints, tuple[str, ...], str]:
    """For each of m counted columns the place of its feature, the features, and their level."""
    known = subject.sources is not None and len(subject.sources) == m
    if known and not arguments.get("prepared"):
        return np.asarray(subject.sources, dtype=np.int64), subject.features, "raw"
    names = prepared_names(model, made, subject)
    if len(names) != m:
        names = [f"column {at + 1}" for at in range(m)]
    return np.arange(m), tuple(names), "prepared"


def _mapped(
    counted: _Counted, made: Any, sources: Ints, n_features: int
) -> tuple[Floats, npt.NDArray[np.float64]]:
    """`(n_features,)` values and signs of the features."""
    if counted.coefficients is None:
        out = np.zeros(n_features)
        np.add.at(out, sources, counted.values)
        return out, np.zeros(n_features)
    table = _numbers(made)
    values, signs = np.zeros(n_features), np.zeros(n_features)
    k = len(counted.coefficients)
    for feature in range(n_features):
        columns = np.flatnonzero(sources == feature)
        # one feature's part of each output, so that indicators of one column count together
        parts = table[:, columns] @ counted.coefficients[:, columns].T
        values[feature] = float(parts.std(axis=0).mean())
        if k == 1 and len(columns) == 1:
            signs[feature] = np.sign(counted.coefficients[0, columns[0]])
    return values, -signs if counted.flipped else signs


# Rank correlation of a value and its contribution from which a bent line counts as one direction.
ONE_WAY = 0.95


def _of_bent_lines(
    counted: _Counted,
    made: Any,
    sources: Ints,
    rows: Any,
    features: Sequence[str],
    signs: Floats,
) -> Floats:
    """Signs, also for numbers that became several columns (splines, bins) and go one way."""
    if not isinstance(rows, pd.DataFrame) or counted.coefficients is None:
        return signs
    if len(counted.coefficients) != 1:
        return signs
    table, out = _numbers(made), signs.copy()
    for feature, name in enumerate(features):
        columns = np.flatnonzero(sources == feature)
        if len(columns) < 2 or not pd.api.types.is_numeric_dtype(rows[name].dtype):
            continue
        part = pd.Series(table[:, columns] @ counted.coefficients[0, columns], index=rows.index)
        together = part.corr(rows[name].astype(float), method="spearman")
        if abs(together) >= ONE_WAY:
            out[feature] = -np.sign(together) if counted.flipped else np.sign(together)
    return out


def _numbers(made: Any) -> Floats:
    values = made.to_numpy() if isinstance(made, pd.DataFrame) else made
    dense = values.toarray() if hasattr(values, "toarray") else values
    table = np.asarray(dense, dtype=np.float64).reshape(len(dense), -1)
    return np.where(np.isfinite(table), table, 0.0)
