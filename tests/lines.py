"""Which lines of the library ran, without a tracer: `pytest -p tests.lines --lines-at-least=95`.

Up to Python 3.11 a tracer follows everything or nothing, so coverage.py makes Plotly, pandas and
Streamlit up to twice as slow for lines that nobody counts. Here the modules of `dashboard` note
their own lines: each is imported with a call before every statement. What counts as a line, the
files and the report are coverage.py's, with its settings in pyproject.toml.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Generator, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

import coverage
import pytest

PACKAGE = "dashboard"
_SEEN: dict[str, set[int]] = {}  # path -> lines that ran


class _Noting(ast.NodeTransformer):
    """Puts `note(line)` before every statement; `note` is found among the builtins."""

    def __init__(self, note: str) -> None:
        self.note = note

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for part in ("body", "orelse", "finalbody"):
            statements = getattr(node, part, None)
            if isinstance(statements, list):
                setattr(node, part, [*self._noted(node, part, statements)])
        return node

    def _noted(self, node: ast.AST, part: str, statements: list[ast.stmt]) -> Iterator[ast.stmt]:
        first = _own_lines(node) if part == "body" else []
        rest = iter(statements)
        ahead = _before_code(node, statements) if part == "body" else 0
        for _ in range(ahead):
            one = next(rest)
            first += _lines(one)
            yield one
        for one in rest:
            for line in [*first, *_lines(one)]:
                call = ast.Call(ast.Name(self.note, ast.Load()), [ast.Constant(line)], [])
                yield ast.fix_missing_locations(ast.copy_location(ast.Expr(call), one))
            first = []
            yield one


def _before_code(node: ast.AST, statements: Sequence[ast.stmt]) -> int:
    """How many statements must stay first: a docstring, and what comes from the future."""
    n = 0
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        n = int(ast.get_docstring(node, clean=False) is not None)
    while n < len(statements) and _is_from_the_future(statements[n]):
        n += 1
    return n


def _is_from_the_future(one: ast.stmt) -> bool:
    return isinstance(one, ast.ImportFrom) and one.module == "__future__"


def _own_lines(node: ast.AST) -> list[int]:
    """The line of `except` or `case`, which runs when what is below it does."""
    if isinstance(node, ast.ExceptHandler):
        return [node.lineno]
    return [node.pattern.lineno] if isinstance(node, ast.match_case) else []


def _lines(one: ast.stmt) -> list[int]:
    return [one.lineno, *(part.lineno for part in getattr(one, "decorator_list", []))]


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        """Compiled anew, as what Python keeps of a module notes nothing."""
        path = self.get_filename(fullname)
        seen = _SEEN.setdefault(path, set())
        note = f"_lines_of_{list(_SEEN).index(path)}"
        setattr(builtins, note, seen.add)
        tree = _Noting(note).visit(ast.parse(self.get_data(path), path))
        return compile(tree, path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.origin)
        return spec


class _Report:
    """Beside the tests, in every process; the last of them, which started the others, counts."""

    def __init__(self, at_least: float, is_first: bool) -> None:
        self.at_least, self.is_first = at_least, is_first
        self.total: float | None = None
        if is_first:
            coverage.Coverage().erase()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, Any, Any]:
        result = yield
        mine = coverage.CoverageData(coverage.Coverage().config.data_file, suffix=True)
        mine.add_lines(_SEEN)
        mine.write()
        if self.is_first:
            self._count(session)
        return result

    def _count(self, session: pytest.Session) -> None:
        found = coverage.Coverage()
        found.combine()
        everything = (session.config.rootpath / PACKAGE).rglob("*.py")
        found.get_data().touch_files(map(str, everything))  # also what nothing imported
        found.save()
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        assert reporter is not None
        reporter.ensure_newline()
        left_out = found.config.run_omit
        self.total = found.report(file=reporter, skip_covered=True, omit=left_out)
        if self.total < self.at_least:
            session.testsfailed += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.total is not None:
            reached = "reached" if self.total >= self.at_least else "NOT reached"
            line = f"{self.at_least:g} % of the lines {reached}: {self.total:.2f} %"
            terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lines-at-least", type=float, help="percent of lines that must have run")


def pytest_configure(config: pytest.Config) -> None:
    at_least = config.getoption("--lines-at-least")
    if at_least is not None:
        config.pluginmanager.register(_Report(at_least, not hasattr(config, "workerinput")))


# As soon as pytest loads this, before anything imports the library.
sys.meta_path.insert(0, _Finder())
