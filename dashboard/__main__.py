"""The command line. Each command parses, makes one call of the API, writes, and gives an exit code.

Exit codes: 0 everything answered; 1 a model failed and the others are reported, or there is a
finding of at least `--fail-on`; 2 bad input; 130 stopped with Ctrl+C (what `learning` has finished
by then is written).
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import __version__
from .command_progress import telling
from .errors import DiagnosticsError, ParameterError
from .learning_command import add_learning, study_and_write

__all__ = ["build_parser", "main"]


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser("run", help="open the dashboard in the browser")
    run.add_argument("--port", type=int, help="port to serve on (default: setting `port`)")
    run.add_argument("--address", help="address to bind to (default: localhost)")
    run.add_argument("--no-browser", action="store_true", help="do not open a browser")
    run.add_argument("--sample", help="sample to open first, e.g. loans or digits")
    run.set_defaults(command=_run)


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    evaluate = commands.add_parser(
        "evaluate", help="score several models on one data file, without a browser"
    )
    evaluate.add_argument("--data", required=True, type=Path, metavar="FILE", help="data file")
    evaluate.add_argument(
        "--target",
        action="append",
        metavar="COLUMN",
        help="column to predict; repeat for several outputs or labels (default: guessed, and said)",
    )
    _add_sources(evaluate)
    evaluate.add_argument("--positive", metavar="LABEL", help="the positive class of two")
    evaluate.add_argument("--task", help="binary, multiclass, multilabel, regression, …")
    evaluate.add_argument(
        "--threshold",
        type=float,
        metavar="SHARE",
        help="common operating point in [0, 1] for two classes or several labels "
        "(default: each model's own)",
    )
    evaluate.add_argument("--split", metavar="VALUE", help="evaluate only these rows of the split")
    evaluate.add_argument(
        "--metric", action="append", metavar="NAME", help="metric to compute; repeat (default: all)"
    )
    evaluate.add_argument(
        "--format",
        choices=("text", "json", "csv", "html"),
        help="default: by the suffix of --output, else text",
    )
    evaluate.add_argument("--output", type=Path, metavar="FILE", help="write here, not to stdout")
    evaluate.set_defaults(command=_evaluate)


def _add_sources(evaluate: argparse.ArgumentParser) -> None:
    """What is scored: models, and predictions made elsewhere."""
    evaluate.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="model file (scikit-learn, XGBoost, LightGBM, CatBoost, Keras, ONNX, MLflow); "
        "repeat to compare",
    )
    evaluate.add_argument(
        "--helper",
        action="append",
        default=[],
        metavar="FILE",
        help="file that a model needs beside it, like a .py with its own classes; repeat",
    )
    evaluate.add_argument(
        "--predictions",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="file of predictions, joined by id or by position; repeat to compare",
    )


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    explain = commands.add_parser(
        "explain", help="explain the answers of several models on one data file"
    )
    explain.add_argument("--data", required=True, type=Path, metavar="FILE", help="data file")
    explain.add_argument(
        "--model", action="append", required=True, metavar="[NAME=]FILE", help="model; repeat"
    )
    explain.add_argument(
        "--helper",
        action="append",
        default=[],
        metavar="FILE",
        help="file that a model needs beside it, like a .py with its own classes; repeat",
    )
    explain.add_argument(
        "--target", action="append", metavar="COLUMN", help="column that the models predict"
    )
    explain.add_argument("--positive", metavar="LABEL", help="the positive class of two")
    explain.add_argument("--split", metavar="VALUE", help="explain only these rows of the split")
    explain.add_argument(
        "--rows", type=int, metavar="N", help="a random sample of so many rows (default: all)"
    )
    _add_computing(explain)
    explain.add_argument(
        "--space",
        default="auto",
        metavar="UNIT",
        help="probability, log-odds, decision value or target unit (default: the model's own)",
    )
    explain.add_argument(
        "--format",
        choices=("text", "json", "csv", "arrow", "html"),
        help="default: by the suffix of --output, else text",
    )
    explain.add_argument("--output", type=Path, metavar="FILE", help="write here, not to stdout")
    explain.set_defaults(command=_explain)


def _add_computing(explain: argparse.ArgumentParser) -> None:
    """The question, the engine, and what is drawn."""
    explain.add_argument(
        "--game",
        default="auto",
        help="path-dependent, interventional or expected gradients (default: by cost)",
    )
    explain.add_argument(
        "--engine",
        default="",
        metavar="KEY",
        help="one engine for all models: linear, xgboost, lightgbm, catboost, tree, "
        "tree-interventional, bulk-tree, bulk-tree-interventional, exact, kernel, permutation or "
        "gradients (default: by cost)",
    )
    explain.add_argument(
        "--background", type=int, default=100, metavar="N", help="rows for unknown features"
    )
    explain.add_argument(
        "--budget",
        type=int,
        default=0,
        metavar="N",
        help="draws for each row: coalitions (kernel), orders (permutation) or gradients "
        "(default: each engine's own choice)",
    )
    explain.add_argument(
        "--seed", type=int, help="of all that is drawn (default: setting `random_state`)"
    )


def _add_importances(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "importances", help="measure how much several models rely on each feature"
    )
    parser.add_argument("--data", required=True, type=Path, metavar="FILE", help="data file")
    parser.add_argument(
        "--model", action="append", required=True, metavar="[NAME=]FILE", help="model; repeat"
    )
    parser.add_argument(
        "--helper",
        action="append",
        default=[],
        metavar="FILE",
        help="file that a model needs beside it, like a .py with its own classes; repeat",
    )
    parser.add_argument(
        "--target", action="append", metavar="COLUMN", help="column that the models predict"
    )
    parser.add_argument("--positive", metavar="LABEL", help="the positive class of two")
    parser.add_argument("--split", metavar="VALUE", help="measure on these rows of the split only")
    parser.add_argument(
        "--method",
        choices=("permutation", "native", "drop-column", "shap"),
        default="permutation",
        help="how it is measured (default: permutation)",
    )
    _add_shuffling(parser)
    parser.add_argument(
        "--format",
        choices=("text", "json", "csv", "arrow", "html"),
        help="default: by the suffix of --output, else text",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write here, not to stdout")
    parser.set_defaults(command=_importances)


def _add_shuffling(parser: argparse.ArgumentParser) -> None:
    """What is watched, how often, in which rows, and which columns go together."""
    parser.add_argument("--metric", metavar="NAME", help="metric whose loss is measured")
    parser.add_argument(
        "--repeats", type=int, metavar="N", help="how often a column is shuffled (default: 5)"
    )
    parser.add_argument(
        "--folds", type=int, metavar="N", help="folds of drop-column importance (default: 5)"
    )
    parser.add_argument(
        "--rows",
        type=int,
        metavar="N",
        help="at most so many rows, drawn alike in the target; 0: all (default: 2000, for "
        "drop-column 5000)",
    )
    parser.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME=COLUMN,COLUMN",
        help="columns that are shuffled or left out together; repeat",
    )
    parser.add_argument(
        "--correlated", action="store_true", help="group columns that vary together"
    )
    parser.add_argument("--seed", type=int, help="default: setting `random_state`")
    parser.add_argument(
        "--training",
        action="store_true",
        help="also measure on the training rows that the split column tells (permutation)",
    )


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command and flag; the docs test walks it."""
    parser = argparse.ArgumentParser(
        prog="sidelight", description="Model diagnostics, side by side."
    )
    parser.add_argument("--version", action="version", version=f"sidelight {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_evaluate(commands)
    _add_explain(commands)
    _add_importances(commands)
    add_learning(commands).set_defaults(command=_learning)
    return parser


def _run(given: argparse.Namespace) -> int:
    from .launcher import run

    return run(
        port=given.port,
        address=given.address,
        open_browser=not given.no_browser,
        sample=given.sample,
    )


def _by_name(items: Sequence[str]) -> dict[str, str]:
    """`NAME=FILE` or `FILE` → display name → path; equal names are told apart."""
    named: dict[str, str] = {}
    for item in items:
        name, separator, path = item.partition("=")
        if not separator or Path(item).exists():
            name, path = Path(item).stem, item
        unique, count = name, 1
        while unique in named:
            count += 1
            unique = f"{name} ({count})"
        named[unique] = path
    return named


@contextmanager
def _only_our_words() -> Iterator[None]:
    """Keep what numeric libraries say about themselves off the streams, which scripts read.

    Comes before they load: TensorFlow's own code reads its level from the environment once.
    """
    from .launcher import prepare_environment
    from .settings import get_settings

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    prepare_environment(get_settings())
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a pipe on Windows knows no minus sign
            stream.reconfigure(encoding="utf-8")
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        yield


def _evaluate(given: argparse.Namespace) -> int:
    with _only_our_words():
        return _evaluate_and_write(given)


def _evaluate_and_write(given: argparse.Namespace) -> int:
    from .evaluation import evaluate
    from .report import render_report, write_report

    result = evaluate(
        given.data,
        target=given.target[0] if given.target and len(given.target) == 1 else given.target,
        models=_by_name(given.model) or None,
        predictions=_by_name(given.predictions) or None,
        helpers=given.helper,
        pos_label=given.positive,
        task=given.task,
        threshold=given.threshold,
        metrics=given.metric,
        **({"split_value": given.split} if given.split else {}),
    )
    if given.output is not None:
        write_report(result, given.output, given.format)
    else:
        sys.stdout.write(render_report(result, given.format or "text"))
    for failure in result.failures:
        sys.stderr.write(f"{failure.name}: {failure.message}\n")
    return 1 if result.failures else 0


def _explain(given: argparse.Namespace) -> int:
    with _only_our_words():
        return _explain_and_write(given)


def _explain_and_write(given: argparse.Namespace) -> int:
    from .evaluation import Failure
    from .explanation import ExplainOptions, explain, read_evalset
    from .report_explanations import render_explanations, write_explanations
    from .settings import get_settings

    evalset = read_evalset(given.data, given.target, given.positive, given.split)
    options = ExplainOptions(
        given.space,
        given.game,
        given.engine,
        given.background,
        get_settings().random_state if given.seed is None else given.seed,
        get_settings().confidence_level,
        given.budget,
    )
    found, failures = [], []
    with telling():
        for name, path in _by_name(given.model).items():
            asked: dict[str, Any] = {
                "rows": given.rows,
                "options": options,
                "helpers": given.helper,
            }
            try:
                found.append(explain(path, evalset, name=name, **asked))
            except DiagnosticsError as error:
                failures.append(Failure(name, str(error)))
    for failure in failures:
        sys.stderr.write(f"{failure.name}: {failure.message}\n")
    about: dict[str, Any] = {"failures": failures, "data": evalset.name, "digest": evalset.digest}
    if given.output is not None:
        write_explanations(found, given.output, given.format, **about)
    else:
        content = render_explanations(found, given.format or "text", **about)
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    return 1 if failures else 0


def _importances(given: argparse.Namespace) -> int:
    with _only_our_words():
        return _measure_and_write(given)


def _measure_and_write(given: argparse.Namespace) -> int:
    from .importance import importances
    from .report_importances import render_importances, write_importances

    roles = {"split_value": given.split} if given.split else {}
    roles |= {"pos_label": given.positive} if given.positive is not None else {}
    with telling():
        found = importances(
            _by_name(given.model),
            given.data,
            target=given.target[0] if given.target and len(given.target) == 1 else given.target,
            method=given.method,
            helpers=given.helper,
            roles=roles,
            training=given.training or None,
            **_measuring(given),
        )
    for failure in found.failures:
        sys.stderr.write(f"{failure.name}: {failure.message}\n")
    if given.output is not None:
        write_importances(found, given.output, given.format)
    else:
        content = render_importances(found, given.format or "text")
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    return 1 if found.failures else 0


# What each method takes, beside the names of the flags.
_TAKES = {
    "permutation": ("metric", "repeats", "rows", "group", "correlated", "seed"),
    "drop-column": ("metric", "folds", "rows", "group", "correlated", "seed"),
    "shap": ("rows",),
    "native": (),
}


def _measuring(given: argparse.Namespace) -> dict[str, Any]:
    """The options of the method.

    Raises
    ------
    ParameterError : a flag that this method has no use for.
    """
    from .settings import get_settings

    takes = _TAKES[given.method]
    wrong = [
        name
        for name in ("metric", "repeats", "folds", "rows", "group", "correlated", "seed")
        if name not in takes and getattr(given, name) not in (None, [], False)
    ]
    if wrong:
        raise ParameterError(f"--{wrong[0]} says nothing to the method {given.method}.")
    options: dict[str, Any] = {}
    if "seed" in takes:
        seed = get_settings().random_state if given.seed is None else given.seed
        options = {"metric": given.metric, "random_state": seed, "groups": _groups(given)}
    for flag, name in (("repeats", "n_repeats"), ("folds", "n_folds")):
        if getattr(given, flag) is not None:
            options[name] = getattr(given, flag)
    if given.rows is not None:
        options["n_rows"] = given.rows or None
    return options


def _groups(given: argparse.Namespace) -> Any:
    if given.correlated and given.group:
        raise ParameterError("Give either --correlated or --group, not both.")
    if given.correlated:
        return "correlated"
    named = {}
    for text in given.group:
        name, separator, columns = text.partition("=")
        if not separator or not name or not columns:
            raise ParameterError(f"--group {text}: write NAME=COLUMN,COLUMN.")
        named[name] = columns.split(",")
    return named or None


def _learning(given: argparse.Namespace) -> int:
    with _only_our_words():
        return study_and_write(given, _by_name(given.model))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; problems are one sentence on stderr and an exit code."""
    given = build_parser().parse_args(argv)
    try:
        code: int = given.command(given)
    except DiagnosticsError as error:
        sys.stderr.write(f"sidelight: {error}\n")
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        sys.stderr.write("\nsidelight: stopped.\n")
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
