"""The Streamlit frame: page configuration, sidebar, navigation. Pages do the rest."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# `streamlit run` puts this folder first on the path, where `data.py` would pass for a package.
_PATH = [
    str(ROOT),
    *(p for p in sys.path if Path(p or ".").resolve() not in (ROOT, ROOT / "dashboard")),
]
if sys.path != _PATH:  # in the first run: later, others may be importing by it
    sys.path[:] = _PATH

import streamlit as st  # noqa: E402

from components import cached, links, progress, races, sidebar, state  # noqa: E402

races.close_races()
st.set_page_config(page_title="Sidelight", page_icon="🔦", layout="wide", initial_sidebar_state=300)
session = state.app_state()
links.start(session, cached.sample_model, cached.sample_table)
progress.begin(session)
links.write_link(session)  # what has just come in is kept before anything is drawn
pages = {
    "home": st.Page(ROOT / "pages" / "home.py", title="Home", icon=":material/home:", default=True),
    "performance": st.Page(
        ROOT / "pages" / "performance.py", title="Performance", icon=":material/target:"
    ),
    "importances": st.Page(
        ROOT / "pages" / "importances.py", title="Importances", icon=":material/bar_chart:"
    ),
    "explanations": st.Page(
        ROOT / "pages" / "explanations.py", title="Explanations", icon=":material/scatter_plot:"
    ),
    "one_row": st.Page(
        ROOT / "pages" / "one_row.py", title="One row", icon=":material/person_search:"
    ),
    "learning": st.Page(
        ROOT / "pages" / "learning.py", title="Learning", icon=":material/show_chart:"
    ),
}
page = st.navigation(list(pages.values()))
if session.next_page:  # a click on a chart leads there
    wanted, session.next_page = pages[session.next_page], ""
    st.switch_page(wanted)
sidebar.show_sidebar(session, at_home=page.title == "Home")
page.run()
links.write_link(session)
progress.follow(session)
