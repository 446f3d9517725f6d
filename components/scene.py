"""What the pages about explanations look at: the newest answers, the output, how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import streamlit as st

from components import cached, explaining, progress
from components.asking import Answer, n_waiting, show_held
from components.choices import MOST_BACKGROUND
from components.markup import plain
from components.panels import theme
from components.state import AppState, following, widget_value
from dashboard.contracts import Attributions, Label, OutputSpace
from dashboard.explainers.running import CALL_BYTES
from dashboard.explanation import Plan
from dashboard.figures.theme import ModelStyle
from dashboard.settings import get_settings
from dashboard.wording import shorten

__all__ = ["Scene", "choose", "choose_rows", "scene", "scene_of"]

T = TypeVar("T")

_SPACE_WORDS = {
    OutputSpace.PROBABILITY: "Probability",
    OutputSpace.LOG_ODDS: "Log-odds",
    OutputSpace.DECISION: "Decision value",
    OutputSpace.TARGET: "Target unit",
}
_SPACE_HELP = (
    "The unit in which the contributions of one row add up. **Probability** is easiest to read. "
    "**Log-odds** is what linear and boosted models add up inside: a step from 98 % to 99 % counts "
    "as much there as one from 50 % to 67 %."
)
_GAME_WORDS = {
    "auto": "Best fit",
    "interventional": "From other rows",
    "path-dependent": "Trees' own counts",
}
_GAME_HELP = (
    "What a feature's contribution is measured against. **From other rows** "
    "(interventional): the value is swapped for those of background rows, as if somebody changed "
    "it; the same question for every model. **Trees' own counts** (path-dependent): "
    "trees only; quicker, needs no background, and shares effects among features that go together. "
    "**Best fit**: what is exact and quick for each model."
)


@dataclass(frozen=True, eq=False)
class Scene:
    """The newest explanations of the shown models.

    Attributes
    ----------
    output : the class or target that is looked at; None where a model has no such output.
    waiting : models that have no explanation yet.
    """

    answers: Sequence[Answer[Attributions]]
    plans: Sequence[Answer[Plan]]
    output: Label | None
    styles: Mapping[str, ModelStyle]
    theme: Literal["light", "dark"]
    waiting: int = 0

    @property
    def attributions(self) -> list[Attributions]:
        return [one.value for one in self.answers]

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Changes with every answer, the names of the models, and the output."""
        return (
            *((one.entry.name, *one.key) for one in self.answers),
            type(self.output).__name__,
            self.output,
        )

    def computed(self, name: str, compute: Callable[[], T], *more: Hashable) -> T:
        """A result made from these explanations, computed once."""
        return cached.computed(name, (*self.key, *more), compute)


def scene(state: AppState) -> Scene:
    """Ask the models; controls and progress are drawn here. Ends the page before a first answer."""
    plans, output, rows = choose(state)
    with rows:
        answers = explaining.explained(state, plans)
    return replace(scene_of(state, answers, plans, output), waiting=n_waiting())


def choose(
    state: AppState, *, rows: bool = True, prefer: Label | None = None
) -> tuple[list[Answer[Plan]], Label | None, Any]:
    """The plans of the models, the output in focus, and the place of the rows of progress.

    `rows`: whether it is a choice how many rows are explained; `prefer`: the output to begin with.
    """
    controls, place = st.container(), st.container()
    with place:
        plans = explaining.planned(state)
    if not plans:
        with place:
            show_held()
        progress.stop_here(state)
    with controls, st.container(horizontal=True, vertical_alignment="bottom"):
        output = _output(state, plans, prefer)
        _choose_space(state, plans)
        if rows:
            choose_rows(state, plans)
        with st.popover("Unknown values", icon=":material/tune:"):  # its place is always taken
            _choose_game(state, plans)
            _choose_background(state, plans)
    return plans, output, place


def scene_of(
    state: AppState,
    answers: Sequence[Answer[Attributions]],
    plans: Sequence[Answer[Plan]],
    output: Label | None,
) -> Scene:
    """These answers as a scene; ends the page where there is none yet."""
    if not answers:
        progress.stop_here(state)
    able = [one for one in answers if _has(one.value, output)]
    for one in answers:
        if one not in able:
            st.caption(f"{plain(one.entry.name)} knows no {plain(str(output))}: left out here.")
    return Scene(able or answers, plans, output if able else None, state.styles(), theme())


def _has(one: Attributions, output: Label | None) -> bool:
    return output is None or str(output) in [str(name) for name in one.output_names]


def _choose_space(state: AppState, plans: Sequence[Answer[Plan]]) -> None:
    offered = explaining.shared_units([plan.value.spaces for plan in plans])
    if len(offered) < 2:
        return
    now = explaining.common_space(state, [plan.value.spaces for plan in plans])
    if plans[0].value.space in offered:  # what was asked, though plans still come in
        now = plans[0].value.space.value
    key = f"space-{now}-{len(offered)}"  # another one while plans still come in: no choice of ours
    st.segmented_control(
        "Contributions in",
        [one.value for one in OutputSpace if one in offered],
        default=now,
        required=True,
        format_func=lambda one: _SPACE_WORDS[OutputSpace(one)],
        key=key,
        help=_SPACE_HELP,
        on_change=lambda: state.explore(space=str(widget_value(key) or "auto")),
    )


def _choose_game(state: AppState, plans: Sequence[Answer[Plan]]) -> None:
    games = {offer.game for plan in plans for offer in plan.value.offers if not offer.refusal}
    if not {"path-dependent", "interventional"} <= games:
        return
    chosen = st.segmented_control(
        "Measured against",
        list(_GAME_WORDS),
        default=state.explored.game,
        required=True,
        format_func=lambda one: _GAME_WORDS[one],
        key="game",
        help=_GAME_HELP,
    )
    state.explore(game=str(chosen or "auto"))


def choose_rows(state: AppState, plans: Sequence[Answer[Plan]], kept: str = "rows") -> None:
    """How many rows are explained; `kept` is the choice that holds it."""
    n = max(plan.value.n_given for plan in plans)
    if n <= 200:
        return
    words = {"first": "200", "some": f"{min(n, 2_000):,}", "all": f"All {n:,}"}
    sizes = ["first", "some"] if n <= 2_000 else ["first", "some", "all"]
    slowest = max(plan.value.seconds(n) for plan in plans)
    now = getattr(state.explored, kept)
    chosen = st.segmented_control(
        "Rows explained",
        sizes,
        default=now if now in sizes else "some",
        required=True,
        format_func=lambda one: words[one],
        key=f"explained-{kept}",
        help="A first answer from 200 rows, drawn so that every class has its share, then 2,000. "
        f"All {n:,} rows take about {_duration(slowest)} for the slowest model, as measured. Each "
        "model has a worker of its own, which is given the rows in parts: beside the data it holds "
        f"at most {CALL_BYTES >> 20} MB of them and their values at a time, and it may take "
        f"{get_settings().worker_memory_mb:,} MB in all.",
    )
    state.explore(**{kept: str(chosen or now)})


def _choose_background(state: AppState, plans: Sequence[Answer[Plan]]) -> None:
    """How many rows stand in for unknown values: of use where any model is measured so."""
    n = max(plan.value.n_given for plan in plans)
    if all(plan.value.game == "path-dependent" for plan in plans) or n < 2:
        st.caption("No rows stand in for unknown values: the models count by themselves.")
        return
    start = min(state.explored.background, n, MOST_BACKGROUND)
    st.number_input(
        "Background rows",
        min_value=1,
        max_value=min(n, MOST_BACKGROUND),
        step=50,
        **following("background", start, lambda given: state.explore(background=int(given))),
        width=150,
        help="An unknown value is replaced by those of these rows, drawn at random, the same for "
        "every model. More of them change the values less from draw to draw, and take longer.",
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _output(state: AppState, plans: Sequence[Answer[Plan]], prefer: Label | None) -> Label | None:
    """The class or target in focus, the same as on the other pages."""
    names = max((plan.value.output_names for plan in plans), key=len)
    if len(names) < 2:
        return names[0] if names else None
    texts = [str(name) for name in names]
    wanted = state.label if state.label in texts else str(prefer)
    start = texts.index(wanted) if wanted in texts else 0

    def take(at: int) -> None:
        state.label = texts[at]

    at = st.selectbox(
        "Answer for",
        range(len(names)),
        format_func=lambda at: shorten(texts[at], 40),
        **following(f"output-{len(names)}", start, take),
        help="Each class has contributions of its own: what speaks for a 3 may speak against an 8.",
    )
    return names[int(at or 0)]
