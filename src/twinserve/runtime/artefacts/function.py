"""The function as Cloud Functions takes it: a source folder for its buildpack, and a zip of it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinserve.bundle.bundle import BundleFacts
from twinserve.runtime.artefacts.app import make_readable, write_app
from twinserve.runtime.artefacts.context import PINS
from twinserve.runtime.artefacts.pins import pinned_requirements

# The zip format knows no time before 1980; a fixed one makes equal sources equal zips.
ZIP = "function.zip"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class FunctionSource:
    """``main.py``, ``requirements.txt``, the serving code and the models."""

    folder: Path
    zip: Path
    facts: tuple[BundleFacts, ...]

    @property
    def unpacked_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def zipped_bytes(self) -> int:
        return self.zip.stat().st_size


def write_function(folder: Path, models: Sequence[str]) -> FunctionSource:
    """Fill ``folder/source``, which must be missing, and pack it as ``folder/function.zip``.

    Raises:
        BundleError: a model cannot be read.
        RuntimeFailure: a package's version is unknown.
    """
    source = folder / "source"
    facts = write_app(source, models)
    (source / PINS).write_text("\n".join(pinned_requirements()) + "\n")
    make_readable(source)
    return FunctionSource(source, _pack(source, folder / ZIP), facts)


def _pack(source: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(source).as_posix(), ZIP_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes())
    return target
