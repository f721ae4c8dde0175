"""Pickles and PyTorch files made by hand, byte by byte, good and hostile ones."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONFIG_CLASS = "models.utils.config.BaseConfig"


@dataclass(frozen=True)
class Name:
    """A global name, as ``module.name``."""

    path: str


@dataclass(frozen=True)
class Call:
    """A call of a global name; with ``state``, that is set afterwards."""

    path: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    new: bool = False  # made as an object of a class


@dataclass(frozen=True)
class Persistent:
    identity: Any


@dataclass(frozen=True)
class Raw:
    """Instructions as they are."""

    code: bytes


def tensor(
    key: str = "0",
    length: Any = 4,
    shape: Any = (2, 2),
    strides: Any = (2, 1),
    offset: Any = 0,
    kind: str = "FloatStorage",
) -> Call:
    identity = ("storage", Name(f"torch.{kind}"), key, "cpu", length)
    view = (Persistent(identity), offset, shape, strides, False, Call("collections.OrderedDict"))
    return Call("torch._utils._rebuild_tensor_v2", view)


def config(**values: Any) -> Call:
    return Call(CONFIG_CLASS, (), values, new=True)


def encoded(value: Any) -> bytes:
    """The instructions that leave a value on the stack (protocol 2)."""
    match value:
        case Raw(code):
            return code
        case Name(path):
            module, _, name = path.rpartition(".")
            return b"c" + f"{module}\n{name}\n".encode()
        case Call(path, arguments, state, new):
            code = encoded(Name(path)) + encoded(arguments) + (b"\x81" if new else b"R")
            return code + (encoded(state) + b"b" if state is not None else b"")
        case Persistent(identity):
            return encoded(identity) + b"Q"
        case tuple():
            return b"(" + b"".join(map(encoded, value)) + b"t"
        case list():
            return b"](" + b"".join(map(encoded, value)) + b"e"
        case dict():
            items = b"".join(encoded(k) + encoded(v) for k, v in value.items())
            return b"}(" + items + b"u"
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    return pickle.dumps(value, 2)[2:-1]


def program(value: Any) -> bytes:
    return b"\x80\x02" + encoded(value) + b"."


def zipped(value: Any, entries: Mapping[str, bytes] | None = None, **options: Any) -> bytes:
    """A file as torch.save writes it since 1.6, with storage "0" of four floats by default."""
    content = {"data/0": struct.pack("<4f", 1, 2, 3, 4)} if entries is None else dict(entries)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", options.get("compression", zipfile.ZIP_STORED)) as file:
        file.writestr("archive/data.pkl", value if isinstance(value, bytes) else program(value))
        for name, data in content.items():
            file.writestr(f"archive/{name}", data)
    return out.getvalue()


def streamed(value: Any, storages: Mapping[str, tuple[int, bytes]], **changes: Any) -> bytes:
    """A file as torch.save wrote it before: of each storage the claimed length and the bytes."""
    head = [
        changes.get("magic", 0x1950A86A20F9469CFC6C),
        changes.get("protocol", 1001),
        {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}},
    ]
    data = b"".join(pickle.dumps(part, 2) for part in head) + program(value)
    data += pickle.dumps(changes.get("keys", list(storages)), 2)
    return data + b"".join(struct.pack("<q", n) + raw for n, raw in storages.values())


def tiny(**parts: Any) -> dict[str, Any]:
    """The smallest content that is read: an empty configuration and one tensor of netG."""
    return {"config": config(), "netG": {"weight": tensor()}} | parts


def as_stream(data: bytes) -> bytes:
    """A checkpoint of today's container in the older one."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        root = file.namelist()[0].partition("/")[0]
        pickled = file.read(f"{root}/data.pkl")
        keys = [name.rpartition("/")[2] for name in file.namelist() if f"{root}/data/" in name]
        raw = {key: file.read(f"{root}/data/{key}") for key in keys}
    lengths = {key: len(raw[key]) // width for key, width in widths(pickled).items()}
    return streamed(
        Raw(pickled[2:-1]), {key: (length, raw[key]) for key, length in lengths.items()}
    )


def widths(pickled: bytes) -> dict[str, int]:
    """Bytes an element of each storage that a pickle names, in its order."""
    found: dict[str, int] = {}

    class Reader(pickle.Unpickler):
        def find_class(self, _: str, name: str) -> Any:
            if name.endswith("Storage"):
                return {"FloatStorage": 4, "LongStorage": 8}[name]
            return {"OrderedDict": OrderedDict, "BaseConfig": type("Bag", (), {})}.get(
                name, lambda *_: None
            )

        def persistent_load(self, pid: Any) -> None:
            found[pid[2]] = pid[1]

    Reader(io.BytesIO(pickled)).load()
    return found
