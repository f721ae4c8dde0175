"""Which pictures there are: names in folders and zip files, and CelebA's own layout."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path, PurePosixPath

from twinserve.errors import TrainingError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
FEWEST_PICTURES = 64


class Crop(Enum):
    """Which part of a picture is taken."""

    SQUARE = "the largest centred square"
    CELEBA = "128x128 around (89, 121) of an aligned CelebA picture"


@dataclass(frozen=True)
class Entry:
    """One picture: where it lies, and a stamp that changes when it does."""

    source: Path  # a folder or a zip file
    name: str  # within it
    stamp: tuple[int, int]  # bytes, and the time of change in ns or the checksum in a zip
    crop: Crop = Crop.SQUARE

    @property
    def shown(self) -> str:
        if self.source.is_dir():
            return str(self.source / self.name)
        return f"{self.source}:{self.name}"


def entries_of(source: Path) -> list[Entry]:
    """The pictures of a folder, with what lies deeper, or of a zip file, in order of their names.

    Hidden files and what macOS adds to a zip are passed over.

    Raises:
        TrainingError: the source is neither.
    """
    if source.is_dir():
        found = [
            Entry(source, path.relative_to(source).as_posix(), _stamp(path))
            for path in source.rglob("*")
            if _is_picture(PurePosixPath(path.relative_to(source).as_posix()))
        ]
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            found = [
                Entry(source, info.filename, (info.file_size, info.CRC))
                for info in archive.infolist()
                if _is_picture(PurePosixPath(info.filename))
            ]
    else:
        raise TrainingError(f"{source} is neither a folder nor a zip file of pictures.")
    return sorted(found, key=lambda entry: entry.name)


def check_count(count: int, sources: Sequence[Path], words: str = "") -> None:
    """Raises TrainingError when there are too few pictures to learn from."""
    if count < FEWEST_PICTURES:
        raise TrainingError(
            f"{', '.join(map(str, sources))} holds {count} pictures{words} "
            f"({', '.join(sorted(SUFFIXES))}); at least {FEWEST_PICTURES} are needed."
        )


def contents(entries: Sequence[Entry]) -> Iterator[tuple[Entry, Callable[[], bytes]]]:
    """Each picture and how to read its bytes; every zip is opened once."""
    archives: dict[Path, zipfile.ZipFile] = {}
    folders = {source: source.is_dir() for source in {entry.source for entry in entries}}
    try:
        for entry in entries:
            if folders[entry.source]:
                yield entry, (entry.source / entry.name).read_bytes
            else:
                if entry.source not in archives:
                    archives[entry.source] = zipfile.ZipFile(entry.source)
                yield entry, partial(archives[entry.source].read, entry.name)
    finally:
        for archive in archives.values():
            archive.close()


def _is_picture(name: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
    return name.suffix.lower() in SUFFIXES and not hidden


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # a dangling link: reading it will say so
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)
