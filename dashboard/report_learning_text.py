"""Learning curves and what they say, as text: verdicts first, then the numbers behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .contracts import Finding
from .diagnostics.epochs import EpochCurve
from .diagnostics.projections import Projection
from .diagnostics.run_settings import settings_of_runs
from .diagnostics.search_rounds import compute_rounds
from .diagnostics.wanted_scores import when_reached
from .errors import NotApplicable
from .figures.epoch_captions import caption_curves
from .figures.parameter_curves import caption_parameter_curves
from .figures.search_captions import caption_lines, statuses_words
from .figures.size_curves import caption_size_curves
from .learning.gathered import Learning
from .settings import get_settings
from .wording import MISSING, count, number, percent, plural, shorten

__all__ = [
    "SEVERITY_WORDS",
    "by_metric",
    "laws_of",
    "notes_of",
    "remedies_of",
    "sentence_of",
    "text_of",
]

SEVERITY_WORDS = {"good": "Good", "info": "Note", "warning": "Warning", "problem": "Problem"}
MOST_SETTINGS = 8  # columns beside the run
ROUNDING = 1e-12  # of a mean: a spread below is that of the last digits


def sentence_of(one: Finding) -> str:
    """The sentence, with its subject before it where the sentence does not name it."""
    name = re.escape(one.subject.partition(":")[0])
    named = re.search(rf"(?<!\w){name}(?!\w)", one.sentence)
    return one.sentence if named else f"{one.subject}: {one.sentence}"


def remedies_of(one: Finding) -> str:
    steps = "; ".join(step.rstrip(".") for step in one.remedies)
    return f"What to do, the most promising first: {steps}." if steps else ""


def _finding_lines(found: Learning) -> Iterator[str]:
    """One verdict for each model or run, the worst first; then what else was found."""
    for some in (found.verdicts, found.remarks):
        for one in some:
            yield f"{SEVERITY_WORDS[one.severity]} ({one.code}). {sentence_of(one)}"
            if one.remedies:
                yield f"  {remedies_of(one)}"
        if some:
            yield ""


def _pm(mean: float, sd: float) -> str:
    if not np.isfinite(mean):
        return MISSING
    if not np.isfinite(sd):
        return number(mean)
    return f"{number(mean)} ± {number(sd if sd > ROUNDING * abs(mean) else 0.0)}"


def _grid(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width each, indented."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _score_table(first: str, marks: Sequence[str], curve: Any) -> list[str]:
    """A row for each size or value: scores with their deviation over the folds."""
    rows = [[first, "train", "validation"]]
    for k, mark in enumerate(marks):
        train = _pm(curve.train_mean[k], curve.train_sd[k])
        rows.append([mark, train, _pm(curve.validation_mean[k], curve.validation_sd[k])])
    return _grid(rows)


def _size_lines(found: Learning) -> Iterator[str]:
    for curves in by_metric(found.sizes):
        laws = laws_of(found, curves)
        yield caption_size_curves(curves, laws)
        for curve in curves:
            yield f"{curve.model}: {curve.title} by training size"
            yield from _score_table("rows", [count(int(n)) for n in curve.sizes], curve)
            yield from (f"  - {note}" for note in curve.notes if note not in found.notes)
            if curve.model in laws:
                law = laws[curve.model]
                more = min(law.base, law.furthest - law.base)
                yield f"  {law.sentence} {law.gain(more).sentence if more > 0 else ''}".rstrip()
                if found.wanted is not None and (when := when_reached(law, found.wanted)):
                    yield f"  {when}"
            elif curve.model in found.withheld:
                yield f"  Not drawn on: {found.withheld[curve.model]}"
        yield ""


def _parameter_lines(found: Learning) -> Iterator[str]:
    if found.parameters:
        yield caption_parameter_curves(found.parameters)
    for curve in found.parameters:
        yield f"{curve.model}: {curve.title} by {curve.parameter}"
        yield from _score_table(curve.parameter, [str(value) for value in curve.values], curve)
        yield from (f"  - {note}" for note in curve.notes if note not in found.notes)
        yield ""


def _fold_lines(found: Learning) -> Iterator[str]:
    if not found.folds:
        return
    first = found.folds[0]
    yield f"{first.title} across {plural(len(first.validation), 'fold')}. {first.folds}"
    level = get_settings().confidence_level
    rows = [["model", "train", "validation", f"{percent(level)} interval"]]
    for one in found.folds:
        mean = one.interval(level)
        ends = f"[{number(mean.low)}, {number(mean.high)}]" if np.isfinite(mean.low) else MISSING
        rows.append([one.model, number(one.train_mean), _pm(one.mean, one.sd), ends])
    yield from _grid(rows)
    yield from (
        f"  - {one.model}: {note}"
        for one in found.folds
        for note in one.notes
        if note not in found.notes
    )
    yield from (f"  {one.sentence}" for one in found.differences)
    yield ""


def _epoch_lines(found: Learning) -> Iterator[str]:
    for curves in by_metric(found.epochs):
        yield f"{curves[0].title} by {curves[0].unit}: {caption_curves(curves)}"
        if len(curves) > 1:
            rows = [["run", "best at", "best", "early stop"], *map(_epoch_row, curves)]
            yield from _grid(rows)
        yield ""
    for search in found.rate_searches:
        yield f"{search.run}, search for a learning rate: {search.reason}"
        yield ""


def _setting_lines(found: Learning) -> Iterator[str]:
    """What each run was set to, those that differ first."""
    table = settings_of_runs(found.runs)
    if table.shape[1] < 2:
        return
    drawn = table.columns[: 1 + MOST_SETTINGS]
    more = table.shape[1] - len(drawn)
    beyond = f" ({MOST_SETTINGS} of {table.shape[1] - 1}; all are in JSON)" if more else ""
    yield f"Settings of the runs{beyond}:"
    rows = [[shorten(str(one), 24) for one in drawn]]
    rows += [[shorten(str(one), 40) for one in row] for row in table[drawn].to_numpy()]
    yield from _grid(rows)
    yield ""


def _epoch_row(curve: EpochCurve) -> list[str]:
    stop = curve.early_stop
    best = MISSING if curve.best is None else f"{curve.unit} {count(curve.best)}"
    ended = "not stopped" if stop is None or stop.stop is None else f"after {count(stop.stop)}"
    return [curve.run, best, MISSING if curve.best is None else number(curve.best_value), ended]


def _search_lines(found: Learning) -> Iterator[str]:
    for one in found.searches:
        yield f"{one.name} ({one.source}): {statuses_words(one)}"
        if one.scores:
            yield f"  {caption_lines(one, one.score())}"
        with suppress(NotApplicable):  # it has no rounds
            yield f"  Round by round: {compute_rounds(one).sentence}"
        yield from (f"  - {note}" for note in one.notes)
        yield ""


def text_of(found: Learning) -> str:
    lines = [*_finding_lines(found), *_epoch_lines(found), *_setting_lines(found)]
    lines += _size_lines(found)
    lines += [*_parameter_lines(found), *_fold_lines(found), *_search_lines(found)]
    lines += [f"- {note}" for note in dict.fromkeys(notes_of(found))]
    return "\n".join(lines).rstrip() + "\n"


def notes_of(found: Learning) -> Iterator[str]:
    if found.divided:
        yield found.divided
    yield from found.notes
    yield from (f"{run.name} ({run.source}): {note}" for run in found.runs for note in run.notes)
    yield from (f"{one.run}: {note}" for one in found.epochs for note in one.notes)


def by_metric(curves: Sequence[Any]) -> list[list[Any]]:
    """Curves of one metric together, at most so many in one figure if they are of models."""
    groups: dict[str, list[Any]] = {}
    for one in curves:
        groups.setdefault(one.metric, []).append(one)
    return list(groups.values())


def laws_of(found: Learning, curves: Sequence[Any]) -> dict[str, Projection]:
    """Of these curves; a law of another metric of the same model is none of theirs."""
    return {
        one.model: found.projections[one.model]
        for one in curves
        if one.model in found.projections and found.projections[one.model].metric == one.metric
    }
