"""How contributions are computed: the question, the engine, what is drawn, and from which seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from components.asking import Answer
from components.choices import GAMES, MOST_BACKGROUND, MOST_DRAWS, MOST_SEED, SAMPLINGS
from components.markup import plain
from components.state import AppState, following
from dashboard.explanation import Plan
from dashboard.settings import get_settings
from dashboard.wording import listing, shorten

__all__ = ["choose_computing"]

_GAMES = {
    "auto": ("Best fit", "What is exact and quick for each model. Take this unless you know why."),
    "interventional": (
        "From other rows",
        "Shapley values: an unknown value is swapped for those of background rows, as if somebody "
        "changed it. The same question for every model, so take it to compare models.",
    ),
    "path-dependent": (
        "Trees' own counts",
        "Shapley values by the rows that each tree saw in training. Trees only: quick, needs no "
        "background, and shares effects among features that go together.",
    ),
    "expected gradients": (
        "Along gradients",
        "Slopes of a Keras network between background rows and the row: no Shapley values, but "
        "quick. Take it for pictures, long sequences and large networks.",
    ),
}
_SAMPLINGS = {
    "auto": ("Best fit", "Every combination where features are few, else whichever is quicker."),
    "exact": (
        "Every combination",
        "Exact, for up to 12 features: the model answers every mix of known and unknown ones.",
    ),
    "kernel": (
        "Kernel SHAP",
        "A regression on drawn combinations. Take it where each feature acts mostly by itself.",
    ),
    "permutation": (
        "Random orders",
        "Features become known in drawn orders, forwards and backwards. Take it where features act "
        "in pairs, or where there are more than 500 of them.",
    ),
}


_folded = partial(following, folded=True)


def choose_computing(state: AppState, answers: Sequence[Answer[Plan]]) -> None:
    """The controls, each where there is a real choice for some of the shown models."""
    plans = [one.value for one in answers]
    _choose_game(state, plans)
    _tell_who_cannot(answers, state.explored.game)
    _choose_sampling(state, plans)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _choose_background(state, plans)
        if any(not one.offer(200).exact for one in plans):
            _choose_draws(state)
        _choose_seed(state)


def _choose_game(state: AppState, plans: Sequence[Plan]) -> None:
    """Offered where a model can be asked more than one question."""
    if all(len(one.games) < 2 for one in plans):
        return
    offered = ["auto", *(game for game in GAMES if any(game in one.games for one in plans))]
    now = state.explored.game
    st.radio(
        "What is asked",
        offered,
        format_func=lambda one: _GAMES[one][0],
        captions=[_GAMES[one][1] for one in offered],
        **_folded(
            f"game-{'-'.join(offered)}",
            now if now in offered else "auto",
            lambda game: state.explore(game=str(game)),
        ),
    )


def _tell_who_cannot(answers: Sequence[Answer[Plan]], game: str) -> None:
    without = [one.entry.name for one in answers if game not in ("auto", *one.value.games)]
    if without:
        names = plain(listing([shorten(name, 30) for name in without], 4))
        st.caption(f"{names}: cannot be asked this, so what fits best is asked.")


def _choose_sampling(state: AppState, plans: Sequence[Plan]) -> None:
    """Offered where a model is only asked for answers, and several engines can do that."""
    known = {offer.key for one in plans for offer in one.samplers}
    if not known:
        return
    offered = [one for one in SAMPLINGS if one == "auto" or one in known]
    now = state.explored.sampler
    st.radio(
        "Shapley values by",
        offered,
        format_func=lambda one: _SAMPLINGS[one][0],
        captions=[_SAMPLINGS[one][1] for one in offered],
        **_folded(
            f"sampler-{'-'.join(offered)}",
            now if now in offered else "auto",
            lambda one: state.explore(sampler=str(one)),
        ),
        help="For models that no engine looks into. All give the same values up to their errors.",
    )


def _choose_background(state: AppState, plans: Sequence[Plan]) -> None:
    """How many rows stand in for unknown values: of use where any model is measured so."""
    n = max(one.n_given for one in plans)
    if all(one.game == "path-dependent" for one in plans) or n < 2:
        st.caption("No rows stand in for unknown values: the models count by themselves.")
        return
    start = min(state.explored.background, n, MOST_BACKGROUND)
    st.number_input(
        "Background rows",
        min_value=1,
        max_value=min(n, MOST_BACKGROUND),
        step=50,
        **_folded("background", start, lambda given: state.explore(background=int(given))),
        width=180,
        help="An unknown value is replaced by those of these rows, drawn at random, the same for "
        "every model. More of them change the values less from draw to draw, and take longer. "
        "They are listed below the chart.",
    )


def _choose_draws(state: AppState) -> None:
    st.number_input(
        "Draws a row (0: as usual)",
        min_value=0,
        max_value=MOST_DRAWS,
        step=100,
        **_folded("draws", state.explored.draws, lambda n: state.explore(draws=int(n))),
        width=240,
        help="What engines that sample draw: combinations of features (Kernel SHAP, usually some "
        "500), orders or gradients (usually 200 each). Four times as many halve the errors "
        "and take four times as long. What was drawn is said below the chart.",
    )


def _choose_seed(state: AppState) -> None:
    usual = get_settings().random_state
    now = usual if state.explored.seed is None else state.explored.seed
    st.number_input(
        "Seed",
        min_value=0,
        max_value=MOST_SEED,
        step=1,
        **_folded(
            "explained-seed",
            now,
            lambda seed: state.explore(seed=None if int(seed) == usual else int(seed)),
        ),
        width=180,
        help="Draws the background, the first rows and the samples. What changes with another seed "
        "is chance.",
    )
