"""Hyper-parameters of logged runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ..contracts import Run

__all__ = ["settings_of_runs"]


def settings_of_runs(runs: Sequence[Run]) -> pd.DataFrame:
    """Column run and one for each setting, as text; a line for each run that logged any.

    Settings that differ between the runs come first; what a run did not log is empty.
    """
    known = [one for one in runs if one.config]
    names = list(dict.fromkeys(name for one in known for name in one.config))
    texts = {
        name: [str(one.config[name]) if name in one.config else "" for one in known]
        for name in names
    }
    names.sort(key=lambda name: len(set(texts[name])) < 2)
    columns = {"run": [one.name for one in known], **{name: texts[name] for name in names}}
    return pd.DataFrame(columns, dtype="str")
