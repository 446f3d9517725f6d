"""The metrics that training logs name: what they are called and which direction is better."""

from __future__ import annotations

import re

__all__ = ["larger_is_better", "metric_title"]

_HIGHER = (
    "acc", "accuracy", "auc", "aucpr", "auprc", "prc", "roc", "precision", "recall", "sensitivity",
    "specificity", "f1", "f", "fbeta", "score", "r2", "r", "ndcg", "map", "mrr", "iou", "dice",
    "bleu", "kappa", "mcc", "gain", "gini", "correlation", "likelihood", "hits", "tpr", "tnr",
    "top", "similarity",
)  # fmt: skip
_LOWER = (
    "loss", "logloss", "mlogloss", "cost", "error", "merror", "err", "mse", "rmse", "rmsle", "mae",
    "mape", "smape", "msle", "male", "l1", "l2", "mphe", "entropy", "crossentropy", "huber",
    "quantile", "pinball", "hinge", "poisson", "gamma", "tweedie", "deviance", "nloglik",
    "divergence", "kl", "perplexity", "ppl", "wer", "cer", "brier", "fpr", "fnr", "distance",
    "objective", "pairlogit", "mdape", "hamming", "regret", "squared", "absolute",
)  # fmt: skip
_TITLES = {
    "loss": "Loss", "accuracy": "Accuracy", "acc": "Accuracy", "auc": "AUC", "mae": "MAE",
    "mse": "MSE", "rmse": "RMSE", "mape": "MAPE", "r2": "R²", "f1": "F1", "logloss": "Log loss",
    "roc_auc": "AUC", "auroc": "AUC", "log_loss": "Log loss", "prc": "AUC PR", "auprc": "AUC PR",
    "learning_rate": "Learning rate", "aucpr": "AUC PR", "ndcg": "NDCG", "map": "MAP",
}  # fmt: skip


def _words(name: str) -> list[str]:
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^a-z0-9]+", split.casefold()) if word]


def larger_is_better(metric: str) -> bool | None:
    """Whether high values of a logged metric are good; None where its name does not tell.

    A loss or error in the name decides before anything else: "f1_loss" is to be low.
    """
    words = _words(metric)
    if any(word in _LOWER or word.endswith(("loss", "error", "entropy")) for word in words):
        return False
    if any(word in _HIGHER or word.startswith(("acc", "auc", "ndcg")) for word in words):
        return True
    return None


def metric_title(metric: str) -> str:
    """How people write it: "Loss", "AUC"; a name without a usual form is left as it was logged."""
    return _TITLES.get(metric.casefold(), metric[:1].upper() + metric[1:].replace("_", " "))
