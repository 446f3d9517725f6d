"""What the names in a log mean: which metric, on which rows, and what a step is.

"val_acc", "Accuracy/val", "valid accuracy", "epoch_accuracy" in a folder called validation: all are
the accuracy on the rows for validation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = [
    "PARTS",
    "Meaning",
    "Named",
    "clean_name",
    "is_known_metric",
    "meaning_of",
    "meanings_of",
    "part_of",
]

PARTS = ("train", "validation", "test", "")
_WORDS_OF_PARTS = {
    "train": ("train", "training", "trn", "learn", "learning"),
    "validation": (
        "val",
        "valid",
        "validation",
        "validate",
        "eval",
        "evaluation",
        "dev",
        "holdout",
    ),
    "test": ("test", "testing", "tst"),
}
_PART_OF = {word: part for part, words in _WORDS_OF_PARTS.items() for word in words}
_UNITS = {
    "epoch": "epoch",
    "epochs": "epoch",
    "batch": "batch",
    "iteration": "iteration",
    "iterations": "iteration",
    "iter": "iteration",
    "step": "step",
    "steps": "step",
}
_ALIASES = {
    "acc": "accuracy",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "lr": "learning_rate",
    "learningrate": "learning_rate",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "mean_absolute_percentage_error": "mape",
    "log_loss": "logloss",
    "roc_auc": "auc",
    "auroc": "auc",
    "f1_score": "f1",
    "f_1": "f1",
}
# Nothing that is measured on rows: no part, and no metric that could be compared.
_ASIDE = frozenset(
    (
        *(
            "learning_rate",
            "momentum",
            "decay",
            "norm",
            "norms",
            "epoch",
            "epochs",
            "step",
            "steps",
        ),
        *("iteration", "iterations", "time", "seconds", "duration", "elapsed", "runtime", "gpu"),
        *("cpu", "memory", "throughput", "passed", "remaining", "beta", "wall", "size", "speed"),
    )
)
_KNOWN = re.compile(
    r"loss|acc|auc|mae|mse|mape|error|err|precision|recall|f1|logloss|entropy|rmse|score|r2|kappa"
    r"|perplexity|nll|iou|dice|mcc|ndcg|map|learning_rate|l1|l2|deviance|hinge|kld|poisson|brier"
)
_SPLIT = re.compile(r"[/._\-\s:|]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LONGEST = 200


class Meaning(NamedTuple):
    """What one name in a log means; `said` where the name itself says which rows."""

    metric: str
    part: str
    unit: str = ""
    said: bool = False


Named = tuple[str, str]


def part_of(word: str) -> str:
    """The part that a word or the name of a folder says: "val" → "validation"; "" for none."""
    return _PART_OF.get(word.casefold(), "")


def is_known_metric(metric: str) -> bool:
    """Whether a metric is one that training logs usually hold."""
    return bool(_KNOWN.search(metric))


def clean_name(name: str) -> str:
    """A name without control characters, at a length that can be shown."""
    plain = "".join(one if one.isprintable() else " " for one in name[: 4 * _LONGEST]).strip()
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def meaning_of(name: str, default: str = "train") -> Meaning:
    """What a name means; `default` is the part where it names none."""
    words = [word for word in _SPLIT.split(name.strip()) if word]
    humps = [piece for word in words for piece in _HUMP.split(word)]
    if any(part_of(piece) for piece in humps):  # valLoss, but not MultiClass
        words = humps
    words = [word.casefold() for word in words]
    words, unit = _without_unit(words)
    at = next((k for k, word in enumerate(words) if part_of(word) and len(words) > 1), None)
    if at is not None and words[at] == "learning" and words[at + 1 : at + 2] == ["rate"]:
        at = next((k for k in range(at + 2, len(words)) if part_of(words[k])), None)
    part = ""
    if at is not None:
        part = part_of(words.pop(at))
    metric = _metric(words)
    if not metric:
        return Meaning(clean_name(name), default, unit)
    if set(metric.split("_")) & _ASIDE or metric == "learning_rate":
        return Meaning(metric, "", unit)
    return Meaning(metric, part or default, unit, bool(part))


def _without_unit(words: list[str]) -> tuple[list[str], str]:
    """`epoch_loss`, `loss_step` and `loss_vs_iterations` say what a step is."""
    if words[-2:-1] == ["vs"] and words[-1] in _UNITS and len(words) > 2:
        return words[:-2], _UNITS[words[-1]]
    if len(words) > 1 and words[0] in _UNITS:
        return words[1:], _UNITS[words[0]]
    if len(words) > 1 and words[-1] in _UNITS and words[:-1] != ["global"]:
        return words[:-1], _UNITS[words[-1]]
    return words, ""


def _metric(words: Sequence[str]) -> str:
    joined = "_".join(words)
    if joined in _ALIASES:
        return _ALIASES[joined]
    if words[:1] == ["lr"] or list(words[:2]) == ["learning", "rate"]:
        return "learning_rate"
    if len(words) > 1 and words[-1].isdigit():  # Keras counts metrics of one kind: auc_1
        return _metric(words[:-1])
    return clean_name(joined)


def meanings_of(
    names: Sequence[str],
    mapping: Mapping[str, Named] | None = None,
    defaults: Mapping[str, str] | None = None,
) -> dict[str, Meaning]:
    """What every name of one log means.

    `mapping` says it for some: name → (metric, part). `defaults` : the part of a name that says
    none, "train" else. Two names never mean the same: the second one keeps its own.
    """
    found: dict[str, Meaning] = {}
    for name in names:
        given = (mapping or {}).get(name)
        one = meaning_of(name, (defaults or {}).get(name, "train"))
        found[name] = one if given is None else Meaning(given[0], given[1], one.unit, True)
    taken: set[tuple[str, ...]] = set()
    # what a person said comes first, then what says its part
    for name in sorted(found, key=lambda name: (name not in (mapping or {}), not found[name].said)):
        one = found[name]
        own, count = clean_name(name), 1
        while one[:3] in taken:
            one = found[name] = one._replace(metric=own if count == 1 else f"{own} ({count})")
            count += 1
        taken.add(one[:3])
    return found
