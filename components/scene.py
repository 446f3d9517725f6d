"""What the pages about explanations look at: the newest answers, the output, how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import streamlit as st

from components import cached, explaining, progress
from components.asking import Answer, n_waiting, show_held
from components.computing import choose_computing
from components.courtesy import get_courtesy
from components.markup import plain
from components.panels import theme
from components.state import AppState, following, widget_value
from dashboard.contracts import Attributions, Label, OutputSpace
from dashboard.explainers.running import CALL_BYTES
from dashboard.explanation import MEASURED_ROWS, Plan
from dashboard.figures.theme import ModelStyle
from dashboard.settings import get_settings
from dashboard.wording import duration, shorten

__all__ = ["Scene", "choose", "choose_rows", "scene", "scene_of", "show_promise"]

T = TypeVar("T")
_COMING = "what each feature adds to the answers of each model"

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
        get_courtesy().give_way()
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
    known, output = _known(state, plans), None
    if known:
        with controls, st.container(horizontal=True, vertical_alignment="bottom"):
            output = _output(state, known, prefer)
            _choose_space(state, known, plans)
            if rows:
                choose_rows(state, known)
            with st.popover("How it is computed", icon=":material/tune:"):  # always in its place
                choose_computing(state, known)
    if not plans:
        with place:
            show_held()
        progress.wait_here(state, n_waiting(), _COMING)
    if rows:
        with controls:
            show_promise(plans)
    return plans, output, place


def _known(state: AppState, plans: Sequence[Answer[Plan]]) -> list[Answer[Plan]]:
    """The newest plan of each shown model, of an earlier choice where it is not made yet: what can
    be chosen, and a place that is open, must not go away while something is chosen there."""
    digest = state.need_evalset().digest
    held = state.told.plans | {(digest, one.entry.digest): one for one in plans}
    shown = [(digest, entry.digest) for entry in state.shown]
    state.told.plans = {key: held[key] for key in shown if key in held}
    return list(state.told.plans.values())


def scene_of(
    state: AppState,
    answers: Sequence[Answer[Attributions]],
    plans: Sequence[Answer[Plan]],
    output: Label | None,
) -> Scene:
    """These answers as a scene; ends the page where there is none yet."""
    if not answers:
        progress.wait_here(state, n_waiting(), _COMING)
    able = [one for one in answers if _has(one.value, output)]
    for one in answers:
        if one not in able:
            st.caption(f"{plain(one.entry.name)} knows no {plain(str(output))}: left out here.")
    return Scene(able or answers, plans, output if able else None, state.styles(), theme())


def _has(one: Attributions, output: Label | None) -> bool:
    return output is None or str(output) in [str(name) for name in one.output_names]


def _choose_space(
    state: AppState, plans: Sequence[Answer[Plan]], newest: Sequence[Answer[Plan]]
) -> None:
    offered = explaining.shared_units([plan.value.spaces for plan in plans])
    if len(offered) < 2:
        return
    now = explaining.common_space(state, [plan.value.spaces for plan in plans])
    if newest and newest[0].value.space in offered:  # what was asked, though plans still come in
        now = newest[0].value.space.value
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


def choose_rows(state: AppState, plans: Sequence[Answer[Plan]], kept: str = "rows") -> None:
    """How many rows are explained; `kept` is the choice that holds it."""
    n = max(plan.value.n_given for plan in plans)
    if n <= 200:
        return
    words = {"first": "200", "some": f"{min(n, 2_000):,}", "all": f"All {n:,}"}
    sizes = ["first", "some"] if n <= 2_000 else ["first", "some", "all"]
    now = getattr(state.explored, kept)
    chosen = st.segmented_control(
        "Rows explained",
        sizes,
        default=now if now in sizes else "some",
        required=True,
        format_func=lambda one: words[one],
        key=f"explained-{kept}",
        help="A first answer from 200 rows, drawn so that every class has its share, then 2,000. "
        "Each model has a worker of its own, which is given the rows in parts: beside the data it "
        f"holds at most {CALL_BYTES >> 20} MB of them and their values at a time, and it may take "
        f"{get_settings().worker_memory_mb:,} MB in all.",
    )
    state.explore(**{kept: str(chosen or now)})


def show_promise(plans: Sequence[Answer[Plan]]) -> None:
    """How long each number of rows takes, in sight before anybody asks for it."""
    given = [plan.value for plan in plans]
    n = max(one.n_given for one in given)
    most = "some" if n <= 2_000 else "all"
    said = []
    for rows, seconds in explaining.promised(given, most):
        words = (
            "First 200 rows" if rows == 200 < n else "2,000 rows" if rows < n else f"All {n:,} rows"
        )
        said.append(f"{words}: {_about(seconds)}")
    models = "" if len(given) == 1 else f" for the {len(given)} models together"
    how = "measured" if all(one.measured for one in given) else "estimated from a trial"
    st.caption(
        f":material/timer: {' · '.join(said)}{models}, {how} on {min(MEASURED_ROWS, n)} rows. "
        "What was computed before is there at once."
    )


def _about(seconds: float) -> str:
    """ "about 12 s", "under 1 s"."""
    words = duration(seconds)
    return words if words.startswith("under") else f"about {words}"


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
        **following(f"output-{len(names)}", start, take, index=start),
        help="Each class has contributions of its own: what speaks for a 3 may speak against an 8.",
    )
    return names[int(at or 0)]
