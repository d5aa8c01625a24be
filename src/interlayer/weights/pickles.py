"""Pickles read as data: what one would call or build becomes an inert record of the request.

A pickle is a program for a stack machine. This one has no instruction that imports or calls
anything: GLOBAL pushes a `Name`, and REDUCE, NEWOBJ, OBJ and INST push a `Record` that says what
would have been called with which arguments. Its work is linear in the size of the file: one step an
opcode, no copies of memoised containers, and dictionary keys whose hash costs nothing.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from interlayer.errors import InputError

MAX_OPCODES = 2_000_000
_LONGEST_NAME = 1000
_LARGEST_KEY = 2**63
_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT "
    "STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 "
    "UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_CONTAINERS = {"collections.OrderedDict": dict, "builtins.dict": dict, "builtins.set": set}


@dataclass(frozen=True, slots=True)
class Name:
    """Class or function that the pickle names, as ``module.name``; never looked up."""

    value: str

    def __repr__(self) -> str:
        return repr(self.value[:80])


@dataclass(slots=True, eq=False)
class Record:
    """Object that the pickle asks to make: ``callable(*args)``, then its state and its items."""

    callable: Name
    args: object = ()
    state: object = None
    items: dict = field(default_factory=dict)
    elements: list = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<record of {self.callable}>"


@dataclass(frozen=True, slots=True, eq=False)
class PersistentId:
    """Reference to something stored outside the pickle, in PyTorch files a storage."""

    value: object


@dataclass(frozen=True)
class Pickle:
    """One pickle: its root object and the persistent ids that it mentions, in order."""

    root: Any
    persistent_ids: list[PersistentId]


def read_pickle(stream: Any) -> Pickle:
    r"""Read the pickle that starts at the stream's position, and leave that after its end.

    Args:
        stream: bytes, or a binary file or memory map at the position to start from.

    Returns:
        The root object, made of None, bool, int, float, str, bytes, tuple, list, dict, set, `Name`,
        `Record` and `PersistentId` alone.

    Raises:
        InputError: if the pickle is damaged, longer than ``MAX_OPCODES``, or uses features that no
            checkpoint uses (extension codes, out-of-band buffers, dictionary keys other than plain
            numbers and strings).

    >>> read_pickle(b"cos\nsystem\n(S'rm -rf /'\ntR.").root
    <record of 'os.system'>
    """
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pickletools decodes old strings with a warning
            for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                if count >= MAX_OPCODES:
                    raise InputError(f"the pickle has more than {MAX_OPCODES:,} instructions")
                machine.step(opcode.name, argument)
        return Pickle(machine.pop(), machine.persistent_ids)
    except InputError:
        raise
    except (ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"the pickle is damaged or cut short ({str(error)[:80]!r})") from None


def as_items(value: Any) -> Mapping[Any, Any]:
    """Return the items of a dictionary or of a record of something like one; else none."""
    if isinstance(value, dict):
        return value
    return value.items if isinstance(value, Record) else {}


class _Machine:
    """Stack machine: the stack, the marks (heights of the stack) and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.persistent_ids: list[PersistentId] = []

    def step(self, opcode: str, argument: Any) -> None:
        """Carry out one instruction."""
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode])
        elif opcode in _EMPTY:
            self.stack.append(_EMPTY[opcode]())
        elif opcode in _OPERATIONS:
            _OPERATIONS[opcode](self, argument)
        else:
            raise InputError(f"the pickle uses {opcode}, which no checkpoint needs")

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("empty stack")
        return self.stack.pop()

    def peek(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError("empty stack")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise ValueError("no mark")
        height = self.marks.pop()
        values = self.stack[height:]
        del self.stack[height:]
        return values

    def pop_pair(self) -> list[Any]:
        value, key = self.pop(), self.pop()
        return [key, value]


def _put(machine: _Machine, index: int | None) -> None:
    machine.memo[len(machine.memo) if index is None else index] = machine.peek()


def _get(machine: _Machine, index: int) -> None:
    if index not in machine.memo:
        raise ValueError(f"nothing is stored under {index}")
    machine.stack.append(machine.memo[index])


def _mark(machine: _Machine, _: object) -> None:
    machine.marks.append(len(machine.stack))


def _pop(machine: _Machine, _: object) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def _tuple(machine: _Machine, size: int) -> None:
    values = [machine.pop() for _ in range(size)]
    machine.stack.append(tuple(reversed(values)))


def _extend(machine: _Machine, values: list[Any]) -> None:
    """Append to a list or set, or to a record of something like them."""
    target = machine.peek()
    if isinstance(target, set):
        target.update(_key(value) for value in values)
    elif isinstance(target, list):
        target.extend(values)
    elif isinstance(target, Record):
        target.elements.extend(values)
    else:
        raise ValueError("elements are added to something that has none")


def _set_items(machine: _Machine, values: list[Any]) -> None:
    """Add alternating keys and values to a dictionary, or to a record of something like one."""
    target = machine.peek()
    items = target.items if isinstance(target, Record) else target
    if not isinstance(items, dict) or len(values) % 2:
        raise ValueError("items are set on something that has none")
    for key, value in zip(values[::2], values[1::2], strict=True):
        items[_key(key)] = value


def _key(value: Any) -> Any:
    """Refuse keys unless hashing and comparing them takes constant time and cannot recurse."""
    if value is None or isinstance(value, (str, bytes, float, Name)):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST_KEY:
        return value
    raise InputError(f"the pickle uses a {type(value).__name__} as a dictionary key")


def _dictionary(machine: _Machine, _: object) -> None:
    values = machine.pop_to_mark()
    machine.stack.append({})
    _set_items(machine, values)


def _frozen_set(machine: _Machine, _: object) -> None:
    machine.stack.append(frozenset(_key(value) for value in machine.pop_to_mark()))


def _stack_global(machine: _Machine, _: object) -> None:
    module, name = machine.pop_pair()
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("a name that is not text")
    if len(module) + len(name) > _LONGEST_NAME:
        raise ValueError("a name that is too long")
    machine.stack.append(Name(f"{module}.{name}"))


def _call(machine: _Machine, function: Any, args: Any) -> None:
    """Record a call; an empty standard container is that container."""
    if not isinstance(function, Name):
        raise InputError("the pickle calls something that is not a named function")
    container = _CONTAINERS.get(function.value) if args == () else None
    machine.stack.append(container() if container else Record(function, args))


def _instance(machine: _Machine, argument: str) -> None:
    _call(machine, Name(argument.replace(" ", ".", 1)), tuple(machine.pop_to_mark()))


def _object(machine: _Machine, _: object) -> None:
    function, *args = machine.pop_to_mark()
    _call(machine, function, tuple(args))


def _new_object_with_keywords(machine: _Machine, _: object) -> None:
    keywords, args, function = machine.pop(), machine.pop(), machine.pop()
    _call(machine, function, (args, keywords) if keywords else args)


def _build(machine: _Machine, _: object) -> None:
    """Keep the state of a record; that of a plain container (its attributes) is dropped."""
    state, target = machine.pop(), machine.peek()
    if isinstance(target, Record):
        target.state = state
    elif not isinstance(target, (dict, list, set)):
        raise ValueError("a state is set on something that has none")


def _persistent(machine: _Machine, value: object) -> None:
    machine.persistent_ids.append(PersistentId(value))
    machine.stack.append(machine.persistent_ids[-1])


_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    "MARK": _mark,
    "POP": _pop,
    "POP_MARK": lambda machine, _: machine.pop_to_mark().clear(),
    "DUP": lambda machine, _: machine.stack.append(machine.peek()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: _tuple(machine, 1),
    "TUPLE2": lambda machine, _: _tuple(machine, 2),
    "TUPLE3": lambda machine, _: _tuple(machine, 3),
    "LIST": lambda machine, _: machine.stack.append(machine.pop_to_mark()),
    "DICT": _dictionary,
    "FROZENSET": _frozen_set,
    "APPEND": lambda machine, _: _extend(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _extend(machine, machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: _extend(machine, machine.pop_to_mark()),
    "SETITEM": lambda machine, _: _set_items(machine, machine.pop_pair()),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.pop_to_mark()),
    "GLOBAL": lambda machine, argument: machine.stack.append(Name(argument.replace(" ", ".", 1))),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": lambda machine, _: _call(machine, *machine.pop_pair()),
    "NEWOBJ": lambda machine, _: _call(machine, *machine.pop_pair()),
    "NEWOBJ_EX": _new_object_with_keywords,
    "OBJ": _object,
    "INST": _instance,
    "BUILD": _build,
    "PERSID": _persistent,
    "BINPERSID": lambda machine, _: _persistent(machine, machine.pop()),
}
