"""Findings on the page: how bad, the sentence with its numbers, what to do, where to look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from components.attribution_panels import show_sentence
from components.markup import plain
from components.panels import show_table
from dashboard.contracts import SEVERITIES, Finding, findings_frame
from dashboard.wording import plural

__all__ = ["show_findings", "show_verdict"]

_ICONS = {
    "good": ":material/check_circle:",
    "info": ":material/info:",
    "warning": ":material/warning:",
    "problem": ":material/error:",
}
_WORDS = {"good": "Good", "info": "Note", "warning": "Warning", "problem": "Problem"}
_MOST = 6


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: -SEVERITIES.index(one.severity))


def show_verdict(findings: Sequence[Finding], place: Any) -> None:
    """The one sentence that answers the page: the worst that was found, and how many more."""
    if not findings:
        return
    worst, *rest = _ordered(findings)
    said = f"{worst.subject}: {worst.sentence}" if not _names(worst) else worst.sentence
    others = [one for one in rest if one.severity in ("warning", "problem")]
    if others:
        said += f" {plural(len(others), 'further finding')} below."
    show_sentence(said, place)


def _names(one: Finding) -> bool:
    """Whether its sentence says by itself whom it is about."""
    return one.subject.partition(":")[0] in one.sentence


def show_findings(findings: Sequence[Finding], *, key: str) -> None:
    """Each as a line with its remedies folded below; the worst first."""
    ordered = _ordered(findings)
    for one in ordered[:_MOST]:
        who = "" if _names(one) else f"**{plain(one.subject)}**: "
        st.markdown(
            f"{_ICONS[one.severity]} **{_WORDS[one.severity]}.** {who}{plain(one.sentence)}"
        )
        if one.remedies:
            steps = "; ".join(plain(step.rstrip(".")) for step in one.remedies)
            st.caption(f"What to do, the most promising first: {steps}.")
    if ordered:
        with st.expander(
            f"All findings with their numbers ({len(ordered)})", icon=":material/table:"
        ):
            show_table(findings_frame(ordered), key=f"findings-{key}", name="findings")
