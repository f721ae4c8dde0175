"""The sliced Wasserstein distance between two sets of pictures: Karras et al., "Progressive Growing
of GANs", ICLR 2018, section 5, computed as in the code published with it.

Each level of a Laplacian pyramid, from the full resolution down to 16x16, is compared by itself:
the finest says how alike sharp detail is, the coarsest how alike large shapes and colours are.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from twinserve.errors import UsageError
from twinserve.training.filters import filtered, grey_levels
from twinserve.training.threads import in_order

PATCHES = 128  # a picture and level
PATCH = 7  # side in pixels
DIRECTIONS = 4 * 128
COARSEST = 16  # side of the pyramid's last level in pixels
UNIT = 1000  # distances are quoted times 10**3

PLACES_AT_A_TIME = 256  # pictures whose patches are drawn at once: another number, other patches
BANDS_AT_A_TIME = 32  # pictures: more leave the CPU's caches
DIRECTIONS_AT_A_TIME = 16
BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


class PictureSet(Protocol):
    """(N, 3, side, side) bytes: an array, or what reads a slice when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, some: slice, /) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Distances:
    """Sliced Wasserstein distances times 10**3, finest level first; lower is more alike."""

    levels: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.levels)


def sliced_wasserstein(
    real: PictureSet,
    fake: PictureSet,
    seed: int,
    on_done: Callable[[float], None] | None = None,
) -> Distances:
    """Compare two sets of as many pictures, each (N, 3, side, side) bytes.

    The seed chooses patches and directions. Holds the descriptors of one level at a time: 75 KB a
    picture of either set (1.3 GB for 8,192). Calls ``on_done(share)`` now and then, 0 to 1.

    Raises:
        UsageError: the sets differ in shape, or the side is not 16, 32, 64, ...
    """
    _check(real.shape, fake.shape)
    levels = level_sides(real.shape)
    distances = []
    for level in range(len(levels)):
        on_share = _part_of(on_done, level, len(levels))
        distances += level_distances(real, [fake], level, seed, on_share)
    return Distances(tuple(distances))


def level_distances(
    real: PictureSet,
    others: Sequence[PictureSet],
    level: int,
    seed: int,
    on_done: Callable[[float], None] | None = None,
    threads: int = 1,
) -> list[float]:
    """Each of the ``others`` against ``real`` at one level (0: the finest), times 10**3.

    A distance does not depend on which sets stand beside it; together they take less time. Holds
    the descriptors of all sets: 75 KB a picture (1.9 GB for three sets of 8,192). With several
    ``threads``, let PyTorch use one.

    Raises:
        UsageError: as for ``sliced_wasserstein``.
    """
    for other in others:
        _check(real.shape, other.shape)
    random = np.random.default_rng((seed, level))
    sets = [_descriptors(real, level, random, threads)]
    after_real = random.bit_generator.state
    for other in others:
        random.bit_generator.state = after_real
        sets.append(_descriptors(other, level, random, threads))
    distances = projected_distances(sets[0], sets[1:], random, on_done=on_done, threads=threads)
    return [UNIT * distance for distance in distances]


def level_sides(shape: Sequence[int]) -> list[int]:
    """Sides in pixels of the pyramid's levels of pictures (..., side, side), finest first."""
    return [shape[-1] >> k for k in range((shape[-1] // COARSEST).bit_length())]


def band(pictures: Tensor, level: int) -> Tensor:
    """One level of the Laplacian pyramid (Burt and Adelson, 1983) of pictures (N, C, H, W).

    What a level has beyond the next, coarser one; the coarsest, 16x16, has no next. Adding each
    level to the next one, enlarged, gives the pictures back.
    """
    for _ in range(level):
        pictures = halved(pictures)
    return pictures if pictures.shape[-1] == COARSEST else pictures - enlarged(halved(pictures))


def halved(pictures: Tensor) -> Tensor:
    """(N, C, 2 H, 2 W) -> (N, C, H, W): every second pixel behind the 5x5 binomial filter.

    Beyond the edges, pictures are mirrored about the outermost pixel.
    """
    return filtered(F.pad(pictures, (2, 2, 2, 2), mode="reflect"), BINOMIAL, stride=2)


def enlarged(pictures: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 2 H, 2 W): zeros in between, then the pyramid's filter."""
    n, c, h, w = pictures.shape
    spread = pictures.new_zeros(n, c, 2 * h, 2 * w)
    spread[..., ::2, ::2] = pictures
    return 4 * filtered(F.pad(spread, (2, 2, 2, 2), mode="reflect"), BINOMIAL)


@dataclass(frozen=True)
class Descriptors:
    """Patches (N, D) of a set, with the mean and deviation (D,) of the channel that each value is
    from.

    Distances are between patches whose channels have mean 0 and deviation 1 over the set. The
    directions are scaled for that, instead of the patches, which are thousands of times as many.
    """

    patches: Tensor
    mean: Tensor
    deviation: Tensor

    def projected(self, directions: Tensor) -> Tensor:
        """(directions, N), still without ``offset``."""
        return (directions / self.deviation).float() @ self.patches.T

    def offset(self, directions: Tensor) -> Tensor:
        """(directions,): what the mean contributes to each value projected."""
        return (directions / self.deviation) @ self.mean


def projected_distances(
    reference: Descriptors,
    others: Sequence[Descriptors],
    random: np.random.Generator,
    count: int = DIRECTIONS,
    on_done: Callable[[float], None] | None = None,
    threads: int = 1,
) -> list[float]:
    """Mean Wasserstein-1 distance of each of the others over ``count`` random directions.

    On a line, that distance is the mean difference between the sorted values of both sets.
    """
    drawn = random.standard_normal((count, reference.patches.shape[1]), np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    begins = range(0, count, DIRECTIONS_AT_A_TIME)
    parts = [torch.from_numpy(drawn[k : k + DIRECTIONS_AT_A_TIME]) for k in begins]
    totals = np.zeros(len(others))
    sums = in_order(lambda some: _line_distances(reference, others, some), parts, threads)
    for done, some in enumerate(sums, 1):
        totals += some
        if on_done:
            on_done(done / len(parts))
    return [float(total) / count for total in totals]


def _check(real: Sequence[int], fake: Sequence[int]) -> None:
    side = real[-1]
    if tuple(real) != tuple(fake):
        raise UsageError(f"The sets are {real} and {fake}; they must be alike.")
    if side < COARSEST or side & (side - 1) or tuple(real[1:]) != (3, side, side):
        raise UsageError(
            f"The pictures are {real[1:]}; compare (3, side, side) with a side of "
            f"{COARSEST}, {2 * COARSEST}, {4 * COARSEST} and so on."
        )


def _part_of(
    on_done: Callable[[float], None] | None, part: int, parts: int
) -> Callable[[float], None] | None:
    return on_done and (lambda share: on_done((part + share) / parts))


def _descriptors(
    pictures: PictureSet, level: int, random: np.random.Generator, threads: int
) -> Descriptors:
    """Random patches of one pyramid level, PATCHES a picture."""
    count = pictures.shape[0]
    patches = torch.empty(count, PATCHES, 3, PATCH**2)

    def cut(places: _Places) -> Tensor:
        some = slice(places.begin, places.begin + len(places.rows))
        bands = band(grey_levels(pictures[some]), level)
        patches[some] = torch.from_numpy(_patches(bands.numpy(), places.rows, places.columns))
        return _moments(patches[some])

    positions = level_sides(pictures.shape)[level] - PATCH + 1
    moments = torch.zeros(2, 3, dtype=torch.float64)
    for part in in_order(cut, _places(count, positions, random), threads):
        moments += part
    mean, square = moments / (count * PATCHES * PATCH**2)
    deviation = (square - mean**2).clamp(min=0).sqrt()
    deviation[deviation == 0] = 1  # pictures of one colour have no detail to scale
    return Descriptors(
        patches.view(-1, 3 * PATCH**2),
        mean.repeat_interleave(PATCH**2),
        deviation.repeat_interleave(PATCH**2),
    )


def _moments(patches: Tensor) -> Tensor:
    """(n, PATCHES, 3, PATCH**2) -> (2, 3): sums of a channel's values and of their squares."""
    flat = patches.flatten(0, 1).flatten(1)  # sums over rows alone run fast
    sums = torch.stack([flat.sum(dim=0), flat.square().sum(dim=0)])
    return sums.double().view(2, 3, PATCH**2).sum(dim=2)


@dataclass(frozen=True)
class _Places:
    """Where the patches of a few pictures are, from the set's picture ``begin`` on."""

    begin: int
    rows: NDArray[np.int64]  # (n, PATCHES)
    columns: NDArray[np.int64]


def _places(count: int, positions: int, random: np.random.Generator) -> Iterator[_Places]:
    """Drawn evenly from ``positions`` rows and columns."""
    for begin in range(0, count, PLACES_AT_A_TIME):
        size = (min(PLACES_AT_A_TIME, count - begin), PATCHES)
        rows, columns = random.integers(positions, size=size), random.integers(positions, size=size)
        for k in range(0, len(rows), BANDS_AT_A_TIME):
            some = slice(k, k + BANDS_AT_A_TIME)
            yield _Places(begin + k, rows[some], columns[some])


def _patches(
    bands: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(n, 3, H, W) -> (n, PATCHES, 3, PATCH**2)."""
    windows = np.lib.stride_tricks.sliding_window_view(bands, (PATCH, PATCH), axis=(2, 3))
    n = len(bands)
    return windows[np.arange(n)[:, None], :, rows, columns].reshape(n, PATCHES, 3, PATCH**2)


def _line_distances(
    reference: Descriptors, others: Sequence[Descriptors], directions: Tensor
) -> list[float]:
    """Of each of the others, summed over the directions."""
    ours = _sorted(reference.projected(directions))
    sums = []
    for other in others:
        theirs = _sorted(other.projected(directions))
        shift = other.offset(directions) - reference.offset(directions)
        apart = theirs.sub_(ours).sub_(shift[:, None].float()).abs_()
        sums.append(float(apart.mean(dim=1).sum(dtype=torch.float64)))
    return sums


def _sorted(projections: Tensor) -> Tensor:
    """Each row in ascending order, in place; NumPy sorts floats ten times as fast as PyTorch."""
    projections.numpy().sort(axis=1)
    return projections
