"""The real pictures that a model's are compared with: two sets without a shared picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinserve.errors import TrainingError, UsageError
from twinserve.training.celeba import CROP_SIDE, chosen_entries
from twinserve.training.pictures import DAMAGED, TOO_LARGE
from twinserve.training.sources import Crop, Entry, contents

LOOKED_AT = 32  # pictures whose size is checked before any is decoded


@dataclass(frozen=True)
class RealSets:
    """``count`` pictures to compare with, and as many others for the floor, drawn by the seed from
    all ``pixels`` (N, 3, side, side)."""

    pixels: NDArray[np.uint8]
    count: int
    seed: int

    @cached_property
    def order(self) -> NDArray[np.int64]:
        return np.random.default_rng(self.seed).permutation(len(self.pixels))

    @property
    def first(self) -> Drawn:
        return Drawn(self.pixels, self.order[: self.count])

    @property
    def second(self) -> Drawn:
        return Drawn(self.pixels, self.order[self.count : 2 * self.count])


@dataclass(frozen=True)
class Drawn:
    """Pictures at some places of an array that may be mapped from a file; read when sliced."""

    pixels: NDArray[np.uint8]
    places: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.places), *self.pixels.shape[1:])

    def __getitem__(self, some: slice, /) -> NDArray[np.uint8]:
        return np.asarray(self.pixels[self.places[some]])


def entries_for(sources: Sequence[Path], resolution: int, count: int) -> list[Entry]:
    """The sources' pictures, once they are known to be enough and large enough.

    Raises:
        UsageError: there are no two sets of ``count``, or a picture is smaller than the resolution:
            enlarged pictures have no detail to compare with.
        TrainingError: a source cannot be read, or has hardly any pictures.
    """
    entries = chosen_entries(sources, resolution=resolution)
    most = len(entries) // 2
    if count > most:
        raise UsageError(
            f"{count:,} pictures a set are too many: the data has {len(entries):,}, so two sets "
            f"without a shared picture have up to {most:,} each; give --pictures {most}, or more "
            "data."
        )
    _check_sizes(entries[:: max(1, len(entries) // LOOKED_AT)], resolution)
    return entries


def _check_sizes(entries: Sequence[Entry], resolution: int) -> None:
    for entry, read in contents(entries):
        try:
            with Image.open(io.BytesIO(read())) as picture:
                side = min(picture.size) if entry.crop is Crop.SQUARE else CROP_SIDE
        except (OSError, *DAMAGED, *TOO_LARGE) as error:
            raise TrainingError(
                f"{entry.shown} cannot be read as a picture ({error}); remove it."
            ) from error
        if side < resolution:
            raise UsageError(
                f"{entry.shown} is {side} pixels wide or high and the model makes {resolution}: "
                "data are averaged down, never enlarged; give larger pictures."
            )
