"""Everything that Sidelight raises on purpose, as one tree.

    DiagnosticsError            what pages and the command line catch, and nothing wider
    ├── DataError               a table or array cannot be read or used as it is
    │   └── LimitExceeded       larger than a limit of `Settings`
    ├── ModelError              a file is not a usable model, or the model fails on this data
    │   └── UntrustedModel      the file could run code; it was not opened
    ├── PredictionError         predictions do not fit the rows or classes they are for
    ├── ParameterError          a parameter is out of its bounds or unknown
    ├── WorkspaceError          a workspace cannot be found, read or written
    └── NotApplicable           a sound request that has no answer here; `reason` says why

Messages follow one form: what was given, what is needed, what to do.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "DiagnosticsError",
    "LimitExceeded",
    "ModelError",
    "NotApplicable",
    "ParameterError",
    "PredictionError",
    "UntrustedModel",
    "WorkspaceError",
]


class DiagnosticsError(Exception):
    """Root of the tree: a problem that a sentence to the person can solve."""


class DataError(DiagnosticsError):
    """A table or array cannot be read or used as it is."""


class LimitExceeded(DataError):
    """Larger than a limit of `Settings`; the message names the limit and the setting."""


class ModelError(DiagnosticsError):
    """A file is not a usable model, or the model fails on this data."""


class UntrustedModel(ModelError):
    """The file could run code when opened, so it was not opened."""


class PredictionError(DiagnosticsError):
    """Predictions do not fit the rows or classes they are for."""


class ParameterError(DiagnosticsError):
    """A parameter is out of its bounds or unknown."""


class WorkspaceError(DiagnosticsError):
    """A workspace cannot be found, read or written."""


class NotApplicable(DiagnosticsError):
    """A sound request that has no answer here.

    Parameters
    ----------
    reason : one sentence, shown to the person as it is.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
