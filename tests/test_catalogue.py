from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from dashboard.contracts import Task
from dashboard.diagnostics import DIAGNOSTICS, Diagnostic, applicable

EACH = pytest.mark.parametrize("diagnostic", DIAGNOSTICS.values(), ids=DIAGNOSTICS)


@EACH
def test_every_row_names_a_function_that_takes_its_parameters(diagnostic: Diagnostic) -> None:
    function = diagnostic.load()
    assert function.__name__.startswith("compute_")
    assert function.__doc__
    parameters = inspect.signature(function).parameters
    for parameter in diagnostic.parameters:
        assert parameter.name in parameters
        assert parameters[parameter.name].default == parameter.default
        assert parameter.low <= parameter.default <= parameter.high
        assert parameter.sentence.endswith(".")


@EACH
def test_every_row_speaks_plainly(diagnostic: Diagnostic) -> None:
    assert DIAGNOSTICS[diagnostic.name] is diagnostic
    assert diagnostic.question.endswith("?")
    assert diagnostic.title
    assert diagnostic.tasks


@pytest.mark.parametrize("task", list(Task))
def test_what_applies_to_a_task(task: Task) -> None:
    names = [one.name for one in applicable(task)]
    assert names[:2] == ["metrics", "baseline"]
    assert ("confusion" in names) == task.is_classification
    assert ("fit" in names) == (not task.is_classification)


def test_what_applies_without_scores_or_model() -> None:
    labels_only = [one.name for one in applicable(Task.BINARY, has_scores=False)]
    assert labels_only == ["metrics", "baseline", "confusion"]
    without = applicable(Task.BINARY, has_model=False)
    assert all(not one.needs_model for one in without)


def test_the_catalogue_loads_nothing_heavy() -> None:
    code = (
        "import sys, dashboard.diagnostics as d; d.applicable('binary'); "
        "print([m for m in ('streamlit', 'tensorflow', 'shap', 'sklearn', 'scipy', 'plotly') "
        "if m in sys.modules] + [m for m in sys.modules if m.startswith('dashboard.diagnostics.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
