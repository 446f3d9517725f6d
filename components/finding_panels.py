"""Findings on the page: how bad, the sentence with its numbers, what to do, where to look."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from components.attribution_panels import show_sentence
from components.markup import plain
from components.panels import show_table
from components.pointing import show_way
from components.state import app_state
from components.telling import tell
from dashboard.contracts import SEVERITIES, Finding, findings_frame
from dashboard.wording import in_sentence, plural

__all__ = ["in_brief", "show_findings", "show_verdict"]

_ICONS = {
    "good": ":material/check_circle:",
    "info": ":material/info:",
    "warning": ":material/warning:",
    "problem": ":material/error:",
}
_WORDS = {"good": "Good", "info": "Note", "warning": "Warning", "problem": "Problem"}
_MOST = 6
_MOST_NAMED = 3
# The answer in a few words; the sentence with the numbers follows it.
_BRIEF = {
    "overfitting": "{} overfits",
    "memorised": "{} has learned its training rows by heart",
    "not_converged": "{} was still improving when it stopped",
    "converged": "{} has learned what it could",
    "stuck": "{} does not learn",
    "diverging": "{} diverges",
    "rate_too_high": "the learning rate of {} looks too high",
    "rate_too_low": "the learning rate of {} looks too low",
    "non_finite": "{} has losses that are no numbers",
    "data_mismatch": "{} does worse on rows of another kind",
    "undecided": "{} cannot be judged clearly",
    "underfitting": "{} underfits",
    "about_right": "{} fits about right",
    "no_better_than_baseline": "{} is no better than guessing",
    "wanted_missed": "{} falls short of the score wanted",
    "wanted_reached": "{} reaches the score wanted",
    "more_data_helps": "more rows would help {}",
    "one_epoch": "{} has too short a log to judge",
    "too_short": "{} has too short a log to judge",
    "no_validation": "{} has no curve on validation rows",
    "vanishing_gradients": "gradients vanish in {}",
    "exploding_gradients": "gradients explode in {}",
    "dead_units": "{} has units that are dead",
    "not_moving": "{} has a layer that does not move",
    "saturated_units": "{} has units that are saturated",
}
# True and worth knowing, but no answer to whether a model learns.
_ASIDE = ("validation_better_at_first", "validation_better", "noisy_validation", "no_validation")


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: (-SEVERITIES.index(one.severity), one.code in _ASIDE))


def show_verdict(findings: Sequence[Finding], place: Any) -> None:
    """What answers the page: each one's worst in a few words, the worst of all with its numbers."""
    if not findings:
        return
    worst, *rest = _ordered(findings)
    said = f"{worst.subject}: {worst.sentence}" if not _names(worst) else worst.sentence
    lead = _lead([worst, *rest])
    if lead:
        brief = _brief(worst).format(_who(worst))
        said = said.replace(f"{brief}: ", f"{_who(worst)}: ", 1)  # not twice
        said = f"{lead} {said.partition('. ')[0].rstrip('.')}."  # the rest stands below
        said += f" {worst.evidence['otherwise']}" if "otherwise" in worst.evidence else ""
        if worst.evidence.get("more_rows") == "more_data_helps":
            said += " It still improves with more rows."
    if worst.remedies and worst.severity in ("warning", "problem"):
        said += f" What may help first: {in_sentence(worst.remedies[0].rstrip('.'))}."
    others = [one for one in rest if one.severity in ("warning", "problem")]
    if others:
        said += f" {plural(len(others), 'further finding')} below."
    show_sentence(said, place)


def _who(one: Finding) -> str:
    return one.subject.partition(": ")[0]


def in_brief(findings: Sequence[Finding]) -> str:
    """Who overfits, who was still improving: a line without numbers; "" where there is none."""
    return _lead(_ordered(findings), more="more")


def _lead(ordered: Sequence[Finding], *, more: str = "more below") -> str:
    """ "A overfits; B was still improving when it stopped." – of each the first that answers."""
    first: dict[str, Finding] = {}
    for one in ordered:
        first.setdefault(_who(one), one)
    known = [(_brief(one), who) for who, one in first.items() if one.code in _BRIEF]
    told = [words.format(who) for words, who in known]
    if not told or ordered[0].code not in _BRIEF:
        return ""
    beyond = len(told) - _MOST_NAMED
    text = "; ".join(told[:_MOST_NAMED]) + (f"; {beyond} {more}" if beyond > 0 else "")
    named = known[0][0].startswith("{}")  # a name is written as it is
    return f"{text if named else text[:1].upper() + text[1:]}."


def _brief(one: Finding) -> str:
    """What is said of it, with {} for its name; of a run that is behind another, behind which."""
    beside = str(one.evidence.get("beside", "")).replace("{", "{{").replace("}", "}}")
    return _BRIEF[one.code] + (f" beside {beside}" if beside else "")


def _names(one: Finding) -> bool:
    """Whether its sentence says by itself whom it is about."""
    who = re.escape(one.subject.partition(":")[0])
    return re.search(rf"(?<!\w){who}(?!\w)", one.sentence) is not None


def show_findings(
    findings: Sequence[Finding], *, key: str, units: Mapping[str, str] | None = None
) -> None:
    """Each as a line with its remedies below, and the way to its place; the worst first.

    `units` : run → what its steps are, where they are no epochs.
    """
    ordered = _ordered(findings)
    tell(app_state(), key, ordered)
    for k, one in enumerate(ordered[:_MOST]):
        who = "" if _names(one) else f"**{plain(one.subject)}**: "
        st.markdown(
            f"{_ICONS[one.severity]} **{_WORDS[one.severity]}.** {who}{plain(one.sentence)}"
        )
        if one.remedies:
            steps = "; ".join(plain(in_sentence(step.rstrip("."))) for step in one.remedies)
            st.caption(f"What to do, the most promising first: {steps}.")
        show_way(one, f"{key}-{k}", units or {})
    if ordered:
        with st.expander(
            f"All findings with their numbers ({len(ordered)})", icon=":material/table:"
        ):
            show_table(findings_frame(ordered), key=f"findings-{key}", name="findings")
