"""Home's way in: samples, uploaders, what is on its way, what waits for a decision, what failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from components import cached, kinds, opening, progress
from components.entries import Problem, Waiting
from components.kind_panels import (
    ask_kind,
    show_kind,
    show_remove,
    show_search_columns,
    show_undo,
)
from components.markup import message, plain
from components.state import AppState, forget_widgets, widget_value
from dashboard.data import list_data_files
from dashboard.errors import DiagnosticsError
from dashboard.samples import list_samples
from dashboard.sandbox.confinement import Confinement, describe_confinement, find_confinement
from dashboard.settings import get_settings
from dashboard.wording import listing, shorten

__all__ = ["show_link_problems", "show_samples", "show_uploads", "show_way_in"]

_AT_ONCE = 0.4  # what is read by then appears without a line of progress before
_SENTENCES = 12
_DATA_HELP = (
    "CSV, TSV, Parquet, Feather, Excel, JSON, JSON lines, NPZ or NPY, also zipped or compressed; "
    "up to {limit:,} MB each. One row per case, one column with the truth. Files dropped together "
    "are read as one data set: parts with the same columns, or a train and a test file."
)
_MODEL_HELP = (
    "Models: scikit-learn (.skops, .joblib, .pkl), XGBoost, LightGBM, CatBoost, Keras (.keras, "
    ".h5, a zipped SavedModel), ONNX, a zipped MLflow folder. A model's own .py beside it. Tables "
    "of predictions (labels or scores, with the id column or in the order of the data file). "
    "Training logs: Keras' histories (CSV, JSON), TensorBoard's event files, logs of XGBoost, "
    "LightGBM and CatBoost; many runs as one zip archive. Results of searches, one row per trial."
)


def show_samples(state: AppState) -> None:
    """One click on a sample loads its data and models."""
    samples = {sample.key: sample for sample in list_samples()}
    chosen = st.pills(
        "Try a sample",
        list(samples),
        default=state.sample if state.sample in samples else None,
        format_func=lambda key: samples[key].title,
        key=f"samples-{state.sample}-{state.version}",
        help="Each sample is a data set with trained models, chosen to show one lesson.",
    )
    if chosen and chosen != state.sample:
        opening.cancel_reading(state)
        try:
            state.open_sample(str(chosen), cached.sample_model, cached.sample_table)
        except DiagnosticsError as error:
            state.report(str(chosen), error)
        state.version += 1
        forget_widgets("focus", "threshold", "rule")
        st.rerun()
    # Always in place: were the uploaders below to move, the browser would set them up anew and
    # drop an upload that is under way.
    about = st.container()
    if state.sample in samples:
        about.caption(plain(samples[str(state.sample)].sentence))


# -- the uploaders ------------------------------------------------------------------------------


def show_uploads(state: AppState) -> None:
    """Two uploaders: the files of one data set; models, and what belongs to models."""
    settings = get_settings()
    left, right = st.columns(2)
    data = left.file_uploader(
        "Data",
        key="upload-data",
        accept_multiple_files=True,
        help=_DATA_HELP.format(limit=settings.upload_limit_mb),
    )
    models = right.file_uploader(
        "Models and predictions", key="upload-models", accept_multiple_files=True, help=_MODEL_HELP
    )
    with right:
        _show_confinement()
    with left:
        _show_folder(state)
    with state.changing:
        taken = _take_data(state, data or []) | _take_models(state, models or [])
    if taken:
        jobs = [one.job for one in state.waiting if one.job is not None]
        for job in [state.reading] if state.reading else jobs:
            if job.wait(_AT_ONCE):
                st.rerun()
    with left:
        _show_earlier(state)


def _fresh(state: AppState, uploads: Sequence[Any]) -> list[Any]:
    """The uploads that are new in this session; from now on they are not."""
    fresh = [one for one in uploads if one.file_id not in state.seen_uploads]
    state.seen_uploads.update(one.file_id for one in fresh)
    return fresh


def _take_data(state: AppState, uploads: Sequence[Any]) -> bool:
    """What was dropped together is one data set; a model among it goes to the models."""
    fresh = [(one.name, one.getvalue()) for one in _fresh(state, uploads)]
    models = [one for one in fresh if opening.is_for_models(*one)]
    for name, content in models:
        _stage(state, name, content)
    tables = [one for one in fresh if one not in models]
    if tables:
        opening.stage_data(state, tables)
    return bool(fresh)


def _take_models(state: AppState, uploads: Sequence[Any]) -> bool:
    fresh = _fresh(state, uploads)
    for upload in fresh:
        _stage(state, upload.name, upload.getvalue())
    return bool(fresh)


def _stage(state: AppState, name: str, content: bytes) -> None:
    try:
        opening.stage_model(state, name, content)
    except DiagnosticsError as error:
        state.report(name, error)


def _show_folder(state: AppState) -> None:
    """Files that lie on the server already, for data too large to upload."""
    if not get_settings().data_dir:
        return
    st.selectbox(
        "Or a file from the data folder",
        [one.name for one in list_data_files()],
        index=None,
        placeholder="Choose a file on the server",
        key="folder-file",
        help="Files in the folder that the setting data_dir names. They are read where they lie.",
        on_change=_open_from_folder,
        args=(state,),
    )


def _open_from_folder(state: AppState) -> None:
    chosen = widget_value("folder-file")
    forget_widgets("folder-file")
    if chosen:
        opening.stage_folder_file(state, str(chosen))


def _show_earlier(state: AppState) -> None:
    """The data before had the same columns: it may belong to the data now."""
    if not state.earlier:
        return
    names = shorten(listing([one.name for one in state.earlier], 2), 60)
    st.button(
        f"Evaluate together with {plain(names)}",
        key="join",
        icon=":material/join:",
        help="The file before has the same columns. Together they are read as one data set.",
        on_click=opening.stage_joined,
        args=(state,),
    )


def _show_confinement() -> None:
    """Which confinement is in force, small, beside the uploader it is about."""
    settings = get_settings()
    confinement = find_confinement(settings)
    confined = confinement is not Confinement.PROCESS
    sentence = describe_confinement(confinement, settings)
    if not confined and settings.trust == "all":
        sentence += " Setting trust is all: they are opened all the same."
    st.caption(
        f":material/{'shield_lock' if confined else 'gpp_maybe'}: {plain(sentence)}",
        help="A model file can hold code of its author. Here every uploaded model is opened and "
        "asked in a process of its own, and one that carries code only after you have seen what "
        "is inside.",
    )


# -- on its way, waiting, failed ----------------------------------------------------------------


def show_way_in(state: AppState) -> None:
    """Problems first, then what is being read or opened, then what waits for a decision."""
    with st.container():
        for problem in list(state.problems):
            _show_problem(state, problem)
        progress.show_reading(state)
        _offer_all(state)
        for waiting in list(state.waiting):
            if waiting.job is not None:
                progress.show_opening(state, waiting)
            elif waiting.stage == "asking":
                _ask(state, waiting)
            elif waiting.stage == "naming":
                ask_kind(state, waiting)
        _show_kept(state)
        show_undo(state)


def show_link_problems(state: AppState) -> None:
    """On any page: the link that led here does not say what it seems to."""
    for problem in [one for one in state.problems if one.in_link]:
        _show_problem(state, problem)


def _offer_all(state: AppState) -> None:
    """One answer for several files in which nothing but known models was found."""
    asking = [one for one in state.waiting if one.stage == "asking" and one.job is None]
    known = [one for one in asking if not (_is_unusual(one) or _is_own(one))]
    if len(known) > 1 and find_confinement() is not Confinement.PROCESS:
        st.button(
            f"Open the {len(known)} files that name only parts of known models",
            key="open-all",
            icon=":material/lock_open:",
            help="Each in a confined worker of its own. " + listing([one.name for one in known], 8),
            on_click=opening.consent_to_all,
            args=(state, [one.key for one in known]),
        )


def _show_problem(state: AppState, problem: Problem) -> None:
    """A file that could not be used, in one sentence, until dismissed."""
    again = problem.key in state.failed
    text, *buttons = st.columns([5, 1, 1] if again else [6, 1], vertical_alignment="center")
    text.error(message(problem.source, problem.message), icon=":material/error:")
    if again:
        buttons[0].button(
            "Try again",
            key=f"again-{problem.key}",
            type="tertiary",
            icon=":material/refresh:",
            on_click=opening.try_again,
            args=(state, problem.key),
        )
    buttons[-1].button(
        "Dismiss",
        key=f"dismiss-{problem.source}",
        type="tertiary",
        icon=":material/close:",
        on_click=state.dismiss,
        args=(problem,),
    )


def _ask(state: AppState, waiting: Waiting) -> None:
    """What is inside a file that carries code, and whether to open it: asked once."""
    unusual = _is_unusual(waiting)
    if unusual:
        what = "carries code, and not only what models are made of:"
    elif _is_own(waiting):
        what = "carries code, some of it its author's own:"
    else:
        what = "carries code. All that it names are parts of known models:"
    with st.container(border=True):
        name = plain(shorten(waiting.name, 80))
        st.markdown(f":material/{'warning' if unusual else 'code'}: **{name}** {what}")
        said = "\n".join(f"- {plain(shorten(one, 300))}" for one in _inside(waiting))
        (st.warning if unusual else st.markdown)(said)
        with st.container(horizontal=True):
            _ask_buttons(state, waiting, unusual)


def _ask_buttons(state: AppState, waiting: Waiting, unusual: bool) -> None:
    confinement = find_confinement()
    confined = confinement is not Confinement.PROCESS
    st.button(
        "Open it in the confined worker" if confined else "Open it without confinement",
        key=f"open-{waiting.key}",
        type="secondary" if unusual or not confined else "primary",
        icon=":material/lock_open:",
        help=describe_confinement(confinement),
        on_click=opening.consent,
        args=(state, waiting.key),
    )
    show_remove(state, waiting.key)


def _is_unusual(waiting: Waiting) -> bool:
    """Whether it calls or names more than parts of known models and its author's own classes."""
    found = waiting.inspection
    own = (*found.private, *(f"{one.name.removesuffix('.py')}." for one in waiting.helpers))
    return not all(one.startswith(own) for one in (*found.calls, *found.names))


def _is_own(waiting: Waiting) -> bool:
    """Whether it needs its author's own classes, here or still missing."""
    return bool(waiting.inspection.private or waiting.inspection.names)


def _inside(waiting: Waiting) -> list[str]:
    """What a person should know before opening it, one sentence each."""
    said = list(waiting.inspection.sentences())
    if waiting.helpers:
        names = shorten(listing([one.name for one in waiting.helpers], 5), 200)
        said.append(f"It is opened together with {names}.")
    return said if len(said) <= _SENTENCES else [*said[:_SENTENCES], f"{len(said):,} in all."]


def _show_kept(state: AppState) -> None:
    """Files that are no models and are kept: training logs, what models need beside them."""
    for history in list(state.histories):
        sentence = f"{history.name}: {history.about.sentence()}"
        with _kept_line(state, history.digest, sentence):
            if kinds.is_text_table(state.files.get(history.digest, b"")):
                with st.popover("Change", type="tertiary", help="What this file is taken for."):
                    show_kind(state, history.digest, history.name)
        show_search_columns(state, history)
    for one in state.companions:
        sentence = f"{one.name}: kept for the models that need it; only their workers read it."
        _kept_line(state, one.digest, sentence)


def _kept_line(state: AppState, digest: str, sentence: str) -> Any:
    """A file in a line, with its button; what is returned is the place between the two."""
    text, place, button = st.columns([5, 1, 1], vertical_alignment="center")
    text.caption(f":material/attach_file: {plain(shorten(sentence, 300))}")
    with button:
        show_remove(state, digest)
    return place
