"""Findings in sentences on a page: whose they are is said once."""

from __future__ import annotations

from typing import Any

import pytest

from components.finding_panels import in_brief, show_verdict
from dashboard.contracts import Finding


class _Place:
    """Where a sentence is put."""

    def __init__(self) -> None:
        self.said = ""

    def html(self, body: str) -> None:
        self.said = body


@pytest.mark.parametrize(
    ("subject", "sentence", "told"),
    [
        ("a", "The validation loss has settled.", "a: The validation loss has settled."),
        ("net: dense", "The layer of net moves.", "The layer of net moves."),
        ("net", "The network moves.", "net: The network moves."),
        ("net (1)", "The loss of net (1) falls.", "The loss of net (1) falls."),
    ],
)
def test_a_name_inside_of_another_word_names_nobody(subject: str, sentence: str, told: str) -> None:
    place: Any = _Place()
    show_verdict([Finding("other", "info", subject, sentence)], place)
    assert f"<strong>{told.rstrip('.')}" in place.said


def test_a_name_is_written_as_it_is() -> None:
    found = [
        Finding("overfitting", "warning", "run-1", "It is worse."),
        Finding("rate_too_high", "warning", "run-2", "It jumps."),
    ]
    assert in_brief(found) == "run-1 overfits; the learning rate of run-2 looks too high."
    assert in_brief(found[1:]) == "The learning rate of run-2 looks too high."
