"""Read a checkpoint in the published format, without executing anything in it.

The format is what ``torch.save`` writes of ``{config, netG, netD, avgG}``: a configuration object
and each network's tensors by name. PyTorch has two containers for it:

* since 1.6 a zip of ``NAME/data.pkl`` (the pickle) and ``NAME/data/KEY`` (one storage each),
  uncompressed, with ``NAME/byteorder`` in later versions;
* before, one stream: the pickles of a magic number, a protocol number and facts on the system, the
  pickle of the object, the pickle of a list of storage keys, and then for each key its count of
  elements (64 bits) and its bytes, always little-endian.

(torch/serialization.py; the files published in 2019 are streams.) The file is mapped, not loaded:
what it claims of itself is compared with what it has before anything is allocated for it.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from twinserve.errors import CheckpointError
from twinserve.zoo.pickles import Bag, read_pickle
from twinserve.zoo.tensors import ElementType, Storage, StoredTensor

STREAM_MAGIC = 0x1950A86A20F9469CFC6C
STREAM_PROTOCOL = 1001
LOCAL_HEADER_BYTES = 30  # of a zip's entry, before its name and extra field
BYTE_ORDERS = {b"little": "<", b"big": ">"}
NETWORKS = ("netG", "netD", "avgG")
FORMAT = "PyTorch's dict of config, netG, netD and avgG"

Tensors = Mapping[str, StoredTensor]


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint: its configuration, and each network's tensors by name."""

    path: Path
    config: Mapping[str, Any]
    networks: Mapping[str, Tensors]

    def network(self, name: str) -> Tensors:
        """The tensors of ``netG``, ``netD`` or ``avgG``.

        Raises:
            CheckpointError: the file has no such network.
        """
        if name not in self.networks:
            raise CheckpointError(
                f"{self.path} has no {name}; it holds {', '.join(self.networks) or 'no network'}."
            )
        return self.networks[name]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; its numbers stay in the file until they are asked for.

    Raises:
        CheckpointError: the file is missing, damaged, of another format, or names what a
            checkpoint has no need of; nothing was executed.
    """
    data = _mapped(path)
    try:
        content = _zipped(data) if data[:2] == b"PK" else _streamed(data)
        return _checkpoint(path, content)
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot be imported: {error}.") from error


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be imported: it is empty.") from error


def _checkpoint(path: Path, content: Any) -> Checkpoint:
    if not isinstance(content, dict):
        raise CheckpointError(f"it holds {_kind(content)}, not {FORMAT}")
    config = content.get("config")
    values = config.values if isinstance(config, Bag) else config
    if not isinstance(values, dict) or "netG" not in content:
        held = ", ".join(str(key)[:40] for key in list(content)[:8])
        raise CheckpointError(f"it is not {FORMAT}, it holds {held or 'nothing'}")
    found = {name: _tensors(name, content[name]) for name in NETWORKS if name in content}
    return Checkpoint(path, values, found)


def _tensors(network: str, content: Any) -> Tensors:
    if not isinstance(content, dict):
        raise CheckpointError(f"its {network} is {_kind(content)}, not tensors by name")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
            raise CheckpointError(f"its {network} holds {_kind(tensor)} under {str(name)[:80]!r}")
    return content


class _Storages:
    """The storages that a pickle names, each once."""

    def __init__(self) -> None:
        self.by_key: dict[str, Storage] = {}

    def load(self, persistent_id: Any) -> Storage:
        """The storage of ``("storage", class, key, device, length)``; in streams a sixth item may
        name a view of it, which those that are published never use."""
        match persistent_id:
            case ("storage", ElementType() as kind, str(key), str(), int(length), *rest):
                if not isinstance(length, bool) and length >= 0 and rest in ([], [None]):
                    return self._once(Storage(key, kind, length))
        raise CheckpointError("its pickle names a storage in a way that PyTorch does not")

    def _once(self, storage: Storage) -> Storage:
        known = self.by_key.setdefault(storage.key, storage)
        if (known.element, known.length) != (storage.element, storage.length):
            raise CheckpointError(f"it describes storage {storage.key[:40]!r} in two ways")
        return known


def _zipped(data: mmap.mmap) -> Any:
    entries = _entries(data)
    root = _root(entries)
    # Files from before the entry existed were written on little-endian machines.
    order = BYTE_ORDERS.get(bytes(_bytes(data, entries.get(f"{root}byteorder"), b"little")))
    if order is None:
        raise CheckpointError("its byteorder is neither little nor big")
    pickle, storages = entries[f"{root}data.pkl"], _Storages()
    _check(data, pickle)
    data.seek(_start(data, pickle))
    content = read_pickle(_Window(data, pickle.file_size), storages.load)
    for key, storage in storages.by_key.items():
        entry = entries.get(f"{root}data/{key}")
        if entry is None:
            raise CheckpointError(f"it has no entry data/{key[:40]}")
        if entry.file_size != storage.size_bytes:
            raise CheckpointError(
                f"its entry data/{key[:40]} has {entry.file_size:,} bytes, "
                f"the pickle claims {storage.size_bytes:,}"
            )
        _check(data, entry)
        storage.fill(data, _start(data, entry), order)
    return content


def _entries(data: mmap.mmap) -> dict[str, zipfile.ZipInfo]:
    try:
        listed = zipfile.ZipFile(cast("IO[bytes]", data)).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError) as error:
        raise CheckpointError(
            f"it is a damaged or truncated zip ({str(error)[:120]}); fetch it again"
        ) from error
    entries = {info.filename: info for info in listed}
    if len(entries) != len(listed):
        raise CheckpointError("it has two entries of one name")
    return entries


def _root(entries: Mapping[str, zipfile.ZipInfo]) -> str:
    pickles = [name for name in entries if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise CheckpointError("it is a zip, but not one that torch.save wrote (no data.pkl)")
    return pickles[0].removesuffix("data.pkl")


def _bytes(data: mmap.mmap, entry: zipfile.ZipInfo | None, absent: bytes) -> bytes:
    if entry is None:
        return absent
    _check(data, entry)
    start = _start(data, entry)
    return data[start : start + entry.file_size]


def _start(data: mmap.mmap, entry: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin: its local header repeats its name, and may pad."""
    header = data[entry.header_offset : entry.header_offset + LOCAL_HEADER_BYTES]
    if len(header) < LOCAL_HEADER_BYTES or header[:4] != b"PK\x03\x04":
        raise CheckpointError(f"its entry {entry.filename[:80]} has no header where it should be")
    name, extra = struct.unpack("<HH", header[26:30])
    return entry.header_offset + LOCAL_HEADER_BYTES + int(name) + int(extra)


def _check(data: mmap.mmap, entry: zipfile.ZipInfo) -> None:
    """Refuse an entry that is compressed, ends after the file, or has other bytes than it had."""
    name = entry.filename[:80]
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise CheckpointError(f"its entry {name} is compressed; torch.save never compresses")
    start = _start(data, entry)
    if start + entry.file_size > len(data):
        raise CheckpointError(f"its entry {name} ends after the file does; fetch it again")
    with memoryview(data)[start : start + entry.file_size] as view:
        if zlib.crc32(view) != entry.CRC:
            raise CheckpointError(f"its entry {name} is damaged (its checksum differs)")


class _Window:
    """The next ``length`` bytes of a mapped file, as a file that ends with them."""

    def __init__(self, data: mmap.mmap, length: int) -> None:
        self._data, self._end = data, data.tell() + length

    def read(self, length: int) -> bytes:
        return self._data.read(max(0, min(length, self._end - self._data.tell())))

    def readline(self) -> bytes:
        start = self._data.tell()
        line = self._data.readline()
        if start + len(line) <= self._end:
            return line
        self._data.seek(self._end)
        return line[: max(0, self._end - start)]

    def tell(self) -> int:
        return self._data.tell()


def _streamed(data: mmap.mmap) -> Any:
    if data[:1] != b"\x80" or _plain(data) != STREAM_MAGIC:
        raise CheckpointError("it is not a file that torch.save wrote")
    protocol = _plain(data)
    if protocol != STREAM_PROTOCOL:
        raise CheckpointError(f"its protocol is {str(protocol)[:20]}, not {STREAM_PROTOCOL}")
    _plain(data)  # facts on the system that wrote it
    storages = _Storages()
    content = read_pickle(data, storages.load)
    keys = _plain(data)
    named = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    if sorted(named) != sorted(storages.by_key) or len(named) != len(keys):
        raise CheckpointError("its list of storages does not fit its tensors")
    for key in named:
        _fill_from_stream(data, storages.by_key[key])
    return content


def _plain(data: mmap.mmap) -> Any:
    """The value of a pickle that names no storage."""
    return read_pickle(data, _Storages().load)


def _fill_from_stream(data: mmap.mmap, storage: Storage) -> None:
    header = data.read(8)
    if len(header) < 8:
        raise CheckpointError(f"it ends before storage {storage.key[:40]} does; fetch it again")
    (length,) = struct.unpack("<q", header)
    if length != storage.length:
        raise CheckpointError(
            f"storage {storage.key[:40]} has {length:,} elements, the pickle claims "
            f"{storage.length:,}"
        )
    storage.fill(data, data.tell(), "<")
    data.seek(storage.size_bytes, 1)


def _kind(value: Any) -> str:
    return "a tensor" if isinstance(value, StoredTensor) else f"a {type(value).__name__}"
