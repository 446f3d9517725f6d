"""Every kind of learning curve in one call, with what they say: for Python and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from ..contracts import SEVERITIES, Finding, Model, Run
from ..data import ALL_ROWS, EvalSet, infer_roles, read_table
from ..diagnostics.epoch_findings import find_in_epochs
from ..diagnostics.epochs import compute_epoch_curves
from ..diagnostics.folds import FoldScores, compare_folds
from ..diagnostics.layer_histograms import compute_layer_curves, find_in_layers
from ..diagnostics.network_findings import find_in_network
from ..diagnostics.parameter_curves import ParameterCurve, find_in_parameter_curve
from ..diagnostics.projections import project
from ..diagnostics.rate_search import compute_rate_search
from ..diagnostics.searches import find_in_search
from ..diagnostics.size_curves import SizeCurve
from ..diagnostics.size_tables import read_size_table
from ..diagnostics.verdicts import VERDICTS, judge_size_curves
from ..errors import DataError, DiagnosticsError, NotApplicable, ParameterError
from ..evaluation import as_evalset, as_model, named, read_helpers
from ..explainers.staging import BlockStore
from ..logs import read_runs
from ..logs.search_logs import read_search, search_files
from ..refitting.fits import Value
from ..sandbox.processes import WorkCancelled
from ..settings import Settings, get_settings
from .baselines import baseline_score
from .cross_validation import CrossValidation, FoldOptions, cross_validation_in_stages
from .folding import Folds, choose_folds
from .gathered import Learning
from .inner import curves_of_model
from .networks import network_summary
from .parameters import ParameterOptions, parameter_curve_in_stages
from .searches import search_of
from .sizes import SizeOptions, learning

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
    sizes : a number of sizes, or the sizes themselves as rows or shares.
    parameter, values : as for `ParameterOptions`.
    n_splits, n_repeats, fold_kind : as for `choose_folds`.
    seed : None = setting `random_state`.
    patience : of early stopping, in logged values.
    larger_is_better : of the metric of a search whose file does not say it.
    """

    kinds: tuple[Kind, ...] = ()
    metric: str | None = None
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
    logs: Sequence[str | Path] = (),
    searches: Sequence[str | Path] = (),
    size_tables: Sequence[str | Path] = (),
    options: LearningOptions | None = None,
    helpers: Sequence[str | Path] = (),
    store: BlockStore | None = None,
    settings: Settings | None = None,
    roles: Mapping[str, Any] | None = None,
) -> Learning:
    """Learning curves of logs, of searches, and of models fitted again, with verdicts on them.

    Parameters
    ----------
    models, data, y, target, helpers : as for `dashboard.evaluate`; the test part of a table with a
        split column is left alone, unless `roles` has another `split_value`.
    logs : training logs, folders and archives of them, read together.
    searches : tables of trials, or folders of KerasTuner.
    size_tables : tables of training sizes and scores that were computed elsewhere.
    store : where finished fits are kept: a later call goes on from there.
    roles : what the reader of `data` takes (`task`, `pos_label`, …), and `group` and `time`.

    Returns
    -------
    Learning : what has no curve is in `failures`, unless it is all that was asked for.

    Raises
    ------
    ParameterError : nothing to draw, or options that do not fit.
    DataError : the data or the only log cannot be read.
    NotApplicable : no log has the metric.
    """
    settings, options = settings or get_settings(), options or LearningOptions()
    if models is not None and data is None:
        raise ParameterError("Models are fitted again on rows: give data beside them.")
    if data is not None and not named(models):
        raise ParameterError("Data was given without models. Give at least one that can be fitted.")
    if not (logs or searches or size_tables or models is not None):
        raise ParameterError("Nothing to draw. Give logs, searches, or data with models.")
    found = Learning()
    _read_logs(found, [Path(one) for one in logs], settings)
    _read_searches(found, [Path(one) for one in searches], options.larger_is_better)
    _read_tables(found, [Path(one) for one in size_tables])
    if data is not None:
        evalset = _rows(data, y, target, dict(roles or {}))
        found.data, found.digest = evalset.name, evalset.digest
        seed = settings.random_state if options.seed is None else options.seed
        opened = _opened(found, models, helpers, settings)
        _study(found, evalset, opened, replace(options, seed=seed), store)
    _draw_epochs(found, options)
    _judge(found, options.metric)
    return found


def _rows(data: Any, y: Any, target: str | Sequence[str] | None, roles: dict[str, Any]) -> EvalSet:
    """The rows that may be learned from."""
    chosen = {name: roles.pop(name) for name in ("group", "time") if roles.get(name) is not None}
    if isinstance(data, EvalSet):
        return data
    from_file = isinstance(data, str | Path)
    if from_file:
        roles.setdefault("split_value", ALL_ROWS)
    if chosen:
        if not from_file:
            raise ParameterError("group and time name columns of a file; give its path.")
        data = read_table(Path(data))
        own = infer_roles(data, target=target)
        for role, column in chosen.items():
            own = own.replace_role(str(column), role)
        roles, target = {**roles, "roles": own}, None
    return as_evalset(data, y, target, **roles)


def _opened(
    found: Learning, models: Any, helpers: Sequence[str | Path], settings: Settings
) -> dict[str, Model]:
    beside = read_helpers(helpers)
    opened: dict[str, Model] = {}
    for name, item in named(models).items():
        try:
            opened[name] = as_model(name, item, beside, settings)
        except ParameterError:
            raise
        except DiagnosticsError as error:
            found.fail(name, str(error))
    return opened


# ---- what was logged -------------------------------------------------------------------------


def _read_logs(found: Learning, paths: Sequence[Path], settings: Settings) -> None:
    """All together, so that files of one run meet; one by one where one of them is no log."""
    if not paths:
        return
    files = {path.name if _alone(path, paths) else str(path): path for path in paths}
    missing = next((path for path in paths if not path.exists()), None)
    if missing is not None:
        raise DataError(f"There is no file {missing}. Check the path.")
    try:
        found.runs = _distinct(read_runs(files, settings=settings))
        return
    except DataError:
        if len(files) == 1:
            raise
    runs: list[Run] = []
    for name, path in files.items():
        try:
            runs += read_runs({name: path}, settings=settings)
        except DataError as error:
            found.fail(name, str(error))
    found.runs = _distinct(runs)


def _alone(path: Path, paths: Sequence[Path]) -> bool:
    return sum(other.name == path.name for other in paths) == 1


def _distinct(runs: Sequence[Run]) -> list[Run]:
    """Equal names are told apart."""
    taken: dict[str, Run] = {}
    for run in runs:
        name, count = run.name, 1
        while name in taken:
            count += 1
            name = f"{run.name} ({count})"
        taken[name] = run if name == run.name else replace(run, name=name)
    return list(taken.values())


def _read_searches(found: Learning, paths: Sequence[Path], better: bool | None) -> None:
    for path in paths:
        try:
            found.searches.append(read_search(search_files(path), larger_is_better=better))
        except DataError as error:
            if len(paths) == 1:
                raise
            found.fail(path.name, str(error))


def _read_tables(found: Learning, paths: Sequence[Path]) -> None:
    for path in paths:
        curves = read_size_table(read_table(path).frame, model=path.stem)
        found.sizes += curves
        for metric in dict.fromkeys(one.metric for one in curves):
            _judge_sizes(found, [one for one in curves if one.metric == metric], {})


def _draw_epochs(found: Learning, options: LearningOptions) -> None:
    """Curves of every metric that was logged; runs that search a rate are no training."""
    plain = []
    for run in found.runs:
        try:
            found.rate_searches.append(compute_rate_search(run))
        except NotApplicable:
            plain.append(run)
    if not plain:
        return
    metrics = [options.metric] if options.metric else _metrics(plain)
    several = bool(found.sizes or found.parameters or found.folds or found.searches)
    for metric in metrics:
        try:
            curves = compute_epoch_curves(plain, metric=metric, patience=options.patience)
        except NotApplicable as error:
            if not several:
                raise
            found.notes.append(str(error))
            continue
        found.epochs += [one for one in curves if one.parts]
        found.notes += [
            f"{one.run}: {note}" for one in curves if not one.parts for note in one.notes
        ]


def _metrics(runs: Sequence[Run]) -> list[str]:
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    return sorted(names, key=lambda name: name != "loss")


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
            *_, last = make(name, model)
            made.append(last)
        except WorkCancelled:
            raise
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
        base = baseline_score(evalset, metric)
        _judge_sizes(found, made.curves, {} if base is None else {metric: base})


def _judge_sizes(
    found: Learning, curves: Sequence[SizeCurve], baselines: Mapping[str, float]
) -> None:
    """Verdicts on curves of one metric, and how far each may be drawn on."""
    level = get_settings().confidence_level
    found.findings += judge_size_curves(curves, baselines=baselines, level=level)
    for curve in curves:
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
    if "sizes" not in asked.options.asked:
        found.findings += _judged_folds(asked.evalset, found.folds)
    if len(found.folds) > 1:
        found.differences += compare_folds(found.folds, level=get_settings().confidence_level)


def _judged_folds(evalset: EvalSet, folds: Sequence[FoldScores]) -> list[Finding]:
    """Verdicts on the models as they are, which the folds support as the end of a curve does."""
    level = get_settings().confidence_level
    ends = [
        SizeCurve(
            model=one.model,
            metric=one.metric,
            title=one.title,
            larger_is_better=one.larger_is_better,
            sizes=np.array([one.n_train.min()], dtype=np.int64),
            train=one.train[None],
            validation=one.validation[None],
            fit_seconds=one.fit_seconds[None],
            independent=int((one.repeats == 0).sum()),
        )
        for one in folds
    ]
    base = baseline_score(evalset, folds[0].metric) if folds else None
    baselines = {} if base is None else {folds[0].metric: base}
    found = judge_size_curves(ends, baselines=baselines, level=level)
    return [replace(one, chart="folds", at=None) for one in found]


def _carried(found: Learning, asked: _Asked) -> None:
    """The curves, trials and layers that models carry; most carry one of the three or none."""
    for name, model in asked.models.items():
        reasons = []
        for part in (_own_curves, _own_search, _own_layers):
            try:
                part(found, asked, name, model)
            except NotApplicable as error:
                reasons.append(error.reason)
            except DiagnosticsError as error:
                found.fail(name, str(error))
        if len(reasons) == 3:
            found.fail(name, f"{name} carries no curves, no trials of a search and no layers.")
    found.runs = _distinct(found.runs)


def _own_curves(found: Learning, asked: _Asked, name: str, model: Model) -> None:
    found.runs += curves_of_model(model, asked.evalset, name)


def _own_search(found: Learning, asked: _Asked, name: str, model: Model) -> None:
    del asked
    found.searches.append(search_of(model, name))


def _own_layers(found: Learning, asked: _Asked, name: str, model: Model) -> None:
    summary = network_summary(model, asked.evalset, name, random_state=asked.seed)
    found.networks.append(summary)
    found.findings += find_in_network(summary, asked.evalset.target.task)


# ---- what they say ---------------------------------------------------------------------------


def _judge(found: Learning, metric: str | None) -> None:
    """Beside the verdicts on models fitted again: what curves of the other kinds say."""
    said = [one for curve in found.parameters for one in find_in_parameter_curve(curve)]
    for run in found.runs:
        curves = [one for one in found.epochs if one.run == run.name]
        said += find_in_epochs(curves) if curves else []
        if run.histograms:
            said += find_in_layers(compute_layer_curves(run))
    for search in found.searches:
        try:
            said += find_in_search(search, metric if metric in search.metrics else None)
        except NotApplicable as error:
            found.notes.append(error.reason)
    found.findings = _by_subject([*found.findings, *said])


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
