"""Shapley values of anything that answers: features unknown are those of background rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..contracts import OutputSpace, Work
from .coalitions import all_coalitions, draw_coalitions, shapley, solve
from .mixing import BATCH_CELLS, Mixer
from .subjects import EngineResult, FloatArray, Game, IntArray, Subject
from .walks import Walks, adding_up, average, walks_of

__all__ = ["AGNOSTIC", "ExactEngine", "KernelEngine", "PermutationEngine"]

MOST_EXACT = 12  # features: 4,096 coalitions, each over all background rows
MOST_KERNEL = 500  # features: two coalitions each are the least
MORE_COALITIONS = 512
ORDERS_BUDGET = 20_000  # mixed rows that an explained row is worth unless said otherwise
LEAST_ORDERS = 8  # fewer tell no error
ENOUGH_BACKGROUND = 30  # rows: two orders over each are enough unless a budget is given
SECONDS_OF_ROW = 5.0  # of explaining one row, where no budget is given
SLOW_NOTE = (
    "The model is slow, so it is asked about fewer mixed rows than usual; the errors say what that "
    "costs.",
)
LEFT_OUT = (
    "Left out are also rows for which the model gives no number, or fails, once some of their "
    "features are those of background rows."
)
SECONDS_A_ROW = 1e-5  # of a model nobody has measured yet


@dataclass(frozen=True)
class _Drawing:
    """What is drawn for each row: mixed rows (`budget`, None = as usual), from which seed, and the
    level of the intervals that its errors are for."""

    seed: int
    budget: int | None
    level: float


class _Agnostic(ABC):
    """What the engines have in common: raw rows, one game, all outputs at once."""

    game: Game = "interventional"
    level: Literal["raw", "prepared"] = "raw"
    key = method = ""
    exact = False
    most_features = 100_000

    def refuses(self, subject: Subject, space: OutputSpace) -> str:
        """Why it is not offered for this model and space, in one sentence; "" where it is."""
        f = len(subject.features)
        if space not in subject.spaces:
            return f"The model does not answer in the unit {space.value}."
        if not f:
            return "The model reads no column."
        if f > self.most_features:
            return (
                f"{self.method} needs at most {self.most_features:,} features, and the model reads "
                f"{f:,}."
            )
        return ""

    @abstractmethod
    def evaluations(self, n_features: int, n_background: int, budget: int | None = None) -> int:
        """Mixed rows that are asked for one explained row."""

    def seconds(self, subject: Subject, n_rows: int, n_background: int) -> float:
        """Estimated time, before anything was measured; for choosing, not for promising."""
        each = self.evaluations(len(subject.features), n_background)
        return 0.02 + n_rows * each * SECONDS_A_ROW

    def explain(
        self,
        subject: Subject,
        rows: Any,
        background: Any,
        space: OutputSpace,
        work: Work,
        options: Mapping[str, Any],
    ) -> EngineResult:
        """Values for all outputs. `options`: "random_state", "level" of the intervals, "draws"
        (coalitions or orders a row) or "budget" (mixed rows a row).

        Raises
        ------
        NotApplicable : the model fails on mixed rows, or its answers are random or no numbers.
        """
        mixer = Mixer(subject, space, rows, background, work)
        given = options.get("budget")
        if options.get("draws"):
            given = int(options["draws"]) * self._of_draw(mixer.n_features, mixer.n_background)
        budget, slow = self._budget(mixer, given)
        each = self.evaluations(mixer.n_features, mixer.n_background, budget)
        mixer.questions.n_expected = mixer.questions.n_asked + mixer.n * each
        values = np.zeros((mixer.n, mixer.n_features, subject.n_outputs))
        errors = np.zeros_like(values)
        seed, level = int(options.get("random_state") or 0), float(options.get("level") or 0.95)
        self._fill(mixer, values, errors, _Drawing(seed, budget, level))
        notes = (*self._notes(mixer, budget), *(SLOW_NOTE if slow else ()))
        notes = (*notes, *mixer.notes(), *mixer.questions.notes())
        found = EngineResult(values, mixer.base, errors, notes, unanswered=mixer.unanswered)
        found = self._sound(found)
        if mixer.n > 1 and not len(found.values) and mixer.questions.failure is not None:
            raise mixer.questions.failure
        return found

    def _sound(self, found: EngineResult) -> EngineResult:
        """The rows that the model answers whatever they are mixed with; the others left out."""
        sound = np.asarray(np.isfinite(found.values).all(axis=(1, 2)))
        kept = np.flatnonzero(sound)
        errors = None if self.exact or found.errors is None else found.errors[sound]
        found = replace(found, values=found.values[sound], errors=errors)
        if len(kept) == len(sound):
            return found
        return replace(found, notes=(*found.notes, LEFT_OUT), kept=kept)

    def _budget(self, mixer: Mixer, given: Any) -> tuple[int | None, bool]:
        """Mixed rows for each row, None = as many as usual; and whether the model is too slow."""
        if given is not None:
            return max(1, int(given)), False
        usual = self.evaluations(mixer.n_features, mixer.n_background)
        if self.exact or mixer.seconds_a_row * usual <= SECONDS_OF_ROW:
            return None, False
        # a power of two: one run should not ask for other numbers than the next
        return 1 << max(0, int(SECONDS_OF_ROW / mixer.seconds_a_row).bit_length() - 1), True

    def _of_draw(self, n_features: int, n_background: int) -> int:
        """Mixed rows that one coalition or order takes."""
        return 1

    @abstractmethod
    def _fill(
        self, mixer: Mixer, values: FloatArray, errors: FloatArray, drawing: _Drawing
    ) -> None:
        """Write the values and their errors, both `(n, f, k)`."""

    def _notes(self, mixer: Mixer, budget: int | None) -> tuple[str, ...]:
        return ()


def _generator(seed: int, mixer: Mixer, row: int) -> np.random.Generator:
    """Rows have draws of their own, so that their errors average out over rows."""
    return np.random.default_rng([seed, mixer.seeds[row]])


class ExactEngine(_Agnostic):
    """Every coalition of up to twelve features, over every background row."""

    key, method, exact = "exact", "Exact Shapley values by enumeration", True
    most_features = MOST_EXACT

    def evaluations(self, n_features: int, n_background: int, budget: int | None = None) -> int:
        return int(n_background << min(n_features, 40))

    def _fill(
        self, mixer: Mixer, values: FloatArray, errors: FloatArray, drawing: _Drawing
    ) -> None:
        plans: list[tuple[IntArray, IntArray]] = []

        def requests() -> Iterator[tuple[int, IntArray]]:
            for row in range(mixer.n):
                active, keys, at = _enumeration(mixer, row)
                plans.append((active, keys))
                yield row, at

        for row, answers in enumerate(mixer.each(requests())):
            active, keys = plans[row]
            table = np.concatenate([mixer.background, mixer.own[row : row + 1], answers])
            worth = np.stack([column[keys].mean(axis=1) for column in table.T], axis=1)
            values[row, active] = shapley(worth)
            plans[row] = (active, keys[:0])  # a row's plan is large


def _enumeration(mixer: Mixer, row: int) -> tuple[IntArray, IntArray, IntArray]:
    """What has to be asked to know the worth of every coalition of one row.

    Returns the features that differ from any background row; for each coalition and background
    row `(2 ** a, n_background)` the place of its answer among the background rows' own, the
    row's own and those asked; and what to ask. Mixed rows that are the same are asked once.
    """
    differ, n_background = mixer.differ(row), mixer.n_background
    active = np.flatnonzero(differ.any(axis=0))
    a = len(active)
    bits = 1 << np.arange(a)
    changed = differ[:, active] @ bits
    coalition = np.arange(1 << a)[:, None] & changed  # only cells that differ matter
    keys = coalition + (np.arange(n_background) << a)
    new = np.zeros(n_background << a, dtype=bool)
    new[keys] = True
    new[np.arange(n_background) << a] = False  # nothing taken: the background row itself
    new[changed + (np.arange(n_background) << a)] = False  # all taken: the row itself
    place = np.cumsum(new) + n_background
    place[changed + (np.arange(n_background) << a)] = n_background
    nothing = np.arange(n_background)
    place[nothing << a] = np.where(changed == 0, n_background, nothing)
    wanted = np.flatnonzero(new)
    who = wanted >> a
    start = (mixer.n + who).astype(np.int32)
    at: IntArray = np.repeat(start[:, None], mixer.n_features, axis=1)
    taken = all_coalitions(a)[wanted & ((1 << a) - 1)]
    at[:, active] = np.where(taken, row, at[:, active])
    return active, place[keys], at


class KernelEngine(_Agnostic):
    """Kernel SHAP by constrained least squares, without the regularisation that biases shap's."""

    key, method = "kernel", "Kernel SHAP"
    most_features = MOST_KERNEL

    def evaluations(self, n_features: int, n_background: int, budget: int | None = None) -> int:
        return self._coalitions(n_features, n_background, budget) * n_background

    def _of_draw(self, n_features: int, n_background: int) -> int:
        return n_background

    def _coalitions(self, f: int, n_background: int, budget: int | None) -> int:
        least = 2 * f + 20
        wanted = 2 * f + MORE_COALITIONS if budget is None else budget // n_background
        wanted = max(least, wanted)
        return min(wanted, (1 << f) - 2) if f < 30 else wanted

    def _fill(
        self, mixer: Mixer, values: FloatArray, errors: FloatArray, drawing: _Drawing
    ) -> None:
        for row in range(mixer.n):
            active = np.flatnonzero(mixer.differ(row).any(axis=0))
            total = mixer.own[row] - mixer.base
            if len(active) < 2:
                values[row, active] = total
                continue
            n = self._coalitions(len(active), mixer.n_background, drawing.budget)
            rng = _generator(drawing.seed, mixer, row)
            drawn = draw_coalitions(len(active), n, rng)
            worth = _worth(mixer, row, active, drawn.masks)
            if not np.isfinite(worth).all():
                values[row] = np.nan
                continue
            solved = solve(drawn, worth - mixer.base, total, level=drawing.level)
            values[row, active], errors[row, active] = solved

    def _notes(self, mixer: Mixer, budget: int | None) -> tuple[str, ...]:
        n = self._coalitions(mixer.n_features, mixer.n_background, budget)
        return (
            f"{n:,} coalitions a row, in pairs of complements; errors by leaving out one of ten "
            "groups of them.",
        )


def _worth(mixer: Mixer, row: int, active: IntArray, masks: Any) -> FloatArray:
    """`(m, k)` mean answers over all background rows with the features of each mask known."""
    known = np.zeros((len(masks), mixer.n_features), dtype=bool)
    known[:, active] = masks
    who = (mixer.n + np.arange(mixer.n_background)).astype(np.int32)
    step = max(1, BATCH_CELLS // (mixer.n_background * mixer.n_features))
    found = []
    for start in range(0, len(known), step):
        part = known[start : start + step]
        at = np.where(part[:, None, :], np.int32(row), who[None, :, None]).reshape(
            -1, mixer.n_features
        )
        answers = mixer.answers(at, np.full(len(at), row))
        found.append(answers.reshape(len(part), mixer.n_background, -1).mean(axis=1))
    return np.concatenate(found)


class PermutationEngine(_Agnostic):
    """Random orders, each walked forwards and backwards, spread evenly over the background."""

    key, method = "permutation", "Antithetic permutations"

    def evaluations(self, n_features: int, n_background: int, budget: int | None = None) -> int:
        orders = self._orders(n_features, n_background, budget)
        return orders * self._of_draw(n_features, n_background)

    def _of_draw(self, n_features: int, n_background: int) -> int:
        return max(1, 2 * (n_features - 1))

    def _orders(self, f: int, n_background: int, budget: int | None) -> int:
        """Pairs of orders a row: a multiple of the background rows, or fewer than these."""
        wanted = (ORDERS_BUDGET if budget is None else budget) // max(1, 2 * (f - 1))
        if budget is None and n_background >= ENOUGH_BACKGROUND:
            wanted = min(wanted, 2 * n_background)
        wanted = max(LEAST_ORDERS, wanted)
        return wanted if wanted < n_background else wanted // n_background * n_background

    def _fill(
        self, mixer: Mixer, values: FloatArray, errors: FloatArray, drawing: _Drawing
    ) -> None:
        orders = self._orders(mixer.n_features, mixer.n_background, drawing.budget)
        waiting: deque[Walks] = deque()

        def requests() -> Iterator[tuple[int, IntArray]]:
            for row in range(mixer.n):
                for walks in walks_of(mixer, row, orders, _generator(drawing.seed, mixer, row)):
                    waiting.append(walks)
                    yield row, walks.at

        answers = mixer.each(requests())
        for row in range(mixer.n):
            draws: list[FloatArray] = []
            who: list[IntArray] = []
            while sum(len(part) for part in who) < orders:
                said = next(answers)
                walks = waiting.popleft()
                draws.append(walks.contributions(mixer, said))
                who.append(walks.who)
            mean, errors[row] = average(
                np.concatenate(draws),
                np.concatenate(who),
                mixer.n_background,
                level=drawing.level,
            )
            values[row] = adding_up(mean, errors[row], mixer.own[row] - mixer.base)

    def _notes(self, mixer: Mixer, budget: int | None) -> tuple[str, ...]:
        orders = self._orders(mixer.n_features, mixer.n_background, budget)
        used = min(orders, mixer.n_background)
        note = f"{orders:,} orders a row, each forwards and backwards"
        if used < mixer.n_background:
            return (f"{note}, over {used:,} of {mixer.n_background:,} background rows each.",)
        return (f"{note}, over all {mixer.n_background:,} background rows.",)


AGNOSTIC = {engine.key: engine for engine in (ExactEngine(), KernelEngine(), PermutationEngine())}
