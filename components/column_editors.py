"""Tables of columns in which what each of them is can be changed in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

__all__ = ["edit_columns"]


def edit_columns(
    table: pd.DataFrame,
    chosen: str,
    options: Sequence[str],
    key: str,
    *,
    required: bool = True,
    config: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Each cell of `column` with what column `chosen` says of it now; nothing else is edited.

    `options` : what may be chosen. `config` : how other columns look.
    """
    select = st.column_config.SelectboxColumn(chosen, options=list(options), required=required)
    edited = st.data_editor(
        table,
        hide_index=True,
        disabled=[str(name) for name in table if name != chosen],
        key=key,
        column_config={chosen: select, **(config or {})},
    )
    pairs = zip(edited["column"], edited[chosen], strict=True)
    return {str(column): str(said or "") for column, said in pairs}
