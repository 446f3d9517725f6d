"""Tables that bite: objects in arrays, bombs, macros, formulas, markup in names and labels."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import zipfile
from typing import Any

import numpy as np
import pandas as pd

from .archives import zipped
from .scene import Scene

__all__ = ["FORMULAS", "MARKUP", "damaged", "formulas", "marked_up", "traps"]

N = 60

# Shown as text wherever a name or a label is shown.
MARKUP = {
    "html": "<script>window.hostile=1</script>",
    "image": "<img src=x onerror='window.hostile=1'>",
    "markdown": "[click](javascript:window.hostile=1) **bold** `code` $\\frac{1}{2}$",
    "directive": ":red[red] :material/home: :smile:",
    "picture": "![x](http://listener.invalid/x.png)",
    "emoji": "🙂👩‍👩‍👧‍👦🇩🇪",
    "right to left": "\u202eevil\u202c שלום",
    "plotly": "<b>bold</b><br><a href='javascript:window.hostile=1'>go</a> %{customdata}",
    "template": "{{7*7}} ${7*7} %(x)s {0} {x.__class__}",
    "control": "a\tb\x07c\u200bd\ufeffe\u0000f",
    "long": "long" * 2_500,
}
FORMULAS = (
    "=1+1",
    '=HYPERLINK("http://listener.invalid")',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
)


def _plain() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(N, 4)), columns=list("abcd")).round(3)
    return frame.assign(kind=np.where(frame["a"] > 0, "yes", "no"))


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def marked_up() -> dict[str, bytes]:
    """Tables with markup as column names and as labels, one for each kind of markup."""
    found = {}
    for word, text in MARKUP.items():
        clean = text.replace("\u0000", "")
        frame = _plain().rename(columns={"b": f"b {clean}"})
        frame["kind"] = frame["kind"].map({"yes": clean, "no": "no"})
        found[f"markup-{word.replace(' ', '-')}.csv"] = _csv(frame)
    return found


def formulas() -> bytes:
    """Cells, labels and column names that a spreadsheet would compute."""
    frame = _plain()
    frame["note"] = [FORMULAS[i % len(FORMULAS)] for i in range(N)]
    frame["kind"] = frame["kind"].map({"yes": FORMULAS[0], "no": "no"})
    return _csv(frame.rename(columns={"b": "=b+1"}))


def traps(scene: Scene) -> dict[str, bytes]:
    """File name → content that must be refused, or read as plain values."""
    objects = io.BytesIO()
    np.savez(objects, X=np.array([_Touch(f"{scene.canary}.npz")] * N), y=np.arange(N) % 2)
    array = io.BytesIO()
    np.save(array, np.array([_Touch(f"{scene.canary}.npy")] * N), allow_pickle=True)
    good = _csv(_plain())
    touch = pickle.dumps(_Touch(f"{scene.canary}.csv"))
    return {
        "objects.npz": objects.getvalue(),
        "objects.npy": array.getvalue(),
        "header-lies.npy": _npy("(1152921504606846976, 8)"),
        "header-code.npy": _npy(f"open({str(scene.canary)!r} + '.header', 'w')"),
        "header-deep.npy": _npy("(" * 3000 + ")" * 3000),
        "pickle.csv": touch,
        "pickle.parquet": touch,
        "parent.zip": zipped({"../../canary.txt": b"changed", "data.csv": good}),
        "parent-only.zip": zipped({"../../canary.csv": good}),
        "link.zip": zipped({}, links={"data.csv": str(scene.other)}),
        "bomb.zip": zipped({"data.csv": b"a,kind\n" + b"1,2\n" * (64 << 20)}),
        "bomb.csv.gz": gzip.compress(b"a,kind\n") + gzip.compress(b"1,2\n" * (4 << 20)) * 24,
        "bomb.csv.bz2": bz2.compress(b"a,kind\n") + bz2.compress(bytes(1 << 24)) * 128,
        "bomb.csv.xz": lzma.compress(b"a,kind\n") + lzma.compress(bytes(1 << 24)) * 128,
        "zip-in-zip.zip": _nested(12),
        "deep.json": b"[" * 300_000 + b"]" * 300_000,
        "deep-object.json": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        "numbers.json": b'[{"a": ' + b"9" * 100_000 + b', "kind": 1}]',
        "macro.xlsm": _workbook(macro=True),
        "outside.xlsx": _workbook(entities=f"file://{scene.other}"),
        "entities.xlsx": _workbook(laughs=True),
        "far-right.xlsx": _sheet(
            b"".join(
                b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>' % (at, at) for at in range(1, 5000)
            )
        ),
        "far-down.xlsx": _sheet(b'<row r="9999999999"><c r="A9999999999"><v>1</v></c></row>'),
        "overflow.parquet": _parquet(1 << 60),
        "pandas-metadata.parquet": _with_metadata(scene),
        "offsets.feather": _bad_offsets(),
        "record-lies.tfevents": struct.pack("<Q", 1 << 62) + bytes(12),
        "wide.csv": b",".join(b"c%d" % i for i in range(60_000)) + b"\n" + b"1," * 59_999 + b"1\n",
        "one-cell.csv": b"a,kind\n" + b"x" * (8 << 20) + b",1\n",
        "quote.csv": b'a,kind\n"' + b"x,y\n" * 500_000,
        "nul.csv": good.replace(b"yes", b"y\0s"),
    }


def damaged() -> dict[str, bytes]:
    """The first half of a file of every table format, under its own name and under another."""
    frame = _plain()
    whole: dict[str, bytes] = {}
    for kind in ("parquet", "feather"):
        stream = io.BytesIO()
        getattr(frame, f"to_{kind}")(stream)
        whole[kind] = stream.getvalue()
    whole["xlsx"] = _workbook()
    arrays = io.BytesIO()
    np.savez(arrays, X=frame[list("abcd")].to_numpy(), y=(frame["kind"] == "yes").to_numpy())
    whole["npz"] = arrays.getvalue()
    whole["csv.gz"] = gzip.compress(_csv(frame))
    whole["json"] = json.dumps(frame.to_dict("records")).encode()
    cut = {f"cut.{kind}": data[: len(data) // 2] for kind, data in whole.items()}
    names = list(whole)
    renamed = {
        f"called-{kind.replace('.', '-')}.{names[at - 1]}": whole[kind]
        for at, kind in enumerate(names)
    }
    return {**cut, **renamed}


class _Touch:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def _npy(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(header)) + header + bytes(64)


def _nested(depth: int) -> bytes:
    data = b"a,kind\n1,2\n"
    for level in range(depth):
        data = zipped({f"level-{level}.zip" if level else "data.csv": data})
    return data


def _workbook(*, macro: bool = False, entities: str = "", laughs: bool = False) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    page = book.active
    frame = _plain()
    page.append(list(frame.columns))
    for row in frame.itertuples(index=False):
        page.append(list(row))
    page["A2"] = "=1+1"
    stream = io.BytesIO()
    book.save(stream)
    with zipfile.ZipFile(stream) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if macro:
        members["xl/vbaProject.bin"] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
        types = members["[Content_Types].xml"]
        members["[Content_Types].xml"] = types.replace(
            b"openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
            b"ms-excel.sheet.macroEnabled.main+xml",
        )
    sheet = "xl/worksheets/sheet1.xml"
    if entities or laughs:
        head = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{entities}">]>' if entities else _LAUGHS
        body = members[sheet].decode()
        start = body.index("<worksheet")
        told = body[start:].replace("<v>", "<v>&e;", 1)
        members[sheet] = (body[:start] + head + told).encode()
    return zipped(members)


def _sheet(rows: bytes) -> bytes:
    """A workbook with these rows as they are."""
    with zipfile.ZipFile(io.BytesIO(_workbook())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    space = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    body = b'<worksheet xmlns="%s"><sheetData>%s</sheetData></worksheet>' % (space, rows)
    return zipped({**members, "xl/worksheets/sheet1.xml": body})


_LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a0 "laugh">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    + '<!ENTITY e "&a9;">]>'
)


def _parquet(rows: int) -> bytes:
    """A small Parquet file whose footer speaks of far more rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table({"a": [0] * 1000, "kind": [0, 1] * 500}), stream)
    data = stream.getvalue()
    return data.replace(b"\x16\xd0\x0f", b"\x16\xfe\xff", 8)  # zigzag varint of 1000 rows


def _with_metadata(scene: Scene) -> bytes:
    """Metadata for pandas that names types and classes of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(_plain())
    told = json.loads(table.schema.metadata[b"pandas"])
    for column in told["columns"]:
        column["pandas_type"], column["numpy_type"] = "object", "__import__('os').system('true')"
    told["index_columns"] = ["__class__", {"kind": "range", "start": 0, "stop": 1 << 60, "step": 1}]
    metadata = {b"pandas": json.dumps(told).encode(), b"ARROW:schema": b"\xff" * 100}
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), stream)
    return stream.getvalue()


def _bad_offsets() -> bytes:
    """Text whose offsets point outside of the file."""
    import pyarrow as pa

    offsets = pa.py_buffer(np.array([0, 5, 1 << 30, 7], dtype="int32").tobytes())
    text = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"abcdefgh"))
    stream = io.BytesIO()
    table = pa.table({"text": text, "kind": [0, 1, 0]})
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()
