"""What a pickle would do, read from its opcodes; nothing in it is ever built, imported or called.

A pickle is a program for a small stack machine. This one runs the same program on symbols: a name
stays a name, a call stays a call. It lists what would be imported and called, and finds the
versions that libraries record in the states of their objects. It is what a person sees before they
decide, not a gate: the gate is the confined worker.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from ..errors import DiagnosticsError

__all__ = ["Call", "Container", "Name", "Program", "read_program", "text_of"]

_MOST_OPCODES = 3_000_000
_MARK = object()
_ENTRIES = 4_000  # of the state of one object: attributes, not data
_MODERN = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # protocols 0 to 2 write these


@dataclass(frozen=True)
class Name:
    """Something that would be imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


_RECONSTRUCTOR = Name("copyreg", "_reconstructor")
_WRAPPER = Name("joblib.numpy_pickle", "NumpyArrayWrapper")


@dataclass(eq=False, repr=False)  # they can be nested without end
class Container:
    """A list, dict or set under construction; of a dict, keys and values in turn."""

    kind: str
    items: list[Any] = field(default_factory=list)

    def get(self, key: str) -> Any:
        """The last value under a text key of a dict, looked for among its last entries."""
        end = len(self.items) // 2 * 2
        for at in range(end - 2, max(end - _ENTRIES, -1), -2):
            if type(self.items[at]) is str and self.items[at] == key:
                return self.items[at + 1]
        return None


@dataclass(eq=False, repr=False)  # they can be nested without end
class Call:
    """What a call would return; `state` is what would be set on it."""

    function: Any
    arguments: tuple[Any, ...]
    state: Any = None

    @property
    def kind(self) -> str:
        """Dotted name of the class or function, also where copyreg makes the object."""
        function = self.function
        if function == _RECONSTRUCTOR and self.arguments:
            function = self.arguments[0]
        return str(function) if isinstance(function, Name) else ""


@dataclass
class Program:
    """What a pickle names and calls.

    Attributes
    ----------
    names : everything it would import, in order of first mention.
    calls : every call with its symbolic arguments.
    root : the symbol of the object that opening it gives.
    fault : why reading stopped early, or "".
    """

    names: dict[Name, None] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    root: Any = None
    fault: str = ""

    @property
    def states(self) -> Iterator[tuple[Call, Container]]:
        """Objects with the dict that would become their attributes."""
        for call in self.calls:
            parts = call.state if isinstance(call.state, tuple) else (call.state,)
            for part in parts:
                if isinstance(part, Container) and part.kind == "dict":
                    yield call, part


def read_program(stream: IO[bytes]) -> Program:
    """Read a pickle from `stream`; arrays that joblib wrote between the opcodes are passed over.

    Never raises for what the pickle holds: `fault` says where it could not be followed. What the
    stream itself raises on purpose (LimitExceeded) passes through.
    """
    program = Program()
    try:
        program.root = _Machine(stream, program).run()
    except DiagnosticsError:
        raise
    except Exception as error:  # noqa: BLE001 a hostile program may break any assumption
        program.fault = f"{type(error).__name__}: {error}"[:200]
    return program


class _Machine:
    """The stack, the marks and the memo of one stream."""

    def __init__(self, stream: IO[bytes], program: Program) -> None:
        self._stream = stream
        self._program = program
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self._stream)):
            if count > _MOST_OPCODES:
                raise ValueError(f"more than {_MOST_OPCODES:,} steps")
            step = _STEPS.get(opcode.name)
            if step is not None:
                step(self, argument)
            elif opcode.name in _CONSTANTS:
                self.push(_CONSTANTS[opcode.name])
            elif opcode.arg is not None and opcode.name not in _SILENT:
                self.push(argument)
        return self.pop()

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        return self._stack.pop()

    def pop_to_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark on the stack")
        found = self._stack[at + 1 :]
        del self._stack[at:]
        return found

    def name(self, module: Any, name: Any) -> None:
        found = Name(_MODERN.get(str(module), str(module)), str(name))
        self._program.names.setdefault(found)
        self.push(found)

    def call(self, function: Any, arguments: Any) -> None:
        given = tuple(arguments) if isinstance(arguments, (tuple, list)) else (arguments,)
        made = Call(function, given)
        self._program.calls.append(made)
        self.push(made)

    def remember(self, at: int) -> None:
        self._memo[at] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self.remember(len(self._memo))

    def recall(self, at: Any) -> None:
        self.push(self._memo[int(at)])

    def add(self, items: list[Any]) -> None:
        """To the container on top, or to an object that would take them itself."""
        target = self._stack[-1]
        if isinstance(target, Container):
            target.items.extend(items)

    def build(self, _: Any) -> None:
        state, made = self.pop(), self._stack[-1]
        if not isinstance(made, Call):
            return
        made.state = state
        if made.function == _WRAPPER:
            self._pass_over_array(made)

    def _pass_over_array(self, wrapper: Call) -> None:
        """joblib writes the bytes of an array right behind the object that describes it."""
        import numpy as np

        state = wrapper.state
        code = state.get("dtype").arguments[0]
        if code.startswith("O"):  # an array of objects is a pickle of its own
            self.push(_Machine(self._stream, self._program).run())
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self._skip(self._stream.read(1)[0])
        size = np.dtype(code).itemsize
        for length in state.get("shape"):
            size *= length
        self._skip(size)

    def _skip(self, size: int) -> None:
        while size > 0:
            passed = len(self._stream.read(min(size, 1 << 20)))
            if not passed:
                raise ValueError("an array is cut off")
            size -= passed


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_SILENT = frozenset({"PROTO", "FRAME"})


def _tuple_of(size: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, _: Any) -> None:
        items = [machine.pop() for _ in range(size)]
        machine.push(tuple(reversed(items)))

    return step


def _container(kind: str) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(Container(kind))


def _from_mark(kind: str) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(Container(kind, machine.pop_to_mark()))


def _add_items(machine: _Machine, _: Any) -> None:
    machine.add(machine.pop_to_mark())


def _append(machine: _Machine, _: Any) -> None:
    item = machine.pop()
    machine.add([item])


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.add([key, value])


def _global(machine: _Machine, argument: Any) -> None:
    machine.name(*str(argument).split(" ", 1))


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _reduce(machine: _Machine, _: Any) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.call(function, arguments)


def _new_with_keywords(machine: _Machine, _: Any) -> None:
    keywords, arguments, function = machine.pop(), machine.pop(), machine.pop()
    machine.call(function, (*arguments, keywords))


def _inst(machine: _Machine, argument: Any) -> None:
    arguments = machine.pop_to_mark()
    _global(machine, argument)
    machine.call(machine.pop(), arguments)


def _obj(machine: _Machine, _: Any) -> None:
    function, *arguments = machine.pop_to_mark()
    machine.call(function, arguments)


def _pop(machine: _Machine, _: Any) -> None:
    machine.pop()


def _pop_mark(machine: _Machine, _: Any) -> None:
    machine.pop_to_mark()


def _duplicate(machine: _Machine, _: Any) -> None:
    value = machine.pop()
    machine.push(value)
    machine.push(value)


def _outside_reference(machine: _Machine, argument: Any) -> None:
    """Persistent identifiers and registered extensions: what they mean is not in the file."""
    machine.name("persistent identifier", argument if argument is not None else machine.pop())


def _extension(machine: _Machine, argument: Any) -> None:
    machine.name("copyreg extension", argument)


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": lambda machine, _: machine.push(_MARK),
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": _duplicate,
    "GET": _Machine.recall,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "PUT": lambda machine, at: machine.remember(int(at)),
    "BINPUT": lambda machine, at: machine.remember(int(at)),
    "LONG_BINPUT": lambda machine, at: machine.remember(int(at)),
    "MEMOIZE": _Machine.memoize,
    "EMPTY_LIST": _container("list"),
    "EMPTY_DICT": _container("dict"),
    "EMPTY_SET": _container("set"),
    "LIST": _from_mark("list"),
    "DICT": _from_mark("dict"),
    "FROZENSET": _from_mark("set"),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": _append,
    "APPENDS": _add_items,
    "ADDITEMS": _add_items,
    "SETITEM": _set_item,
    "SETITEMS": _add_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "EXT1": _extension,
    "EXT2": _extension,
    "EXT4": _extension,
    "PERSID": _outside_reference,
    "BINPERSID": _outside_reference,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _new_with_keywords,
    "INST": _inst,
    "OBJ": _obj,
    "BUILD": _Machine.build,
    "NEXT_BUFFER": lambda machine, _: machine.push(b""),
}


def text_of(symbol: Any, depth: int = 1) -> str:
    """A symbol as one short line: `os.system('id')`; what is nested deeper is left out."""
    if isinstance(symbol, Name):
        return _shortened(str(symbol))
    if isinstance(symbol, Call):
        if depth < 0:
            return "…"
        inner = ", ".join(text_of(part, depth - 1) for part in symbol.arguments[:4])
        more = ", …" if len(symbol.arguments) > 4 else ""
        return f"{text_of(symbol.function, depth - 1)}({inner}{more})"
    if isinstance(symbol, Container):
        opening, closing = "[]" if symbol.kind == "list" else "{}"
        return f"{opening}…{closing}" if symbol.items else f"{opening}{closing}"
    if isinstance(symbol, tuple):
        return "(…)" if symbol else "()"
    if isinstance(symbol, int) and abs(symbol) > 10**40:  # Python refuses to write the longest
        return "a long number"
    return _shortened(repr(symbol[:60] if isinstance(symbol, (str, bytes)) else symbol))


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else text[:76] + "…"
