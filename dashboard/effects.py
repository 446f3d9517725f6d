"""Effects of features on a model's answers: over the rows of an evaluation set, and around one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .contracts import Label, Model, OutputSpace, Target
from .data import EvalSet
from .diagnostics.effect_grids import EffectGrid, bin_grid, order_levels, places_of, value_grid
from .diagnostics.effects import (
    EffectKind,
    FeatureEffect,
    Told,
    compute_accumulated_effect,
    compute_partial_dependence,
    usable_rows,
)
from .diagnostics.intervals import check_level
from .diagnostics.local_surrogates import Fit, LocalSurrogate, compute_surrogate, rule_of
from .diagnostics.two_way_effects import (
    TwoWayEffect,
    compute_accumulated_pair,
    compute_two_way,
    rows_of_pairs,
)
from .errors import NotApplicable, ParameterError
from .evaluation import rows_for
from .explainers.answers import Asked
from .explainers.arranging import arrangement
from .explainers.asking import ask
from .explainers.effects import EffectAnswers, EffectQuestion, ask_effects
from .explainers.kept import BlockStore, KeptParts, parts_of
from .explainers.lime import SurrogateAnswers, read_surrogates
from .wording import count, listing, plural

__all__ = ["feature_effects", "lime_surrogates", "two_way_effect"]

Rows = pd.DataFrame | npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

MOST_ROWS = 20_000
MOST_LEVELS = 200
ORDERING_ROWS, ORDERING_COLUMNS = 2_000, 30


@dataclass(frozen=True, eq=False)
class _Run:
    """One model, the rows that stand for the data, and how long it may take."""

    model: Model
    evalset: EvalSet
    name: str
    X: Rows
    rows: Ints
    space: str
    seconds: float
    level: float
    kept: KeptParts

    def column(self, feature: str) -> pd.Series[Any]:
        """The person's column of that name, for all rows."""
        names = self.names
        if feature not in names:
            raise ParameterError(
                f"There is no feature {feature!r}. Features: {listing(names, 12)}."
            )
        at = names.index(feature)
        return self.X.iloc[:, at] if isinstance(self.X, pd.DataFrame) else pd.Series(self.X[:, at])

    @property
    def names(self) -> list[str]:
        if isinstance(self.X, pd.DataFrame):
            return [str(name) for name in self.X.columns]
        if self.X.ndim != 2:
            raise NotApplicable(
                "Effects are drawn for columns of a table; these rows are pictures or sequences."
            )
        known = self.model.info.feature_names or ()
        m = self.X.shape[1]
        return list(known) if len(known) == m else [f"x{at}" for at in range(m)]

    @property
    def asked(self) -> dict[str, Any]:
        return asked_of(self.evalset.target).to_json()

    def ask(self, features: Sequence[str], rows: Ints, values: Ints) -> EffectAnswers:
        """Answers to `rows` with `features` set to those of the rows `values`."""
        return ask_effects(
            self.model,
            self.X,
            EffectQuestion(tuple(features), rows, values, self.space, self.asked, self.seconds),
            self.kept,
        )

    def told(self, output: Label, answers: EffectAnswers, n: int) -> Told:
        done = len(answers.own)
        notes = answers.notes
        if done < n:
            notes = (
                *notes,
                f"{plural(done, 'row')} of {count(n)}: more would take the model too long, or too "
                "much memory.",
            )
        return Told(self.name, output, answers.space, self.evalset.n, self.level, notes)


def asked_of(target: Target) -> Asked:
    """What models are asked for."""
    return Asked(target.task, target.labels, target.pos_label, target.name)


def _run(
    model: Model,
    evalset: EvalSet,
    name: str,
    n_rows: int | None,
    space: str,
    seconds: float,
    level: float,
    random_state: int,
    store: BlockStore | None,
) -> _Run:
    check_level(level)
    if n_rows is not None and n_rows < 1:
        raise ParameterError(f"n_rows must be at least 1, got {n_rows}.")
    units = ["auto", *(one.value for one in OutputSpace)]
    if space not in units:
        raise ParameterError(f"There is no unit {space!r}. Units: {', '.join(units)}.")
    most = min(evalset.n, MOST_ROWS, n_rows or evalset.n)
    # any beginning of these is a random sample, should the time be up
    rows = np.random.default_rng(random_state).permutation(evalset.n)[:most]
    X, kept = rows_for(model, evalset), parts_of(store, model, evalset, "effects")
    called = name or model.info.kind
    return _Run(model, evalset, called, X, rows, str(space), seconds, level, kept)


def feature_effects(
    model: Model,
    evalset: EvalSet,
    features: Sequence[str],
    *,
    name: str = "",
    kind: EffectKind = "pdp",
    n_rows: int | None = 1_000,
    n_points: int = 40,
    space: str = "auto",
    seconds: float = 60.0,
    level: float = 0.95,
    random_state: int = 0,
    store: BlockStore | None = None,
) -> list[FeatureEffect]:
    """One effect for each feature and output, feature by feature.

    Parameters
    ----------
    name : the model's display name.
    kind : "pdp" for partial dependence with its single curves, "ale" for accumulated local
        effects.
    n_rows : rows that are asked about, drawn at random; the same for every model. None = all, at
        most 20,000.
    n_points : values of a feature (pdp), or bins times two (ale).
    space : the unit; "auto" = probability where the model gives it.
    seconds : when so much time is gone, no further rows are asked for; the notes say so.
    store : where finished blocks of answers are kept and found again, for models of files.

    Raises
    ------
    ParameterError : an unknown feature, kind or unit.
    NotApplicable : the model does not read a feature, or no row has a value in it.
    ModelError : the model fails.
    """
    if kind not in ("pdp", "ale"):
        raise ParameterError(f"There is no kind of effect {kind!r}. Kinds: pdp, ale.")
    if n_points < 2:
        raise ParameterError(f"n_points must be at least 2, got {n_points}.")
    run = _run(model, evalset, name, n_rows, space, seconds, level, random_state, store)
    found = _partial if kind == "pdp" else _accumulated
    return [effect for feature in features for effect in found(run, feature, n_points)]


def _partial(run: _Run, feature: str, n_points: int) -> list[FeatureEffect]:
    grid = value_grid(run.column(feature), feature, n_points=n_points)
    values = grid.rows if grid.missing_row is None else np.append(grid.rows, grid.missing_row)
    answers = run.ask([feature], run.rows, values[:, None])
    rows = run.rows[: len(answers.own)]
    return [
        compute_partial_dependence(
            grid, changed, own, rows, run.told(output, answers, len(run.rows))
        )
        for output, changed, own in _arranged(answers, run.evalset.target)
    ]


def _accumulated(run: _Run, feature: str, n_points: int) -> list[FeatureEffect]:
    column = run.column(feature)
    kind, places = places_of(column)
    rows = run.rows[np.isfinite(places[run.rows])]
    levels = _levels(run, feature, column) if kind == "category" else None
    grid = bin_grid(column, feature, rows, n_bins=max(1, n_points // 2), levels=levels)
    if len(grid) < 2:
        raise NotApplicable(
            f"{feature!r} has one value only in the rows used, so nothing accumulates along it."
        )
    at = _bins(grid, places, rows)
    reach = (0, 1) if kind != "category" else (-1, 0, 1)
    ends = np.stack([(at + step).clip(0, len(grid) - 1) for step in reach], axis=1)
    answers = run.ask([feature], rows, grid.rows[ends][:, :, None])
    told_of = len(rows)
    done = len(answers.own)
    ends, rows = ends[:done], rows[:done]
    more = _missing_note(feature, len(run.rows) - told_of, len(run.rows))
    effects = []
    for output, changed, own in _arranged(answers, run.evalset.target):
        told = run.told(output, answers, told_of)
        told = replace(told, notes=(*told.notes, *more))
        effects.append(_accumulate(grid, ends, changed, own, rows, told))
    return effects


def _accumulate(
    grid: EffectGrid, ends: Ints, changed: Floats, own: Floats, rows: Ints, told: Told
) -> FeatureEffect:
    """Changes over the steps that each row takes; a step to where it stands is none."""
    usable, notes = usable_rows(changed, own)
    told = replace(told, notes=(*told.notes, *notes))
    ends, changed = ends[usable], changed[usable]
    taken = np.diff(ends, axis=1) == 1
    return compute_accumulated_effect(
        grid,
        ends[:, :-1][taken],
        np.diff(changed, axis=1)[taken],
        own[usable],
        rows[usable],
        told,
    )


def _bins(grid: EffectGrid, places: Floats, rows: Ints) -> Ints:
    """The bin that each row lies in; of categories its level."""
    if grid.kind == "category":
        ordered = places[grid.rows]
        by_code = np.argsort(ordered)
        found: Ints = by_code[np.searchsorted(ordered[by_code], places[rows])]
        return found
    inner: Ints = np.searchsorted(grid.places[1:], places[rows], side="left")
    return inner.clip(max=len(grid) - 2)


def _levels(run: _Run, feature: str, column: pd.Series[Any]) -> Ints:
    n_levels = int(column.nunique())
    if n_levels > MOST_LEVELS:
        raise NotApplicable(
            f"{feature!r} has {n_levels:,} categories; accumulated effects are for at most "
            f"{MOST_LEVELS}. Take partial dependence, which shows the most frequent."
        )
    _, first = np.unique(places_of(column)[1], return_index=True)
    sample = np.unique(np.concatenate([first, run.rows[:ORDERING_ROWS]]))
    others = [run.column(name).iloc[sample] for name in run.names if name != feature]
    part = column.iloc[sample].reset_index(drop=True)
    return sample[order_levels(part, others[:ORDERING_COLUMNS])]


def _missing_note(feature: str, n: int, of: int) -> tuple[str, ...]:
    if not n:
        return ()
    return (f"{plural(n, 'row')} of {count(of)} have no value in {feature} and take no part.",)


def _arranged(answers: EffectAnswers, target: Target) -> list[tuple[Label, Floats, Floats]]:
    """Each output with the answers to changed rows `(n, m)` and to the rows themselves `(n,)`."""
    shown = arrangement(answers.outputs, answers.space, asked_of(target))
    changed = shown.totals(answers.answers, answers.space)
    own = shown.totals(answers.own, answers.space)
    return [(name, changed[:, :, at], own[:, at]) for at, name in enumerate(shown.names)]


def two_way_effect(
    model: Model,
    evalset: EvalSet,
    features: tuple[str, str],
    *,
    name: str = "",
    kind: EffectKind = "pdp",
    n_rows: int | None = 300,
    n_points: int = 12,
    space: str = "auto",
    seconds: float = 60.0,
    random_state: int = 0,
    store: BlockStore | None = None,
) -> list[TwoWayEffect]:
    """Two features together, one effect for each output; parameters as for `feature_effects`.

    Raises
    ------
    ParameterError : not two different features of the data.
    NotApplicable : the model does not read one of them; accumulated effects of categories.
    ModelError : the model fails.
    """
    if len(features) != 2 or features[0] == features[1]:
        raise ParameterError(f"Two different features are needed, got {listing(features, 4)}.")
    run = _run(model, evalset, name, n_rows, space, seconds, 0.95, random_state, store)
    if kind == "pdp":
        return _partial_pair(run, features, n_points)
    return _accumulated_pair(run, features, n_points)


def _partial_pair(run: _Run, features: tuple[str, str], n_points: int) -> list[TwoWayEffect]:
    columns = [run.column(feature) for feature in features]
    first, second = (
        value_grid(column, feature, n_points=n_points, most_categories=n_points)
        for column, feature in zip(columns, features, strict=True)
    )
    pairs = np.stack([np.repeat(first.rows, len(second)), np.tile(second.rows, len(first))], axis=1)
    answers = run.ask(features, run.rows, pairs)
    where = rows_of_pairs((first, second), (places_of(columns[0])[1], places_of(columns[1])[1]))
    return [
        compute_two_way(
            (first, second),
            changed.reshape(len(own), len(first), len(second)),
            own,
            where,
            run.told(output, answers, len(run.rows)),
        )
        for output, changed, own in _arranged(answers, run.evalset.target)
    ]


def _accumulated_pair(run: _Run, features: tuple[str, str], n_points: int) -> list[TwoWayEffect]:
    columns = [run.column(feature) for feature in features]
    found = [places_of(column) for column in columns]
    for feature, (kind, _) in zip(features, found, strict=True):
        if kind == "category":
            raise NotApplicable(
                f"{feature!r} holds categories, which have no order to accumulate over in pairs. "
                "Take partial dependence."
            )
    one, other = found[0][1], found[1][1]
    rows = run.rows[np.isfinite(one[run.rows]) & np.isfinite(other[run.rows])]
    first, second = (
        bin_grid(column, feature, rows, n_bins=max(1, n_points - 1))
        for column, feature in zip(columns, features, strict=True)
    )
    if min(len(first), len(second)) < 2:
        raise NotApplicable(f"One of {listing(features, 2)} has one value only in the rows used.")
    i, j = _bins(first, one, rows), _bins(second, other, rows)
    values = np.stack(
        [np.stack([first.rows[i + a], second.rows[j + b]], axis=1) for a in (0, 1) for b in (0, 1)],
        axis=1,
    )
    answers = run.ask(features, rows, values)
    done = len(answers.own)
    where = rows_of_pairs((first, second), (one, other))
    return [
        compute_accumulated_pair(
            (first, second),
            (i[:done], j[:done]),
            changed.reshape(done, 2, 2),
            own,
            where,
            run.told(output, answers, len(rows)),
        )
        for output, changed, own in _arranged(answers, run.evalset.target)
    ]


def lime_surrogates(
    model: Model,
    evalset: EvalSet,
    row: int,
    *,
    name: str = "",
    n_features: int = 10,
    n_samples: int = 5_000,
    n_reference: int = 5_000,
    space: str = "auto",
    seconds: float = 60.0,
    level: float = 0.95,
    random_state: int = 0,
    store: BlockStore | None = None,
) -> list[LocalSurrogate]:
    """LIME for one row, a linear model for each output; other parameters as `feature_effects`.

    Parameters
    ----------
    row : position in the evaluation set.
    n_features : at most so many features get a weight.
    n_samples : neighbours that are asked; n_reference : rows whose values they take.

    Raises
    ------
    ParameterError : no such row; numbers below 1.
    NotApplicable : pictures and sequences; a model that is too slow.
    ModelError : the model fails.
    """
    if not 0 <= row < evalset.n:
        raise ParameterError(f"There is no row {row}; rows go from 0 to {evalset.n - 1:,}.")
    if min(n_features, n_samples, n_reference) < 1:
        raise ParameterError("n_features, n_samples and n_reference must be at least 1.")
    run = _run(model, evalset, name, n_reference, space, seconds, level, random_state, store)
    arguments = {
        "row": int(row),
        "reference": run.rows.tolist(),
        "n_samples": n_samples,
        "n_features": n_features,
        "random_state": random_state,
        "space": run.space,
        "seconds": seconds,
        "asked": run.asked,
    }
    answers: SurrogateAnswers = ask(
        model, "lime", arguments, {"X": run.X}, read=read_surrogates(n_samples), kept=run.kept
    )
    return _surrogates(run, row, answers, n_samples)


def _surrogates(
    run: _Run, row: int, answers: SurrogateAnswers, n_samples: int
) -> list[LocalSurrogate]:
    among = np.concatenate([[row], run.rows])
    others = np.arange(1, len(among))
    rules = {}
    for name in answers.features:
        column = run.column(name).iloc[among].reset_index(drop=True)
        rules[name] = rule_of(column, name, 0, others).text
    notes = answers.notes
    if answers.n < n_samples:
        note = f"{answers.n:,} of {n_samples:,} neighbours: {run.name} takes too long for more."
        notes = (*notes, note)
    shown = arrangement(answers.outputs, answers.space, asked_of(run.evalset.target))
    intercepts, own = shown.totals(answers.ends[[0, 3]], answers.space)
    scores = shown.spreads(answers.ends[1])
    weights, errors = shown.parts(answers.weights), shown.spreads(answers.errors)
    return [
        compute_surrogate(
            Fit(weights[:, at], errors[:, at], float(intercepts[at]), float(scores[at])),
            float(own[at]),
            Told(run.name, output, answers.space, run.evalset.n, notes=notes),
            row=row,
            rules=rules,
            n=answers.n,
            n_reference=len(run.rows),
            level=run.level,
        )
        for at, output in enumerate(shown.names)
    ]
