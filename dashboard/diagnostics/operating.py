"""Operating points: one control value, turned into a threshold for each model by a common rule.

Models whose scores live on different scales are compared fairly at the same share of rows
flagged, or at the same recall; "score" is the same place on each model's own score scale.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..contracts import Predictions
from ..errors import ParameterError
from .thresholds import Counts, ThresholdTable

__all__ = ["RULES", "OperatingRule", "compute_operating"]


@dataclass(frozen=True)
class OperatingRule:
    """A way to place the threshold; `value` in [0, 1] means what `unit` says."""

    name: str
    title: str
    unit: str
    sentence: str


RULES: dict[str, OperatingRule] = {
    rule.name: rule
    for rule in (
        OperatingRule(
            "score",
            "Same score",
            "score",
            "Every model flags the rows whose score reaches this value. "
            "Decision values are placed on the same scale: .5 is the model's own threshold.",
        ),
        OperatingRule(
            "flagged",
            "Same share flagged",
            "share of rows flagged",
            "Every model flags this share of the rows, or less where scores tie: "
            "compare models when you can only follow up so many.",
        ),
        OperatingRule(
            "recall",
            "Same recall",
            "recall",
            "Every model catches at least this share of the positives: "
            "compare what that costs in false alarms.",
        ),
    )
}


def compute_operating(
    predictions: Predictions, table: ThresholdTable, *, rule: str = "score", value: float = 0.5
) -> Counts:
    """Counts at the operating point that `rule` and `value` set; larger value = per the rule.

    Raises
    ------
    ParameterError : an unknown rule, or a value outside [0, 1].
    """
    if rule not in RULES:
        raise ParameterError(f"Rule {rule!r} is unknown. Known: {', '.join(RULES)}.")
    if not 0 <= value <= 1:
        raise ParameterError(f"value must fulfil 0 <= value <= 1, got {value}.")
    if rule == "flagged":
        return table.at(table.threshold_for_selection(value))
    if rule == "recall":
        return table.at(table.threshold_for_recall(value))
    return table.at(predictions.threshold_from_share(value))
