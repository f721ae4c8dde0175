"""CelebA as it is handed out: Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015.

The aligned pictures (178x218) lie in ``img_align_celeba``, a folder or a zip file. Beside it, or in
``Anno`` and ``Eval`` as on the project's drive, lie two lists:

- ``list_attr_celeba.txt``: the number of pictures, the names of the attributes, then a line a
  picture with its name and 1 (has it) or -1 for each;
- ``list_eval_partition.txt``: a line a picture with its name and 0 (train), 1 (val) or 2 (test).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from pathlib import Path, PurePosixPath

from twinserve.errors import TrainingError, UsageError
from twinserve.training.sources import Crop, Entry, check_count, entries_of

PICTURES = "img_align_celeba"
ATTRIBUTES = "list_attr_celeba.txt"
PARTITIONS = "list_eval_partition.txt"
PLACES = ("", "Anno", "Eval")
CROP_SIDE = 128  # pixels


class Partition(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    ALL = "all"


CODES = {"0": Partition.TRAIN, "1": Partition.VAL, "2": Partition.TEST}


@dataclass(frozen=True)
class Choice:
    """Which pictures of CelebA are wanted.

    No partition means the training pictures, where the list of partitions is there. An attribute is
    wanted (``Smiling``) or not (``-Eyeglasses``).
    """

    partition: Partition | None = None
    attributes: tuple[str, ...] = ()

    @property
    def is_made(self) -> bool:
        return self.partition not in (None, Partition.ALL) or bool(self.attributes)


EVERY = Choice()


def chosen_entries(
    sources: Sequence[Path], choice: Choice = EVERY, resolution: int = 4
) -> list[Entry]:
    """The pictures of all sources; those of CelebA as chosen, and cropped as CelebA's are.

    Raises:
        UsageError: a choice is made and no source has CelebA's layout, an attribute does not exist,
            or the resolution is beyond CelebA's.
        TrainingError: a source is no folder or zip, a list cannot be understood, too few pictures.
    """
    found: list[Entry] = []
    layouts = 0
    for source in sources:
        layout = _layout(source)
        layouts += layout is not None
        found += layout.chosen(choice) if layout else entries_of(source)
    if choice.is_made and not layouts:
        raise UsageError(
            f"--partition and --attribute choose among CelebA's pictures, and there is no "
            f"{PICTURES} in {', '.join(map(str, sources))}."
        )
    if layouts and resolution > CROP_SIDE:
        raise UsageError(
            f"resolution is {resolution}; CelebA's aligned pictures are cropped to {CROP_SIDE}x"
            f"{CROP_SIDE} and would only be enlarged. Choose {CROP_SIDE} or below."
        )
    check_count(len(found), sources, " that were chosen" if choice.is_made else "")
    return found


@dataclass(frozen=True)
class _Lines:
    """The lines of a list; errors name file, line and value."""

    shown: str
    lines: list[str]

    def error(self, number: int, words: str) -> TrainingError:
        return TrainingError(f"{self.shown}, line {number}: {words}.")

    def rows(self, first: int) -> Iterator[tuple[int, list[str]]]:
        """Number and words of each line from ``first`` on that is not empty."""
        for number, line in enumerate(self.lines[first - 1 :], first):
            if words := line.split():
                yield number, words


@dataclass(frozen=True)
class _Layout:
    """A place with CelebA's pictures, and where its lists may lie."""

    source: Path  # a folder or a zip file
    folders: tuple[Path, ...]

    def chosen(self, choice: Choice) -> list[Entry]:
        entries = [replace(e, crop=Crop.CELEBA) for e in entries_of(self.source) if _is_aligned(e)]
        for lines, wanted in self._filters(choice):
            entries = [entry for entry in entries if _is_wanted(entry, lines, wanted)]
        return entries

    def _filters(self, choice: Choice) -> Iterator[tuple[_Lines, dict[str, bool]]]:
        """Each list that the choice asks for, and whether it wants the pictures that it names."""
        lines = None if choice.partition is Partition.ALL else self._list(PARTITIONS)
        if lines:
            codes, wanted = _partitions(lines), choice.partition or Partition.TRAIN
            yield lines, {name: code is wanted for name, code in codes.items()}
        elif choice.partition not in (None, Partition.ALL):
            raise self._lacks(PARTITIONS, "--partition")
        if choice.attributes:
            lines = self._list(ATTRIBUTES)
            if not lines:
                raise self._lacks(ATTRIBUTES, "--attribute")
            yield lines, _having(lines, choice.attributes)

    def _list(self, name: str) -> _Lines | None:
        if not self.source.is_dir():
            with zipfile.ZipFile(self.source) as archive:
                for inside in archive.namelist():
                    if PurePosixPath(inside).name == name:
                        text = archive.read(inside).decode("utf-8", "replace")
                        return _Lines(f"{self.source}:{inside}", text.splitlines())
        for folder, place in product(self.folders, PLACES):
            path = folder / place / name
            if path.is_file():
                return _Lines(str(path), path.read_text("utf-8", "replace").splitlines())
        return None

    def _lacks(self, name: str, option: str) -> UsageError:
        return UsageError(f"{option} needs {name}, which is not beside {self.source}.")


def _layout(source: Path) -> _Layout | None:
    """The layout of CelebA at ``source``: its root, its folder of pictures, or a zip of either."""
    if source.is_dir():
        return _layout_of_folder(source)
    if not zipfile.is_zipfile(source):
        return None
    with zipfile.ZipFile(source) as archive:
        if any(PICTURES in PurePosixPath(name).parts for name in archive.namelist()):
            return _Layout(source, (source.parent, source.parent.parent))
    return None


def _layout_of_folder(source: Path) -> _Layout | None:
    if source.name == PICTURES:
        return _Layout(source, (source, source.parent, source.parent.parent))
    for folder in (source, source / "Img"):
        if (folder / PICTURES).is_dir():
            return _Layout(folder / PICTURES, (source,))
        if (folder / f"{PICTURES}.zip").is_file():
            return _Layout(folder / f"{PICTURES}.zip", (source,))
    return None


def _is_aligned(entry: Entry) -> bool:
    return entry.source.is_dir() or PICTURES in PurePosixPath(entry.name).parts


def _is_wanted(entry: Entry, lines: _Lines, wanted: dict[str, bool]) -> bool:
    name = PurePosixPath(entry.name).name
    if name not in wanted:
        raise TrainingError(f"{lines.shown} has no line for {name}, which is in {entry.source}.")
    return wanted[name]


def _partitions(lines: _Lines) -> dict[str, Partition]:
    found = {}
    for number, words in lines.rows(1):
        if len(words) != 2 or words[1] not in CODES:
            raise lines.error(
                number, f"{' '.join(words)!r} is not a picture's name and 0 (train), 1 or 2"
            )
        found[words[0]] = CODES[words[1]]
    return found


def _having(lines: _Lines, attributes: Sequence[str]) -> dict[str, bool]:
    """Whether each picture has every attribute, and none of those with a minus."""
    names, count = _attribute_names(lines)
    wanted = []
    for attribute in attributes:
        name = attribute.removeprefix("-")
        if name not in names:
            raise UsageError(f"attribute is {name!r}; {lines.shown} knows {', '.join(names)}.")
        wanted.append((names.index(name) + 1, "-1" if attribute.startswith("-") else "1"))
    found = {}
    for number, words in lines.rows(3):
        _check_attributes(lines, number, words, len(names))
        found[words[0]] = all(words[column] == value for column, value in wanted)
    if len(found) != count:
        raise lines.error(1, f"{count:,} pictures are announced and {len(found):,} follow")
    return found


def _attribute_names(lines: _Lines) -> tuple[list[str], int]:
    head = [line.split() for line in lines.lines[:2]]
    if len(head) < 2 or len(head[0]) != 1 or not head[0][0].isdecimal():
        value = lines.lines[0].strip() if lines.lines else ""
        raise lines.error(1, f"{value!r} is not the number of pictures")
    return head[1], int(head[0][0])


def _check_attributes(lines: _Lines, number: int, words: list[str], count: int) -> None:
    strange = [word for word in words[1:] if word not in ("1", "-1")]
    if strange:
        raise lines.error(number, f"{words[0]} has {strange[0]!r}; allowed is 1 or -1")
    if len(words) != count + 1:
        raise lines.error(number, f"{words[0]} has {len(words) - 1} values for {count} attributes")
