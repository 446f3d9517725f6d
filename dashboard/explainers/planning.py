"""Operations "plan", "explain" and "interactions": engines by capability and by measured cost.

An engine that fails, or whose values do not add up to the model's own answers, is put aside and
the next one is tried; the answer says which and why.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..contracts import Model, OutputSpace, Work
from ..errors import DiagnosticsError, ModelError, NotApplicable
from ..models.columns import first_line
from ..models.model_warnings import recorded
from ..sandbox.processes import WorkCancelled
from ..wording import listing
from .answers import Asked
from .arranging import Arrangement, arrangement, summed_back, summed_both_axes
from .blocks import NO_NUMBER, Block, PlanAnswer, encode_block, encode_plan
from .checking import Check, check_result
from .mixing import unanswered_notes
from .pipelines import TRIED, known_subject, prepare_background, raw_rows, rows_at
from .plans import MEASURED, PUT_ASIDE
from .subjects import Engine, EngineResult, FloatArray, IntArray, Offer, Subject

__all__ = ["explain", "interactions", "plan"]

Answer = tuple[dict[str, Any], Sequence[Any]]

# In the order in which they are preferred.
GAMES = ("interventional", "path-dependent", "expected gradients")

# Rows on which engines are measured, and seconds after which no further one is.
FEW, MORE = 4, 20
MEASURING = 12.0
EQUAL, ENOUGH, PATIENT = 0.5, 3.0, 10.0  # for 200 rows
SLOW = 2.5  # seconds for a few rows; what is not finished then is not waited for
UNFINISHED = 5.0  # times as long as that is what such an engine is taken to need


@dataclass(frozen=True, eq=False)
class Request:
    """What an operation was asked, and the model taken apart for it.

    Attributes
    ----------
    rows, background : with the columns of the features only.
    """

    subject: Subject
    asked: Asked
    space: OutputSpace
    shown: Arrangement
    rows: Any
    background: Any
    options: dict[str, Any]

    @property
    def n(self) -> int:
        return len(self.rows)


def _request(model: Model, tables: Mapping[str, Any], told: Mapping[str, Any]) -> Request:
    asked, X = Asked.from_json(told["asked"]), tables["X"]
    background = rows_at(X, told["background"])
    subject = known_subject(model, background[:TRIED], asked)
    space = _space(subject, str(told["space"]))
    return Request(
        subject,
        asked,
        space,
        arrangement(subject.output_names, space, asked),
        raw_rows(subject, rows_at(X, told["rows"])),
        raw_rows(subject, background),
        {
            "random_state": int(told["seed"]),
            "draws": told.get("budget"),
            "level": float(told.get("level") or 0.95),
        },
    )


def _space(subject: Subject, wanted: str) -> OutputSpace:
    if wanted == "auto":
        return subject.spaces[0]
    if wanted not in subject.spaces:
        known = listing([space.value for space in subject.spaces], 4)
        raise NotApplicable(f"The model does not answer in {wanted}; it answers in {known}.")
    return OutputSpace(wanted)


def _engines() -> Mapping[str, Engine]:
    from .engines import ENGINES

    return ENGINES


# ---- planning --------------------------------------------------------------------------------


def plan(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> Answer:
    """Every engine with what it would cost, or why it cannot be had; the best ones measured.

    `arguments`: "asked", "space" ("auto" or a unit), "game" ("auto" or one), "rows" (some 20
    positions in table "X"), "background" (positions), "seed", "budget" (draws a row),
    "level" of the intervals, "engine" (one that is measured in any case); "bare" where nobody asks
    for engines, but only for what the model offers by itself: features, outputs, units.
    """
    with recorded():
        request, offers = _request(model, tables, arguments), dict[str, Offer]()
        if not arguments.get("bare"):
            offers = {key: _offer(engine, request) for key, engine in _engines().items()}
            offers = _measured(offers, request, str(arguments["game"]), work)
            offers |= _wanted(offers, request, str(arguments.get("engine") or ""), work)
    subject = request.subject
    answer = PlanAnswer(
        features=subject.features,
        outputs=request.shown.names,
        spaces=subject.spaces,
        space=request.space,
        offers=tuple(offers.values()),
        cell_shape=subject.cell_shape,
        n_columns=_width(subject),
        notes=(*subject.notes, *_merging_note(subject)),
    )
    return encode_plan(answer), ()


def _width(subject: Subject) -> int:
    """Columns that an engine's values may have before they are summed back."""
    return len(subject.features if subject.sources is None else subject.sources)


def _merging_note(subject: Subject) -> tuple[str, ...]:
    """Which features the model sees as several columns."""
    if subject.sources is None or len(subject.features) == 1:
        return ()
    places, counts = np.unique(subject.sources, return_counts=True)
    several = [subject.features[at] for at in places[counts > 1]]
    if not several:
        return ()
    return (
        f"Inside the model {listing(several, 4)} {'is' if len(several) == 1 else 'are'} made into "
        f"several columns; {'these count' if len(several) == 1 else 'those of each count'} as one "
        "feature, known or unknown together.",
    )


def _offer(engine: Engine, request: Request) -> Offer:
    refusal = _refusal(engine, request)
    offer = Offer(engine.key, engine.method, engine.game, engine.exact, refusal=refusal)
    if refusal:
        return offer
    few = engine.seconds(request.subject, FEW, len(request.background))
    many = engine.seconds(request.subject, FEW + 1_000, len(request.background))
    per_row = max(0.0, many - few) / 1_000
    return replace(offer, seconds_fixed=max(0.0, few - FEW * per_row), seconds_per_row=per_row)


def _refusal(engine: Engine, request: Request) -> str:
    subject = request.subject
    if engine.level == "prepared":
        if subject.estimator is None:
            return "It looks into a model, and nothing can be seen inside this one."
        if subject.sources is None:
            return "Columns inside the model are made of several features at once."
    return engine.refuses(subject, request.space)


def _measured(
    offers: dict[str, Offer], request: Request, game: str, work: Work
) -> dict[str, Offer]:
    """The offers, the quickest of each question with times that were measured on a few rows."""
    start = time.monotonic()
    for wanted in GAMES:
        while game in ("auto", wanted):
            chosen = _quickest(offers.values(), wanted)
            if chosen is None or chosen.notes or time.monotonic() - start > MEASURING:
                break
            if game == "auto" and wanted == GAMES[0] and _is_beaten(chosen, offers.values()):
                break
            work.check()
            work.progress(0, 1, f"Measuring {chosen.method}")
            offers[chosen.key] = _trial(chosen, request, work)
        chosen = _quickest(offers.values(), wanted)
        if chosen is not None and chosen.exact and chosen.notes and _first(chosen) <= ENOUGH:
            break  # quick, exact and comparable: the others are alternatives
    return offers


def _wanted(
    offers: Mapping[str, Offer], request: Request, key: str, work: Work
) -> dict[str, Offer]:
    """The engine that somebody chose, measured though it may not be the quickest."""
    chosen = offers.get(key)
    if chosen is None or chosen.refusal or chosen.notes:
        return {}
    work.check()
    work.progress(0, 1, f"Measuring {chosen.method}")
    return {key: _trial(chosen, request, work)}


def _is_beaten(offer: Offer, others: Iterable[Offer]) -> bool:
    """Whether trees answer exactly by their own counts before this one gives background values.

    Measuring it would keep the first answer waiting for times that decide nothing.
    """
    own = [_first(o) for o in others if not o.refusal and o.exact and o.game == "path-dependent"]
    return bool(own) and min(own) < _first(offer) and (not offer.exact or _first(offer) > ENOUGH)


def _first(offer: Offer) -> float:
    """Seconds until the first rows are there; below half a second all are equally fast."""
    return max(EQUAL, offer.seconds_fixed + 200 * offer.seconds_per_row)


def _quickest(offers: Iterable[Offer], game: str) -> Offer | None:
    """The engine for one question that answers first; exact ones before, unless they are slow."""
    able = [offer for offer in offers if not offer.refusal and offer.game == game]
    return min(able, key=lambda o: (not o.exact or _first(o) > PATIENT, _first(o)), default=None)


NO_MEMORY = (
    "it needs more memory than there is. Take fewer background rows, or allow workers more "
    "(setting worker_memory_mb)"
)
GUESSED = "Its time is a guess: a few rows were not finished while it was measured."


UNMIXED = (
    "the model answers rows themselves with numbers, but none of them once some of its features "
    "are those of background rows"
)


class _TooSlow(Exception):
    """An engine that does not finish a few rows in the time for a trial."""


class _Deadline:
    """Work that also ends when its time is over."""

    def __init__(self, work: Work, seconds: float) -> None:
        self._work, self._until = work, time.monotonic() + seconds

    def progress(self, done: int, total: int, sentence: str, /) -> None:
        """Nobody waits for the rows of a trial."""

    def check(self) -> None:
        self._work.check()
        if time.monotonic() > self._until:
            raise _TooSlow


def _trial(offer: Offer, request: Request, work: Work) -> Offer:
    """The offer with measured times; refused where it fails."""
    sizes = [min(FEW, request.n), min(FEW, request.n), min(MORE, request.n)]
    times: list[float] = []
    for size in sizes:  # the first one loads libraries
        begin = time.monotonic()
        part = replace(request, rows=request.rows[:size])
        try:
            block = _run(_engines()[offer.key], part, _Deadline(work, SLOW))
        except _TooSlow:
            break
        times.append(time.monotonic() - begin)
        if isinstance(block, str):
            return replace(offer, refusal=_sentence(offer.method, block))
        if not len(block.kept):
            return replace(offer, refusal=_sentence(offer.method, UNMIXED))
        if len(times) > 1 and times[-1] > SLOW / 2:
            break
        if len(times) == 1 and times[0] > EQUAL / 2:
            del sizes[1]  # it is not for its libraries that it takes long; more rows say more
    if not times:
        return _unfinished(offer, _engines()[offer.key].level == "raw")
    size = sizes[len(times) - 1]
    per_row = times[-1] / size
    if len(times) == 3 and sizes[2] > sizes[1]:  # the first of them loaded libraries
        per_row = max((times[2] - times[1]) / (sizes[2] - sizes[1]), per_row / 20)
    if offer.seconds_fixed > 2 * MORE * offer.seconds_per_row:
        # making tables dwarfs a few rows, so that their difference would be noise
        estimated = offer.seconds_fixed + size * offer.seconds_per_row
        per_row = offer.seconds_per_row * min(max(times[-1] / estimated, 1.0), 5.0)
    fixed = max(0.0, times[-1] - per_row * size)
    return replace(offer, seconds_fixed=fixed, seconds_per_row=per_row, notes=(MEASURED,))


def _unfinished(offer: Offer, by_row: bool) -> Offer:
    """A guess for an engine that was stopped: slow row by row, or slow to begin."""
    if by_row:
        per_row = max(offer.seconds_per_row, SLOW / 2)
        return replace(offer, seconds_per_row=per_row, notes=(GUESSED,))
    fixed = max(offer.seconds_fixed, UNFINISHED * SLOW)
    return replace(offer, seconds_fixed=fixed, notes=(GUESSED,))


def _sentence(method: str, why: str) -> str:
    return f"{method}{PUT_ASIDE}{why.rstrip('.')}."[:900]


# ---- explaining ------------------------------------------------------------------------------


def explain(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> Answer:
    """The values of some rows, from the first of "engines" whose values add up.

    `arguments`: as for `plan`, and "engines" (keys, in the order in which they are tried).

    Raises
    ------
    NotApplicable : none of the engines can explain this model in this space.
    ModelError : the model answers none of the rows.
    """
    with recorded():
        return _first_believed(_request(model, tables, arguments), arguments["engines"], work)


def _first_believed(request: Request, keys: Sequence[str], work: Work) -> Answer:
    known, refused = _engines(), dict[str, str]()
    for key in keys:
        engine = known.get(key)
        if engine is None:
            raise NotApplicable(f"There is no engine {key!r}. Engines: {', '.join(known)}.")
        refusal = _refusal(engine, request)
        found = refusal or _run(engine, request, work)
        if isinstance(found, Block):
            return encode_block(replace(found, refused=refused))
        refused[key] = refusal or _sentence(engine.method, found)
        work.check()
    reasons = " ".join(refused.values())
    raise NotApplicable(f"None of the engines that were tried can explain this model. {reasons}")


def _run(engine: Engine, request: Request, work: Work) -> Block | str:
    """What an engine says of the rows, or why it is not believed."""
    predictions, kept = _answers(request)
    subject = request.subject
    rows = request.rows if len(kept) == request.n else rows_at(request.rows, kept)
    try:
        result = _explained(engine, request, rows, work)
    except (DiagnosticsError, MemoryError) as error:
        if isinstance(error, WorkCancelled):
            raise
        return NO_MEMORY if isinstance(error, MemoryError) else first_line(error)
    except Exception as error:
        if not isinstance(error, _FAILURES):
            raise  # a cancelled operation
        return f"{type(error).__name__}: {first_line(error)[:300]}"
    if result.kept is not None:
        predictions, kept = predictions[result.kept], kept[result.kept]
    m = len(subject.features) if engine.level == "raw" else _width(subject)
    check = check_result(result, predictions, exact=engine.exact, m=m)
    if check.failure:
        return check.failure
    if engine.level == "prepared":
        result = _on_features(result, subject)
    return _block(engine, request, result, check, predictions, kept)


def _on_features(result: EngineResult, subject: Subject) -> EngineResult:
    """Values of prepared columns as those of their features.

    Linear parts add up; trees were told which columns are one feature (`Forest.merged`), and their
    value stands at one of them.
    """
    if subject.sources is None:
        return result
    n_features = len(subject.features)
    values = summed_back(result.values, subject.sources, n_features)
    errors = result.errors
    if errors is not None:
        errors = summed_back(errors, subject.sources, n_features)
    return replace(result, values=values, errors=errors)


# What engines of other libraries raise; `Cancelled` of the worker is none of these.
_FAILURES = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError,
    RuntimeError, TypeError, ValueError, SystemError,
)  # fmt: skip


def _explained(engine: Engine, request: Request, rows: Any, work: Work) -> EngineResult:
    subject = request.subject
    background = request.background
    if engine.level == "raw":
        return engine.explain(subject, rows, background, request.space, work, request.options)
    n, answering = len(background), None
    if engine.game == "interventional":  # in others no row stands in, or the engine sees to it
        answering = request.space
    background, answered = prepare_background(subject, background, answering)
    rows = subject.prepare(rows)
    result = engine.explain(subject, rows, background, request.space, work, request.options)
    if len(answered) == n or answering is None:
        return result
    notes = (*result.notes, *unanswered_notes(len(answered), n))
    left_out = np.setdiff1d(np.arange(n), answered).tolist()
    return replace(result, notes=notes, unanswered=tuple(left_out))


_OTHERS = "Choose other rows, or export a pipeline that takes such values."


def _answers(request: Request) -> tuple[FloatArray, IntArray]:
    """`(n, k)` answers of the whole model in its own order, and the rows that have them.

    Raises
    ------
    ModelError : no row has an answer.
    """
    try:
        found = request.subject.answer(request.rows, request.space)
    except ModelError as error:
        cause = error.__cause__
        reason = str(error) if cause is None else f"{type(cause).__name__}: {first_line(cause)}"
        raise ModelError(f"The model {NO_NUMBER} ({reason[:300]}). {_OTHERS}") from error
    sound = np.isfinite(found).all(axis=1)
    kept: IntArray = np.flatnonzero(sound)
    if not len(kept):
        raise ModelError(f"The model {NO_NUMBER}, so there is nothing to explain.")
    return found[kept], kept


def _block(
    engine: Engine,
    request: Request,
    result: EngineResult,
    check: Check,
    predictions: FloatArray,
    kept: IntArray,
) -> Block:
    """A result on the person's columns, with the person's outputs."""
    shown, errors = request.shown, result.errors
    return Block(
        engine=engine.key,
        method=engine.method,
        game=engine.game,
        exact=engine.exact,
        kept=kept,
        values=np.ascontiguousarray(shown.parts(result.values), dtype=np.float64),
        base=shown.totals(np.asarray(result.base, dtype=np.float64), request.space),
        predictions=shown.totals(predictions, request.space),
        errors=None if errors is None else shown.spreads(errors),
        additivity_error=check.gap,
        tolerance=check.tolerance,
        notes=tuple(dict.fromkeys(result.notes)),
        unanswered=result.unanswered,
    )


# ---- interactions ----------------------------------------------------------------------------


def interactions(
    model: Model, tables: Mapping[str, Any], arguments: Mapping[str, Any], work: Work
) -> Answer:
    """`(n, n_features, n_features, n_outputs)` interaction values of tree models.

    `arguments`: as for `plan`. The sums over the last feature axis are the path-dependent values.

    Raises
    ------
    NotApplicable : no tree model, or values that do not add up.
    """
    with recorded():
        return _pairs(_request(model, tables, arguments), work)


def _pairs(request: Request, work: Work) -> Answer:
    from .interactions import base_of_pairs, engine_of_pairs, tree_interactions

    subject, space = request.subject, request.space
    if subject.estimator is None or subject.sources is None:
        raise NotApplicable("Interactions are computed inside tree models on single features.")
    predictions, kept = _answers(request)
    rows = subject.prepare(rows_at(request.rows, kept))
    values = tree_interactions(subject, rows, None, work, space)
    base = base_of_pairs(subject, rows, space, work)
    values = summed_both_axes(values, subject.sources, len(subject.features))
    result = EngineResult(values.sum(axis=2), base)
    check = check_result(result, predictions, exact=True, m=len(subject.features))
    if check.failure:
        raise NotApplicable(_sentence("The computation of interactions", check.failure))
    engine = engine_of_pairs(subject, space)
    block = _block(engine, request, result, check, predictions, kept)
    header, arrays = encode_block(block)
    return header, [*arrays, np.ascontiguousarray(request.shown.parts(values))]
