"""The runs on the page on learning: whose colour each has."""

from __future__ import annotations

from components.entries import ModelEntry
from components.state import AppState
from components.training_logs import run_styles
from dashboard.contracts import Run
from dashboard.figures.theme import MODEL_COLOURS


def test_runs_look_alike_last_of_all() -> None:
    state = AppState()
    for slot, name in enumerate(("linear", "forest", "network")):
        state.entries.append(ModelEntry(f"{slot:064d}", name, f"{name}.skops", slot))
    runs = [Run(name, "test", ()) for name in ("network", *"abcdefghi")]
    styles = run_styles(state, runs)
    assert styles["network"] == state.entries[2].style
    colours = [styles[one.name].colour for one in runs]
    assert len(set(colours[:8])) == 8  # as many as there are
    models = {one.style.colour for one in state.entries}
    assert not models & set(colours[1:6])  # what no model has comes first
    assert set(colours) <= set(MODEL_COLOURS)
    looks = [(styles[one.name].colour, styles[one.name].dash) for one in runs]
    assert len(set(looks)) == len(looks)
