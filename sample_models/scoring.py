"""Recorded scores: files read back as they were written, scikit-learn's metrics, no Sidelight code.

The test of the samples computes the same numbers through Sidelight and compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

Entry = dict[str, Any]


def read_data(folder: Path, sample: Entry) -> tuple[Any, np.ndarray, np.ndarray, pd.DataFrame]:
    """Features, truth, whether a row is evaluated, and the table beside them."""
    path = folder / sample["data"]
    if path.suffix == ".npz":
        arrays = dict(np.load(path))
        X = arrays.pop("X")
        frame = pd.DataFrame(arrays)
    else:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        X = frame[sample["features"]]
    y = frame[sample["target"][0]].to_numpy()
    y = y.astype(str) if not pd.api.types.is_numeric_dtype(y) else y
    split = sample["roles"].get("split")
    chosen = np.ones(len(frame), bool)
    if split is not None:
        chosen = (frame[split] == sample["split_value"]).to_numpy()
    return X, y, chosen, frame


def answer(folder: Path, sample: Entry, model: Entry, X: Any, frame: pd.DataFrame) -> Entry:
    """labels, and scores with one column a class where there are any, in rows of the data."""
    path = folder / model["file"]
    if model["kind"] == "predictions":
        return _from_table(path, sample, model, frame)
    if path.suffix == ".keras":
        return {"scores": _network(path, sample, X)}
    import skops.io

    estimator = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    if isinstance(X, np.ndarray):
        X = X.reshape(len(X), -1).astype("float64")
    else:
        names = getattr(estimator, "feature_names_in_", None)
        X = X[list(X.columns if names is None else names)]
        X = X.astype(dict.fromkeys(X.select_dtypes("category"), object))
    found: Entry = {"labels": np.asarray(estimator.predict(X))}
    if hasattr(estimator, "predict_proba"):
        found["scores"], found["classes"] = estimator.predict_proba(X), estimator.classes_
    elif hasattr(estimator, "decision_function"):
        found["decision"], found["classes"] = estimator.decision_function(X), estimator.classes_
    return found


def _network(path: Path, sample: Entry, X: Any) -> np.ndarray:
    import keras

    from .networks import network_inputs
    from .recipes import LOAN_NUMBERS, LOAN_TEXTS

    network = keras.saving.load_model(path, compile=False)
    if sample["key"] == "loans":
        given: Any = network_inputs(X, LOAN_NUMBERS, LOAN_TEXTS)
    else:
        given = X.astype("float32")
    return np.asarray(network.predict(given, batch_size=4096, verbose=0), dtype="float64")


def _from_table(path: Path, sample: Entry, model: Entry, frame: pd.DataFrame) -> Entry:
    columns = model["columns"]
    table = pd.read_csv(path).set_index(columns["id"]).loc[frame[sample["roles"]["id"]]]
    found: Entry = {"labels": table[columns["label"]].to_numpy().astype(str)}
    found["classes"] = np.array(list(columns["scores"].values()))
    values = table[list(columns["scores"])].to_numpy()
    if columns["kind"] == "decision":
        found["decision"] = values[:, 0]
    elif values.shape[1] == 1:
        found["scores"] = np.column_stack([1 - values[:, 0], values[:, 0]])
        found["classes"] = np.array([None, found["classes"][0]], dtype=object)
    else:
        found["scores"] = values
    return found


def score(sample: Entry, found: Entry, y: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    """The metrics of one model on the evaluated rows."""
    kept = {
        key: value[rows] if isinstance(value, np.ndarray) and key != "classes" else value
        for key, value in found.items()
    }
    if sample["task"] == "regression":
        return _regression(y[rows], kept["labels"])
    if sample["task"] == "multiclass":
        return _multiclass(y[rows], kept)
    return _binary(y[rows] == sample["pos_label"], kept, sample["pos_label"])


def _regression(y: np.ndarray, given: np.ndarray) -> dict[str, float]:
    return {
        "rmse": float(metrics.root_mean_squared_error(y, given)),
        "mae": float(metrics.mean_absolute_error(y, given)),
        "r2": float(metrics.r2_score(y, given)),
    }


def _multiclass(y: np.ndarray, found: Entry) -> dict[str, float]:
    classes = found.get("classes")
    classes = np.unique(y) if classes is None else classes.astype(y.dtype)
    order = np.argsort(classes)
    shares = found["scores"][:, order] / found["scores"].sum(axis=1, keepdims=True)
    labels = found.get("labels")
    labels = classes[order][shares.argmax(axis=1)] if labels is None else labels.astype(y.dtype)
    return {
        "accuracy": float(metrics.accuracy_score(y, labels)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(y, labels)),
        "f1_macro": float(metrics.f1_score(y, labels, average="macro")),
        "log_loss": float(metrics.log_loss(y, shares, labels=classes[order])),
    }


def _binary(y: np.ndarray, found: Entry, positive: str) -> dict[str, float]:
    shares = found.get("scores")
    if shares is not None and shares.shape[1] == 2:
        shares = shares[:, list(found["classes"]).index(positive)]
    shares = None if shares is None else shares.ravel()
    scores = found["decision"] if shares is None else shares
    if "decision" in found and found["classes"][-1] != positive:
        scores = -scores
    labels = found.get("labels")
    flagged = scores >= 0.5 if labels is None else labels == positive
    result = {
        "accuracy": metrics.accuracy_score(y, flagged),
        "precision": metrics.precision_score(y, flagged, zero_division=0),
        "recall": metrics.recall_score(y, flagged),
        "f1": metrics.f1_score(y, flagged, zero_division=0),
        "roc_auc": metrics.roc_auc_score(y, scores),
        "average_precision": metrics.average_precision_score(y, scores),
    }
    if shares is not None:
        result |= {
            "log_loss": metrics.log_loss(y, shares),
            "brier": metrics.brier_score_loss(y, shares),
        }
    return {name: float(value) for name, value in result.items()}
