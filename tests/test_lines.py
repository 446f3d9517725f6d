"""What `tests.lines` notes is what coverage.py's tracer sees."""

from __future__ import annotations

import ast
import builtins
import subprocess
import sys
from pathlib import Path

import coverage
import pytest

from tests import lines

PROGRAM = '''"""A docstring,
of two lines."""
from __future__ import annotations

import functools
import sys


def twice(f):
    """Runs it again."""

    @functools.wraps(
        f
    )
    def again(*given):
        f(*given)
        return f(
            *given,
        )

    return again


class Thing:
    """Has a docstring."""

    kind: str = "thing"
    size: int

    @property
    def half(self):
        global CALLS
        CALLS += 1
        return 2

    @staticmethod
    @twice
    def choose(one):
        match one:
            case 1:
                return "one"
            case [first, *_]:
                return first
            case _:
                pass
        return None


CALLS = 0
for one in (1, [2], "x"):
    Thing.choose(one)
else:
    done = Thing().half


def tried(what):
    try:
        if what == 1:
            raise ValueError
        elif what == 2:
            raise KeyError("no")
        else:
            return [
                x
                for x in (1, 2)
            ]
    except ValueError:
        sys.stdout.write("")
    except KeyError as error:
        str(error)
    except OSError:
        never = 1
    finally:
        what = 0
    with open(__file__) as file, open(__file__):
        while file.readline():
            break
    return (lambda: what)()


for what in (1, 2, 3):
    tried(what)


def never():
    """Is not called."""
    return 1


if CALLS > 1_000:
    raise SystemExit
'''


def test_notes_what_a_tracer_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = tmp_path / "program.py", tmp_path / "traced"
    path.write_text(PROGRAM)
    command = [sys.executable, "-m", "coverage", "run", f"--data-file={kept}", str(path)]
    subprocess.run(command, cwd=tmp_path, check=True)
    seen: set[int] = set()
    monkeypatch.setattr(builtins, "_noted_here", seen.add, raising=False)
    tree = lines._Noting("_noted_here").visit(ast.parse(PROGRAM))
    exec(compile(tree, str(path), "exec"), {"__name__": "__main__", "__file__": str(path)})

    def executed(found: coverage.CoverageData) -> set[int]:
        found.write()
        read = coverage.Coverage(data_file=found.data_filename(), config_file=False)
        read.load()
        _, statements, _, missing, _ = read.analysis2(str(path))
        return set(statements) - set(missing)

    mine, theirs = coverage.CoverageData(str(tmp_path / "mine")), coverage.CoverageData(str(kept))
    mine.add_lines({str(path): seen})
    theirs.read()
    assert executed(mine) == executed(theirs)
    assert len(executed(mine)) > 50
