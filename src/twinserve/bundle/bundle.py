"""A bundle on disk: ``bundle.json`` (facts and content hash), ``model.xml`` and ``model.bin``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from twinserve.bundle.openvino_runtime import openvino
from twinserve.errors import BundleError

SCHEMA_VERSION = 1
GRAPH, WEIGHTS, FACTS = "model.xml", "model.bin", "bundle.json"


class BundleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a bundle; ``content_hash`` is the SHA-256 of graph and weights."""

    schema_version: int = SCHEMA_VERSION
    kind: str = "image-generator"
    name: str
    resolution: int
    latent: int
    terms: str
    commercial_use: bool
    description: str
    content_hash: str


@dataclass(frozen=True)
class Bundle:
    """An immutable model: facts, and a graph that OpenVINO can compile."""

    facts: BundleFacts
    graph: Any
    path: Path | None = None  # None: made in memory


def write_bundle(folder: Path, graph: Any, facts: BundleFacts) -> Bundle:
    """Store a graph with float16 weights and its facts; the hash is computed here."""
    folder.mkdir(parents=True, exist_ok=True)
    openvino().save_model(graph, folder / GRAPH, compress_to_fp16=True)
    facts = msgspec.structs.replace(facts, content_hash=_content_hash(folder))
    text = msgspec.json.format(msgspec.json.encode(facts), indent=2)
    (folder / FACTS).write_bytes(text + b"\n")
    return read_bundle(folder)


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
    """Read a bundle and check its content against its hash.

    Raises:
        BundleError: a file is missing or damaged, or the content is not what the hash says.
    """
    facts = read_facts(folder)
    try:
        found = _content_hash(folder)
        graph = openvino().Core().read_model(folder / GRAPH)
    except OSError as error:
        raise BundleError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except RuntimeError as error:
        raise BundleError(f"{folder / GRAPH} is not an OpenVINO model: {error}") from error
    if found != facts.content_hash:
        raise BundleError(
            f"{folder} has content {found[:12]}, its bundle.json promises "
            f"{facts.content_hash[:12]}; a bundle may not be changed, export it again."
        )
    return Bundle(facts, graph, folder)


def _content_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (GRAPH, WEIGHTS):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()
