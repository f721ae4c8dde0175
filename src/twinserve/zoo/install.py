"""From a checkpoint file to a bundle on disk."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from twinserve.bundle.bundle import FACTS, Bundle, BundleFacts, write_bundle
from twinserve.bundle.store import BUILT_IN, known_bundles, user_folder
from twinserve.errors import UsageError
from twinserve.zoo.convert import Chosen, convert
from twinserve.zoo.reader import read_checkpoint

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Terms:
    """What is said of a model's use, its subject and where it is from, in words."""

    terms: str
    commercial_use: bool
    description: str = ""
    source: str = ""


def place_for(name: str, out: Path | None, replace: bool) -> Path:
    """The folder for a new bundle: ``out``, or the name in the user's model folder.

    Raises:
        UsageError: the name cannot be a folder's, or is taken and ``replace`` is not set.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"--name is {name!r}; allowed are letters, digits, dots, dashes and underscores."
        )
    if name in BUILT_IN or name.startswith("random-"):
        raise UsageError(f"{name} is a built-in model; choose another --name.")
    folder = out or user_folder() / name
    taken = folder if (folder / FACTS).is_file() else None
    if not out:
        taken = taken or known_bundles().get(name)
    if taken and not replace:
        raise UsageError(f"{name} exists ({taken}); choose another --name, or give --replace.")
    return folder


def install(
    checkpoint: Path, name: str, folder: Path, terms: Terms, chosen: Chosen, half: bool
) -> Bundle:
    """Make a bundle of one of a checkpoint's generators; ``half`` stores float16 weights.

    Raises:
        CheckpointError: the checkpoint cannot be read or converted.
        BundleError: the folder cannot be written.
    """
    read = read_checkpoint(checkpoint)
    converted = convert(read, chosen)
    facts = BundleFacts(
        name=name,
        architecture=converted.architecture,
        resolution=converted.resolution,
        latent=converted.latent,
        truncation=converted.truncation,
        terms=terms.terms,
        commercial_use=terms.commercial_use,
        description=terms.description,
        source=f"{terms.source or checkpoint.name}, {chosen.network}, {_digest(checkpoint)}",
        content_hash="",
    )
    return write_bundle(folder, converted.graph(name), facts, half)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"SHA-256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
