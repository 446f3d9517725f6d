"""The house rules of the code, checked on the source: directions, names, sizes, dangers.

Standard library only, so that it runs before anything is installed. Each rule is a function
from the modules of a tree to a list of sentences; the second half of this file breaks every
rule once in a small tree and sees it noticed. Runtime rules are in test_import_light.py and
test_docs.py.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP = ("dashboard", "components", "pages")

# --- exceptions, each with its reason -----------------------------------------------------------

# Modules of dashboard/ that may import Streamlit inside a function.
STREAMLIT_IN_FUNCTION = {
    "dashboard.__main__": "the run command",
    "dashboard.launcher": "the run command: it hands over to Streamlit's own command line",
}
LONG_FUNCTIONS: dict[str, str] = {}
LONG_MODULES: dict[str, str] = {}

# --- limits -------------------------------------------------------------------------------------

PAGE_LINES = 60
FUNCTION_LINES = 50
MODULE_LINES = 500
MEDIAN_FUNCTION_LINES = 10
NINETIETH_FUNCTION_LINES = 35

# Where each module of dashboard/ stands, the lowest floor first. The arrows of the architecture:
# a module imports from its own floor and from lower ones.
FLOORS: list[tuple[str, frozenset[str]]] = [
    ("errors", frozenset({"errors"})),
    ("settings", frozenset({"settings", "threads"})),
    ("wording", frozenset({"wording"})),
    ("contracts", frozenset({"contracts"})),
    # what a worker and its parent say to each other; then the parent's side of it
    ("frames", frozenset({"frames"})),
    ("sandbox", frozenset({"sandbox"})),
    # data, models and diagnostics are neighbours: they do not see each other
    ("sources", frozenset({"data", "samples", "models", "diagnostics", "workspace", "logs"})),
    # whole operations on models, run in their workers; above what they ask and compute with
    ("explainers", frozenset({"explainers", "refitting"})),
    ("figures", frozenset({"captions", "figures"})),
    (
        "evaluation",
        frozenset({"evaluation", "effects", "explanation", "gallery", "importance", "learning"}),
    ),
    (
        "report",
        frozenset(
            {
                "report",
                "report_explanations",
                "report_html",
                "report_importances",
                "report_learning",
                "report_learning_tables",
                "report_learning_text",
                "report_scores",
            }
        ),
    ),
    (
        "front doors",
        frozenset(
            {
                "__init__",
                "__main__",
                "app",
                "command_progress",
                "launcher",
                "learning_command",
                "worker",
            }
        ),
    ),
]
FLOOR_OF = {room: floor for floor, (_, rooms) in enumerate(FLOORS) for room in rooms}
NEIGHBOURS = {"models", "diagnostics", "workspace"}  # and all that reads data, as one
# Sees only results: no model, no data file, nothing that is remembered.
BLIND = {"figures": {"models", "data", "workspace", "explainers", "refitting", "logs"}}

HEAVY = {"tensorflow", "keras", "shap"}
UNPICKLERS = {"pickle", "_pickle", "cPickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "base", "common", "misc", "manager", "core"}


@dataclass(frozen=True, eq=False)
class Module:
    """One source file; `name` is dotted from the root, packages without `__init__`."""

    path: Path
    name: str
    is_package: bool
    text: str
    tree: ast.Module

    @property
    def top(self) -> str:
        return self.name.split(".")[0]

    @property
    def room(self) -> str:
        """The part of its top-level package: `data` for dashboard.data, dashboard.data.x."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else "__init__"


@dataclass(frozen=True)
class Import:
    target: str
    line: int
    in_function: bool
    for_types: bool
    relative: bool


def read_modules(root: Path) -> list[Module]:
    """Every module of dashboard/, components/ and pages/."""
    modules = []
    for top in TOP:
        for path in sorted((root / top).rglob("*.py")):
            parts = list(path.relative_to(root).with_suffix("").parts)
            is_package = parts[-1] == "__init__"
            text = path.read_text(encoding="utf-8")
            name = ".".join(parts[:-1] if is_package else parts)
            modules.append(Module(path, name, is_package, text, ast.parse(text, str(path))))
    return modules


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _walk(
    node: ast.AST, in_function: bool = False, for_types: bool = False
) -> Iterator[tuple[ast.AST, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = in_function or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        types = for_types or _is_for_types(child)
        yield child, inside, types
        yield from _walk(child, inside, types)


def _origin(module: Module, node: ast.ImportFrom) -> str:
    """The absolute dotted name that `from ... import` names."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    keep = len(parts) - node.level + (1 if module.is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


@cache
def imports(module: Module) -> list[Import]:
    """Everything the module imports anywhere; `from a import b` gives `a` and `a.b`."""
    found = []
    for node, in_function, for_types in _walk(module.tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            names = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
        relative = bool(getattr(node, "level", 0))
        line = getattr(node, "lineno", 0)
        found += [Import(name, line, in_function, for_types, relative) for name in names]
    return found


def functions(module: Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    def visit(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                name = f"{prefix}.{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield name, child  # type: ignore[misc]
                yield from visit(child, name)
            else:
                yield from visit(child, prefix)

    return visit(module.tree, module.name)


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without the docstring."""
    body = function.body
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(body) > 1:
        if isinstance(first.value.value, str):
            body = body[1:]
    elif isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return 0
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


# --- rules --------------------------------------------------------------------------------------


def library_knows_no_streamlit(modules: list[Module]) -> list[str]:
    """1. dashboard/ without app.py is a library."""
    found = []
    for module in modules:
        if module.top != "dashboard" or module.name == "dashboard.app":
            continue
        for item in imports(module):
            top = item.target.split(".")[0]
            allowed = (
                top == "streamlit" and item.in_function and module.name in STREAMLIT_IN_FUNCTION
            )
            if top in ("streamlit", "components", "pages") and not allowed:
                found.append(f"{module.name}:{item.line} imports {item.target}")
    return found


def pages_are_leaves(modules: list[Module]) -> list[str]:
    """1. No page imports a page; components import no page."""
    return [
        f"{module.name}:{item.line} imports {item.target}"
        for module in modules
        for item in imports(module)
        if item.target.split(".")[0] == "pages"
    ]


def library_imports_itself_relatively(modules: list[Module]) -> list[str]:
    """1. The bare name inside the package would make a second copy of a module possible."""
    return [
        f"{module.name}:{item.line} imports {item.target}; write it with a dot"
        for module in modules
        if module.top == "dashboard" and module.name not in ("dashboard.__main__", "dashboard.app")
        for item in imports(module)
        if item.target.split(".")[0] == "dashboard" and not item.relative
    ]


def _house(room: str) -> str:
    """Neighbours on one floor; everything there that is none of them reads data."""
    return room if room in NEIGHBOURS else "data"


def arrows_point_down(modules: list[Module]) -> list[str]:
    """1. A module imports only from its own floor and below; nobody imports the worker."""
    found = []
    for module in modules:
        for item in imports(module):
            parts = item.target.split(".")
            if parts[0] != "dashboard" or len(parts) < 2 or item.for_types:
                continue
            room = parts[1]
            wrong = room == "worker" and module.room != "worker"
            if module.top == "dashboard" and room in FLOOR_OF and module.room in FLOOR_OF:
                here, there = FLOOR_OF[module.room], FLOOR_OF[room]
                across = FLOORS[here][0] == "sources" and _house(room) != _house(module.room)
                wrong |= there > here or (there == here and across)
                wrong |= room in BLIND.get(module.room, set())
            if wrong:
                found.append(f"{module.name}:{item.line} imports {item.target}")
    return found


def every_module_has_a_floor(modules: list[Module]) -> list[str]:
    """1. A new module says where it stands: add it to FLOORS in this file."""
    return [
        f"{module.name} stands on no floor"
        for module in modules
        if module.top == "dashboard" and module.room not in FLOOR_OF
    ]


def one_user_of_session_state(modules: list[Module]) -> list[str]:
    """2. Everything that a session remembers has one typed home."""
    return [
        f"{module.name}:{node.lineno} uses session_state"
        for module in modules
        if module.name != "components.state"
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Attribute) and node.attr == "session_state")
        or (
            isinstance(node, ast.ImportFrom)
            and module.name != "components.state"
            and any(alias.name == "session_state" for alias in node.names)
        )
    ]


def one_user_of_the_cache(modules: list[Module]) -> list[str]:
    """2. Keys are digests: Streamlit hashes large frames by sample and answers stale."""
    found = []
    for module in modules:
        if module.name == "components.cached":
            continue
        for node in ast.walk(module.tree):
            # functools.cache is another matter
            ours = isinstance(node, ast.Attribute) and ast.unparse(node.value) != "functools"
            names = [node.attr] if isinstance(node, ast.Attribute) and ours else []
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("streamlit"):
                names = [alias.name for alias in node.names]
            if any(name in ("cache", "cache_data", "cache_resource") for name in names):
                found.append(f"{module.name}:{node.lineno} uses Streamlit's cache")  # type: ignore[attr-defined]
    return found


def nothing_unpickles(modules: list[Module]) -> list[str]:
    """2. Opening a pickle runs it. Only models/ may, and only behind the worker."""
    found = []
    for module in modules:
        if module.name.startswith("dashboard.models"):
            continue
        found += [
            f"{module.name}:{item.line} imports {item.target}"
            for item in imports(module)
            if item.target.split(".")[0] in UNPICKLERS
        ]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                    found.append(f"{module.name}:{node.value.lineno} may unpickle an array")
            elif isinstance(node, ast.Attribute) and node.attr in ("read_pickle", "load_pickle"):
                found.append(f"{module.name}:{node.lineno} uses {node.attr}")
    return found


@lru_cache(maxsize=1)
def _installed() -> frozenset[str]:
    return frozenset(packages_distributions())


def names_shadow_nothing(modules: list[Module]) -> list[str]:
    """3. `streamlit run` puts the script's folder first on the path: dashboard/shap.py is shap."""
    installed = _installed() - set(TOP) - {"tests", "benchmarks", "sample_models"}
    taken = set(sys.stdlib_module_names) | installed
    found = []
    for module in modules:
        if module.top in ("dashboard", "pages") and module.name.count(".") == 1:
            stem = module.room
            if stem in taken and stem not in ("__main__", "__init__"):
                found.append(f"{module.name} has the name of a library")
    return found


def names_say_something(modules: list[Module]) -> list[str]:
    """No utils, helpers or managers: each name is a thing of the domain."""
    return [
        f"{module.name} is called {part}"
        for module in modules
        for part in module.name.split(".")[-1:]
        if part.strip("_") in EMPTY_NAMES or part.endswith(("_utils", "_helpers", "_manager"))
    ]


def no_import_cycles(modules: list[Module]) -> list[str]:
    """4. Of any size, and also through imports inside functions."""
    known = {module.name for module in modules}
    edges: dict[str, set[str]] = {}
    for module in modules:
        edges[module.name] = {
            item.target
            for item in imports(module)
            if not item.for_types and item.target in known and item.target != module.name
        }
        # `from . import name` names the package too; only what it defines would make a cycle.
        if not module.is_package:
            edges[module.name].discard(module.name.rpartition(".")[0])
    found: list[str] = []
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found.append(" → ".join([*trail[trail.index(name) :], name]))
        elif name not in done:
            for target in sorted(edges[name]):
                visit(target, [*trail, name])
            done.add(name)

    for name in sorted(edges):
        visit(name, [])
    return found


def pages_are_short_scripts(modules: list[Module]) -> list[str]:
    """5. A class of a page loses its identity on every rerun; logic is tested elsewhere."""
    found = []
    for module in modules:
        if module.top != "pages" or module.is_package:
            continue
        count = len(module.text.splitlines())
        if count > PAGE_LINES:
            found.append(f"{module.name} has {count} lines, at most {PAGE_LINES} are allowed")
        found += [
            f"{module.name}:{node.lineno} defines {node.name}"
            for node in ast.walk(module.tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        ]
    return found


def functions_are_short(modules: list[Module]) -> list[str]:
    """5. A body of more than 50 lines does more than one thing."""
    return [
        f"{name} has {body_lines(function)} lines, at most {FUNCTION_LINES} are allowed"
        for module in modules
        for name, function in functions(module)
        if body_lines(function) > FUNCTION_LINES and name not in LONG_FUNCTIONS
    ]


def most_functions_are_very_short(modules: list[Module]) -> list[str]:
    """Median and 90th percentile of the bodies, the budget of libraries that read well."""
    sizes = sorted(body_lines(function) for module in modules for _, function in functions(module))
    if len(sizes) < 2:
        return []
    found = []
    if statistics.median(sizes) > MEDIAN_FUNCTION_LINES:
        found.append(f"The median function has {statistics.median(sizes)} lines")
    if statistics.quantiles(sizes, n=10)[-1] > NINETIETH_FUNCTION_LINES:
        found.append(f"One function of ten has over {NINETIETH_FUNCTION_LINES} lines")
    return found


def modules_are_short(modules: list[Module]) -> list[str]:
    """A module of more than 500 lines is two."""
    return [
        f"{module.name} has {len(module.text.splitlines())} lines, at most {MODULE_LINES}"
        for module in modules
        if len(module.text.splitlines()) > MODULE_LINES and module.name not in LONG_MODULES
    ]


def heavy_libraries_load_late(modules: list[Module]) -> list[str]:
    """6. TensorFlow takes 9 s to import; a page that shows a table must not wait for it."""
    return [
        f"{module.name}:{item.line} imports {item.target} at the top"
        for module in modules
        for item in imports(module)
        if item.target.split(".")[0] in HEAVY and not item.in_function and not item.for_types
    ]


def figures_draw_results(modules: list[Module]) -> list[str]:
    """8. Every plot_* takes what a compute_* returns, or another result: what has a frame()."""
    results: set[str] = set()
    for module in modules:
        if module.name.startswith(("dashboard.diagnostics", "dashboard.contracts")):
            results |= {
                name.split(".")[-2]
                for name, _ in functions(module)
                if name.endswith(".frame") and name.split(".")[-2][:1].isupper()
            }
        for name, function in functions(module):
            if name.rpartition(".")[2].startswith("compute_") and function.returns:
                results |= {n.id for n in ast.walk(function.returns) if isinstance(n, ast.Name)}
                results |= {
                    n.attr for n in ast.walk(function.returns) if isinstance(n, ast.Attribute)
                }
    found = []
    for module in modules:
        if not module.name.startswith("dashboard.figures"):
            continue
        for name, function in functions(module):
            if not name.rpartition(".")[2].startswith("plot_") or module.is_package:
                continue
            arguments = [*function.args.posonlyargs, *function.args.args]
            given = ast.unparse(arguments[0].annotation) if _annotated(arguments) else ""
            if not any(result in given for result in results - {"None", "list", "tuple", "dict"}):
                found.append(f"{name} takes {given or 'nothing'}, no result of a compute_ function")
    return found


def _annotated(arguments: list[ast.arg]) -> bool:
    return bool(arguments) and arguments[0].annotation is not None


def nothing_is_left_undone(modules: list[Module]) -> list[str]:
    """No open ends, and no failure swallowed without a word."""
    found = []
    for module in modules:
        for number, line in enumerate(module.text.splitlines(), 1):
            if any(word in line for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X")):
                found.append(f"{module.name}:{number} is left undone")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node):
                found.append(f"{module.name}:{node.lineno} is not implemented")
            if isinstance(node, ast.ExceptHandler):
                wide = node.type is None or "Exception" in ast.unparse(node.type).split(".")
                if wide and all(isinstance(part, ast.Pass) for part in node.body):
                    found.append(f"{module.name}:{node.lineno} swallows every error")
    return found


Rule = Callable[[list[Module]], list[str]]
RULES: list[Rule] = [
    library_knows_no_streamlit,
    pages_are_leaves,
    library_imports_itself_relatively,
    arrows_point_down,
    every_module_has_a_floor,
    one_user_of_session_state,
    one_user_of_the_cache,
    nothing_unpickles,
    names_shadow_nothing,
    names_say_something,
    no_import_cycles,
    pages_are_short_scripts,
    functions_are_short,
    most_functions_are_very_short,
    modules_are_short,
    heavy_libraries_load_late,
    figures_draw_results,
    nothing_is_left_undone,
]


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return read_modules(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule, modules: list[Module]) -> None:
    found = rule(modules)
    assert not found, "\n".join([rule.__doc__ or rule.__name__, *found])


def test_exceptions_are_still_needed(modules: list[Module]) -> None:
    names = {module.name for module in modules}
    bodies = {name: body_lines(body) for module in modules for name, body in functions(module)}
    sizes = {module.name: len(module.text.splitlines()) for module in modules}
    assert set(STREAMLIT_IN_FUNCTION) <= names
    assert all(bodies.get(name, 0) > FUNCTION_LINES for name in LONG_FUNCTIONS)
    assert all(sizes.get(name, 0) > MODULE_LINES for name in LONG_MODULES)


# --- every rule, broken once --------------------------------------------------------------------

LONG_BODY = "def f():\n" + "    x = 1\n" * 51
CASES: list[tuple[Rule, dict[str, str], str]] = [
    (library_knows_no_streamlit, {"dashboard/data.py": "import streamlit as st"}, "data:1"),
    (library_knows_no_streamlit, {"dashboard/data.py": "def f():\n    import streamlit"}, "data:2"),
    (library_knows_no_streamlit, {"dashboard/launcher.py": "import streamlit"}, "launcher:1"),
    (library_knows_no_streamlit, {"dashboard/data.py": "from components import x"}, "components"),
    (library_knows_no_streamlit, {"dashboard/figures/a.py": "import streamlit"}, "figures.a:1"),
    (pages_are_leaves, {"pages/a.py": "from pages import b"}, "pages.a:1"),
    (pages_are_leaves, {"components/a.py": "import pages.b"}, "components.a:1"),
    (library_imports_itself_relatively, {"dashboard/a.py": "from dashboard.b import c"}, "a:1"),
    (library_imports_itself_relatively, {"dashboard/a.py": "import dashboard"}, "a:1"),
    (arrows_point_down, {"dashboard/diagnostics/a.py": "from ..models import b"}, "models"),
    (arrows_point_down, {"dashboard/contracts.py": "def f():\n    from .data import b"}, "data"),
    (arrows_point_down, {"dashboard/figures/__init__.py": "from ..data import b"}, "data"),
    (arrows_point_down, {"dashboard/models/a.py": "from .. import figures"}, "figures"),
    (arrows_point_down, {"components/a.py": "from dashboard import worker"}, "worker"),
    (arrows_point_down, {"dashboard/data/readers.py": "from .. import models"}, "models"),
    (arrows_point_down, {"dashboard/evaluation.py": "from .report import a"}, "report"),
    (every_module_has_a_floor, {"dashboard/attic.py": ""}, "dashboard.attic"),
    (every_module_has_a_floor, {"dashboard/attic/x.py": ""}, "dashboard.attic.x"),
    (one_user_of_session_state, {"pages/a.py": "import streamlit as st\nst.session_state"}, "a:2"),
    (
        one_user_of_session_state,
        {"components/inputs.py": "from streamlit import session_state"},
        "inputs:1",
    ),
    (one_user_of_the_cache, {"pages/a.py": "@st.cache_data\ndef f(): ..."}, "a:1"),
    (one_user_of_the_cache, {"components/a.py": "from streamlit import cache_resource"}, "a:1"),
    (nothing_unpickles, {"dashboard/data.py": "import pickle"}, "pickle"),
    (nothing_unpickles, {"dashboard/data.py": "def f():\n    from joblib import load"}, "joblib"),
    (nothing_unpickles, {"dashboard/data.py": "numpy.load(x, allow_pickle=True)"}, "data:1"),
    (nothing_unpickles, {"dashboard/data.py": "numpy.load(x, allow_pickle=flag)"}, "data:1"),
    (nothing_unpickles, {"components/a.py": "pandas.read_pickle(x)"}, "read_pickle"),
    (names_shadow_nothing, {"dashboard/statistics.py": ""}, "statistics"),
    (names_shadow_nothing, {"pages/pytest.py": ""}, "pytest"),
    (names_shadow_nothing, {"dashboard/calendar/__init__.py": ""}, "calendar"),
    (names_say_something, {"dashboard/utils.py": ""}, "utils"),
    (names_say_something, {"components/table_helpers.py": ""}, "table_helpers"),
    (
        no_import_cycles,
        {"dashboard/a.py": "from .b import x", "dashboard/b.py": "def f():\n    from . import a"},
        "dashboard.a → dashboard.b → dashboard.a",
    ),
    (
        no_import_cycles,
        {
            "dashboard/a.py": "from . import b",
            "dashboard/b.py": "from .c import x",
            "dashboard/c.py": "from .a import x",
        },
        "dashboard.a → dashboard.b → dashboard.c → dashboard.a",
    ),
    (pages_are_short_scripts, {"pages/a.py": "x = 1\n" * 61}, "61 lines"),
    (pages_are_short_scripts, {"pages/a.py": "def f(): ..."}, "defines f"),
    (pages_are_short_scripts, {"pages/a.py": "if x:\n    class A: ..."}, "defines A"),
    (functions_are_short, {"dashboard/a.py": LONG_BODY}, "dashboard.a.f has 51 lines"),
    (functions_are_short, {"components/a.py": "class A:\n  def f():\n" + "   x\n" * 51}, "A.f has"),
    (
        most_functions_are_very_short,
        {"dashboard/a.py": LONG_BODY + LONG_BODY + "def g(): ..."},
        "median",
    ),
    (modules_are_short, {"dashboard/a.py": "x = 1\n" * 501}, "501 lines"),
    (heavy_libraries_load_late, {"dashboard/models/a.py": "import keras.saving"}, "models.a:1"),
    (heavy_libraries_load_late, {"pages/a.py": "if x:\n    from shap import y"}, "pages.a:2"),
    (
        figures_draw_results,
        {
            "dashboard/diagnostics/a.py": "def compute_a(x: int) -> Curve: ...",
            "dashboard/figures/a.py": "def plot_a(model: Model) -> Figure: ...",
        },
        "plot_a takes Model",
    ),
    (figures_draw_results, {"dashboard/figures/a.py": "def plot_a(): ..."}, "takes nothing"),
    (nothing_is_left_undone, {"dashboard/a.py": "x = 1  # TO" + "DO: y"}, "left undone"),
    (nothing_is_left_undone, {"dashboard/a.py": "raise NotImplementedError"}, "not implemented"),
    (
        nothing_is_left_undone,
        {"dashboard/a.py": "try:\n    x\nexcept Exception:\n    pass"},
        "swallows",
    ),
]

SOUND = {
    "dashboard/__init__.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .data import read_x\n"
    ),
    "dashboard/__main__.py": "from . import errors\nfrom .launcher import run",
    "dashboard/app.py": "import streamlit as st\nfrom components import state",
    "dashboard/launcher.py": "def run():\n    from streamlit.web import cli",
    "dashboard/errors.py": "class DiagnosticsError(Exception): ...",
    "dashboard/contracts.py": "from .errors import DiagnosticsError",
    "dashboard/data.py": "from . import contracts\nx = load(f, allow_pickle=False)",
    "dashboard/models/__init__.py": "def f():\n    import keras\n    import joblib",
    "dashboard/diagnostics/__init__.py": "",
    "dashboard/diagnostics/curves.py": (
        "from ..contracts import x\ndef compute_roc(x: int) -> RocCurve | None: ..."
    ),
    "dashboard/figures/__init__.py": "from .curves import plot_roc",
    "dashboard/figures/curves.py": "def plot_roc(curves: Sequence[RocCurve]) -> Figure: ...",
    "components/state.py": "import streamlit as st\nst.session_state['a'] = 1",
    "components/cached.py": "import streamlit as st\n@st.cache_data\ndef f(): ...",
    "pages/home.py": "from components import state\nfrom dashboard import data\n",
}


def grow(root: Path, files: dict[str, str]) -> list[Module]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_modules(root)


@pytest.mark.parametrize(
    ("rule", "files", "expected"),
    CASES,
    ids=[f"{rule.__name__}-{number}" for number, (rule, _, _) in enumerate(CASES)],
)
def test_broken_rule_is_noticed(
    rule: Rule, files: dict[str, str], expected: str, tmp_path: Path
) -> None:
    found = rule(grow(tmp_path, files))
    assert any(expected in sentence for sentence in found), found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_sound_tree_breaks_no_rule(rule: Rule, tmp_path: Path) -> None:
    assert rule(grow(tmp_path, SOUND)) == []


def test_every_rule_is_broken_once() -> None:
    assert {rule for rule, _, _ in CASES} == set(RULES)


def test_docstrings_do_not_count() -> None:
    tree = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    x = 1\n    return x\n')
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert body_lines(function) == 2
