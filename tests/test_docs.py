"""The docs name everything there is, their tables are the code's, and their examples run."""

from __future__ import annotations

import importlib.util
import re
import shlex
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from dashboard import errors
from dashboard.__main__ import build_parser
from dashboard.contracts import Task
from dashboard.diagnostics import DIAGNOSTICS
from dashboard.diagnostics.metrics import METRICS, Orientation
from dashboard.settings import Settings
from tests.browser import ROOT

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PLACES = [*DOCS, ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md"]


@pytest.fixture(scope="module")
def text() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in DOCS)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    path = ROOT / "docs" / "make_reference.py"
    spec = importlib.util.spec_from_file_location("make_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_is_what_the_code_says(reference: ModuleType) -> None:
    written = reference.REFERENCE.read_text(encoding="utf-8")
    assert reference.render(written) == written, "run make docs"


def test_reference_has_no_sentence_for_what_is_gone(reference: ModuleType) -> None:
    assert set(reference.SETTINGS) == {one.name for one in fields(Settings)}


def test_reference_notices_a_missing_marker(reference: ModuleType) -> None:
    with pytest.raises(SystemExit, match="lacks <!-- settings -->"):
        reference.render("")


def test_every_setting_is_named(text: str) -> None:
    for one in fields(Settings):
        assert f"`{one.name}`" in text, one.name
        assert f"`SIDELIGHT_{one.name.upper()}`" in text, one.name


def test_every_command_and_flag_is_named(text: str, reference: ModuleType) -> None:
    commands = dict(reference.subcommands(build_parser()))
    assert commands
    for name, parser in commands.items():
        assert f"`{name}`" in text, name
        for action in reference.flags(parser):
            for flag in action.option_strings:
                assert flag in text, f"{name} {flag}"


def test_every_error_is_named(text: str) -> None:
    for name in errors.__all__:
        assert f"`{name}`" in text, name


def test_every_metric_and_diagnostic_is_named(text: str) -> None:
    for name in (*METRICS, *DIAGNOSTICS):
        assert f"`{name}`" in text, name


@pytest.mark.parametrize("name", list(METRICS))
def test_metric_is_complete(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert isinstance(metric.orientation, Orientation)
    assert metric.tasks
    assert metric.tasks <= set(Task)
    assert metric.needs in ("labels", "scores", "probabilities", "values")
    low, high = metric.range
    assert low < high
    assert metric.sentence.endswith(".")
    assert metric.reference
    assert metric.title


@pytest.mark.parametrize("name", list(DIAGNOSTICS))
def test_catalogue_row_leads_to_a_function(name: str) -> None:
    row = DIAGNOSTICS[name]
    home, _, function = row.function.rpartition(".")
    module = importlib.import_module(f"dashboard.diagnostics.{home}")
    assert callable(getattr(module, function))
    assert function.startswith("compute_")
    assert row.question.endswith("?")
    for parameter in row.parameters:
        assert parameter.low <= parameter.default <= parameter.high


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        assert not file or (path.parent / file).exists(), target
        if anchor and not file:
            heads = [head.strip().lower() for head in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]
            assert anchor in {re.sub(r"[^\w -]", "", head).replace(" ", "-") for head in heads}


def blocks(language: str) -> list[tuple[str, str]]:
    return [
        (path.name, block)
        for path in DOCS
        for block in re.findall(
            rf"^```{language}\n(.*?)^```",
            path.read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
    ]


def test_examples_in_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert examples
    for name, block in examples:
        space: dict[str, object] = {}
        exec(compile(block, name, "exec"), space)
    assert "</html>" in (tmp_path / "comparison.html").read_text(encoding="utf-8").lower()


def test_examples_of_the_command_line_are_understood() -> None:
    commands = [
        line
        for _, block in blocks("sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("python -m dashboard")
    ]
    assert commands
    for line in commands:
        build_parser().parse_args(shlex.split(line)[3:])


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", readme):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
