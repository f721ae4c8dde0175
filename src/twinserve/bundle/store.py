"""Where bundles are looked for, and by which names.

A model is named by the folder of a bundle, by the name of a bundle in ``$TWINSERVE_MODELS``, in the
user's data folder or in the installed ``twinserve-faces`` package, or as ``random-<resolution>``:
seeded random weights made on the spot, so that everything runs where no trained bundle is
installed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from twinserve.bundle.bundle import FACTS, Bundle, BundleFacts, read_bundle, read_facts
from twinserve.bundle.graph import build_graph
from twinserve.bundle.weights import random_weights
from twinserve.errors import BundleError

FACES_PACKAGE = "twinserve_faces"
RANDOM_RESOLUTIONS = (16, 32, 64, 128, 256)
FALLBACK = "random-64"


def open_bundle(model: str) -> Bundle:
    """The bundle of that name or folder.

    Raises:
        BundleError: there is none; the message lists those that there are.
    """
    if model.startswith("random-"):
        return _random_bundle(model)
    return read_bundle(_folder(model))


def bundle_facts(model: str) -> BundleFacts:
    """The facts of a bundle, without loading its weights."""
    if model.startswith("random-"):
        return _random_bundle(model).facts
    return read_facts(_folder(model))


def known_bundles() -> dict[str, Path]:
    """Every bundle found, by name; a name found twice keeps its first place."""
    found: dict[str, Path] = {}
    for folder in _folders():
        for path in sorted(folder.glob(f"*/{FACTS}")):
            found.setdefault(path.parent.name, path.parent)
    return found


def default_model() -> str:
    """The first trained bundle found, else random weights."""
    return next(iter(known_bundles()), FALLBACK)


def _folder(model: str) -> Path:
    if (Path(model) / FACTS).is_file():
        return Path(model)
    known = known_bundles()
    if model not in known:
        names = ", ".join([*known, FALLBACK])
        raise BundleError(f"There is no model {model!r}; known are {names}, or name a folder.")
    return known[model]


def _folders() -> Iterator[Path]:
    if variable := os.environ.get("TWINSERVE_MODELS"):
        yield from map(Path, variable.split(os.pathsep))
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share"
    yield Path(data) / "twinserve/models"
    spec = find_spec(FACES_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        yield Path(location) / "bundles"


def _random_bundle(model: str) -> Bundle:
    text = model.removeprefix("random-")
    if text not in map(str, RANDOM_RESOLUTIONS):
        allowed = ", ".join(f"random-{side}" for side in RANDOM_RESOLUTIONS)
        raise BundleError(f"There is no model {model!r}; random weights come as {allowed}.")
    weights = random_weights(int(text))
    facts = BundleFacts(
        name=model,
        resolution=weights.resolution,
        latent=weights.latent,
        terms="none: seeded random weights, nothing was trained",
        commercial_use=True,
        description="Random weights: the pictures are coloured noise, not faces.",
        content_hash=hashlib.sha256(model.encode()).hexdigest(),
    )
    return Bundle(facts, build_graph(weights, model))
