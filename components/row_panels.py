"""Why one row got its answer: waterfalls of all shown models, and what stands around them."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from components import explaining
from components.asking import Answer, Asked, Request, ask, show_held
from components.attribution_panels import in_fours, pick, show_sentence
from components.leading import lead_to_feature
from components.markup import plain, swatch
from components.panels import guard, show_figure, show_table
from components.picking_panels import choose_in_table
from components.prepared import ask_prepared, beside_own, is_unchanged
from components.provenance import show_provenance
from components.scene import Scene, choose, choose_rows, scene_of, show_promise
from components.state import AppState, following
from components.steady_tabs import steady_tabs
from components.word_panels import (
    has_text,
    read_texts_only,
    show_texts,
    show_words,
    words_alone,
)
from dashboard.contracts import Attributions, Label, Model, OutputSpace, Task
from dashboard.data import EvalSet
from dashboard.diagnostics.attributions import in_unit, output_position
from dashboard.diagnostics.local_surrogates import LocalSurrogate
from dashboard.diagnostics.neighbours import compute_neighbourhood, nearest_rows
from dashboard.diagnostics.picking import truth_of
from dashboard.diagnostics.pictures import Picture, compute_pictures
from dashboard.diagnostics.sentences import explain_in_words
from dashboard.diagnostics.waterfalls import (
    Waterfall,
    compute_decision_paths,
    compute_waterfalls,
)
from dashboard.diagnostics.words import WordExplanation
from dashboard.effects import lime_surrogates
from dashboard.evaluation import Answers
from dashboard.explanation import BlockStore
from dashboard.figures import plot_decision_paths, plot_neighbours, plot_waterfalls
from dashboard.figures.pictures import plot_pictures
from dashboard.figures.surrogates import plot_surrogates
from dashboard.settings import get_settings
from dashboard.wording import listing, plural, shorten

__all__ = ["show_closer", "show_row"]


def show_row(state: AppState, row: int, place: Any, answers: Answers) -> Scene:
    """The waterfalls of one row, with the sentence at `place`; ends the page before an answer.

    Without a chosen class it is the one that the reference gives the row.
    """
    plans, output, rows = choose(state, rows=False, prefer=_answered(state, row, answers))
    texts = read_texts_only(state, [plan.value.features for plan in plans])
    with rows:  # one line on how far they are, with that of the words where there are only words
        alone = explaining.explained_rows(state, plans, [row], later=texts)
        if not alone:
            show_held()
    found = scene_of(state, alone, plans, output)
    falls = found.computed(
        "waterfalls", partial(compute_waterfalls, found.attributions, row, found.output), row
    )
    with rows:
        words = words_alone(state, row, found)
    _show_sentences(state, row, found, falls, words, place)
    _show_pictures(state, row, found)
    show_texts(state, list(words.values()), found, "words-alone")
    for start, part in in_fours([one for one in falls if one.model not in words]):
        figure = plot_waterfalls(part, found.styles, theme=found.theme)
        show_figure(
            figure,
            key=f"waterfalls-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(lead_to_feature, state),
        )
    if len(words) < len(falls):
        st.caption("Click a feature to see what it does over many rows.")
    show_provenance(found.attributions)
    return found


def _answered(state: AppState, row: int, answers: Answers) -> Label | None:
    """The class that the reference, or else the first model, gives this row."""
    reference = state.reference_entry
    ranked = sorted(answers.predictions, key=lambda one: one.name != getattr(reference, "name", ""))
    for one in ranked:
        at = int(np.searchsorted(one.rows, row))
        there = at < one.n and one.rows[at] == row and one.y_pred is not None
        if there and one.task is Task.MULTICLASS and one.y_pred is not None:
            return one.target.labels[int(one.y_pred[at])]
    return None


def _show_sentences(
    state: AppState,
    row: int,
    found: Scene,
    falls: Sequence[Waterfall],
    words: Mapping[str, WordExplanation],
    place: Any,
) -> None:
    """The reference's answer in bold, the truth, and the answers of the others below it."""
    evalset = state.need_evalset()
    target = ", ".join(evalset.roles.target)
    pictures = {one.model: one for one in _pictures(row, found)}
    said = {
        one.model: explain_in_words(
            one, target, picture=pictures.get(one.model), words=words.get(one.model)
        )
        for one in falls
    }
    reference = state.reference_entry
    first = reference.name if reference and reference.name in said else next(iter(said))
    with place.container():
        show_sentence(said.pop(first), st)
        truth = shorten(truth_of(evalset.target, row), 60)
        name = shorten(target or evalset.target.name, 40)
        st.caption(f"Row {row:,} of {evalset.n:,}. The truth ({plain(name)}): **{plain(truth)}**.")
        lines = [
            f'<p style="margin:.15rem 0">{swatch(state.style_for(name), 22)} '
            f"{html.escape(sentence)}</p>"
            for name, sentence in said.items()
        ]
        if lines:
            st.html("".join(lines))


def _pictures(row: int, found: Scene) -> list[Picture]:
    """Where features are pixels or steps: what each adds, over the row itself."""
    cells = [one for one in found.attributions if one.cell_shape is not None]
    if not cells:
        return []
    return found.computed("pictures", partial(compute_pictures, cells, row, found.output), row)


def _show_pictures(state: AppState, row: int, found: Scene) -> None:
    for start, part in in_fours(_pictures(row, found)):
        figure = plot_pictures(part, found.styles, theme=found.theme)
        show_figure(
            figure,
            key=f"pictures-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(lead_to_feature, state),
        )


# -- behind the tabs ------------------------------------------------------------------------------


def show_closer(state: AppState, row: int, found: Scene) -> None:
    """Paths of many rows, rows like it, what the model saw, and LIME; only the open tab works."""
    known = {name: one for name, one in _CLOSER.items() if name != "words"}
    if has_text(state, found):
        known = _CLOSER
    first = next(iter(known))
    start = known.get(state.explored.beside, known[first])[0]
    tabs = steady_tabs([title for title, _ in known.values()], start, "row-tabs")
    for tab, (name, (title, show)) in zip(tabs, known.items(), strict=True):
        if tab.open:
            state.explore(beside=name if name != first else "")
            with tab, guard(title):
                show(state, row, found)


def _every_row(state: AppState, found: Scene) -> Scene:
    """The explanations of many rows, with this one among them."""
    choose_rows(state, found.plans, "around")
    show_promise(found.plans)
    answered = explaining.explained(state, found.plans, state.explored.around)
    many = {one.entry.key: one for one in answered}
    answers = [
        Answer(
            alone.entry,
            explaining.joined(many[alone.entry.key].value, alone.value),
            (*many[alone.entry.key].key, *alone.key),
            final=False,
        )
        for alone in found.answers
        if alone.entry.key in many
    ]
    return scene_of(state, answers, found.plans, found.output)


def _show_paths(state: AppState, row: int, found: Scene) -> None:
    st.caption(
        "From the average answer to each row's own, feature by feature. This row is drawn strongly "
        "where it is among the explained ones. A click opens that row."
    )
    every = _every_row(state, found)
    compute = partial(compute_decision_paths, every.attributions, every.output, highlight=(row,))
    for start, paths in in_fours(every.computed("paths", compute, row)):
        figure = plot_decision_paths(paths, every.styles, theme=every.theme)
        show_figure(
            figure,
            key=f"paths-{start}",
            tables={one.model: one for one in paths},
            on_pick=partial(pick, state),
        )


def _show_nearest(state: AppState, row: int, found: Scene) -> None:
    st.caption(
        "Are rows that look like this one answered like it, and for the same reasons? Every other "
        "explained row is a point, this row the corner below on the left. A click opens a row."
    )
    every = _every_row(state, found)
    around = [
        every.computed(
            "around",
            partial(compute_neighbourhood, one.value, row, every.output),
            one.entry.key,
            row,
        )
        for one in every.answers
    ]
    for start, part in in_fours(around):
        figure = plot_neighbours(part, every.styles, theme=every.theme)
        show_figure(
            figure,
            key=f"around-{start}",
            tables={one.model: one for one in part},
            on_pick=partial(pick, state),
        )
    with st.expander("The nearest rows, with their values", icon=":material/table:"):
        _list_nearest(state, row, every)


_BY = {"features": "Similar values", "explanation": "Similar reasons"}


def _list_nearest(state: AppState, row: int, every: Scene) -> None:
    by: Any = st.segmented_control(
        "Rows with",
        list(_BY),
        required=True,
        format_func=lambda one: _BY[one],
        **following(
            "nearest-by",
            state.explored.nearest,
            lambda one: state.explore(nearest=str(one)),
            default=state.explored.nearest,
        ),
        help="**Similar values**: nearest in the features. **Similar reasons**: nearest in what "
        "each feature adds, so the model answers alike for alike reasons.",
    )
    for one in every.answers:
        compute = partial(nearest_rows, one.value, row, by, output=every.output)
        nearest = every.computed("nearest", compute, one.entry.key, row, by)
        st.markdown(
            f"**{plain(one.entry.name)}**: nearest of {nearest.among:,} explained rows, of "
            f"{nearest.n_given:,}. Choose a row to open it."
        )
        choose_in_table(state, nearest.frame(), f"nearest-{by}-{one.entry.key}-{row}")


def _show_prepared(state: AppState, row: int, found: Scene) -> None:
    st.caption(
        "What the last step of each model was given for this row, after the model's own "
        "preprocessing: scaled, split into one column a category, filled in."
    )
    requests = [
        Request(
            one.entry,
            "prepared",
            (row,),
            f"Preparing row {row:,} for {one.entry.name}",
            partial(ask_prepared, row),
        )
        for one in found.answers
    ]
    explained = {one.entry.key: one.value for one in found.answers}
    changed = []
    for answer in ask(state, requests):
        beside = beside_own(answer.value, explained[answer.entry.key])
        if is_unchanged(beside):
            name = plain(answer.entry.name)
            st.markdown(f"**{name}** is given the row as it is: {plural(len(beside), 'column')}.")
        else:
            changed.append((answer.entry, beside))
    for start in range(0, len(changed), 2):
        pairs = zip(st.columns(2), changed[start : start + 2], strict=False)
        for place, (entry, beside) in pairs if len(changed) > 1 else [(st.container(), changed[0])]:
            with place:
                st.markdown(f"**{plain(entry.name)}**: {plural(len(beside), 'column')}.")
                show_table(beside, key=f"prepared-{entry.key}", name="prepared row")


def _show_lime(state: AppState, row: int, found: Scene) -> None:
    if all(one.cell_shape is not None for one in found.attributions):
        st.info(
            "LIME is offered for rows of a table. These rows are pictures or sequences: the heat "
            "above says what each cell adds.",
            icon=":material/info:",
        )
        return
    units = listing(list(dict.fromkeys(_unit(one.value, found) for one in found.answers)))
    st.caption(
        "LIME fits a small linear model around this row to what the model answers for changed "
        f"copies of it, in the same unit as above ({units}). An alternative that books show "
        "often; unlike the contributions above, it need not add up."
    )
    requests = [
        Request(
            one.entry,
            "lime",
            (row, one.value.space.value),
            f"LIME for {one.entry.name}",
            partial(_lime, row, one.value.space.value, explaining.blocks_of(state, one.entry)),
        )
        for one in found.answers
    ]
    by_unit: dict[OutputSpace, list[LocalSurrogate]] = {}
    for answer in ask(state, requests):
        same = [one for one in answer.value if str(one.output) == str(found.output)]
        one = replace((same or answer.value)[0], model=answer.entry.name)
        by_unit.setdefault(one.space, []).append(one)
    for space, surrogates in by_unit.items():
        for start, part in in_fours(surrogates):
            figure = plot_surrogates(part, found.styles, theme=found.theme)
            show_figure(
                figure,
                key=f"lime-{space.value}-{start}",
                tables={one.model: one for one in part},
                on_pick=partial(lead_to_feature, state),
            )
    st.caption("Click a mark to see what its feature does over many rows.")


def _unit(one: Attributions, found: Scene) -> str:
    return in_unit(one.space, one.output_names[output_position(one, found.output)])


def _lime(
    row: int,
    space: str,
    store: BlockStore,
    model: Callable[[], Model],
    evalset: EvalSet,
    asked: Asked[Any],
) -> None:
    settings = get_settings()
    chosen: dict[str, Any] = {
        "level": settings.confidence_level,
        "random_state": settings.random_state,
        "store": store,
    }
    with asked.turn(1, 0):
        asked.post(lime_surrogates(model(), evalset, row, space=space, **chosen))


_CLOSER = {
    "words": ("Words", show_words),
    "paths": ("Paths of many rows", _show_paths),
    "near": ("Rows like this one", _show_nearest),
    "saw": ("What the model saw", _show_prepared),
    "lime": ("LIME", _show_lime),
}
