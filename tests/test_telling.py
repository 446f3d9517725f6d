"""On Home: what is wrong with how the rows are divided."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components.state import AppState
from dashboard.data import Table, infer_roles


def _page() -> None:
    from components.log_verdicts import show_log_verdicts
    from components.state import app_state

    show_log_verdicts(app_state())


@pytest.mark.parametrize("later", [True, False])
def test_a_split_at_random_of_rows_with_a_time_is_told_on_home(later: bool) -> None:
    rng, part = np.random.default_rng(0), np.repeat(["train", "test"], [90, 30])
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=120),
            "a": rng.normal(size=120),
            "split": part if later else rng.permutation(part),
            "target": rng.choice(["no", "yes"], 120),
        }
    )
    state = AppState()
    state.table = Table.from_frame("visits", frame)
    state.roles = infer_roles(state.table, target="target")
    state.rebuild()  # of the test part
    assert state.evalset is not None and state.evalset.n == 30
    at = AppTest.from_function(_page)
    at.session_state["sidelight"] = state
    at.run(timeout=60)
    assert not at.exception
    told = [one.value for one in at.warning]
    assert len(told) == (0 if later else 1)
    assert later or "does not follow it" in told[0]
