"""The trees of a model: which reader fits it, and its outputs as the subject names them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..contracts import canonical_label
from ..errors import NotApplicable
from .boosted_forests import read_boosted
from .combined_forests import read_combined
from .fitted_forests import read_fitted
from .forests import Forest
from .subjects import Subject

__all__ = ["forest_of", "is_first"]

_READ: WeakKeyDictionary[Subject, Forest | str] = WeakKeyDictionary()


def forest_of(subject: Subject) -> Forest:
    """The trees of a model, with the outputs of `subject` and its features as players.

    Raises
    ------
    NotApplicable : it is no ensemble of trees, or one with parts that cannot be computed exactly.
    """
    found = _READ.get(subject)
    if found is None:
        try:
            found = _matched(_read(subject.estimator), subject).merged(subject.sources)
        except NotApplicable as reason:
            found = str(reason)
        _READ[subject] = found
    if isinstance(found, str):
        raise NotApplicable(found)
    return found


def _read(estimator: Any) -> Forest:
    kinds = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(estimator).__mro__}
    for read in (read_fitted, read_boosted, partial(read_combined, read=_read)):
        forest = read(estimator, kinds)
        if forest is not None:
            if not forest.trees:
                raise NotApplicable("The model has no trees.")
            return forest
    raise NotApplicable(f"{type(estimator).__name__} is no ensemble of trees that can be read.")


def _matched(forest: Forest, subject: Subject) -> Forest:
    """The outputs of the subject: of two classes the positive one only."""
    if subject.n_outputs == forest.n_outputs:
        if forest.n_outputs == 1 and is_first(subject):
            whole = 1.0 if forest.unit == "probability" else 0.0
            flipped = forest.outputs(lambda values: -values)
            return replace(flipped, base=flipped.base + whole)
        return forest
    if forest.n_outputs == 2 and subject.n_outputs == 1 and forest.unit == "probability":
        at = 0 if is_first(subject) else 1
        return forest.outputs(lambda values: values[..., at : at + 1])
    if forest.n_outputs == 1 and subject.n_outputs == 2 and forest.unit == "log-odds":
        return forest.outputs(lambda values: np.concatenate([-values, values], axis=-1))
    raise NotApplicable(
        f"The trees have {forest.n_outputs:,} outputs and the model {subject.n_outputs:,}."
    )


def is_first(subject: Subject) -> bool:
    """Whether the one output is the first of two classes rather than the second."""
    classes = getattr(subject.estimator, "classes_", None)
    if classes is None or np.ndim(classes) != 1 or len(classes) != 2:
        return False
    first, second = (canonical_label(value) for value in classes)
    return subject.output_names[0] == first and first != second
