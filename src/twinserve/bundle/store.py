"""Where bundles are looked for, and by which names.

A model is named by the folder of a bundle, by the name of a bundle in ``$TWINSERVE_MODELS``, in the
user's data folder or in the installed ``twinserve-faces`` package, or as one of the built-in models
of seeded random weights: ``random-<resolution>``, small and made on the spot, so that everything
runs where no trained bundle is installed, and ``pgan-random-512``, the published network at full
size, made on first use and kept in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twinserve.bundle import pgan
from twinserve.bundle.bundle import (
    FACTS,
    GRAPH,
    Bundle,
    BundleFacts,
    Network,
    read_bundle,
    read_facts,
    read_network,
    write_bundle,
)
from twinserve.bundle.cpu import has_int8
from twinserve.bundle.openvino_runtime import openvino
from twinserve.errors import BundleError

FACES_PACKAGE = "twinserve_faces"
RANDOM_RESOLUTIONS = (16, 32, 64, 128, 256)
RANDOM_LATENT, RANDOM_MAPS = 64, (32, 32, 32, 16, 8, 8, 8)
FALLBACK = "random-64"

# Karras et al., ICLR 2018, table 2, up to 512x512.
FULL_SIZE = "pgan-random-512"
FULL_SIZE_LATENT, FULL_SIZE_MAPS = 512, (512, 512, 512, 512, 256, 128, 64, 32)

# Pictures that int8 is calibrated on: large ones hold enough values each.
MANY_PICTURES, FEW_PICTURES, LARGE = 64, 16, 256

REVISION = 2  # of what is computed: raise it, and what older versions cached is not used

BUILT_IN = (*(f"random-{side}" for side in RANDOM_RESOLUTIONS), FULL_SIZE)


def open_bundle(model: str) -> Bundle:
    """The bundle of that name or folder.

    Raises:
        BundleError: there is none; the message lists those that there are.
    """
    if model == FULL_SIZE:
        return _full_size_bundle()
    if model.startswith("random-"):
        return _random_bundle(model)
    return read_bundle(_folder(model))


def bundle_facts(model: str) -> BundleFacts:
    """The facts of a bundle, without loading its weights."""
    if model.startswith("random-"):
        return _random_facts(model)
    if model == FULL_SIZE:
        return _facts(FULL_SIZE, 512, FULL_SIZE_LATENT)
    return read_facts(_folder(model))


def known_bundles() -> dict[str, Path]:
    """Every bundle found, by name; a name found twice keeps its first place."""
    found: dict[str, Path] = {}
    for folder in _folders():
        for path in sorted(folder.glob(f"*/{FACTS}")):
            found.setdefault(path.parent.name, path.parent)
    return found


def default_model() -> str:
    """The finest bundle of ``$TWINSERVE_MODELS``, else of the faces package, else of the user's
    folder, else random weights: what someone pulls to look at does not become the default."""
    for folder in (*_named_folders(), *_package_folders(), user_folder()):
        bundles = [path.parent for path in sorted(folder.glob(f"*/{FACTS}"))]
        if bundles:
            return max(bundles, key=lambda bundle: read_facts(bundle).resolution).name
    return FALLBACK


def integer_network(bundle: Bundle) -> Network:
    """The bundle's graph with as many convolutions in int8 as its pictures allow.

    It is calibrated on first use, which takes seconds to a minute, and kept in the cache.

    Raises:
        BundleError: this CPU adds up products of bytes inexactly, or no convolution may be rounded.
    """
    if not has_int8():
        raise BundleError(
            "This CPU has no VNNI, without which int8 spoils pictures; choose another arithmetic."
        )
    from twinserve.bundle.quantise import quantised

    version = openvino().get_version().split("-")[0]
    name = f"{bundle.facts.content_hash[:16]}-{REVISION}-openvino-{version}"
    kept = cache_folder() / "int8" / name / GRAPH
    if kept.is_file():
        with suppress(OSError, RuntimeError, ValueError):  # damaged: made again
            return read_network(kept)
    pictures = FEW_PICTURES if bundle.facts.resolution >= LARGE else MANY_PICTURES
    graph = quantised(bundle.graph, pictures).graph
    _keep(graph, kept)
    # What stayed a float is still the bundle's own.
    return Network(graph, bundle.network.weights)


def user_folder() -> Path:
    """Where the user's own bundles live: imported, pulled, exported."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    return Path(data) / "twinserve/models"


def cache_folder() -> Path:
    """Where bundles are kept that can be made again."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "twinserve/models"


def _folder(model: str) -> Path:
    if (Path(model) / FACTS).is_file():
        return Path(model)
    known = known_bundles()
    if model not in known:
        names = ", ".join([*known, FALLBACK, FULL_SIZE])
        raise BundleError(f"There is no model {model!r}; known are {names}, or name a folder.")
    return known[model]


def _folders() -> Iterator[Path]:
    yield from _named_folders()
    yield user_folder()
    yield from _package_folders()


def _named_folders() -> Iterator[Path]:
    if variable := os.environ.get("TWINSERVE_MODELS"):
        yield from map(Path, variable.split(os.pathsep))


def _package_folders() -> Iterator[Path]:
    spec = find_spec(FACES_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        yield Path(location) / "bundles"


def _random_facts(model: str) -> BundleFacts:
    text = model.removeprefix("random-")
    if text not in map(str, RANDOM_RESOLUTIONS):
        allowed = ", ".join(f"random-{side}" for side in RANDOM_RESOLUTIONS)
        raise BundleError(f"There is no model {model!r}; random weights come as {allowed}.")
    return _facts(model, int(text), RANDOM_LATENT)


def _random_bundle(model: str) -> Bundle:
    facts = _random_facts(model)
    weights = pgan.random_weights(facts.resolution, RANDOM_LATENT, RANDOM_MAPS)
    return Bundle(facts, pgan.graph(weights, model))


def _full_size_bundle() -> Bundle:
    folder = cache_folder() / f"{FULL_SIZE}-{REVISION}"
    with suppress(BundleError):  # not there yet, or damaged: it is made (again)
        return Bundle(read_facts(folder), path=folder, remake=partial(_made_full_size, folder))
    return _made_full_size(folder)


def _made_full_size(folder: Path) -> Bundle:
    weights = pgan.random_weights(512, FULL_SIZE_LATENT, FULL_SIZE_MAPS)
    facts, graph = bundle_facts(FULL_SIZE), pgan.graph(weights, FULL_SIZE)
    try:
        return write_bundle(folder, graph, facts)
    except BundleError:  # no home, a read-only one, or no room: the model works without its cache
        return Bundle(facts, graph)


def _keep(graph: Any, path: Path) -> None:
    """Store a graph at once and whole, where that is possible."""
    try:
        path.parent.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent.parent) as part:
            made = Path(part) / "made"
            made.mkdir()
            openvino().save_model(graph, made / path.name, compress_to_fp16=False)
            made.rename(path.parent)
    except (OSError, RuntimeError):
        return  # no home, a read-only one, no room, or another process was first


def _facts(model: str, resolution: int, latent: int) -> BundleFacts:
    return BundleFacts(
        name=model,
        resolution=resolution,
        latent=latent,
        terms="none: seeded random weights, nothing was trained",
        commercial_use=True,
        description="Random weights: the pictures are coloured noise, not faces.",
        content_hash=hashlib.sha256(model.encode()).hexdigest(),
    )
