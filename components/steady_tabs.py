"""Tabs whose open one is remembered in the link, and which stay mounted while it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from components.state import app_state, widget_value

__all__ = ["steady_tabs"]


def steady_tabs(titles: Sequence[str], wanted: str, key: str) -> Sequence[Any]:
    """As `st.tabs`, `wanted` open at first.

    Streamlit mounts new tabs when their default changes, and a click on the way is lost: while
    they are on screen they keep the default that they began with.
    """
    began = app_state().began
    if widget_value(key) is None or began.get(key) not in titles:
        began[key] = wanted
    found: Sequence[Any] = st.tabs(list(titles), default=began[key], key=key, on_change="rerun")
    return found
