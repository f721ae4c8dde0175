"""Training pictures from folders and zip files, decoded once, drawn in a repeatable order."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from twinserve.errors import TrainingError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
FEWEST_PICTURES = 64


class Pictures:
    """Every picture at one resolution, as (count, 3, side, side) bytes in memory."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def resolution(self) -> int:
        return int(self.pixels.shape[-1])

    def batch(self, seed: int, position: int, size: int) -> Tensor:
        """Pictures ``position`` to ``position + size`` of the endless shuffled, mirrored stream.

        The stream is a function of the seed alone, so that a resumed training goes on exactly where it
        stopped. Returns (size, 3, side, side) float32 in [-1, 1].
        """
        places = np.arange(position, position + size)
        epochs, offsets = np.divmod(places, len(self))
        chosen = [self._order(seed, int(e))[o] for e, o in zip(epochs, offsets, strict=True)]
        pixels = self.pixels[chosen]
        mirrored = np.random.default_rng((seed, 1, position)).random(size) < 0.5
        pixels[mirrored] = pixels[mirrored][..., ::-1]
        return to_floats(pixels)

    @lru_cache(maxsize=2)  # noqa: B019 - one instance lives as long as the training
    def _order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((seed, 0, epoch)).permutation(len(self))


def read_pictures(
    sources: Sequence[Path], resolution: int, on_read: Callable[[int, int], None] | None = None
) -> Pictures:
    """Decode every picture of the folders and zips to ``resolution`` (centre square, box filter).

    Calls ``on_read(done, total)`` now and then.

    Raises:
        TrainingError: a source does not exist, a picture cannot be read, or there are too few.
    """
    names = [(source, name) for source in sources for name in _names(source)]
    if len(names) < FEWEST_PICTURES:
        raise TrainingError(
            f"{', '.join(map(str, sources))} holds {len(names)} pictures "
            f"({', '.join(sorted(SUFFIXES))}); at least {FEWEST_PICTURES} are needed."
        )
    pixels = np.empty((len(names), 3, resolution, resolution), np.uint8)
    for k, (name, data) in enumerate(_contents(names)):
        pixels[k] = _decoded(data, name, resolution)
        if on_read and (k % 500 == 499 or k + 1 == len(names)):
            on_read(k + 1, len(names))
    return Pictures(pixels)


def to_floats(pixels: NDArray[np.uint8]) -> Tensor:
    """Bytes to float32 in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).float().div_(127.5).sub_(1)


def to_bytes(pictures: Tensor) -> NDArray[np.uint8]:
    """Floats in about [-1, 1], clipped and rounded, to bytes; same shape."""
    rounded: NDArray[np.uint8] = (
        ((pictures.float() + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    )
    return rounded


def _names(source: Path) -> list[str]:
    if source.is_dir():
        found = (path.relative_to(source).as_posix() for path in source.rglob("*"))
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            found = iter(archive.namelist())
    else:
        raise TrainingError(f"{source} is neither a folder nor a zip file of pictures.")
    return sorted(name for name in found if Path(name).suffix.lower() in SUFFIXES)


def _contents(names: Sequence[tuple[Path, str]]) -> Iterator[tuple[str, bytes]]:
    archives: dict[Path, zipfile.ZipFile] = {}
    try:
        for source, name in names:
            if source.is_dir():
                yield str(source / name), (source / name).read_bytes()
            else:
                if source not in archives:
                    archives[source] = zipfile.ZipFile(source)
                yield f"{source}:{name}", archives[source].read(name)
    finally:
        for archive in archives.values():
            archive.close()


def _decoded(data: bytes, name: str, resolution: int) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            side = min(picture.size)
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            square = picture.convert("RGB").resize(
                (resolution, resolution),
                Image.Resampling.BOX,
                box=(left, top, left + side, top + side),
            )
    except (UnidentifiedImageError, OSError) as error:
        raise TrainingError(f"{name} cannot be read as a picture ({error}); remove it.") from error
    return np.asarray(square).transpose(2, 0, 1)
