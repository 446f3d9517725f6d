"""One fit of a model on some rows: what is asked, and what is answered, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..contracts import RawPredictions
from ..frames import (
    Frame,
    FrameError,
    decode_raw,
    encode_raw,
    plain_text,
)

__all__ = ["Fit", "Refit", "encode_fit", "read_fit", "read_refit"]

Floats = npt.NDArray[np.float64]
Value = bool | int | float | str | None

_SENTENCE, _NOTES, _NAMES = 1_000, 20, 2_000
_KINDS = ("estimator", "network", "")


@dataclass(frozen=True)
class Refit:
    """Whether and how a model can be fitted again.

    Attributes
    ----------
    kind : "estimator" (scikit-learn's interface), "network" (Keras), "" where it cannot be.
    reason : why not, and what can be shown instead; "" where it can.
    sentence : what a new fit is: which settings are kept, what is set anew.
    shared : names of the steps that prepare the columns and need not be fitted for each model.
    parameters : its settings that are plain values, by name, as `set_params` takes them.
    epochs : of a network: how many are fitted where nothing else is asked; None for others.
    """

    kind: str
    reason: str = ""
    sentence: str = ""
    shared: tuple[str, ...] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    epochs: int | None = None

    @property
    def can(self) -> bool:
        return bool(self.kind)


@dataclass(frozen=True, eq=False)
class Fit:
    """A model fitted anew on some rows, scored on these and on others.

    Attributes
    ----------
    train, validation : `(m,)` one score for each metric asked; NaN where it has no value.
    reasons : metric → why it has no value.
    fit_seconds, score_seconds : how long both took.
    shared : the columns were prepared by a step that was fitted on the same rows before.
    notes : sentences on what was set anew.
    answers : what it says of the validation rows, where that was asked.
    failure : why there is no fit; the scores are NaN then.
    kept : found in the store, not fitted now.
    """

    train: Floats
    validation: Floats
    fit_seconds: float = float("nan")
    score_seconds: float = float("nan")
    shared: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    answers: RawPredictions | None = None
    failure: str = ""
    kept: bool = False

    @classmethod
    def failed(cls, n_metrics: int, why: str) -> Fit:
        """No scores, and the reason."""
        nothing = np.full(n_metrics, np.nan)
        return cls(nothing, nothing, failure=why)


def read_refit(frame: Frame) -> Refit:
    """What "can_refit" answers.

    Raises
    ------
    FrameError : anything else.
    """
    told = frame.header
    kind, parameters, epochs = told.get("kind"), told.get("parameters"), told.get("epochs")
    if kind not in _KINDS or not isinstance(parameters, dict) or len(parameters) > _NAMES:
        raise FrameError("Whether the model can be fitted again is not said.")
    if not all(
        value is None or type(value) in (bool, int, float, str) for value in parameters.values()
    ):
        raise FrameError("The settings of the model are no plain values.")
    if epochs is not None and (type(epochs) is not int or epochs < 1):
        raise FrameError("The number of epochs is no whole number.")
    return Refit(
        kind=str(kind),
        reason=plain_text(told.get("reason"), _SENTENCE),
        sentence=plain_text(told.get("sentence"), _SENTENCE),
        shared=_texts(told.get("shared"), 100),
        parameters={plain_text(name, 200): _plain(value) for name, value in parameters.items()},
        epochs=epochs,
    )


def _plain(value: Any) -> Any:
    return plain_text(value, _SENTENCE) if isinstance(value, str) else value


def _texts(values: Any, most: int) -> tuple[str, ...]:
    if not isinstance(values, list) or len(values) > most:
        raise FrameError(f"A list of at most {most} texts is missing.")
    return tuple(plain_text(one, _SENTENCE) for one in values)


def encode_fit(fit: Fit) -> tuple[dict[str, Any], Sequence[Any]]:
    """The header and the arrays of a message: the scores, then the arrays of the answers."""
    raw, arrays = (None, ()) if fit.answers is None else encode_raw(fit.answers)
    header = {
        "fit_seconds": fit.fit_seconds,
        "score_seconds": fit.score_seconds,
        "shared": fit.shared,
        "reasons": dict(fit.reasons),
        "notes": list(fit.notes)[:_NOTES],
        "answers": raw,
    }
    return header, [fit.train, fit.validation, *arrays]


def read_fit(frame: Frame, *, n_metrics: int, n_validation: int, answers: bool) -> Fit:
    """What `encode_fit` wrote, for so many metrics and validation rows.

    Raises
    ------
    FrameError : anything else.
    """
    told = frame.header
    if len(frame.arrays) < 2 or any(
        each.shape != (n_metrics,) or each.dtype.kind != "f" for each in frame.arrays[:2]
    ):
        raise FrameError(f"A fit has no scores for {n_metrics} metrics.")
    reasons, raw = told.get("reasons"), told.get("answers")
    if not isinstance(reasons, dict) or len(reasons) > 2 * n_metrics:
        raise FrameError("A fit does not say why it lacks scores.")
    if not isinstance(told.get("shared"), bool) or (raw is not None) != answers:
        raise FrameError("A fit lacks its answers, or has some that nobody asked for.")
    return Fit(
        train=frame.arrays[0].astype(np.float64),
        validation=frame.arrays[1].astype(np.float64),
        fit_seconds=_seconds(told.get("fit_seconds")),
        score_seconds=_seconds(told.get("score_seconds")),
        shared=told["shared"],
        reasons={plain_text(k, 100): plain_text(v, _SENTENCE) for k, v in reasons.items()},
        notes=_texts(told.get("notes"), _NOTES),
        answers=decode_raw(Frame(raw, frame.arrays[2:]), n_validation) if raw else None,
    )


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value < 1e9:
        raise FrameError("A fit does not say how long it took.")
    return float(value)
