"""The nearest training pictures of generated ones: a check against memorising.

Nearness is the root mean square difference, in grey levels of 255, of pictures averaged down to
32x32: plain pixels, where a copied picture is at distance almost 0. As a training picture is also
shown mirrored, the nearer of it and its mirror image counts. How near is suspicious is told by the
real pictures' own distances: from each to its nearest among the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from twinserve.bundle.images import Pixels
from twinserve.training.distance import PictureSet
from twinserve.training.filters import grey_levels
from twinserve.training.threads import in_order

SIDE = 32  # pixels, at which pictures are compared
SAMPLES = 1024  # generated, and as many real ones
SHOWN, NEAREST = 10, 5  # rows of the picture, and training pictures in each
PICTURES_AT_A_TIME = 1024
GAP = 8  # pixels between a sample and its neighbours
WHITE = 255


@dataclass(frozen=True)
class Neighbours:
    """The nearest training pictures of each sample, nearest first.

    ``places`` (samples, NEAREST) are positions in the training pictures, ``mirrored`` tells whose
    mirror image it is, and ``distances`` are in grey levels (0 to 255).
    """

    places: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    distances: NDArray[np.float32]


def nearest(
    samples: NDArray[np.uint8],
    training: PictureSet,
    own: NDArray[np.int64] | None = None,
    on_done: Callable[[float], None] | None = None,
    threads: int = 1,
) -> Neighbours:
    """The NEAREST training pictures of each sample, all (N, 3, side, side) bytes.

    ``own`` (samples,): for samples taken from the training pictures, the place of each, which is
    passed over. Calls ``on_done(share)`` now and then, 0 to 1. With several ``threads``, let
    PyTorch use one.
    """
    small = _small(samples)
    wanted = torch.cat([small, small.flip(-1)]).flatten(1)  # as good as mirroring the training set

    def distances(begin: int) -> Tensor:
        some = _small(training[begin : begin + PICTURES_AT_A_TIME]).flatten(1)
        apart: Tensor = torch.cdist(wanted, some) / wanted.shape[1] ** 0.5
        return apart.view(2, len(samples), -1)

    found = _Found(len(samples))
    begins = range(0, training.shape[0], PICTURES_AT_A_TIME)
    parts = in_order(distances, begins, threads)
    for done, (begin, part) in enumerate(zip(begins, parts, strict=True), 1):
        found.take(part, begin, own)
        if on_done:
            on_done(done / len(begins))
    return found.neighbours()


def sheet(samples: NDArray[np.uint8], training: PictureSet, neighbours: Neighbours) -> Pixels:
    """Rows of a sample, a gap, and its nearest training pictures, mirrored as they were found."""
    rows = []
    for k, sample in enumerate(samples):
        shown = [sample, np.full((3, sample.shape[1], GAP), WHITE, np.uint8)]
        for place, mirrored in zip(neighbours.places[k], neighbours.mirrored[k], strict=True):
            picture = training[int(place) : int(place) + 1][0]
            shown.append(picture[..., ::-1] if mirrored else picture)
        rows.append(np.concatenate(shown, axis=2))
    return np.ascontiguousarray(np.concatenate(rows, axis=1).transpose(1, 2, 0))


class _Found:
    """The nearest so far, of training pictures that come a few at a time."""

    def __init__(self, samples: int) -> None:
        self._distances = torch.full((samples, NEAREST), torch.inf)
        self._places = torch.zeros((samples, NEAREST), dtype=torch.int64)
        self._mirrored = torch.zeros((samples, NEAREST), dtype=torch.bool)

    def take(self, distances: Tensor, begin: int, own: NDArray[np.int64] | None) -> None:
        """``distances`` (2: plain and mirrored, samples, n) to training pictures from ``begin``."""
        nearer, mirrored = distances.min(dim=0)
        places = begin + torch.arange(nearer.shape[1]).expand_as(nearer)
        if own is not None:
            nearer = nearer.masked_fill(places == torch.from_numpy(own)[:, None], torch.inf)
        self._distances, order = torch.cat([self._distances, nearer], dim=1).topk(
            NEAREST, largest=False
        )
        self._places = torch.cat([self._places, places], dim=1).gather(1, order)
        self._mirrored = torch.cat([self._mirrored, mirrored.bool()], dim=1).gather(1, order)

    def neighbours(self) -> Neighbours:
        return Neighbours(self._places.numpy(), self._mirrored.numpy(), self._distances.numpy())


def _small(pictures: NDArray[np.uint8]) -> Tensor:
    """(N, 3, side, side) bytes to (N, 3, SIDE, SIDE) floats; smaller ones stay as they are."""
    floats = grey_levels(pictures)
    return F.avg_pool2d(floats, max(1, floats.shape[-1] // SIDE))
