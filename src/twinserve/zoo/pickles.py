"""Read a pickle as data. Nothing in it is imported, looked up or called.

A pickle is a program for a small stack machine, and Python's own reader runs whatever the program
names. This reader takes the instructions from ``pickletools.genops``, which only decodes them, and
knows just those that plain values, PyTorch's tensors and one configuration class are written with.
A name is compared with a list and refused by that name if it is not on it; a "call" of a known name
is a few lines of checks here. Keys are short strings or integers, so that nothing deep is hashed,
and values are built without recursion, so that depth costs nothing.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from twinserve.errors import CheckpointError
from twinserve.zoo.tensors import STORAGES, ElementType, Storage, StoredTensor

CONFIG_CLASS = "models.utils.config.BaseConfig"
KNOWN = {
    "collections.OrderedDict",
    "torch.Size",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
    CONFIG_CLASS,
}
LARGEST_KEY = 2**31  # integers below hash to themselves, well spread
MARK = object()


class Bag:
    """An object of the configuration class: its attributes as plain values, and nothing else."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}


@dataclass(frozen=True)
class Known:
    """A name that the reader knows; it stands for itself and cannot be called."""

    name: str


PersistentLoad = Callable[[Any], Any]


def read_pickle(data: Any, persistent_load: PersistentLoad) -> Any:
    """The value of the one pickle that starts at the position of ``data`` (a binary file or mmap,
    whose reads end where it ends); ``data`` is left behind it.

    ``persistent_load`` turns a persistent id, PyTorch's way to name a storage, into a value.

    Raises:
        CheckpointError: the pickle is damaged, or names what the reader does not know.
    """
    return _Machine(persistent_load).run(_instructions(data))


def _instructions(data: Any) -> Iterator[tuple[str, Any]]:
    """Name and argument of each instruction up to the one that ends the pickle."""
    try:
        for opcode, argument, _ in pickletools.genops(data):
            yield opcode.name, argument
    except CheckpointError:
        raise
    except (ValueError, OverflowError, MemoryError, RecursionError, UnicodeError) as error:
        raise CheckpointError(f"its pickle is damaged ({str(error)[:120]})") from error


class _Machine:
    """Stack, marks and memo of one pickle."""

    def __init__(self, persistent_load: PersistentLoad) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._persistent_load = persistent_load

    def run(self, instructions: Iterator[tuple[str, Any]]) -> Any:
        for name, argument in instructions:
            if name in LITERALS:
                self._stack.append(LITERALS[name](argument))
            elif name in STEPS:
                STEPS[name](self, argument)
            elif name not in IGNORED:
                raise CheckpointError(
                    f"its pickle uses the instruction {name}{_naming(argument)}, which no "
                    f"published checkpoint needs"
                )
        if len(self._stack) != 1:
            raise CheckpointError("its pickle is damaged (it does not end with one value)")
        return self._pop()

    def _pop(self) -> Any:
        if not self._stack:
            raise CheckpointError("its pickle is damaged (the stack is empty)")
        value = self._stack.pop()
        if value is MARK:
            raise CheckpointError("its pickle is damaged (a mark is out of place)")
        return value

    def _top(self, kind: type | tuple[type, ...]) -> Any:
        value = self._stack[-1] if self._stack else None
        if not isinstance(value, kind):
            raise CheckpointError(f"its pickle adds to {_kind(value)}, which takes nothing")
        return value

    def _since_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is MARK:
                values = self._stack[place + 1 :]
                del self._stack[place:]
                return values
        raise CheckpointError("its pickle is damaged (a mark is missing)")

    def _mark(self, _: Any) -> None:
        self._stack.append(MARK)

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _short_tuple(self, length: int) -> None:
        values = [self._pop() for _ in range(length)]
        self._stack.append(tuple(reversed(values)))

    def _list(self, _: Any) -> None:
        self._stack.append(self._since_mark())

    def _dict(self, _: Any) -> None:
        self._stack.append(_paired(self._since_mark()))

    def _append(self, _: Any) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _appends(self, _: Any) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def _set_item(self, _: Any) -> None:
        value, key = self._pop(), self._pop()
        self._top(dict).update(_paired([key, value]))

    def _set_items(self, _: Any) -> None:
        pairs = _paired(self._since_mark())
        self._top(dict).update(pairs)

    def _put(self, place: int | None) -> None:
        if not self._stack or self._stack[-1] is MARK:
            raise CheckpointError("its pickle is damaged (nothing to remember)")
        self._memo[len(self._memo) if place is None else place] = self._stack[-1]

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise CheckpointError(f"its pickle is damaged (it remembers no value {place})")
        self._stack.append(self._memo[place])

    def _global(self, argument: str) -> None:
        self._stack.append(_known(argument.replace(" ", ".", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise CheckpointError("its pickle names something by other than strings")
        self._stack.append(_known(f"{module}.{name}"))

    def _reduce(self, _: Any) -> None:
        arguments, callable_ = self._pop(), self._pop()
        if not isinstance(arguments, tuple):
            raise CheckpointError("its pickle calls something without a tuple of arguments")
        self._stack.append(_made(callable_, arguments))

    def _build(self, _: Any) -> None:
        state, made = self._pop(), self._top((dict, Bag))
        if not isinstance(state, dict):
            raise CheckpointError(f"its pickle sets the state of {_kind(made)} to {_kind(state)}")
        if isinstance(made, Bag):
            made.values.update({str(key): value for key, value in state.items()})
        # An OrderedDict's state is PyTorch's `_metadata`, which says nothing about the tensors.

    def _persistent(self, _: Any) -> None:
        self._stack.append(self._persistent_load(self._pop()))


LITERALS: dict[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
} | dict.fromkeys(
    (
        *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINSTRING", "SHORT_BINSTRING"),  # Python 2's str
    ),
    lambda argument: argument,
)
STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine._mark,
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._short_tuple(1),
    "TUPLE2": lambda machine, _: machine._short_tuple(2),
    "TUPLE3": lambda machine, _: machine._short_tuple(3),
    "LIST": _Machine._list,
    "DICT": _Machine._dict,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._put,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._reduce,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}
IGNORED = ("PROTO", "FRAME", "STOP")


def _known(name: str) -> Known | ElementType:
    module, _, last = name.rpartition(".")
    if module == "torch" and last in STORAGES:
        return ElementType(last)
    if name not in KNOWN:
        raise CheckpointError(
            f"its pickle names {name[:120]!r}, which a checkpoint has no need of; it was not "
            f"executed, and a file that names it should not be trusted"
        )
    return Known(name)


def _made(callable_: Any, arguments: tuple[Any, ...]) -> Any:
    match callable_, arguments:
        case Known("collections.OrderedDict"), ():
            return {}
        case Known("collections.OrderedDict"), (list(pairs),):
            return _paired([item for pair in pairs for item in _pair(pair)])
        case Known("torch.Size"), (list() | tuple() as sizes,):
            return tuple(sizes)
        case Known(name), () if name == CONFIG_CLASS:
            return Bag()
        case Known("torch._utils._rebuild_parameter"), (StoredTensor() as tensor, *_):
            return tensor
        case Known("torch._utils._rebuild_tensor_v2"), (Storage() as storage, *view):
            return _tensor(storage, view)
    name = callable_.name if isinstance(callable_, Known) else _kind(callable_)
    raise CheckpointError(f"its pickle calls {name} with arguments that do not fit")


def _tensor(storage: Storage, view: list[Any]) -> StoredTensor:
    match view:
        case [int(offset), list() | tuple() as shape, list() | tuple() as strides, *_]:
            numbers = (offset, *shape, *strides)
            if all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
                return StoredTensor(storage, offset, tuple(shape), tuple(strides))
    raise CheckpointError("its pickle describes a tensor by other than whole numbers")


def _paired(items: list[Any]) -> dict[Any, Any]:
    """A dict of key, value, key, value, ..."""
    if len(items) % 2:
        raise CheckpointError("its pickle is damaged (a key without a value)")
    keys = items[::2]
    for key in keys:
        small = isinstance(key, int) and -LARGEST_KEY < key < LARGEST_KEY
        if not isinstance(key, str) and not small:
            raise CheckpointError(f"its pickle has {_kind(key)} as a key")
    return dict(zip(keys, items[1::2], strict=True))


def _pair(value: Any) -> tuple[Any, Any]:
    match value:
        case (list() | tuple()) as pair if len(pair) == 2:
            return pair[0], pair[1]
    raise CheckpointError("its pickle makes a dict of other than pairs")


def _kind(value: Any) -> str:
    return value.name if isinstance(value, Known) else f"a value of type {type(value).__name__}"


def _naming(argument: Any) -> str:
    """What an instruction names, for the message about it."""
    return f" ({argument.replace(' ', '.', 1)[:120]})" if isinstance(argument, str) else ""
