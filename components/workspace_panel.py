"""The popover in the sidebar: where the work is kept, its link, copies of it, who may see it."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import streamlit as st

from components import workspaces
from components.markup import plain
from components.state import AppState, forget_widgets, widget_value
from components.visitors import Visitor, providers, visitor
from components.workspaces import Kept
from dashboard.errors import DiagnosticsError, WorkspaceError
from dashboard.settings import get_settings
from dashboard.wording import plural, shorten
from dashboard.workspace import Workspace

__all__ = ["show_workspace"]

T = TypeVar("T")
_IMPORT = "import-workspace"


def show_workspace(state: AppState) -> None:
    """One popover; its label says whether what is here is kept."""
    who, kept = visitor(), state.workspace
    if state.unkept:
        label, icon = "Not kept", ":material/cloud_off:"
    elif kept is None:
        label, icon = "Workspace", ":material/inventory_2:"
    elif kept.writable:
        label, icon = "Kept", ":material/cloud_done:"
    else:
        label, icon = "For reading", ":material/visibility:"
    with st.popover(label, icon=icon, help="Where your uploads and results are kept"):
        _show_sign_in(who)
        if state.unkept:
            st.error(plain(state.unkept), icon=":material/error:")
        if kept is not None:
            _show_kept(state, kept, who)
        else:
            st.caption(_nothing_kept(who))
        if who.owner is not None:
            _show_import(state)
        if who.alone or who.owner:
            _show_recent(state, who)


def _nothing_kept(who: Visitor) -> str:
    if who.owner is None:
        return "Sign in, and what you upload is kept under a link of its own."
    return (
        f"What you upload is kept {_where(who)} under a link of its own, with roles, names, "
        "colours and results. Nothing of yours is here yet."
    )


def _where(who: Visitor) -> str:
    return "on this machine" if who.alone else "on the server"


def _show_sign_in(who: Visitor) -> None:
    if who.owner is None:
        for name in providers():
            st.button(
                f"Sign in with {plain(name)}" if name else "Sign in",
                key=f"sign-in-{name}",
                icon=":material/login:",
                on_click=partial(st.login, name or None),
            )
    elif who.owner:
        st.caption(f"Signed in as {plain(who.name)}." if who.name else "Signed in.")
        st.button("Sign out", key="sign-out", icon=":material/logout:", on_click=st.logout)


def _show_kept(state: AppState, kept: Kept, who: Visitor) -> None:
    if kept.writable:
        days = get_settings().workspace_days
        until = f" It is deleted when nobody opens it for {plural(days, 'day')}." if days else ""
        st.caption(f"Kept after every step, {_where(who)}.{until}")
    else:
        first = "Sign in, and your" if who.owner is None else "Your"
        st.caption(
            f"Shared with you for reading: what you change here is not kept. {first} first "
            "upload starts a copy of your own."
        )
    st.markdown("**Link**")
    st.code(_link(kept), language=None, wrap_lines=True)
    st.caption(_who_gets_in(kept, who))
    if kept.writable and who.owner:
        shared = bool(_ask(state, lambda: kept.store.look_up(kept.id, kept.owner).shared))
        st.toggle(
            "Everybody with the link may read it",
            value=shared,
            key=f"share-{kept.id}",
            on_change=_share,
            args=(state, kept),
        )
    _show_copies(state, kept)


def _link(kept: Kept) -> str:
    here = urlsplit(st.context.url or "")
    return urlunsplit((here.scheme, here.netloc, "/", f"w={kept.id}", ""))


def _who_gets_in(kept: Kept, who: Visitor) -> str:
    if not kept.writable:
        return "It opens for everybody while its owner shares it."
    if who.owner:
        return "It opens for you, and for nobody else unless you share it."
    if who.alone:
        return "Open it again after a refresh or a restart. It is the key: keep it to yourself."
    return "Whoever has this link can open, change and delete the workspace. It is the key."


def _show_copies(state: AppState, kept: Kept) -> None:
    row = st.container(horizontal=True)
    row.download_button(
        "Export",
        data=partial(workspaces.export, kept),
        file_name="sidelight-workspace.zip",
        mime="application/zip",
        key="export-workspace",
        icon=":material/download:",
        help="Everything as one file: uploads, roles, names and results.",
        on_click="ignore",
    )
    if kept.writable:
        row.button(
            "New",
            key="new-workspace",
            icon=":material/add:",
            help="Start with nothing loaded. This workspace stays as it is.",
            on_click=_change,
            args=(state, partial(workspaces.leave, state)),
        )
        last = st.container(horizontal=True, vertical_alignment="center")
        sure = last.checkbox("Delete for good", key=f"sure-{kept.id}")
        last.button(
            "Delete",
            key="delete-workspace",
            icon=":material/delete_forever:",
            disabled=not sure,
            help="Removes the uploads and results of this workspace from the disk.",
            on_click=_change,
            args=(state, partial(workspaces.delete, state)),
        )
    else:
        row.button(
            "Keep a copy",
            key="copy-workspace",
            icon=":material/content_copy:",
            on_click=_change,
            args=(state, partial(workspaces.keep_copy, state)),
        )


def _show_import(state: AppState) -> None:
    st.file_uploader(
        "Import an exported workspace",
        key=f"{_IMPORT}-{state.version}",
        on_change=_import,
        args=(state, f"{_IMPORT}-{state.version}"),
    )


def _show_recent(state: AppState, who: Visitor) -> None:
    here = state.workspace.id if state.workspace else ""
    found: list[Workspace] = _ask(state, lambda: workspaces.store().recent(who.owner or "")) or []
    others = [one for one in found if one.id != here]
    if not others:
        return
    st.markdown("**Recent**")
    for one in others[:8]:
        st.button(
            plain(f"{shorten(one.title or 'Untitled', 60)} · {_ago(time.time() - one.opened)}"),
            key=f"open-{one.id}",
            icon=":material/history:",
            type="tertiary",
            on_click=_change,
            args=(state, partial(workspaces.open_workspace, state, one.id)),
        )


def _ago(seconds: float) -> str:
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{plural(int(seconds // size), word)} ago"
    return "just now"


# -- callbacks: they run before the page is drawn -------------------------------------------------


def _change(state: AppState, change: Callable[[], object]) -> None:
    """Turn to something else; what a control held belongs to what was there before."""
    try:
        change()
    except DiagnosticsError as error:
        state.report("Workspace", error)
        return
    forget_widgets("focus", "threshold", "rule", "cells", "against-rest", "cost_", "share-")


def _share(state: AppState, kept: Kept) -> None:
    shared = bool(widget_value(f"share-{kept.id}"))
    _ask(state, lambda: kept.store.share(kept.id, shared, kept.owner))


def _import(state: AppState, widget: str) -> None:
    upload = widget_value(widget)
    # With a new key the browser may send the same file once more.
    id = str(getattr(upload, "file_id", ""))
    if upload is not None and id not in state.seen_uploads:
        state.seen_uploads.add(id)
        content, name = upload.getvalue(), str(upload.name)  # type: ignore[attr-defined]
        _change(state, partial(workspaces.import_file, state, content, name))


def _ask(state: AppState, question: Callable[[], T]) -> T | None:
    """The answer of the store, or None and the reason on the page."""
    try:
        return question()
    except WorkspaceError as error:
        state.unkept = str(error)
        return None
