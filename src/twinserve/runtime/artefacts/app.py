"""The ``app`` folder that image and function share: entry point, serving code, models."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from twinserve.bundle.bundle import FACTS, GRAPH, WEIGHTS, BundleFacts
from twinserve.bundle.store import bundle_facts, open_bundle

# The rooms that answer requests; tests/runtime/test_artefacts.py holds them to what is imported.
ROOMS = ("bundle", "service")
MODULES = ("__init__.py", "errors.py")
BUNDLE_FILES = (FACTS, GRAPH, WEIGHTS)


def write_app(folder: Path, models: Sequence[str]) -> tuple[BundleFacts, ...]:
    """Fill ``folder``; returns the facts of the models in it, the default one first.

    Raises:
        BundleError: a model does not exist or cannot be read.
    """
    facts = tuple(bundle_facts(model) for model in models)
    _write_code(folder / "twinserve")
    for model, found in zip(models, facts, strict=True):
        _write_model(folder / "models" / found.name, model)
    names = json.dumps([found.name for found in facts])
    main = template("main.py").replace('["@MODELS@"]', names)
    (folder / "main.py").write_text(main)
    make_readable(folder)
    return facts


def template(name: str) -> str:
    """A file that ships with this package."""
    return (files("twinserve.runtime.artefacts") / "files" / name).read_text()


def make_readable(folder: Path) -> None:
    """The server in the image is nobody in particular, so everyone may read."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``, by its path in it, sorted."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _write_code(folder: Path) -> None:
    here = Path(str(files("twinserve")))
    for source in _sources(here):
        target = folder / source.relative_to(here)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _sources(here: Path) -> Iterator[Path]:
    yield from (here / name for name in MODULES)
    for room in ROOMS:
        yield from sorted((here / room).glob("*.py"))


def _write_model(folder: Path, model: str) -> None:
    """Copy a bundle; seeded random weights have no files, they are made where they are used."""
    bundle = open_bundle(model)
    if bundle.path is None:
        return
    folder.mkdir(parents=True)
    for name in BUNDLE_FILES:
        shutil.copyfile(bundle.path / name, folder / name)
