"""What a diagnosis says: a code, how bad it is, the numbers behind it, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

__all__ = ["SEVERITIES", "Finding", "Severity", "findings_frame", "worst_severity"]

Severity = Literal["good", "info", "warning", "problem"]
SEVERITIES: tuple[Severity, ...] = ("good", "info", "warning", "problem")  # the mildest first


@dataclass(frozen=True)
class Finding:
    """One thing that the evidence shows about one model or run.

    Attributes
    ----------
    code : a stable word: "overfitting", "undecided", "vanishing_gradients", …
    severity : one of `SEVERITIES`.
    subject : the model or run; with a layer or parameter where it is about one.
    sentence : what was found, with its numbers and the spread that they are judged against.
    evidence : the numbers, by name.
    remedies : what to do, the most promising first.
    chart : the figure that proves it: "epochs", "size_curve", "parameter_curve", "folds", …
    at : where on that chart, as x (an epoch, a number of rows), or None.
    """

    code: str
    severity: Severity
    subject: str
    sentence: str
    evidence: Mapping[str, float | int | str] = field(default_factory=dict)
    remedies: tuple[str, ...] = ()
    chart: str = ""
    at: float | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "subject": self.subject,
            "sentence": self.sentence,
            "evidence": dict(self.evidence),
            "remedies": list(self.remedies),
            "chart": self.chart,
            "at": self.at,
        }


def findings_frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """Columns subject, severity, code, sentence, remedies, chart, at; the worst first."""
    ordered = sorted(findings, key=lambda one: -SEVERITIES.index(one.severity))
    columns = ["subject", "severity", "code", "sentence", "remedies", "chart", "at"]
    rows = [{**one.to_json(), "remedies": "; ".join(one.remedies)} for one in ordered]
    return pd.DataFrame(rows, columns=columns)


def worst_severity(findings: Sequence[Finding]) -> Severity:
    """The worst of them; "good" where nothing was found."""
    return max((one.severity for one in findings), key=SEVERITIES.index, default="good")
