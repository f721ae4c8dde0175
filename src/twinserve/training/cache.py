"""Decoded pictures in files that are mapped into memory: 30,000 of 512x512 are 24 GB.

One folder a data set and resolution, with a file for each resolution from 4x4 on, so that a low
level reads no more than it shows; together a third more than the finest alone. It is written under
another name and then renamed, so that what bears the right name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from twinserve.errors import TrainingError
from twinserve.training.celeba import EVERY, Choice
from twinserve.training.checkpoint import writing
from twinserve.training.folder import check_room, taking_turns
from twinserve.training.pictures import (
    OnRead,
    Pictures,
    Pixels,
    Unreadable,
    averaged_down,
    decoded,
    to_bytes,
    to_floats,
)
from twinserve.training.sources import Entry, check_count

VERSION = 1
FACTS = "facts.json"
PICTURES_AT_A_TIME = 64
WAY_OUT = "remove it, or give --unreadable skip"


def cached_pictures(
    entries: Sequence[Entry],
    resolution: int,
    folder: Path,
    unreadable: Unreadable = Unreadable.FAIL,
    on_read: OnRead | None = None,
    choice: Choice = EVERY,
) -> Pictures:
    """The pictures of ``entries``, decoded into a cache under ``folder`` unless it is there.

    A cache is used again while names, sizes, times (in zips: checksums), crop and resolution are
    the same; a stale one of the same sources, choice among them and resolution is removed.

    Raises:
        TrainingError: a picture cannot be read, too few can, or the disk has no room.
    """
    paths = sorted(str(source.resolve()) for source in _sources(entries))
    sources = _key([paths, choice.partition, choice.attributes])
    content = _key([VERSION, resolution, [_identity(entry) for entry in entries]])
    place = _Place(folder, sources, resolution, content)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with taking_turns(folder / f"{place.sources}-{resolution}.lock"):
        if not (place.path / FACTS).exists():
            _build(place, entries, unreadable, on_read)
    return _open(place, entries, unreadable)


@dataclass(frozen=True)
class _Place:
    folder: Path
    sources: str  # key of where the pictures come from, and of the choice among them
    resolution: int
    content: str  # key of what they are

    @property
    def path(self) -> Path:
        return self.folder / f"{self.sources}-{self.resolution}-{self.content}"

    @property
    def part(self) -> Path:
        return self.path.with_suffix(".part")

    @property
    def sides(self) -> list[int]:
        """Finest first."""
        return [self.resolution >> k for k in range(self.resolution.bit_length() - 2)]

    def stale(self) -> Iterator[Path]:
        others = self.folder.glob(f"{self.sources}-{self.resolution}-*")
        return (path for path in others if path.is_dir() and path != self.path)


def _build(
    place: _Place, entries: Sequence[Entry], unreadable: Unreadable, on_read: OnRead | None
) -> None:
    for path in place.stale():  # first: a full disk may need their room
        shutil.rmtree(path, ignore_errors=True)
    needed = len(entries) * 3 * sum(side**2 for side in place.sides)
    check_room(place.folder, needed, f"The cache of {len(entries):,} decoded pictures")
    skipped: list[str] = []
    pictures = decoded(entries, place.resolution, unreadable, skipped, on_read, WAY_OUT)
    try:
        count = _write_levels(place, pictures)
        check_count(count, _sources(entries), f" that can be read ({len(skipped)} cannot)")
        with writing(place.path):
            facts = {"version": VERSION, "pictures": count, "skipped": skipped}
            (place.part / FACTS).write_text(json.dumps(facts))
            place.part.replace(place.path)
    except BaseException:
        shutil.rmtree(place.part, ignore_errors=True)
        raise


def _write_levels(place: _Place, pictures: Iterator[Pixels]) -> int:
    """Write every level's file; returns the number of pictures.

    Plain writes, as a full disk kills a process that writes to mapped memory.
    """
    count = 0
    with ExitStack() as stack:
        with writing(place.path):
            place.part.mkdir()
            opened = {side: (place.part / f"{side}.u8").open("wb") for side in place.sides}
        files = {side: stack.enter_context(file) for side, file in opened.items()}
        while some := list(islice(pictures, PICTURES_AT_A_TIME)):
            pixels, count = np.stack(some), count + len(some)
            with writing(place.path):
                files[place.resolution].write(pixels.tobytes())
                for side in place.sides[1:]:
                    files[side].write(to_bytes(averaged_down(to_floats(pixels), side)).tobytes())
        with writing(place.path):
            for file in files.values():
                file.flush()
                os.fsync(file.fileno())
    return count


def _open(place: _Place, entries: Sequence[Entry], unreadable: Unreadable) -> Pictures:
    try:
        facts = json.loads((place.path / FACTS).read_text())
        count, skipped = int(facts["pictures"]), list(facts["skipped"])
        levels = {side: _mapped(place.path / f"{side}.u8", count, side) for side in place.sides}
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(
            f"{place.path} is damaged ({error}); remove it, and it is made again."
        ) from error
    if skipped and unreadable is Unreadable.FAIL:
        raise TrainingError(f"{skipped[0]}; {WAY_OUT}.")
    check_count(count, _sources(entries), f" that can be read ({len(skipped)} cannot)")
    return Pictures(levels.pop(place.resolution), levels, skipped)


def _mapped(path: Path, count: int, side: int) -> Pixels:
    if path.stat().st_size != count * 3 * side * side:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes")
    return np.memmap(path, np.uint8, "r", shape=(count, 3, side, side))


def _identity(entry: Entry) -> list[object]:
    return [entry.source.name, entry.name, *entry.stamp, entry.crop.name]


def _sources(entries: Sequence[Entry]) -> list[Path]:
    return list(dict.fromkeys(entry.source for entry in entries))


def _key(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
