"""Training pictures from folders and zip files, decoded once, drawn in a repeatable order."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from twinserve.errors import TrainingError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
FEWEST_PICTURES = 64
# What zipfile and Pillow raise for a damaged entry or picture, beside OSError.
DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, SyntaxError, ValueError, EOFError)
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


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

        The stream is a function of the seed alone, so that a resumed training goes on exactly
        where it stopped. Returns (size, 3, side, side) float32 in [-1, 1].
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

    Hidden files and what macOS adds to a zip are passed over. Calls ``on_read(done, total)`` now
    and then.

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
    for k, (name, read) in enumerate(_contents(names)):
        pixels[k] = _decoded(read, name, resolution)
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
        found = [path.relative_to(source).as_posix() for path in source.rglob("*")]
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            found = archive.namelist()
    else:
        raise TrainingError(f"{source} is neither a folder nor a zip file of pictures.")
    return sorted(name for name in found if _is_picture(PurePosixPath(name)))


def _is_picture(name: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
    return name.suffix.lower() in SUFFIXES and not hidden


def _contents(
    names: Sequence[tuple[Path, str]],
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Each picture's full name and how to read it; every zip is opened once."""
    archives: dict[Path, zipfile.ZipFile] = {}
    try:
        for source, name in names:
            if source.is_dir():
                yield str(source / name), (source / name).read_bytes
            else:
                if source not in archives:
                    archives[source] = zipfile.ZipFile(source)
                yield f"{source}:{name}", partial(archives[source].read, name)
    finally:
        for archive in archives.values():
            archive.close()


def _decoded(read: Callable[[], bytes], name: str, resolution: int) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(read())) as picture:
                square = _square(ImageOps.exif_transpose(picture).convert("RGB"), resolution)
    except (OSError, *DAMAGED, *TOO_LARGE) as error:
        raise TrainingError(f"{name} cannot be read as a picture ({error}); remove it.") from error
    return np.asarray(square).transpose(2, 0, 1)


def _square(picture: Image.Image, side: int) -> Image.Image:
    shorter = min(picture.size)
    left, top = (picture.width - shorter) // 2, (picture.height - shorter) // 2
    box = (left, top, left + shorter, top + shorter)
    return picture.resize((side, side), Image.Resampling.BOX, box=box)
