"""A bundle on disk: ``bundle.json`` (facts and content hash), ``model.xml`` and ``model.bin``."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from twinserve.bundle.openvino_runtime import openvino
from twinserve.errors import BundleError

SCHEMA_VERSION = 1
GRAPH, WEIGHTS, FACTS = "model.xml", "model.bin", "bundle.json"


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How near a model's pictures are to real ones, with real against other real as the floor.

    ``swd`` and ``swd_real`` are sliced Wasserstein distances times 10**3, finest level first.
    """

    data: str
    pictures: int
    seed: int
    swd: tuple[float, ...]
    swd_real: tuple[float, ...]
    ms_ssim: float | None = None
    ms_ssim_real: float | None = None
    fid: float | None = None


class BundleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a bundle; ``content_hash`` is the SHA-256 of graph and weights.

    ``truncation`` is the psi that its pictures are made with unless another is asked for.
    """

    schema_version: int = SCHEMA_VERSION
    kind: str = "image-generator"
    architecture: str = "pgan"
    name: str
    resolution: int
    latent: int
    terms: str
    commercial_use: bool
    description: str
    source: str = ""
    truncation: float = 1.0
    quality: Quality | None = None
    content_hash: str


@dataclass(frozen=True)
class Network:
    """A graph that OpenVINO can compile, and the file that its weights are mapped from, if any.

    Who compiles it keeps it as long as what was compiled.
    """

    graph: Any
    weights: mmap.mmap | None = None

    def forget_weights(self) -> None:
        """Once compiled: OpenVINO has its own copies and keeps the originals without need. Let
        their pages go; what is read again comes from the file."""
        if self.weights is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.weights.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True)
class Bundle:
    """An immutable model: facts, and a graph, which is read and checked when it is asked for."""

    facts: BundleFacts
    made: Any = None  # in memory
    path: Path | None = None
    remake: Callable[[], Bundle] | None = None  # where the path is a cache's, should it be damaged

    @property
    def graph(self) -> Any:
        return self.network.graph

    @cached_property
    def network(self) -> Network:
        """The graph with what it is mapped from.

        Raises:
            BundleError: a file is missing or damaged, or the content is not what the hash says.
        """
        if self.path is None:
            return Network(self.made)
        try:
            return _checked(self.path, self.facts)
        except BundleError:
            if self.remake is None:
                raise
            return self.remake().network


def write_bundle(folder: Path, graph: Any, facts: BundleFacts, half: bool = True) -> Bundle:
    """Store a graph and its facts; the hash is computed here. A bundle there is replaced.

    ``half`` stores weights as float16. The folder appears at once and whole, so that neither a kill
    nor another process meets half a bundle.

    Raises:
        BundleError: the folder cannot be written, or holds something that is not a bundle.
    """
    with _replacing(folder) as made:
        openvino().save_model(graph, made / GRAPH, compress_to_fp16=half)
        facts = msgspec.structs.replace(facts, content_hash=_content_hash(made))
        rewrite_facts(made, facts)
    return read_bundle(folder)


def rewrite_facts(folder: Path, facts: BundleFacts) -> None:
    """Replace ``bundle.json`` at once; graph and weights, and so the hash, stay what they are."""
    text = msgspec.json.format(msgspec.json.encode(facts), indent=2)
    part = folder / f"{FACTS}.part"
    part.write_bytes(text + b"\n")
    os.replace(part, folder / FACTS)


def size_bytes(folder: Path) -> int:
    """Size of graph and weights on disk."""
    return sum((folder / name).stat().st_size for name in (GRAPH, WEIGHTS))


def read_facts(folder: Path) -> BundleFacts:
    """Read ``bundle.json`` alone.

    Raises:
        BundleError: it is missing, damaged, or of a newer schema.
    """
    path = folder / FACTS
    try:
        facts = msgspec.json.decode(path.read_bytes(), type=BundleFacts)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}.") from error
    except msgspec.DecodeError as error:
        raise BundleError(f"{path} is damaged: {error}.") from error
    if facts.schema_version > SCHEMA_VERSION:
        raise BundleError(
            f"{path} has schema {facts.schema_version}, this version reads up to {SCHEMA_VERSION}; "
            f"upgrade twinserve."
        )
    return facts


def read_bundle(folder: Path) -> Bundle:
    """The bundle there, its graph yet to be read.

    Raises:
        BundleError: its facts are missing or damaged.
    """
    return Bundle(read_facts(folder), path=folder)


def read_network(graph: Path) -> Network:
    """A stored graph, its weights mapped rather than read: pages are shared and can go again."""
    with graph.with_suffix(".bin").open("rb") as file:
        weights = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    tensor = openvino().Tensor(np.frombuffer(weights, np.uint8), shared_memory=True)
    return Network(openvino().Core().read_model(graph.read_text(), tensor), weights)


def _checked(folder: Path, facts: BundleFacts) -> Network:
    try:
        found = _content_hash(folder)
        network = read_network(folder / GRAPH)
    except OSError as error:
        raise BundleError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except (RuntimeError, ValueError) as error:
        raise BundleError(f"{folder / GRAPH} is not an OpenVINO model: {error}") from error
    if found != facts.content_hash:
        raise BundleError(
            f"{folder} has content {found[:12]}, its bundle.json promises "
            f"{facts.content_hash[:12]}; a bundle may not be changed, export it again."
        )
    return network


def _content_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (GRAPH, WEIGHTS):
        with (
            (folder / name).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            digest.update(content)
    return digest.hexdigest()


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder`` that takes its place, once it is filled."""
    if folder.exists() and not (folder / FACTS).is_file() and any(folder.iterdir()):
        raise BundleError(f"{folder} holds other files than a bundle; choose a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise BundleError(f"{folder} cannot be written: {error.strerror}.") from error
    try:
        made.chmod(0o755)
        (made / "new").mkdir()
        yield made / "new"
        if folder.exists():
            folder.rename(made / "old")
        (made / "new").rename(folder)
    except OSError as error:
        raise BundleError(f"{folder} cannot be written: {error.strerror}.") from error
    except RuntimeError as error:  # how OpenVINO reports a full disk
        raise BundleError(f"{folder} cannot be written: {error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
