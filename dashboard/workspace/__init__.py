"""What survives a refresh, a restart and a crash: workspaces with their files and results."""

from __future__ import annotations

from .archive import export_workspace, import_workspace
from .store import Store, StoredFile, Workspace

__all__ = ["Store", "StoredFile", "Workspace", "export_workspace", "import_workspace"]
