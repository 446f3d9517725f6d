"""Every hostile file with what a person sees of it.

The core, at least one file of each kind, is tried through the app under bubblewrap on every run of
the suite, and all that attacks the walls directly under Landlock; the rest, and each of them both
ways, by `make test-slow`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import archives, native, pickles, tables
from .attacks import ATTACKS, FORGERIES, PREDICTORS, SWELLING, THROUGH_THE_PIPE
from .scene import Scene

__all__ = ["HostileFile", "models", "network_models", "read_as_data"]

# What is seen of code that runs into the walls of the sandbox: the error it raised, as text.
WALL = r"cannot be opened here \(\w*Error|cannot be opened here \(\[Errno"
ENDED = r"ended its worker"
TIME = r"took longer than \d+ s, so it was stopped"
MEMORY = r"needs more memory|needs more than [\d,]+ MB|bad_alloc|Failed to allocate"
NONSENSE = r"gave an answer that cannot be used"
DAMAGED = r"is cut off or damaged|cut off or damaged|is damaged|a damaged"
REFUSED = r"was not opened"


@dataclass(frozen=True)
class HostileFile:
    """A model file, and a pattern for the one sentence that a person sees.

    Attributes
    ----------
    when : "opening" it fails; or it opens, and fails or answers nonsense when "asked".
    core : tried on every run.
    slow : takes the time that it is given, so it is tried with little.
    """

    name: str
    content: bytes
    says: str
    when: str = "opening"
    core: bool = True
    slow: bool = False


_ATTACKS = {
    "exits": r"ended by itself \(exit code 0\)",
    "raises SystemExit": r"tried to end the (process|program)",
    "segfaults": r"crashed \(SIGSEGV\)",
    "aborts": r"crashed \(SIGABRT\)",
    "stops itself": TIME,
    "says HTML in its error": r"<script>alert\(1\)</script>",
    "raises what is no error": rf"{ENDED}|tried to end|cannot be opened here",
    "starts threads without end": MEMORY,
    "allocates without end": MEMORY,
    "maps memory without end": rf"{MEMORY}|{WALL}",
    "loops without end": TIME,
    "loops without end in C": TIME,
    "sleeps and ignores signals": TIME,
    "prints 10 GB": r"printed more than 256 MB",
    "prints 10 GB of errors": r"printed more than 256 MB",
    "fills the disk": rf"{WALL}|wrote more than \d+ MB",
    "closes every file": rf"{TIME}|closed its pipe",
}
_SLOW = ("stops itself", "loops without", "sleeps", "closes every", "predicts without", "nested")
# Walls that each file runs into in its own way: in the app by `make test-slow`, most of them under
# Landlock on every run.
_RARE_ATTACKS = (
    "becomes a program",
    "opens a socket file",
    "lists the folder of workspaces",
    "writes into the interpreter",
    "renames and removes outside",
    "makes links to outside",
    "looks into the inboxes",
    "looks at other processes",
    "enters namespaces",
    "mounts",
    "leaves by chroot",
    "raises what is no error",
    "loops without end in C",
    "prints 10 GB of errors",
    "maps memory",
    "sends huge lengths",
    "sleeps and ignores",
    "sends a datagram",
    "starts a program",
    "writes beside the program",
    "reads the environment of others",
    "kills everybody",
    "traces its parent",
    "aborts",
    "loops without end",
    "closes every file",
)
_ASKED = {
    "answers with objects": r"of type Evil cannot be sent",
    "answers with too few rows": r"3 answers for \d+ rows",
    "answers with too many rows": r"10,000,000 answers for \d+ rows",
    "answers with nothing": r"no answers|neither|nothing|no labels|labels nor scores",
    "answers with text of 100 MB": NONSENSE,
    "answers with markup": r"",
    "answers with seven axes": r"axes|shape|dimension",
    "answers with a class of arrays that lies": r"",
    "predicts without end": TIME,
    "dies when asked": r"ended by itself \(exit code 11\)",
    "swells when asked": MEMORY + "|MemoryError",
    "reads the canary when asked": r"failed on these rows: \w+Error",
    "sends a socket when asked": r"failed on these rows: PermissionError",
    "sends noise when asked": NONSENSE,
}
_FORGED = {
    "answers with labels that are not there": NONSENSE,
    "answers with the number of another question": NONSENSE,
    "answers with ten thousand parts": NONSENSE,
}
_RARE_ANSWERS = (
    "answers with markup",
    "swells when asked",
    "answers with too many rows",
    "answers with seven axes",
    "sends a socket when asked",
    "forges sizes",
    "forges many classes",
    "answers with decimals",
    "answers with what is no label",
    "answers with scores of strange classes",
    "answers with a dict",
    "answers with ten thousand",
    "answers with halves",
    "answers with nothing",
    "answers with a class of arrays",
    "answers with numbers of 4,000",
    "answers with the number of another",
    "answers with an error of a page",
    "sends noise when asked",
    "forges long names",
    "forges classes",
)
_STRUCTURES = {
    "behind-a-picture.pkl": r"is a PNG image",
    "gadget-numpy.pkl": rf"{DAMAGED}|{WALL}",
    "gzip-bomb.pkl": rf"unpacks to more than|{MEMORY}",
    "xz-bomb.joblib": rf"unpacks to more than|{MEMORY}",
    "memo-bomb.pkl": MEMORY,
    "length-lies.pkl": rf"{MEMORY}|{DAMAGED}",
    "text-length-lies.pkl": rf"{MEMORY}|{DAMAGED}",
    "huge-arrays.pkl": MEMORY,
    "doubling.pkl": rf"{MEMORY}|{TIME}",
    "nested.pkl": rf"{TIME}|nested too deeply|{ENDED}|{MEMORY}|is of type",
    "nested-tuples.pkl": rf"{TIME}|nested too deeply|{ENDED}|{MEMORY}|is of type",
    "frame-lies.pkl": rf"{MEMORY}|{DAMAGED}",
    "truncated.pkl": DAMAGED,
    "no-stop.pkl": DAMAGED,
    "persistent-id.pkl": rf"{DAMAGED}|{WALL}",
    "extension-code.pkl": WALL,
    "two-pickles.pkl": r"is of type int",
}
_RARE_STRUCTURES = (
    "huge-arrays",
    "zlib.",
    "bz2.",
    "xz.",
    "protocol-0",
    "gadget-joblib",
    "renamed.keras",
    "renamed.onnx",
    "renamed.h5",
    "no-stop",
    "extension",
    "text-length",
    "nested-tuples",
    "doubling",
    "gadget-numpy",
    "renamed.txt",
    "xz-bomb",
    "memo-bomb",
    "frame-lies",
    "two-pickles",
)
_ARCHIVES = {
    "system.skops": REFUSED,
    "function.skops": REFUSED,
    "eval.skops": REFUSED,
    "numpy-load.skops": REFUSED,
    "reduce.skops": REFUSED,
    "deep-schema.skops": DAMAGED,
    "object-array.skops": rf"{DAMAGED}|{REFUSED}|object",
    "parent-path.skops": r"path leaves the archive",
    "absolute-path.skops": r"path leaves the archive",
    "link.skops": "",
    "twice.skops": r"two members of the same name",
    "bomb.skops": r"times its size",
    "overlap-bomb.skops": r"unpacks to|times its size|two members",
    "bomb-in-bomb.skops": r"times its size",
    "truncated.skops": DAMAGED,
    "header-only.skops": DAMAGED,
    "lambda.keras": r"a Lambda layer",
    "module.keras": r"os\.system",
    "get-file.keras": r"get_file",
    "function.keras": r"the function 'system' of os",
    "tfsm.keras": r"TFSMLayer",
    "vocabulary.keras": r"reads a vocabulary from the file",
    "external-link.keras": r"could read other files of this machine",
    "external-storage.keras": r"could read other files of this machine",
    "virtual.keras": r"could read other files of this machine",
    "parent-path.keras": r"path leaves the archive",
    "bomb.keras": r"times its size",
    "deep.keras": DAMAGED,
    "truncated.keras": DAMAGED,
    "external.h5": r"could read other files of this machine",
    "truncated.h5": DAMAGED,
    "mlflow-parent.zip": r"is not in it",
    "mlflow-absolute.zip": r"is not in it",
    "mlflow-loader.zip": r"own Python code",
    "mlflow-tag.zip": r"names no flavour",
    "mlflow-aliases.zip": r"names no flavour",
    "mlflow-link.zip": r"is no model",
}
_NATIVE = {
    "truncated.ubj": DAMAGED,
    "flipped.ubj": "",
    "flipped-more.ubj": "",
    "truncated.json": DAMAGED,
    "children-outside.json": "",
    "wide.json": "",
    "truncated.txt": DAMAGED,
    "counts-lie.txt": rf"{DAMAGED}|{ENDED}",
    "split-outside.txt": rf"{DAMAGED}|{ENDED}",
    "truncated.cbm": rf"{DAMAGED}|{ENDED}",
    "noise.cbm": rf"{DAMAGED}|{ENDED}",
    "external-parent.onnx": r"keeps weights in another file",
    "external-absolute.onnx": r"keeps weights in another file",
    "external-inbox.onnx": r"keeps weights in another file",
    "foreign-operator.onnx": DAMAGED,
    "truncated.onnx": DAMAGED,
    "noise.onnx": DAMAGED,
}
_RARE_ARCHIVES = (
    "deep-schema.skops",
    "link.skops",
    "bomb-in-bomb.skops",
    "eval.skops",
    "reduce.skops",
    "function.skops",
    "get-file.keras",
    "tfsm.keras",
    "external-storage.keras",
    "mlflow-absolute.zip",
    "mlflow-aliases.zip",
    "mlflow-tag.zip",
    "numpy-load.skops",
    "absolute-path.skops",
    "overlap-bomb.skops",
    "header-only.skops",
    "function.keras",
    "vocabulary.keras",
    "virtual.keras",
    "deep.keras",
)
_RARE_NATIVE = (
    "truncated.json",
    "flipped.ubj",
    "flipped-more.ubj",
    "wide.json",
    "split-outside.txt",
    "noise.cbm",
    "external-absolute.onnx",
    "external-inbox.onnx",
    "noise.onnx",
)
# Opened by TensorFlow, which takes ten seconds to be there.
_NETWORKS = {
    "swollen.keras": r"asks for [\d,]+ MB of weights",
    "link.keras": "",
    "lambda.h5": r"Lambda",
    "swollen.h5": r"asks for [\d,]+ MB|damaged|" + MEMORY,
    "own-class.hdf5": r"os>system|not among|was not opened",
    "reads-files.zip": r"failed on these rows|cannot be opened|NOT_FOUND|PERMISSION|read",
    "writes-files.zip": r"failed on these rows|cannot be opened|NOT_FOUND|PERMISSION|writ",
    "parent-path-model.zip": r"path leaves the archive",
    "link-model.zip": "",
    "truncated-graph.zip": rf"{DAMAGED}|cannot be read",
    "noise-graph.zip": rf"{DAMAGED}|cannot be read",
}
_CORE_NETWORKS = ("swollen.keras", "writes-files.zip", "parent-path-model.zip")


def _is_slow(name: str) -> bool:
    return name.startswith(_SLOW)


def _named(found: Mapping[str, bytes], says: Mapping[str, str]) -> Iterator[tuple[str, bytes, str]]:
    for name, pattern in says.items():
        yield name, found[name], pattern


def models(scene: Scene) -> Iterator[HostileFile]:
    """Model files that need no TensorFlow, neither to be built nor to be refused."""
    for code in (ATTACKS, SWELLING, THROUGH_THE_PIPE):
        usual = NONSENSE if code is THROUGH_THE_PIPE else WALL
        for name, text in code.items():
            says = _ATTACKS.get(name, usual)
            content = pickles.running(text, scene)
            core = not name.startswith(_RARE_ATTACKS)
            yield HostileFile(f"{name}.pkl", content, says, core=core, slow=_is_slow(name))
    for name, body in PREDICTORS.items():
        content = pickles.model_of(body, scene)
        core, slow = not name.startswith(_RARE_ANSWERS), _is_slow(name)
        yield HostileFile(f"{name}.pkl", content, _ASKED[name], "asked", core, slow)
    for name, code in FORGERIES.items():
        says = _FORGED.get(name, "")
        core = not name.startswith(_RARE_ANSWERS)
        yield HostileFile(f"{name}.pkl", pickles.forged(code, scene), says, "asked", core)
    for name, content in pickles.structures(scene).items():
        core = not name.startswith(_RARE_STRUCTURES)
        says = _STRUCTURES.get(name, WALL)
        yield HostileFile(name, content, says, core=core, slow=_is_slow(name))
    made = {**archives.skops_archives(scene), **archives.keras_archives(scene)}
    made |= {**archives.hdf5_models(scene), **archives.mlflow_archives(scene)}
    for name, content, says in _named(made, _ARCHIVES):
        when = "opening" if says else "asked"
        yield HostileFile(name, content, says, when, core=name not in _RARE_ARCHIVES)
    made = {**native.boosters(), **native.onnx_models(scene)}
    for name, content, says in _named(made, _NATIVE):
        when = "opening" if says else "asked"
        yield HostileFile(name, content, says, when, core=name not in _RARE_NATIVE)
    loop = made["loop.onnx"]
    yield HostileFile("loop.onnx", loop, TIME, "asked", core=False, slow=True)
    yield HostileFile("swollen.onnx", made["swollen.onnx"], MEMORY, "asked", core=False)


def network_models(scene: Scene) -> Iterator[HostileFile]:
    """Model files that TensorFlow builds or opens."""
    made = {**archives.keras_archives(scene), **archives.hdf5_models(scene)}
    made |= native.saved_models(scene)
    for name, content, says in _named(made, _NETWORKS):
        when = "asked" if name.endswith("-files.zip") or not says else "opening"
        yield HostileFile(name, content, says, when, core=name in _CORE_NETWORKS)


def read_as_data(scene: Scene) -> Iterator[tuple[str, bytes, str]]:
    """Data files: name, content, and a pattern for the refusal, "" where it is read as values."""
    says = {
        "objects.npz": "holds Python objects",
        "objects.npy": "holds Python objects",
        "header-lies.npy": DAMAGED,
        "header-code.npy": "not a sound NumPy array",
        "header-deep.npy": "not a sound NumPy array",
        "pickle.csv": "pickle",
        "pickle.parquet": "pickle",
        "bomb.zip": "times its size",
        "bomb.csv.gz": "times its size",
        "bomb.csv.bz2": "times its size",
        "bomb.csv.xz": "times its size",
        "zip-in-zip.zip": "packed more than twice|zip archive",
        "deep.json": "nested too deeply",
        "deep-object.json": "nested too deeply",
        "numbers.json": "not valid JSON",
        "outside.xlsx": DAMAGED,
        "entities.xlsx": DAMAGED,
        "far-right.xlsx": "more than 1,048,576 rows or 64,000,000 cells",
        "far-down.xlsx": "more than 1,048,576 rows or 64,000,000 cells",
        "overflow.parquet": DAMAGED,
        "pandas-metadata.parquet": DAMAGED,
        "offsets.feather": DAMAGED,
        "wide.csv": "the limit max_columns",
        "nul.csv": "zero bytes",
        "record-lies.tfevents": "zero bytes",
        "link.zip": "no rows",  # the text of a link is all that is in it
        "quote.csv": "no rows|never closed",
    }
    for name, content in tables.traps(scene).items():
        yield name, content, says.get(name, "")
    for name, content in tables.damaged().items():
        if name.startswith("cut."):
            yield name, content, rf"{DAMAGED}|not valid JSON"
        else:
            yield name, content, ""
    yield "formulas.csv", tables.formulas(), ""
    for name, content in tables.marked_up().items():
        yield name, content, ""
