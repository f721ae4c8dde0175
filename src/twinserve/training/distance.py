"""The sliced Wasserstein distance between two sets of pictures: Karras et al., "Progressive Growing
of GANs", ICLR 2018, section 5, computed as in the code published with it.

Each level of a Laplacian pyramid, from the full resolution down to 16x16, is compared by itself:
the finest says how alike sharp detail is, the coarsest how alike large shapes and colours are.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from twinserve.errors import UsageError
from twinserve.training.networks import Generator
from twinserve.training.pictures import to_bytes

Descriptors = NDArray[np.float32]

PICTURES = 8192  # a set, as published
PATCHES = 128  # a picture and level
PATCH = 7  # side in pixels
DIRECTIONS = 4 * 128
COARSEST = 16  # side of the pyramid's last level in pixels
UNIT = 1000  # distances are quoted times 10**3

PICTURES_AT_A_TIME = 256
DIRECTIONS_AT_A_TIME = 16
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


@dataclass(frozen=True)
class Distances:
    """Sliced Wasserstein distances times 10**3, finest level first; lower is more alike."""

    levels: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.levels)


def sliced_wasserstein(
    real: NDArray[np.uint8],
    fake: NDArray[np.uint8],
    seed: int,
    on_level: Callable[[int, int], None] | None = None,
) -> Distances:
    """Compare two sets of as many pictures, each (N, 3, side, side) bytes.

    The seed chooses patches and directions. Holds the descriptors of one level at a time: 75 KB a
    picture of either set (1.3 GB for 8,192). Calls ``on_level(done, total)`` after each level.

    Raises:
        UsageError: the sets differ in shape, or the side is not 16, 32, 64, ...
    """
    _check(real, fake)
    levels = (real.shape[-1] // COARSEST).bit_length()
    distances = []
    for level in range(levels):
        random = np.random.default_rng((seed, level))
        ours, theirs = (_normalised(_descriptors(set_, level, random)) for set_ in (real, fake))
        distances.append(UNIT * projected_distance(ours, theirs, random))
        if on_level:
            on_level(level + 1, levels)
    return Distances(tuple(distances))


def generate_pictures(
    generator: Generator, count: int, seed: int, batch: int = 64
) -> NDArray[np.uint8]:
    """``count`` pictures (count, 3, side, side) as bytes, of the generator's last level."""
    random = np.random.default_rng(seed)
    latents = torch.from_numpy(random.standard_normal((count, generator.config.latent), np.float32))
    with torch.inference_mode():
        made = [to_bytes(generator(latents[k : k + batch])) for k in range(0, count, batch)]
    return np.concatenate(made)


def laplacian_pyramid(pictures: Tensor, levels: int) -> list[Tensor]:
    """Band-pass levels, finest first, and what is left (Burt and Adelson, 1983).

    Adding each to the next one, enlarged, gives the pictures (N, C, H, W) back.
    """
    pyramid = [pictures]
    for _ in range(levels - 1):
        coarser = _smooth(pyramid[-1])[..., ::2, ::2]
        pyramid[-1] = pyramid[-1] - enlarged(coarser)
        pyramid.append(coarser)
    return pyramid


def enlarged(pictures: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2 H, 2 W): zeros in between, then the pyramid's filter."""
    n, c, h, w = pictures.shape
    spread = pictures.new_zeros(n, c, 2 * h, 2 * w)
    spread[..., ::2, ::2] = pictures
    return 4 * _smooth(spread)


def projected_distance(
    ours: Descriptors, theirs: Descriptors, random: np.random.Generator, count: int = DIRECTIONS
) -> float:
    """Mean Wasserstein-1 distance of two sets (N, D) over ``count`` random directions.

    On a line, that distance is the mean difference between the sorted values of both sets.
    """
    directions = random.standard_normal((count, ours.shape[1]), np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    total = 0.0
    for some in np.split(directions, range(DIRECTIONS_AT_A_TIME, count, DIRECTIONS_AT_A_TIME)):
        a, b = _sorted_projections(ours, some), _sorted_projections(theirs, some)
        total += float(np.abs(np.subtract(a, b, out=a), out=a).mean(axis=1, dtype=float).sum())
    return total / count


def _check(real: NDArray[np.uint8], fake: NDArray[np.uint8]) -> None:
    side = real.shape[-1]
    if real.shape != fake.shape:
        raise UsageError(f"The sets are {real.shape} and {fake.shape}; they must be alike.")
    if side < COARSEST or side & (side - 1) or real.shape[1:] != (3, side, side):
        raise UsageError(
            f"The pictures are {real.shape[1:]}; compare (3, side, side) with a side of "
            f"{COARSEST}, {2 * COARSEST}, {4 * COARSEST} and so on."
        )


def _descriptors(
    pictures: NDArray[np.uint8], level: int, random: np.random.Generator
) -> Descriptors:
    """Random patches of one pyramid level: (N * PATCHES, 3, PATCH, PATCH)."""
    out = np.empty((len(pictures), PATCHES, 3, PATCH, PATCH), np.float32)
    begin = 0
    for band in _bands(pictures, level):
        out[begin : begin + len(band)] = _patches(band, random)
        begin += len(band)
    return out.reshape(-1, 3, PATCH, PATCH)


def _bands(pictures: NDArray[np.uint8], level: int) -> Iterator[NDArray[np.float32]]:
    coarsest = pictures.shape[-1] // COARSEST == 1 << level
    for begin in range(0, len(pictures), PICTURES_AT_A_TIME):
        some = torch.from_numpy(pictures[begin : begin + PICTURES_AT_A_TIME]).float()
        # A level is a band once the next, coarser level has been taken off it.
        yield laplacian_pyramid(some, level + (1 if coarsest else 2))[level].numpy()


def _patches(band: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """(n, 3, H, W) -> (n, PATCHES, 3, PATCH, PATCH) at places drawn evenly."""
    windows = np.lib.stride_tricks.sliding_window_view(band, (PATCH, PATCH), axis=(2, 3))
    n, _, rows, columns = windows.shape[:4]
    row = random.integers(rows, size=(n, PATCHES))
    column = random.integers(columns, size=(n, PATCHES))
    return windows[np.arange(n)[:, None], :, row, column]


def _normalised(descriptors: Descriptors) -> Descriptors:
    """Each channel to mean 0 and deviation 1 over the set, in place; flat: (N, 3 * PATCH**2)."""
    for channel in range(descriptors.shape[1]):
        values = descriptors[:, channel]
        values -= values.mean(dtype=np.float64)
        deviation = np.sqrt(np.square(values).mean(dtype=np.float64))
        values /= deviation or 1  # pictures of one colour have no detail to scale
    return descriptors.reshape(len(descriptors), -1)


def _sorted_projections(descriptors: Descriptors, directions: Descriptors) -> Descriptors:
    product = torch.from_numpy(directions) @ torch.from_numpy(descriptors).T
    projections: Descriptors = product.numpy()
    projections.sort(axis=1)
    return projections


def _smooth(pictures: Tensor) -> Tensor:
    """The 5x5 binomial filter with edges mirrored about the outermost pixel."""
    channels = pictures.shape[1]
    weights = torch.tensor(BINOMIAL, dtype=pictures.dtype)
    padded = F.pad(pictures, (2, 2, 2, 2), mode="reflect")
    across = F.conv2d(padded, weights.expand(channels, 1, 1, 5), groups=channels)
    return F.conv2d(across, weights.view(5, 1).expand(channels, 1, 5, 1), groups=channels)
