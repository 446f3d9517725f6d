"""What a file is, told from its bytes and not from its name, and what to do if it is no model."""

from __future__ import annotations

import bz2
import io
import lzma
import pickletools
import re
import zipfile
import zlib
from typing import Any

from ..errors import LimitExceeded, ModelError, UntrustedModel
from ..settings import Settings

__all__ = [
    "ACCEPTED",
    "carries_code",
    "check_archive",
    "identify",
    "read_member",
    "refusal",
    "unconfined",
]

ACCEPTED = (
    "a model of scikit-learn (.skops, .joblib, .pkl), XGBoost, LightGBM, CatBoost, Keras or ONNX, "
    "a zipped MLflow folder, or a table of predictions"
)
_SKOPS = '`import skops.io; skops.io.dump(model, "model.skops")`'
_KERAS = '`model.save("model.keras")`'
_TABLE = '`pandas.DataFrame({"y_pred": model.predict(X)}).to_csv("predictions.csv")`'

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"%PDF", "pdf"),
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"\x93NUMPY", "npy"),
    (b"CBM1", "catboost"),
    (b"\xd0\xcf\x11\xe0", "excel"),
    (b"SQLite format 3", "sqlite"),
    (b"7z\xbc\xaf", "7z"),
    (b"Rar!", "rar"),
    (b"\x7fELF", "program"),
    (b"MZ", "program"),
    (b"PK\x05\x06", "zip"),
)

_DATA = {
    "parquet": "a Parquet table",
    "feather": "a Feather table",
    "npy": "a NumPy array",
    "npz": "a NumPy archive of arrays",
    "excel": "an Excel workbook",
    "text": "a text table",
}
_OTHER = {
    "png": "a PNG image",
    "jpeg": "a JPEG image",
    "gif": "a GIF image",
    "bmp": "a BMP image",
    "tiff": "a TIFF image",
    "pdf": "a PDF document",
    "sqlite": "an SQLite database",
    "7z": "a 7-Zip archive",
    "rar": "a RAR archive",
    "program": "a program",
    "zip": "a zip archive of other files",
    "json": "a JSON document",
    "compressed": "a compressed file that holds no model",
    "unknown": "no format known here",
}


def identify(head: bytes, name: str) -> str:
    """The kind of a file from its content; pass the whole content to tell zip archives apart.

    Returns one word such as "skops", "keras", "pickle", "joblib", "hdf5", "onnx", "png", "zip",
    "truncated zip", "parquet", "text", "empty", "unknown". `name` counts where bytes say nothing.
    Nothing is opened: zip directories, opcodes and first bytes are read.
    """
    if not head:
        return "empty"
    if head.startswith(b"PK\x03\x04"):
        return _identify_zip(head)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if _is_pickle(head):
        return "joblib" if b"joblib" in head[:4096] else "pickle"
    inner = _decompressed(head)
    if inner is not None:
        # What lz4 and zstandard hold cannot be looked at here; their name is all there is.
        by_name = not inner and name.lower().endswith((".joblib", ".pickle", ".pkl"))
        return "joblib" if by_name or _is_pickle(inner) else "compressed"
    if head.startswith(b"ZF"):  # joblib before 0.10
        return "joblib"
    if _is_onnx(head):
        return "onnx"
    return _identify_text(head, name)


def _identify_zip(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return "truncated zip"
    if any(member.rpartition("/")[2] == "MLmodel" for member in names):
        return "mlflow"
    if "config.json" in names and ("metadata.json" in names or "model.weights.h5" in names):
        return "keras"
    if "schema.json" in names:
        return "skops"
    if any(member.endswith("/data.pkl") or member == "data.pkl" for member in names):
        return "pytorch"
    if "[Content_Types].xml" in names:
        return "excel"
    if names and all(member.endswith(".npy") for member in names):
        return "npz"
    return _zipped_network(names)


def _zipped_network(names: set[str]) -> str:
    """A network in a folder that was zipped."""
    suffixes = [member.rpartition(".")[2].lower() for member in names]
    if any(member.rpartition("/")[2] == "saved_model.pb" for member in names):
        return "savedmodel"
    if "json" in suffixes and suffixes.count("h5") + suffixes.count("hdf5") == 1:
        return "keras parts"
    return "zip"


def _is_pickle(head: bytes) -> bool:
    """Whether the bytes read as a pickle program; the opcodes are listed, never run."""
    if head[:1] == b"\x80" and len(head) > 1:
        return head[1] in range(2, 6)
    if not re.match(rb"\(?[cidlpSVI(}\])]", head[:2]):
        return False
    # Protocols 0 and 1 are text without a magic number, and most letters are opcodes: only bytes
    # that read as a program up to its closing STOP count.
    if not head.endswith(b"."):
        return False
    try:
        for count, (opcode, _, position) in enumerate(pickletools.genops(head)):
            if opcode.name == "STOP":
                return position == len(head) - 1
            if count > 20_000:
                return True
    except ValueError:
        return False
    return False


def _decompressed(head: bytes, limit: int = 1 << 16) -> bytes | None:
    """At most `limit` bytes of what a compressed file holds, or None when it is not compressed."""
    decoder: Any
    if head[:2] == b"\x1f\x8b":
        decoder = zlib.decompressobj(wbits=31)
    elif head[:2] in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
        decoder = zlib.decompressobj()
    elif head[:3] == b"BZh":
        decoder = bz2.BZ2Decompressor()
    elif head[:6] == b"\xfd7zXZ\x00" or head[:3] == b"\x5d\x00\x00":
        decoder = lzma.LZMADecompressor(memlimit=1 << 28)
    elif head[:4] in (b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd"):  # lz4, zstandard
        return b""
    else:
        return None
    try:
        return bytes(decoder.decompress(head[: 1 << 20], limit))
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        return b"" if head[:2] != b"\x78\x5e" else None


def _is_onnx(head: bytes) -> bool:
    # A protobuf ModelProto opens with field 1 (ir_version, a small varint), then the producer.
    return len(head) > 3 and head[0] == 0x08 and 0 < head[1] < 32 and head[2] in (0x12, 0x3A, 0x42)


def _identify_text(head: bytes, name: str) -> str:
    sample = head[: 1 << 16]
    if b"L\x00\x00\x00\x00" in sample[:16] and b"learner" in sample:  # universal binary JSON
        return "xgboost"
    if sample[:2] in (b"\xff\xfe", b"\xfe\xff"):
        sample = sample.decode("utf-16", errors="ignore").encode()
    if b"\x00" in sample[:4096]:
        return "xgboost" if b"binf" in sample[:8] else "unknown"
    stripped = sample.lstrip(b"\xef\xbb\xbf \t\r\n")
    if stripped.startswith((b"{", b"[")):
        if b'"learner"' in sample:
            return "xgboost"
        # CatBoost writes its tables of categories first, and they can be long.
        if b'"catboost_version_info"' in head and b'"scale_and_bias"' in head:
            return "catboost"
        return "keras json" if b'"class_name"' in sample else "json"
    if stripped.startswith(b"tree\n") and b"version=v" in sample:
        return "lightgbm"
    control = sum(byte < 9 or 13 < byte < 32 for byte in sample[:4096])
    if control > len(sample[:4096]) // 20:
        return "unknown"
    return "text" if b"\n" in sample or name.lower().endswith((".csv", ".tsv")) else "unknown"


# Opening these can run what their author put in; the others hold data for code of libraries.
_CODE = {
    "joblib": "a joblib file",
    "mlflow": "a zipped MLflow model",
    "pickle": "a pickle",
    "pytorch": "a PyTorch file",
    "savedmodel": "a SavedModel",
}


def carries_code(kind: str) -> bool:
    """Whether opening a file of this kind can run code from inside it."""
    return kind in _CODE


def unconfined(kind: str, name: str, why: str) -> UntrustedModel:
    """The sentence for a file that carries code where nothing can confine what it runs."""
    advice = (
        f"save the network with {_KERAS}" if kind == "savedmodel" else f"export it with {_SKOPS}"
    )
    return UntrustedModel(
        f"{name} is {_CODE[kind]}, and opening one can run any code that its author put in; "
        f"nothing confines it here ({why.rstrip('.')}), so it was not opened. Where it was made, "
        f"{advice} instead; on a machine of your own, SIDELIGHT_TRUST=all opens such files."
    )


def refusal(kind: str, name: str) -> ModelError:
    """The one sentence for a file that is not loaded: what it looks like, what to do instead."""
    if kind == "empty":
        return ModelError(f"{name} is empty; a model is {ACCEPTED}: export or upload it again.")
    if kind == "truncated zip":
        return ModelError(
            f"{name} begins like a zip archive, as .skops and .keras files do, but is cut off or "
            "damaged; "
            "export or upload it again."
        )
    if kind == "pytorch":
        return UntrustedModel(
            f"{name} is a PyTorch file, which holds a pickle that can run any code when opened, "
            f"so it was not opened; export the model's answers with {_TABLE} instead."
        )
    if kind in _DATA:
        return ModelError(
            f"{name} looks like {_DATA[kind]} and not like a model; load it as the data or as "
            f"predictions, or export a model with {_SKOPS} or {_KERAS}."
        )
    looks = _OTHER.get(kind, _OTHER["unknown"])
    return ModelError(
        f"{name} is {looks}, which is no model; accepted is {ACCEPTED}: "
        f"export with {_SKOPS} or {_KERAS}."
    )


def check_archive(content: bytes, name: str, settings: Settings) -> zipfile.ZipFile:
    """Open a model archive after judging its directory; nothing is unpacked before that.

    Raises
    ------
    LimitExceeded : the declared size or compression ratio is over a limit.
    UntrustedModel : member paths that leave the archive, or members twice.
    ModelError : a directory that cannot be read.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = archive.infolist()
        _check_names([member.filename for member in members], name)
        _check_sizes(members, name, settings)
        for member in members:  # sparse arrays are archives inside the archive
            _check_nested(archive, member, name, settings)
    except (zipfile.BadZipFile, zlib.error, ValueError, RuntimeError, OSError, EOFError) as error:
        raise refusal("truncated zip", name) from error
    return archive


def read_member(archive: zipfile.ZipFile, member: str, name: str) -> bytes:
    """A member of an archive that `check_archive` has opened.

    Raises
    ------
    ModelError : it is damaged, encrypted, or packed in a way that is not known here.
    """
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise refusal("truncated zip", name) from error


def _check_names(members: list[str], name: str) -> None:
    for member in members:
        parts = member.replace("\\", "/").split("/")
        if ".." in parts or member.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", member):
            raise UntrustedModel(
                f"{name} holds a member named {member!r}, whose path leaves the archive, so it was "
                "not opened; export the model again."
            )
    if len(set(members)) < len(members):
        raise UntrustedModel(
            f"{name} holds two members of the same name, so what is checked need not be what is "
            "loaded, and it was not opened; export the model again."
        )


def _check_nested(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, settings: Settings
) -> None:
    with archive.open(member) as file:
        if file.read(4) != b"PK\x03\x04":
            return
        file.seek(0)
        with zipfile.ZipFile(file) as inner:
            _check_sizes(inner.infolist(), name, settings)


def _check_sizes(members: list[zipfile.ZipInfo], name: str, settings: Settings) -> None:
    limit = settings.max_model_mb << 20
    total = sum(member.file_size for member in members)
    if total > limit:
        raise LimitExceeded(
            f"{name} unpacks to {total / (1 << 20):,.0f} MB; the limit is "
            f"{settings.max_model_mb:,} MB (setting max_model_mb)."
        )
    for member in members:
        # Small members compress well for honest reasons; a bomb needs size as well as ratio.
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > 1 << 20 and ratio > settings.max_archive_ratio:
            raise LimitExceeded(
                f"{name} holds a member that unpacks to {ratio:,.0f} times its size; the limit is "
                f"{settings.max_archive_ratio:,} times (setting max_archive_ratio)."
            )
