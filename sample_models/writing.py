"""Writers that give the same bytes for the same content: no dates, no memory addresses.

skops names arrays and nodes by `id()`, Keras writes the hour of saving, zip archives keep file
times: each of these would change the digests in the manifest on every build.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip archive can hold
SAVED = "2024-01-01@00:00:00"  # shown by nobody; Keras wants some date


def digest(path: Path) -> str:
    """Hex sha-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """An archive with fixed dates and rights, members in the order given."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = 0o644 << 16
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content, compresslevel=9)


def read_zip(source: Path | io.BytesIO) -> dict[str, bytes]:
    """Every member of an archive, in its order."""
    with zipfile.ZipFile(source) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class _Renumbering:
    """Memory addresses → 1, 2, … in order of first appearance, for nodes and for files."""

    def __init__(self) -> None:
        self.nodes: dict[int, int] = {}
        self.files: dict[str, str] = {}

    def walk(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {key: self._entry(key, value, node) for key, value in node.items()}

    def _entry(self, key: str, value: Any, node: dict[str, Any]) -> Any:
        if key in ("__id__", "shared_object_id") and isinstance(value, int):
            return self.nodes.setdefault(value, len(self.nodes) + 1)
        if key == "file" and "__loader__" in node and isinstance(value, str):
            return self.files.setdefault(value, f"{len(self.files) + 1}{Path(value).suffix}")
        return self.walk(value)


def write_skops(path: Path, model: Any) -> None:
    """A scikit-learn estimator as a compressed .skops file without memory addresses."""
    import skops.io

    buffer = io.BytesIO(skops.io.dumps(model))
    members = read_zip(buffer)
    numbers = _Renumbering()
    schema = numbers.walk(json.loads(members.pop("schema.json")))
    renamed = {numbers.files[name]: content for name, content in members.items()}
    ordered = dict(sorted(renamed.items(), key=lambda item: int(item[0].split(".")[0])))
    ordered["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    write_zip(path, ordered)


def write_keras(path: Path, network: Any) -> None:
    """A Keras network as a .keras file with a fixed date and without memory addresses."""
    network.save(path)
    members = read_zip(path)
    metadata = json.loads(members["metadata.json"])
    metadata["date_saved"] = SAVED
    members["metadata.json"] = json.dumps(metadata).encode()
    config = _Renumbering().walk(json.loads(members["config.json"]))
    members["config.json"] = json.dumps(config).encode()
    write_zip(path, members)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Arrays as a compressed .npz without pickles."""
    members: dict[str, bytes] = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
        members[f"{name}.npy"] = buffer.getvalue()
    write_zip(path, members)


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    """Categories, dates and missing values survive."""
    frame.to_parquet(path, index=False, compression="zstd")


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Line feeds on every system; as many digits as it takes to read the same numbers back."""
    frame.to_csv(path, index=False, lineterminator="\n")


def write_history(folder: Path, stem: str, history: Mapping[str, list[float]]) -> None:
    """A training history twice: as `keras.callbacks.CSVLogger` writes it, and as JSON."""
    columns = {name: [float(value) for value in values] for name, values in history.items()}
    frame = pd.DataFrame({name: columns[name] for name in sorted(columns)})
    frame.insert(0, "epoch", range(len(frame)))
    write_csv(folder / f"{stem}.csv", frame)
    text = json.dumps(columns, indent=1, sort_keys=True)
    (folder / f"{stem}.json").write_text(text + "\n", encoding="utf-8", newline="\n")
