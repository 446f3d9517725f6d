"""Every kind of learning curve in one call, with what they say: for Python and the command line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..contracts import SEVERITIES, Finding, Model
from ..data import EvalSet
from ..diagnostics.epoch_findings import find_in_epochs
from ..diagnostics.epochs import EpochCurve
from ..diagnostics.folds import compare_folds
from ..diagnostics.group_findings import find_in_groups
from ..diagnostics.layer_histograms import compute_layer_curves, find_in_layers
from ..diagnostics.mismatch import KEPT_APART
from ..diagnostics.network_findings import find_in_network
from ..diagnostics.parameter_curves import ParameterCurve, find_in_parameter_curve
from ..diagnostics.projections import project
from ..diagnostics.run_comparison import find_behind
from ..diagnostics.run_groups import group_runs
from ..diagnostics.searches import find_in_search
from ..diagnostics.size_curves import SizeCurve
from ..diagnostics.verdicts import VERDICTS, judge_folds, judge_size_curves
from ..errors import DiagnosticsError, NotApplicable, ParameterError
from ..evaluation import as_model, named, read_helpers
from ..explainers.kept import BlockStore
from ..refitting.fits import Value
from ..sandbox.processes import WorkCancelled, is_unwanted
from ..settings import Settings, get_settings
from ..wording import count, plural
from .baselines import baseline_score
from .cross_validation import CrossValidation, FoldOptions, cross_validation_in_stages
from .folding import Folds, choose_folds
from .gathered import Learning
from .inner import curves_of_model
from .kept import CountedBlocks, FolderBlocks
from .logged import distinct, draw_epochs, read_logs, read_searches, read_table_of_sizes
from .networks import epochs_in_logs, network_summary
from .parameters import ParameterOptions, parameter_curve_in_stages
from .rows import count_training_rows, rows_to_fit
from .searches import search_of
from .sizes import SizeOptions, learning
from .stages import last_of

__all__ = ["Learning", "LearningOptions", "learning_curves"]

T = TypeVar("T")
Kind = Literal["sizes", "parameter", "folds", "own"]


@dataclass(frozen=True)
class LearningOptions:
    """What is drawn of models that are fitted again, and how.

    Attributes
    ----------
    kinds : "sizes", "parameter", "folds", or "own" (the curves, layers and searches that the
        models carry); empty = "parameter" where one is named, else "sizes".
    metric : of logs, searches and fits; None = all that were logged, and the usual one of the task.
    wanted : the score in that metric that is to be reached, by training size and across folds.
    sizes : a number of sizes, or the sizes themselves as rows or shares.
    parameter, values : as for `ParameterOptions`.
    n_splits, n_repeats, fold_kind : as for `choose_folds`.
    seed : None = setting `random_state`.
    patience : of early stopping, in logged values.
    larger_is_better : of the metric of a search whose file does not say it.
    """

    kinds: tuple[Kind, ...] = ()
    metric: str | None = None
    wanted: float | None = None
    sizes: int | tuple[float, ...] = 6
    parameter: str = ""
    values: tuple[Value, ...] = ()
    n_splits: int = 5
    n_repeats: int = 1
    fold_kind: str = "auto"
    seed: int | None = None
    epochs: int | None = None
    patience: int = 10
    larger_is_better: bool | None = None

    @property
    def asked(self) -> tuple[Kind, ...]:
        more: tuple[Kind, ...] = ("parameter",) if self.parameter else ()
        return tuple(dict.fromkeys((*self.kinds, *more))) or ("sizes",)


# ---- the call --------------------------------------------------------------------------------


def learning_curves(
    models: Any = None,
    data: Any = None,
    y: Any = None,
    *,
    target: str | Sequence[str] | None = None,
    test_data: Any = None,
    logs: Sequence[str | Path | Mapping[str, Any]] = (),
    searches: Sequence[str | Path] = (),
    size_tables: Sequence[str | Path] = (),
    options: LearningOptions | None = None,
    helpers: Sequence[str | Path] = (),
    store: BlockStore | str | Path | None = None,
    settings: Settings | None = None,
    roles: Mapping[str, Any] | None = None,
) -> Learning:
    """Learning curves of logs, of searches, and of models fitted again, with verdicts on them.

    Parameters
    ----------
    models, data, y, target, helpers : as for `dashboard.evaluate`; the test part of a table with a
        split column is in no fold, unless `roles` has another `split_value`.
    test_data : the test part as a file or frame of its own, with the same columns as `data`.
    logs : training logs, folders and archives of them, and histories in memory
        (`history.history`), read together.
    searches : tables of trials, or folders of KerasTuner.
    size_tables : tables of training sizes and scores that were computed elsewhere.
    store : where finished fits of model files are kept, or the folder for them: a later call goes
        on from there.
    roles : what the reader of `data` takes (`task`, `pos_label`, …), and `group` and `time`.

    Returns
    -------
    Learning : what has no curve is in `failures`, unless it is all that was asked for. What the
        watcher stopped is there as far as it came, and `stopped` says so.

    Raises
    ------
    ParameterError : nothing to draw, or options that do not fit.
    DataError : the data or the only log cannot be read.
    NotApplicable : no log has the metric.
    """
    settings, options = settings or get_settings(), options or LearningOptions()
    _check_asked(models, data, test_data, [logs, searches, size_tables])
    if options.wanted is not None and not math.isfinite(options.wanted):
        raise ParameterError(f"The score that is wanted is {options.wanted}; give a number.")
    found = Learning(wanted=options.wanted)
    read_logs(found, logs, settings)
    read_searches(found, [Path(one) for one in searches], options.larger_is_better)
    for path in size_tables:
        for curves in read_table_of_sizes(Path(path)):
            found.sizes += curves
            _judge_sizes(found, curves, {}, options.wanted)
    if data is not None:
        evalset = rows_to_fit(data, y, target, dict(roles or {}), settings, test_data)
        found.evalset = evalset
        seed = settings.random_state if options.seed is None else options.seed
        kept = _counted(store)
        try:
            opened = _opened(found, models, helpers, settings)
            epochs = options.epochs or epochs_in_logs(found.runs, list(opened))
            _study(found, evalset, opened, replace(options, seed=seed, epochs=epochs), kept)
        except WorkCancelled:
            found.stopped = True
        _tell_done(found, kept)
    draw_epochs(found, options.metric, options.patience)
    _judge(found, options.metric)
    return found


def _check_asked(models: Any, data: Any, test_data: Any, files: Sequence[Any]) -> None:
    if models is not None and data is None:
        raise ParameterError("Models are fitted again on rows: give data beside them.")
    if data is not None and not named(models):
        raise ParameterError("Data was given without models. Give at least one that can be fitted.")
    if test_data is not None and data is None:
        raise ParameterError("Test rows were given without rows to learn from: give data, too.")
    given = any(len(one) if hasattr(one, "__len__") else one is not None for one in files)
    if not given and models is None:
        raise ParameterError("Nothing to draw. Give logs, searches, or data with models.")


def _opened(
    found: Learning, models: Any, helpers: Sequence[str | Path], settings: Settings
) -> dict[str, Model]:
    beside = read_helpers(helpers)
    opened: dict[str, Model] = {}
    for name, item in named(models).items():
        try:
            opened[name] = as_model(name, item, beside, settings)
        except (ParameterError, WorkCancelled):
            raise
        except DiagnosticsError as error:
            found.fail(name, str(error))
    return opened


def _counted(store: BlockStore | str | Path | None) -> CountedBlocks | None:
    if store is None:
        return None
    return CountedBlocks(FolderBlocks(Path(store)) if isinstance(store, str | Path) else store)


def _tell_done(found: Learning, kept: CountedBlocks | None) -> None:
    """Which fits were done before, and whether all are done now."""
    found.stopped = found.stopped or is_unwanted()
    if kept is not None:
        found.reused = kept.n_found
        if found.reused:
            found.notes.append(
                f"{count(found.reused)} of {plural(found.n_done, 'finished fit')} were kept from "
                "an earlier call and not done again."
            )
        found.notes += [kept.problem] if kept.problem else []
    if found.stopped:
        found.notes.append(
            "Stopped before all fits were done: curves are drawn as far as they came, and no "
            "verdict is given on those that are not complete."
        )


# ---- models fitted again ---------------------------------------------------------------------


def _study(
    found: Learning,
    evalset: EvalSet,
    models: Mapping[str, Model],
    options: LearningOptions,
    store: BlockStore | None,
) -> None:
    if not models:
        return
    asked = _Asked(evalset, models, options, store)
    if set(options.asked) != {"own"}:
        folds = asked.folds
        found.divided = folds.reason
        found.notes += folds.notes
        found.findings += folds.findings
    make = {
        "own": _carried,
        "sizes": _by_size,
        "parameter": _by_parameter,
        "folds": _across_folds,
    }
    for kind in options.asked:
        if not is_unwanted():
            make[kind](found, asked)


@dataclass(frozen=True, eq=False)
class _Asked:
    """Models that are fitted again, on which rows, and how."""

    evalset: EvalSet
    models: Mapping[str, Model]
    options: LearningOptions
    store: BlockStore | None

    @property
    def seed(self) -> int:
        return self.options.seed or 0

    @cached_property
    def folds(self) -> Folds:
        told = self.options
        return choose_folds(
            self.evalset, told.n_splits, told.n_repeats, self.seed, kind=told.fold_kind
        )


def _each(
    found: Learning, models: Mapping[str, Model], make: Callable[[str, Model], Iterator[T]]
) -> list[T]:
    """The last stage of every model; what is wrong with the request of all of them is raised."""
    made: list[T] = []
    wrong: ParameterError | None = None
    for name, model in models.items():
        try:
            made.append(last_of(make(name, model)))
        except WorkCancelled:
            break
        except DiagnosticsError as error:
            wrong = error if isinstance(error, ParameterError) else wrong
            found.fail(name, str(error))
    if not made and wrong is not None:
        raise wrong
    return made


def _by_size(found: Learning, asked: _Asked) -> None:
    options, evalset = asked.options, asked.evalset
    told = SizeOptions(
        metric=options.metric,
        sizes=() if isinstance(options.sizes, int) else options.sizes,
        n_sizes=options.sizes if isinstance(options.sizes, int) else 0,
        n_splits=options.n_splits,
        n_repeats=options.n_repeats,
        seed=asked.seed,
        kind=options.fold_kind,
        epochs=options.epochs,
    )
    made = learning(evalset, models=dict(asked.models), options=told, store=asked.store)
    found.sizes += made.curves
    for failure in made.failures:
        found.fail(failure.name, failure.message)
    for metric in dict.fromkeys(one.metric for one in made.curves):
        base = baseline_score(evalset, metric, asked.folds.rows)
        _judge_sizes(found, made.curves, {} if base is None else {metric: base}, options.wanted)


def _judge_sizes(
    found: Learning,
    curves: Sequence[SizeCurve],
    baselines: Mapping[str, float],
    wanted: float | None,
) -> None:
    """Verdicts on the complete curves of one metric, and how far each may be drawn on."""
    level = get_settings().confidence_level
    done = [one for one in curves if one.is_complete]
    found.findings += judge_size_curves(done, baselines=baselines, target=wanted, level=level)
    for curve in done:
        try:
            found.projections[curve.model] = project(curve, level=level)
        except NotApplicable as error:
            found.withheld[curve.model] = error.reason


def _by_parameter(found: Learning, asked: _Asked) -> None:
    options = asked.options
    told = ParameterOptions(
        options.parameter, options.values, options.metric, seed=asked.seed, epochs=options.epochs
    )

    def stages(name: str, model: Model) -> Iterator[ParameterCurve]:
        return parameter_curve_in_stages(
            model, asked.evalset, name, told, folds=asked.folds, store=asked.store
        )

    found.parameters += _each(found, asked.models, stages)


def _across_folds(found: Learning, asked: _Asked) -> None:
    told = FoldOptions(asked.options.metric, seed=asked.seed, epochs=asked.options.epochs)

    def stages(name: str, model: Model) -> Iterator[CrossValidation]:
        return cross_validation_in_stages(
            model, asked.evalset, name, told, folds=asked.folds, store=asked.store
        )

    found.validations += _each(found, asked.models, stages)
    found.folds += [one.scores() for one in found.validations]
    level = get_settings().confidence_level
    done = [one for one in found.folds if one.is_complete]
    said = judge_folds(done, target=asked.options.wanted, level=level)
    if "sizes" in asked.options.asked:  # the largest size has told the rest
        said = [one for one in said if one.evidence.get("judged_on") == KEPT_APART]
    found.findings += said
    if len(found.folds) > 1:
        found.differences += compare_folds(found.folds, level=level)


def _carried(found: Learning, asked: _Asked) -> None:
    """The curves, trials and layers that models carry; most carry one of the three or none."""
    for name, model in asked.models.items():
        reasons = []
        for part in (_own_curves, _own_search, _own_layers):
            try:
                part(found, asked, name, model)
            except WorkCancelled:
                raise
            except NotApplicable as error:
                reasons.append(error.reason)
            except DiagnosticsError as error:
                found.fail(name, str(error))
        if len(reasons) == 3:
            found.fail(name, f"{name} carries no curves, no trials of a search and no layers.")
    found.runs = distinct(found.runs)


def _own_curves(found: Learning, asked: _Asked, name: str, model: Model) -> None:
    found.runs += curves_of_model(model, asked.evalset, name)


def _own_search(found: Learning, asked: _Asked, name: str, model: Model) -> None:
    del asked
    found.searches.append(search_of(model, name))


def _own_layers(found: Learning, asked: _Asked, name: str, model: Model) -> None:
    summary = network_summary(model, asked.evalset, name, random_state=asked.seed)
    found.networks.append(summary)
    rows = asked.evalset
    found.findings += find_in_network(summary, rows.target.task, count_training_rows(rows))


# ---- what they say ---------------------------------------------------------------------------


def _judge(found: Learning, metric: str | None) -> None:
    """Beside the verdicts on models fitted again: what curves of the other kinds say."""
    done = [curve for curve in found.parameters if curve.is_complete]
    said = [one for curve in done for one in find_in_parameter_curve(curve)]
    for run in found.runs:
        curves = [one for one in found.epochs if one.run == run.name]
        said += find_in_epochs(curves) if curves else []
        if run.histograms:
            said += find_in_layers(compute_layer_curves(run))
    said += [*_judge_groups(found.epochs), *find_behind(found.epochs, said)]
    for search in found.searches:
        try:
            said += find_in_search(search, metric if metric in search.metrics else None)
        except NotApplicable as error:
            found.notes.append(error.reason)
    found.findings = _by_subject([*found.findings, *said])


def _judge_groups(curves: Sequence[EpochCurve]) -> list[Finding]:
    """Which configuration is best, where one was run with several seeds; by the first metric."""
    groups = group_runs([one for one in curves if one.metric == curves[0].metric])
    return find_in_groups(groups) if any(len(one.runs) > 1 for one in groups) else []


def _by_subject(findings: Sequence[Finding]) -> list[Finding]:
    """Those of one model together, in the order in which models first appear.

    Of each the verdict from its folds comes first, then the worst.
    """
    order = {name: k for k, name in enumerate(dict.fromkeys(map(_whose, findings)))}

    def place(one: Finding) -> tuple[int, bool, int]:
        verdict = one.code in VERDICTS and one.chart in ("size_curve", "folds")
        return order[_whose(one)], not verdict, -SEVERITIES.index(one.severity)

    return sorted(findings, key=place)


def _whose(one: Finding) -> str:
    return one.subject.partition(": ")[0]
