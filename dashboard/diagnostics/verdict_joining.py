"""One short verdict on each model, from all that its curves, folds and layers say.

The worst finding that is well supported leads. Where another source says otherwise, the verdict
says so and why both can hold: curves by epoch look at one fit, curves by training size and folds
at many of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..contracts import SEVERITIES, Finding
from ..wording import listing
from .mismatch import KEPT_APART

__all__ = ["judge"]

# What a finding says of a model, most general last. Findings outside are remarks, no verdicts.
_BROKEN = (
    "non_finite",
    "diverging",
    "rate_too_high",
    "exploding_gradients",
    "output_mismatch",
    "logits_mismatch",
)
_SHIFTED = ("data_mismatch",)
_FREE = ("memorised", "overfitting")
_LITTLE = (
    "stuck",
    "vanishing_gradients",
    "saturated_units",
    "dead_units",
    "not_moving",
    "unscaled_inputs",
    "no_better_than_baseline",
    "rate_too_low",
    "underfitting",
    "not_converged",
)
_FINE = ("converged", "about_right")
_OPEN = ("undecided", "one_epoch", "too_short")
_ROWS = {
    "more_data_helps": " It still improves with more rows.",
    "more_data_flat": " More rows of this kind would hardly help it.",
}
_SOURCES = {
    "epochs": "by epoch",
    "size_curve": "by training size",
    "folds": "across folds",
    "layers": "inside the network",
    "network": "inside the network",
}
_WORDS = {
    "stuck": "it learns nothing",
    "diverging": "it diverges",
    "memorised": "it has learned its rows by heart",
    "overfitting": "it overfits",
    "underfitting": "it underfits",
    "no_better_than_baseline": "it beats no baseline",
    "data_mismatch": "it does worse than the folds say",
    "not_converged": "it still improves",
    "rate_too_low": "its learning rate is too low",
    "rate_too_high": "its learning rate is too high",
    "vanishing_gradients": "gradients vanish",
    "exploding_gradients": "gradients explode",
    "saturated_units": "units are saturated",
    "dead_units": "units are dead",
    "not_moving": "weights do not move",
    "unscaled_inputs": "inputs are not scaled",
    "converged": "it has settled",
    "about_right": "it fits about right",
    "undecided": "undecided",
    "one_epoch": "too short to tell",
    "too_short": "too short to tell",
}


def judge(findings: Sequence[Finding]) -> list[Finding]:
    """One verdict for each model or run, the worst first; models without any are left out.

    Parameters
    ----------
    findings : of `find_in_epochs`, `judge_size_curves`, `judge_folds`, `find_in_layers`,
        `find_in_network`; those of one model share its name, up to a colon and a space.

    Returns
    -------
    list : the leading finding of each, what the other sources say added to its sentence, and their
        codes as evidence "agrees", "disagrees", "undecided", "more_rows"; "otherwise" is the
        sentence on those that disagree, "layer" where it is about one.
    """
    models: dict[str, list[Finding]] = {}
    rows: dict[str, str] = {}
    for one in findings:
        model = _whose(one)
        if _kind(one):
            models.setdefault(model, []).append(one)
        elif one.code in _ROWS:
            rows[model] = one.code
    joined = [_joined(model, found, rows.get(model, "")) for model, found in models.items()]
    return sorted(joined, key=_badness)


def _whose(one: Finding) -> str:
    return one.subject.partition(": ")[0]


def _kind(one: Finding) -> str:
    groups = {"broken": _BROKEN, "free": _FREE, "little": _LITTLE, "fine": _FINE, "open": _OPEN}
    groups["shifted"] = _SHIFTED
    return next((name for name, codes in groups.items() if one.code in codes), "")


def _badness(one: Finding) -> tuple[bool, int, float]:
    """Sorts the worst first; what is undecided comes after all that is not."""
    return one.code in _OPEN, -SEVERITIES.index(one.severity), -_support(one)


def _support(one: Finding) -> float:
    """How many times a difference exceeds what it is judged against; 1 where that is not told."""
    told = one.evidence
    for size, low in (("gap", "gap_low"), ("behind", "behind_low"), ("worse", "worse_low")):
        if size in told and low in told:
            mean, reach = float(told[size]), float(told[size]) - float(told[low])
            return abs(mean) / reach if reach > 0 else np.inf
    if "change" in told and "spread" in told:
        spread = float(told["spread"])
        return abs(float(told["change"])) / spread if spread > 0 else np.inf
    return 1.0


def _joined(model: str, found: Sequence[Finding], rows: str = "") -> Finding:
    """`rows` : the code of what is known of more rows."""
    first, *rest = sorted(found, key=_badness)
    against = [one for one in rest if _opposed(first, one)]
    still = [one for one in rest if one.code in _OPEN and _source(one) != _source(first)]
    same = [one for one in rest if _agree(first, one) and one not in still]
    layer = first.subject.partition(": ")[2].strip()
    otherwise = _against_words(first, against)
    sentence = f"{first.sentence}{_same_words(first, same)} {otherwise}".rstrip()
    if still and first.code not in _OPEN:
        sentence += f" Undecided {listing(_sources(still), 4)}."
    told = {"agrees": same, "disagrees": against, "undecided": still}
    more = {name: ", ".join(dict.fromkeys(one.code for one in ones)) for name, ones in told.items()}
    evidence = {**first.evidence, **{name: codes for name, codes in more.items() if codes}}
    if rows:
        sentence, evidence["more_rows"] = sentence + _ROWS[rows], rows
    if layer:
        evidence["layer"] = layer
    if otherwise:
        evidence["otherwise"] = otherwise
    remedies = dict.fromkeys((*first.remedies, *(r for one in same for r in one.remedies[:1])))
    return replace(
        first, subject=model, sentence=sentence, evidence=evidence, remedies=tuple(remedies)
    )


def _agree(first: Finding, other: Finding) -> bool:
    kinds = {_kind(first), _kind(other)}
    if "shifted" in kinds:  # new rows may differ, whatever else a model suffers from
        return not kinds & {"fine", "open"}
    return len(kinds) == 1 or kinds == {"broken", "little"}


def _opposed(first: Finding, other: Finding) -> bool:
    kinds = {_kind(first), _kind(other)}
    if "open" in kinds or _agree(first, other):
        return False
    if {first.code, other.code} == {"underfitting", "converged"}:
        return False  # it has settled, too high
    return "fine" in kinds or kinds == {"free", "little"} or kinds == {"free", "broken"}


def _source(one: Finding) -> str:
    if one.evidence.get("judged_on") == KEPT_APART:
        return f"on the {KEPT_APART}"
    return _SOURCES.get(one.chart, one.chart)


def _sources(found: Sequence[Finding]) -> list[str]:
    return list(dict.fromkeys(map(_source, found)))


def _words(found: Sequence[Finding]) -> str:
    codes = dict.fromkeys(one.code for one in found)
    return listing([_WORDS.get(code, code.replace("_", " ")) for code in codes], 4)


def _same_words(first: Finding, same: Sequence[Finding]) -> str:
    others = [one for one in same if one.code != first.code or one.chart != first.chart]
    return f" Also {_told(others)}." if others and first.code not in _OPEN else ""


def _told(found: Sequence[Finding]) -> str:
    """ "by epoch it overfits; inside the network gradients vanish"."""
    return "; ".join(
        f"{source} {_words([one for one in found if [source] == _sources([one])])}"
        for source in _sources(found)
    )


def _against_words(first: Finding, against: Sequence[Finding]) -> str:
    """What says otherwise, and how both can be true."""
    if not against:
        return ""
    codes = {one.code for one in against}
    inside = first.chart in ("layers", "network")
    if first.code in _SHIFTED and "about_right" in codes:
        why = "folds judge by rows like those learned from, and the rows kept apart are not"
    elif inside and codes & {"converged", "not_converged"}:
        why = "a loss can fall or settle while a layer learns nothing, at a level that is too high"
    elif "about_right" in codes and (inside or first.chart == "epochs"):
        why = "it is this training that went wrong, not the model as such"
    elif "converged" in codes:
        why = "a loss can settle at a level that is no good on other rows"
    elif {first.chart} == {one.chart for one in against}:
        why = "each holds for a part of the curve"
    else:
        why = "one looks at a single fit, the other at fits on parts of the rows"
    return f"Yet {_told(against)}: {why}."
