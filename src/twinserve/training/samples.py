"""Pictures of the averaged generator in mid-training: grids to look at, and a cheap measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from twinserve.training.checkpoint import writing
from twinserve.training.distance import COARSEST, Distances, sliced_wasserstein
from twinserve.training.networks import Generator
from twinserve.training.pictures import Pictures, Pixels, to_bytes
from twinserve.training.schedule import Position

COLUMNS, ROWS = 10, 6
QUALITY_PICTURES = 256
AT_A_TIME = 10  # pictures: 60 of 512x512 at once would take gigabytes
GRID_KEY, QUALITY_KEY = -1, -2  # keys of latents that no step uses


def latents(seed: int, key: int, count: int, size: int) -> Tensor:
    """Normal latents (count, size), a function of (seed, key): a resumed run repeats them."""
    random = np.random.Generator(np.random.Philox(key=np.array([seed, key], np.int64)))
    return torch.from_numpy(random.standard_normal((count, size), np.float32))


def write_grid(
    path: Path, generator: Generator, position: Position, seed: int, resolution: int
) -> Path:
    """Samples for fixed latents, not picked; grids of all levels have one size.

    Raises:
        TrainingError: the file cannot be written.
    """
    pictures = _made(generator, position, latents(seed, GRID_KEY, COLUMNS * ROWS, _size(generator)))
    factor = resolution // position.resolution
    sheet = _tiled(pictures, COLUMNS).repeat(factor, 0).repeat(factor, 1)
    with writing(path):
        Image.fromarray(sheet).save(path)
    return path


def quality(
    generator: Generator, position: Position, pictures: Pictures, seed: int
) -> Distances | None:
    """Distances of a few made pictures from as many real ones; None below 16x16.

    Touches no random state but its own.
    """
    if position.resolution < COARSEST:
        return None
    real = pictures.sample(QUALITY_PICTURES, seed, position.resolution)
    z = latents(seed, QUALITY_KEY, len(real), _size(generator))
    return sliced_wasserstein(real, _made(generator, position, z), seed)


def _made(generator: Generator, position: Position, z: Tensor) -> Pixels:
    device = generator.c0.weight.device
    with torch.no_grad():
        parts = [
            to_bytes(generator(some.to(device), position.level, position.alpha))
            for some in torch.split(z, AT_A_TIME)
        ]
    return np.concatenate(parts)


def _size(generator: Generator) -> int:
    return generator.config.latent


def _tiled(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """(N, 3, side, side) bytes to one (rows * side, columns * side, 3) sheet."""
    n, c, side, _ = pictures.shape
    rows = n // columns
    sheet = pictures[: rows * columns].reshape(rows, columns, c, side, side)
    return sheet.transpose(0, 3, 1, 4, 2).reshape(rows * side, columns * side, c)
