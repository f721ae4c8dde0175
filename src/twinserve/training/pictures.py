"""Training pictures at every resolution that they are shown at, drawn in a repeatable order."""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from twinserve.errors import TrainingError
from twinserve.training.celeba import EVERY, Choice, chosen_entries
from twinserve.training.sources import Crop, Entry, check_count, contents

Pixels = NDArray[np.uint8]
OnRead = Callable[[int, int], None]

ALIGNED_SIZE = (178, 218)  # of CelebA's aligned pictures
# The crop of the paper's CelebA: columns 25 to 152 and rows 57 to 184, that is 128x128 around
# (89, 121), as in create_celeba of the authors' dataset_tool.py.
CELEBA_BOX = (25, 57, 153, 185)
TOLD_EVERY = 500  # pictures
SHOWN_UNREADABLE = 5
# What zipfile and Pillow raise for a damaged entry or picture, beside OSError.
DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, SyntaxError, ValueError, EOFError)
TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class Unreadable(StrEnum):
    """What a picture that cannot be read does."""

    FAIL = "fail"
    SKIP = "skip"


class Pictures:
    """Every picture at one resolution, as (count, 3, side, side) bytes in memory or mapped.

    ``coarser`` holds the same pictures at lower resolutions, by their side; where one is not there,
    batches are averaged down as they are drawn. ``skipped`` says why pictures were left out.
    """

    def __init__(
        self,
        pixels: Pixels,
        coarser: Mapping[int, Pixels] | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        self.pixels = pixels
        self.skipped = tuple(skipped)
        self._levels = {self.resolution: pixels, **(coarser or {})}

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def resolution(self) -> int:
        return int(self.pixels.shape[-1])

    def batch(
        self,
        seed: int,
        position: int,
        size: int,
        resolution: int | None = None,
        share: slice = slice(None),
    ) -> Tensor:
        """Pictures ``position`` to ``position + size`` of the endless shuffled, mirrored stream.

        The stream is a function of the seed alone, so that a resumed training goes on exactly
        where it stopped; ``share`` picks some of the batch, so that processes can divide it.
        Returns (size of the share, 3, side, side) float32 in [-1, 1].
        """
        places = np.arange(position, position + size)[share]
        epochs, offsets = np.divmod(places, len(self))
        chosen = [self._order(seed, int(e))[o] for e, o in zip(epochs, offsets, strict=True)]
        side = self.resolution if resolution is None else resolution
        pixels = np.array(self._levels.get(side, self.pixels)[chosen])
        mirrored = (np.random.default_rng((seed, 1, position)).random(size) < 0.5)[share]
        pixels[mirrored] = pixels[mirrored][..., ::-1]
        return averaged_down(to_floats(pixels), side)

    def sample(self, count: int, seed: int, resolution: int) -> Pixels:
        """``count`` different pictures, or all where there are fewer, chosen by the seed."""
        chosen = np.random.default_rng((seed, 3)).permutation(len(self))[:count]
        if resolution in self._levels:
            return np.array(self._levels[resolution][np.sort(chosen)])
        return to_bytes(averaged_down(to_floats(self.pixels[np.sort(chosen)]), resolution))

    @lru_cache(maxsize=2)  # noqa: B019 - one instance lives as long as the training
    def _order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((seed, 0, epoch)).permutation(len(self))


def read_pictures(
    sources: Sequence[Path],
    resolution: int,
    on_read: OnRead | None = None,
    choice: Choice = EVERY,
    unreadable: Unreadable = Unreadable.FAIL,
) -> Pictures:
    """Decode every picture of the folders and zips into memory (centre square, box filter).

    CelebA's own layout is known by its name, see :mod:`~twinserve.training.celeba`. Calls
    ``on_read(done, total)`` now and then.

    Raises:
        UsageError: the choice does not go with the sources.
        TrainingError: a source does not exist, a picture cannot be read, or there are too few.
    """
    entries = chosen_entries(sources, choice, resolution)
    skipped: list[str] = []
    pixels = np.empty((len(entries), 3, resolution, resolution), np.uint8)
    count = 0
    for picture in decoded(entries, resolution, unreadable, skipped, on_read):
        pixels[count] = picture
        count += 1
    check_count(count, sources, f" that can be read ({len(skipped)} cannot)")
    return Pictures(pixels[:count], skipped=skipped)


def decoded(
    entries: Sequence[Entry],
    resolution: int,
    unreadable: Unreadable,
    skipped: list[str],
    on_read: OnRead | None = None,
    way_out: str = "remove it",
) -> Iterator[Pixels]:
    """Each picture as (3, side, side); those that are passed over are added to ``skipped``.

    Raises:
        TrainingError: a picture cannot be read and ``unreadable`` is ``FAIL``.
    """
    for k, (entry, read) in enumerate(contents(entries), 1):
        try:
            yield _decoded(read, entry, resolution)
        except TrainingError as error:
            if unreadable is Unreadable.FAIL:
                raise TrainingError(f"{error}; {way_out}.") from error
            skipped.append(str(error))
        if on_read and (k % TOLD_EVERY == 0 or k == len(entries)):
            on_read(k, len(entries))


def format_skipped(skipped: Sequence[str]) -> list[str]:
    """How many pictures were passed over, and the first few with the reason."""
    lines = [f"{len(skipped):,} pictures cannot be read and are passed over:"] if skipped else []
    lines += [f"  {reason}" for reason in skipped[:SHOWN_UNREADABLE]]
    if len(skipped) > SHOWN_UNREADABLE:
        lines.append(f"  and {len(skipped) - SHOWN_UNREADABLE:,} more")
    return lines


def averaged_down(pictures: Tensor, side: int) -> Tensor:
    """(N, 3, H, H) -> (N, 3, side, side) by means of 2x2 pixels; as they are if not larger."""
    while pictures.shape[-1] > side:
        pictures = F.avg_pool2d(pictures, 2)
    return pictures


def to_floats(pixels: Pixels) -> Tensor:
    """Bytes to float32 in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).float().div_(127.5).sub_(1)


def to_bytes(pictures: Tensor) -> Pixels:
    """Floats in about [-1, 1], clipped and rounded, to bytes; same shape."""
    rounded: Pixels = ((pictures.float() + 1) * 127.5).round().clamp(0, 255).byte().cpu().numpy()
    return rounded


def _decoded(read: Callable[[], bytes], entry: Entry, resolution: int) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(read())) as picture:
                upright = ImageOps.exif_transpose(picture).convert("RGB")
                square = _cropped(upright, entry.crop, resolution)
    except (OSError, *DAMAGED, *TOO_LARGE) as error:
        raise TrainingError(f"{entry.shown} cannot be read as a picture ({error})") from error
    return np.asarray(square).transpose(2, 0, 1)


def _cropped(picture: Image.Image, crop: Crop, side: int) -> Image.Image:
    box = _square(picture) if crop is Crop.SQUARE else _aligned(picture)
    return picture.resize((side, side), Image.Resampling.BOX, box=box)


def _square(picture: Image.Image) -> tuple[int, int, int, int]:
    shorter = min(picture.size)
    left, top = (picture.width - shorter) // 2, (picture.height - shorter) // 2
    return (left, top, left + shorter, top + shorter)


def _aligned(picture: Image.Image) -> tuple[int, int, int, int]:
    if picture.size != ALIGNED_SIZE:
        raise ValueError(f"it is {picture.width}x{picture.height}, not CelebA's 178x218")
    return CELEBA_BOX
