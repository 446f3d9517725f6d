"""What a model can be asked and what that takes: engines by question, exactness and time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..contracts import Background, Label, OutputSpace
from ..errors import NotApplicable, ParameterError
from ..wording import listing
from .blocks import PlanAnswer
from .subjects import IntArray, Offer

__all__ = ["GAMES", "MEASURED", "PUT_ASIDE", "SAMPLERS", "ExplainOptions", "Plan", "choose_game"]

GAMES = ("auto", "path-dependent", "interventional", "expected gradients")
# Seconds for the first rows within which exact values of background rows are worth waiting for.
FIRST_ROWS, AT_ONCE, PATIENT = 200, 3.0, 10.0
EQUAL = 0.5
# Engines that look into no model: any of them can be had for any model that answers.
SAMPLERS = ("exact", "kernel", "permutation")
MEASURED = "Its time was measured on some of the rows."
PUT_ASIDE = " was put aside: "  # between the name of an engine that was tried and the reason
DOUBT = 3.0  # times as long as estimated is what an engine that was not tried may take


@dataclass(frozen=True)
class ExplainOptions:
    """How a model is explained.

    Attributes
    ----------
    space : "auto" (the model's natural unit), "probability", "log-odds", "decision value" or
        "target unit".
    game : "auto", "path-dependent", "interventional" or "expected gradients".
    engine : a key of the catalogue of engines; "" chooses by cost.
    n_background : rows that stand in for unknown features.
    seed : of the rows that are drawn and of sampling engines.
    level : of the intervals that are made of the values.
    budget : what is drawn for each row by engines that sample: coalitions (kernel), orders of the
        features (permutation) or gradients; 0 = each engine's own choice.
    """

    space: str = "auto"
    game: str = "auto"
    engine: str = ""
    n_background: int = 100
    seed: int = 0
    level: float = 0.95
    budget: int = 0

    def __post_init__(self) -> None:
        spaces = ("auto", *(str(space.value) for space in OutputSpace))
        for name, known in (("space", spaces), ("game", GAMES)):
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"Option {name} must be one of {', '.join(known)}; got {getattr(self, name)!r}."
                )
        if self.n_background < 1 or self.seed < 0 or self.budget < 0:
            raise ParameterError(
                "Options n_background, seed and budget must be at least 1, 0 and 0; got "
                f"{self.n_background}, {self.seed} and {self.budget}."
            )
        if not 0 < self.level < 1:
            raise ParameterError(f"Option level must fulfil 0 < level < 1, got {self.level}.")


@dataclass(frozen=True, eq=False)
class Plan:
    """What a model can be asked, and what that will take.

    Attributes
    ----------
    features, output_names, spaces, space, offers, cell_shape, notes : see `PlanAnswer`.
    game : the question that is answered: the chosen one, or the best that can be had in time.
    background : what stands in for unknown features in this game.
    background_rows : their positions in the evaluation set.
    n_given : rows of the evaluation set.
    """

    found: PlanAnswer
    options: ExplainOptions
    game: str
    background: Background
    background_rows: IntArray
    n_given: int

    @property
    def features(self) -> tuple[str, ...]:
        return self.found.features

    @property
    def output_names(self) -> tuple[Label, ...]:
        return self.found.outputs

    @property
    def spaces(self) -> tuple[OutputSpace, ...]:
        return self.found.spaces

    @property
    def space(self) -> OutputSpace:
        return self.found.space

    @property
    def offers(self) -> tuple[Offer, ...]:
        return self.found.offers

    @property
    def cell_shape(self) -> tuple[int, ...] | None:
        return self.found.cell_shape

    @property
    def notes(self) -> tuple[str, ...]:
        return self.found.notes

    @property
    def games(self) -> tuple[str, ...]:
        """The questions that some engine can answer for this model in this space."""
        return tuple(dict.fromkeys(offer.game for offer in self.offers if not offer.refusal))

    @property
    def samplers(self) -> tuple[Offer, ...]:
        """Engines that only ask the model and can be chosen from, where such ones answer."""
        able = tuple(one for one in self.offers if one.key in SAMPLERS and not one.refusal)
        best = self.engines(FIRST_ROWS)[0].key
        return able if best in SAMPLERS and len(able) > 1 else ()

    @property
    def measured(self) -> bool:
        """Whether the time of its engine was measured on some of the rows."""
        return self.offer(FIRST_ROWS).notes == (MEASURED,)

    @property
    def put_aside(self) -> tuple[str, ...]:
        """Which engines failed when they were measured, and why."""
        return tuple(
            offer.refusal
            for offer in self.offers
            if offer.refusal.startswith(f"{offer.method}{PUT_ASIDE}")
        )

    def engines(self, n_rows: int) -> tuple[Offer, ...]:
        """The engines for so many rows, in the order in which they are tried; at least one."""
        return _ranked(self.offers, self.game, n_rows, self.options)

    def offer(self, n_rows: int | None = None) -> Offer:
        """The engine for so many rows (None: all)."""
        return self.engines(self._rows(n_rows))[0]

    def seconds(self, n_rows: int | None = None) -> float:
        """How long so many rows (None: all) take, from what was measured."""
        n = self._rows(n_rows)
        return _cost(self.offer(n), n)

    def _rows(self, n_rows: int | None) -> int:
        return self.n_given if n_rows is None else min(n_rows, self.n_given)


def _cost(offer: Offer, n: int) -> float:
    return offer.seconds_fixed + n * offer.seconds_per_row


def _risk(offer: Offer, n: int) -> float:
    """The cost for choosing: what was not measured may take longer than it seems.

    Below half a second engines are equally fast, and the order of the catalogue counts.
    """
    return max(EQUAL, _cost(offer, n) * (1.0 if offer.notes else DOUBT))


def choose_game(found: PlanAnswer, options: ExplainOptions) -> str:
    """The chosen question; else the one that compares across models, where it is quick.

    Raises
    ------
    NotApplicable : no engine fits the options; with the reasons.
    """
    able = [offer for offer in found.offers if not offer.refusal]
    if options.engine:
        return _game_of_engine(found, options.engine)
    if options.game != "auto":
        if not any(offer.game == options.game for offer in able):
            reasons = [o.refusal for o in found.offers if o.game == options.game and o.refusal]
            raise NotApplicable(
                f"No engine gives {options.game} values for this model. "
                f"{listing(list(dict.fromkeys(reasons)), 4)}"
            )
        return options.game
    if not able:
        raise NotApplicable(f"No engine can explain this model. {_why_none(found.offers)}"[:1_000])
    return _quickest_game(found, able)


def _why_none(offers: Sequence[Offer]) -> str:
    """Why engines that fit the model failed, each reason once; where none fits, why not."""
    tried = dict[str, tuple[str, list[str]]]()
    for offer in offers:
        _, aside, why = offer.refusal.partition(f"{offer.method}{PUT_ASIDE}")
        if aside:
            alike = re.sub(r"\d[\d.,]*", "#", why)  # the same but for what was measured
            tried.setdefault(alike, (why, []))[1].append(offer.method)
    if not tried:
        return " ".join(dict.fromkeys(offer.refusal for offer in offers))
    return " ".join(
        f"{why[:1].upper()}{why[1:]} Tried: {listing(methods, 4)}."
        for why, methods in tried.values()
    )


def _game_of_engine(found: PlanAnswer, key: str) -> str:
    chosen = next((offer for offer in found.offers if offer.key == key), None)
    if chosen is None:
        known = ", ".join(offer.key for offer in found.offers)
        raise ParameterError(f"There is no engine {key!r}. Engines: {known}.")
    if chosen.refusal:
        raise NotApplicable(chosen.refusal)
    return chosen.game


def _quickest_game(found: PlanAnswer, able: Sequence[Offer]) -> str:
    def best(game: str, exact: bool) -> float:
        times = [_risk(o, FIRST_ROWS) for o in able if o.game == game and o.exact is exact]
        return min(times, default=float("inf"))

    exact = best("interventional", True)
    if exact <= AT_ONCE:
        return "interventional"
    if best("path-dependent", True) < float("inf"):
        return "path-dependent"
    if exact <= PATIENT:
        return "interventional"
    gradients = best("expected gradients", False)
    if gradients < float("inf"):
        sampled = best("interventional", False)
        # background values can be compared with other models, where they are quick and few
        if found.cell_shape is None and sampled <= AT_ONCE:
            return "interventional"
        return "expected gradients"
    return "interventional"


def _ranked(
    offers: Sequence[Offer], game: str, n: int, options: ExplainOptions
) -> tuple[Offer, ...]:
    """The best first: exact engines where they are quick enough, then by time."""
    able = [offer for offer in offers if not offer.refusal]
    if options.engine:
        return tuple(offer for offer in able if offer.key == options.engine)
    inside = [offer for offer in able if offer.game == game]
    exact = [_risk(offer, FIRST_ROWS) for offer in inside if offer.exact]
    quick = min(exact, default=float("inf")) <= PATIENT or not any(not o.exact for o in inside)

    def rank(offer: Offer) -> tuple[bool, bool, float]:
        return offer.game != game, offer.exact is not quick, _risk(offer, n)

    chosen = sorted(able, key=rank)
    return tuple(o for o in chosen if options.game == "auto" or o.game == game)
