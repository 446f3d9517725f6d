"""Run a piece of Python in a worker that was confined just as those that open models.

The text lies in the worker's inbox and runs after `confine`, with `orders` at hand; nothing of
the tests can be imported there.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboard.sandbox.confinement import (
    START,
    Confinement,
    scratch_folder,
    worker_command,
    worker_environment,
)
from dashboard.settings import Settings

BOTH = (Confinement.BUBBLEWRAP, Confinement.LANDLOCK)

RUN = """
import json, sys
before, after, module = map(json.loads, sys.argv[1:4])
sys.path[:0] = before
sys.path += [path for path in after if path not in sys.path]
from dashboard.worker.confine import Orders, confine
orders = Orders.from_json(sys.argv[4])
{early}
confine(orders)
exec(compile(open(orders.inbox + "/code.py").read(), "code.py", "exec"))
"""


@dataclass(frozen=True)
class Place:
    """A folder with an inbox for a worker; what lies beside it is the outside."""

    folder: Path
    kind: Confinement
    settings: Settings = field(default_factory=Settings)
    mapped_mb: int = 4096

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def scratch(self) -> Path:
        return scratch_folder(self.inbox)

    def command(self, code: str, context: Any = None, early: str = "") -> list[str]:
        """The command of a worker that runs `code`; `early` runs before it is confined."""
        self.inbox.mkdir(exist_ok=True)
        (self.inbox / "code.py").write_text(code, encoding="utf-8")
        (self.inbox / "context.json").write_text(json.dumps(context), encoding="utf-8")
        command = worker_command(self.kind, self.inbox, (), self.settings, mapped_mb=self.mapped_mb)
        command[command.index(START)] = RUN.format(early=early)
        return command

    def run(
        self, code: str, context: Any = None, *, early: str = "", seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """What came of it."""
        return subprocess.run(
            self.command(code, context, early),
            env=worker_environment(self.settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )


def signal_of(code: int) -> int:
    """The signal that ended a worker, from its exit code as it is seen from outside; 0 for none."""
    return -code if code < 0 else max(0, code - 128)
