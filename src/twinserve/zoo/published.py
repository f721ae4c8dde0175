"""The published models that ``twinserve models pull`` knows, from ``published.toml``."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath

import msgspec

from twinserve.errors import UsageError


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A published checkpoint: where it lies below the base address, and on what terms.

    ``sha256`` is the beginning of its SHA-256, which its name ends with.
    """

    paths: tuple[str, ...]
    sha256: str
    architecture: str
    resolution: int
    description: str
    terms: str

    @property
    def file_name(self) -> str:
        return PurePosixPath(self.paths[0]).name


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """All of them by name, with their base address, their source and the day it was read."""

    base: str
    source: str
    date: str
    models: dict[str, Published]


@cache
def catalogue() -> Catalogue:
    text = files("twinserve.zoo").joinpath("published.toml").read_bytes()
    return msgspec.toml.decode(text, type=Catalogue)


def published(name: str) -> Published:
    """The published model of that name.

    Raises:
        UsageError: there is none; the message lists those that there are.
    """
    models = catalogue().models
    if name not in models:
        raise UsageError(f"There is no published model {name!r}; known are {', '.join(models)}.")
    return models[name]


def published_as(path: Path) -> Published | None:
    """The published model that this file is, by its name and its bytes, if it is one."""
    for model in catalogue().models.values():
        if model.file_name == path.name:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return model if digest.startswith(model.sha256) else None
    return None
