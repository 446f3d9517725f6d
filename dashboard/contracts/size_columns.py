"""The columns of a table of training sizes and scores, told by their names."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

__all__ = [
    "METRIC_NAMES",
    "MODELS",
    "SECONDS",
    "SIZES",
    "SizeColumn",
    "are_only_size_columns",
    "are_size_columns",
    "find_column",
    "plain_name",
    "understood",
]

SIZES = (
    "size", "sizes", "train_size", "train_sizes", "training_size", "train_sizes_abs", "n_train",
    "n_samples", "samples", "rows", "n", "n_rows", "training_rows", "training_examples",
)  # fmt: skip
FOLDS = ("fold", "folds", "split", "cv_fold", "cv", "repeat", "seed")
METRIC_NAMES = ("metric", "metrics", "scoring", "measure")
MODELS = ("model", "name", "estimator", "algorithm")
SECONDS = (
    "fit_seconds",
    "fit_time",
    "fit_times",
    "mean_fit_time",
    "seconds",
    "time",
    "fit_times_mean",
)
# fmt: off
_TRAIN, _VALID = ("train", "training"), ("validation", "valid", "val", "test", "cv", "dev")
# fmt: on


@dataclass(frozen=True)
class SizeColumn:
    """What a column of scores is.

    Attributes
    ----------
    name : its name in the table; part : "train" or "validation".
    what : "score" or "sd"; fold : its number where the table is wide, else -1.
    metric : what remains of the name.
    """

    name: Hashable
    part: str
    what: str
    fold: int
    metric: str


def are_size_columns(names: Sequence[Hashable]) -> bool:
    """Whether these are the columns of such a table: a size, and a validation score."""
    found = [understood(name) for name in names]
    return find_column(names, SIZES) is not None and any(
        one is not None and one.part == "validation" and one.what == "score" for one in found
    )


def are_only_size_columns(names: Sequence[Hashable]) -> bool:
    """The same, and there is no column of anything else: no table of data looks like that."""
    known = (*SIZES, *FOLDS, *MODELS, *METRIC_NAMES, *SECONDS)
    others = [name for name in names if plain_name(name) not in known and understood(name) is None]
    return not others and are_size_columns(names)


def find_column(columns: Sequence[Hashable], names: tuple[str, ...]) -> Hashable | None:
    """The column with the first of these names that is there."""
    plain = {plain_name(name): name for name in reversed(list(columns))}
    return next((plain[name] for name in names if name in plain), None)


def plain_name(name: object) -> str:
    """In lower case, all else underscores."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).strip().lower()).strip("_")


def understood(name: Hashable) -> SizeColumn | None:
    """What a column of scores is; None where it is none."""
    plain = plain_name(name)
    if plain in (*SIZES, *FOLDS, *MODELS, *METRIC_NAMES, *SECONDS):
        return None
    fold, what = -1, "score"
    if found := re.search(r"(?:^|_)(?:split|fold|cv)_?(\d+)(?:_|$)", plain):
        fold = int(found.group(1))
        plain = (plain[: found.start()] + "_" + plain[found.end() :]).strip("_")
    elif found := re.search(r"_(\d+)$", plain):
        fold, plain = int(found.group(1)), plain[: found.start()]
    words = [word for word in plain.split("_") if word not in ("score", "scores", "mean", "avg")]
    if words and words[-1] in ("std", "sd"):
        what, words = "sd", words[:-1]
    if words and words[0] in ("std", "sd"):
        what, words = "sd", words[1:]
    for part, known in (("train", _TRAIN), ("validation", _VALID)):
        if any(word in known for word in words):
            rest = "_".join(word for word in words if word not in known)
            return SizeColumn(name, part, what, fold, rest)
    return None
