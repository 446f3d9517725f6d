"""What a parent tells a worker on its command line, once; both read this page."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

__all__ = ["BUBBLEWRAP", "LANDLOCK", "PROCESS", "UNCONFINED", "Orders"]

BUBBLEWRAP, LANDLOCK, PROCESS = "bubblewrap", "landlock", "process"
UNCONFINED = 78  # exit code of a worker that the system does not let be confined


@dataclass(frozen=True)
class Orders:
    """Where a worker finds its things and what it may use. Sizes in bytes, times in seconds.

    kind : bubblewrap, landlock or process.
    user : whom a worker of root becomes, a number that nobody else has; 0 without root.
    parent : process number of the parent; 0 when it cannot be seen from inside.
    inbox : folder of the model's and the data files, read-only.
    scratch : its own temporary folder.
    folders : what may be read besides: the interpreter, the libraries, this package.
    fds : the descriptors of the conversation, in the order the parent gave them.
    memory : writable memory; address_space : that, and all that is mapped to be read.
    file : the largest file it may write; tasks : its threads and all others of this user.
    """

    kind: str
    user: int
    parent: int
    inbox: str
    scratch: str
    folders: tuple[str, ...]
    fds: tuple[int, ...]
    memory: int
    address_space: int
    file: int
    cpu_seconds: int
    tasks: int

    @classmethod
    def from_json(cls, text: str) -> Orders:
        """The orders that `to_json` wrote."""
        told = json.loads(text)
        return cls(**{**told, "folders": tuple(told["folders"]), "fds": tuple(told["fds"])})

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))
