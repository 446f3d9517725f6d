"""`python -m dashboard learning`: its flags, its progress, and its exit code."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from .command_progress import telling
from .errors import ParameterError
from .wording import count, plural

if TYPE_CHECKING:
    from .learning.gathered import Learning
    from .learning.headless import LearningOptions

__all__ = ["add_learning", "study_and_write"]


def add_learning(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """The command and its flags."""
    parser = commands.add_parser(
        "learning",
        help="learning curves by epoch, training size, parameter and fold, with verdicts",
    )
    _add_sources(parser)
    _add_rows(parser)
    _add_kinds(parser)
    _add_files(parser)
    parser.add_argument(
        "--fail-on",
        choices=("warning", "problem"),
        help="exit with 1 when there is a finding of this severity or a worse one",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "csv", "arrow", "html"),
        help="default: by the suffix of --output, else text",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write here, not to stdout")
    return parser


def _add_sources(parser: argparse.ArgumentParser) -> None:
    """What is read or fitted."""
    several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []}
    parser.add_argument(
        "--logs",
        type=Path,
        metavar="FILE",
        help="training logs: event files of TensorBoard, histories of Keras, logs of XGBoost, "
        "LightGBM and CatBoost, tables by epoch; files, folders and zips",
        **several,
    )
    parser.add_argument(
        "--search",
        type=Path,
        metavar="FILE",
        help="results of a search: cv_results_, KerasTuner, Optuna or a table of trials",
        **several,
    )
    parser.add_argument(
        "--size-table",
        type=Path,
        metavar="FILE",
        help="tables of training sizes and scores that were computed elsewhere",
        **several,
    )
    parser.add_argument("--data", type=Path, metavar="FILE", help="rows to fit models on again")
    parser.add_argument(
        "--test-data",
        type=Path,
        metavar="FILE",
        help="rows of the same columns that no fold has; across folds each model is judged on them "
        "once (default: the test part of --data, where a column tells it)",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="model to fit again on the rows of --data; repeat to compare on the same folds",
    )
    parser.add_argument(
        "--helper",
        action="append",
        default=[],
        metavar="FILE",
        help="file that a model needs beside it, like a .py with its own classes; repeat",
    )


def _add_rows(parser: argparse.ArgumentParser) -> None:
    """Which columns are what."""
    parser.add_argument(
        "--target", action="append", metavar="COLUMN", help="column that the models predict"
    )
    parser.add_argument("--positive", metavar="LABEL", help="the positive class of two")
    parser.add_argument("--task", help="binary, multiclass, multilabel, regression, …")
    parser.add_argument("--group", metavar="COLUMN", help="rows with one value stay in one fold")
    parser.add_argument("--time", metavar="COLUMN", help="later rows are judged by earlier ones")
    parser.add_argument(
        "--split",
        metavar="VALUE",
        help="only these rows of the split (default: all but its test part)",
    )


def _add_kinds(parser: argparse.ArgumentParser) -> None:
    """What is drawn of the models, and how."""
    parser.add_argument(
        "--sizes",
        metavar="N",
        help="curve by training size with N sizes, or with these: 100,500,0.25,1.0 (rows or "
        "shares); what is drawn where nothing else is asked for, with 6",
    )
    parser.add_argument(
        "--parameter", default="", metavar="NAME", help="curve by this parameter of the models"
    )
    parser.add_argument(
        "--values",
        metavar="A,B,…",
        help="values of --parameter (default: a range around the model's own)",
    )
    parser.add_argument(
        "--folds", action="store_true", help="the score of each fold, models compared in pairs"
    )
    parser.add_argument(
        "--own",
        action="store_true",
        help="curves, layers and trials that the models of --model carry; nothing is fitted",
    )
    parser.add_argument(
        "--metric", metavar="NAME", help="metric (default: all in logs; the usual one of the task)"
    )
    parser.add_argument(
        "--wanted",
        type=float,
        metavar="SCORE",
        help="score in that metric that you want to reach: a line in curves by training size, and "
        "a verdict on each model there and across folds",
    )
    _add_division(parser)


def _add_division(parser: argparse.ArgumentParser) -> None:
    """How rows are divided, and how the models are fitted and read."""
    parser.add_argument("--splits", type=int, default=5, metavar="N", help="folds (default: 5)")
    parser.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="divide anew so often (default: 1)"
    )
    parser.add_argument(
        "--fold-kind",
        choices=("auto", "stratified", "k-fold", "group", "time"),
        default="auto",
        help="how rows are divided (default: by the roles of the columns)",
    )
    parser.add_argument(
        "--epochs", type=int, metavar="N", help="epochs of networks that are fitted"
    )
    parser.add_argument(
        "--patience", type=int, default=10, metavar="N", help="of early stopping (default: 10)"
    )
    parser.add_argument(
        "--better",
        choices=("higher", "lower"),
        help="which scores of a search are better, where its file does not say it",
    )
    parser.add_argument("--seed", type=int, help="default: setting `random_state`")


def _add_files(parser: argparse.ArgumentParser) -> None:
    """What is written beside the curves."""
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep finished fits there, and take those that an earlier call kept: what Ctrl+C "
        "stopped goes on from there",
    )
    parser.add_argument(
        "--out-of-fold",
        type=Path,
        metavar="FILE",
        help="write the answers of --folds for rows held out (.csv, .parquet, .feather, .json), as "
        "evaluate --predictions reads them; of several models each to a file with its name",
    )
    parser.add_argument(
        "--findings",
        type=Path,
        metavar="FILE",
        help="write verdicts and findings as a table: code, severity, evidence, remedies (.csv, "
        ".json, .parquet, .feather)",
    )


# ---- what was asked --------------------------------------------------------------------------


def _options(given: argparse.Namespace) -> LearningOptions:
    from .learning.headless import Kind, LearningOptions

    kinds: list[Kind] = []
    if given.sizes is not None:
        kinds.append("sizes")
    kinds += ["folds"] if given.folds or given.out_of_fold else []
    kinds += ["own"] if given.own else []
    if (kinds or given.parameter or given.values or given.keep) and not given.model:
        raise ParameterError(
            "--sizes, --parameter, --folds, --out-of-fold, --own and --keep say something of "
            "models: give --data, --target and --model."
        )
    if given.values and not given.parameter:
        raise ParameterError("--values are those of --parameter: give its name.")
    if given.wanted is not None and not (given.model or given.size_table):
        raise ParameterError("--wanted is a score of models: give --model or --size-table.")
    return LearningOptions(
        kinds=tuple(kinds),
        metric=given.metric,
        wanted=given.wanted,
        sizes=_sizes(given.sizes) if given.sizes is not None else 6,
        parameter=given.parameter,
        values=tuple(_value(text) for text in given.values.split(",")) if given.values else (),
        n_splits=given.splits,
        n_repeats=given.repeats,
        fold_kind=given.fold_kind,
        seed=given.seed,
        epochs=given.epochs,
        patience=given.patience,
        larger_is_better=None if given.better is None else given.better == "higher",
    )


def _sizes(text: str) -> int | tuple[float, ...]:
    """`6` is how many; `100,500` and `10%,1.0` are the sizes themselves."""
    from .learning.size_texts import read_sizes

    written = read_sizes(text)
    if written.unread or not written.sizes:
        what = f" {written.problem}" if written.unread else ""
        raise ParameterError(
            f"--sizes {text}: write how many sizes, or rows or shares as 100,500,1.0.{what}"
        )
    only = written.sizes[0]
    return only if len(written.sizes) == 1 and isinstance(only, int) else written.sizes


def _value(text: str) -> bool | int | float | str | None:
    """A value as Python would read it: 3, 0.1, 1e-3, True, None, else a word."""
    words: dict[str, bool | None] = {"True": True, "False": False, "None": None}
    if text.strip() in words:
        return words[text.strip()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


def _roles(given: argparse.Namespace) -> dict[str, Any]:
    names = {"pos_label": given.positive, "task": given.task, "split_value": given.split}
    names |= {"group": given.group, "time": given.time}
    return {name: value for name, value in names.items() if value is not None}


# ---- the work --------------------------------------------------------------------------------


class _Interrupt:
    """Ctrl+C while models are fitted: the fits are asked to end, so that what is done is written.

    Before the first fit, and the second time, it ends everything at once.
    """

    def __init__(self) -> None:
        self.fitting = False
        self.asked = False

    def begin(self) -> None:
        self.fitting = True

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.asked or not self.fitting:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def heard(self) -> Iterator[None]:
        before = signal.getsignal(signal.SIGINT)
        ours = threading.current_thread() is threading.main_thread()
        if not ours or before in (signal.SIG_IGN, None):
            yield
            return
        signal.signal(signal.SIGINT, self)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def study_and_write(given: argparse.Namespace, models: Mapping[str, str]) -> int:
    """Draw what was asked for, write it, and say by the exit code whether something failed."""
    from .learning.headless import learning_curves

    options, interrupt = _options(given), _Interrupt()
    with interrupt.heard(), telling(interrupt.begin, lambda: interrupt.asked):
        found = learning_curves(
            dict(models) or None,
            given.data,
            target=given.target[0] if given.target and len(given.target) == 1 else given.target,
            test_data=given.test_data,
            logs=given.logs,
            searches=given.search,
            size_tables=given.size_table,
            options=options,
            helpers=given.helper,
            store=given.keep,
            roles=_roles(given),
        )
    for failure in found.failures:
        sys.stderr.write(f"{failure.name}: {failure.message}\n")
    if not (found.stopped and found.is_empty):
        _write(found, given)
    if found.reused:
        sys.stderr.write(
            f"{count(found.reused)} of {plural(found.n_done, 'finished fit')} were kept from an "
            "earlier call and not done again.\n"
        )
    if found.stopped:
        sys.stderr.write(f"sidelight: {_stopped_words(found, given.keep)}\n")
        return 130
    return 1 if found.failures or _is_failed(found, given.fail_on) else 0


def _write(found: Learning, given: argparse.Namespace) -> None:
    """The curves, and the files that were asked for beside them."""
    from .report_learning import render_learning, write_learning
    from .report_learning_tables import write_findings, write_out_of_fold

    if given.output is not None:
        write_learning(found, given.output, given.format)
    else:
        content = render_learning(found, given.format or "text")
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    if given.findings is not None:
        write_findings(found, given.findings)
    if given.out_of_fold is not None and not (found.stopped or not found.validations):
        for path in write_out_of_fold(found, given.out_of_fold):
            sys.stderr.write(f"Answers out of fold are in {path}.\n")


def _stopped_words(found: Learning, keep: Path | None) -> str:
    if not found.n_done:
        return "stopped before the first fit was done."
    done = plural(found.n_done, "finished fit")
    if keep is None:
        return (
            f"stopped; what {done} say is written, and with --keep FOLDER the same command would "
            "go on from there."
        )
    return f"stopped; {done} are kept in {keep}, and the same command goes on from there."


def _is_failed(found: Learning, severity: str | None) -> bool:
    """Whether there is a finding of this severity or worse; it says which."""
    from .report_learning import at_least

    bad = at_least(found.findings, severity) if severity else []
    for one in bad:
        sys.stderr.write(f"--fail-on {severity}: {one.subject}: {one.code} ({one.severity})\n")
    return bool(bad)
