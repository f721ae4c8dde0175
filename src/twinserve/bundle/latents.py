"""The seed contract: image *k* of seed *s* depends on (bundle, s, k) alone.

A counter-based generator (Philox 4x64; Salmon et al., "Parallel Random Numbers: As Easy as 1, 2,
3", SC 2011) is keyed by both numbers: no image needs the one before it to have been drawn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST_SEED = 2**63 - 1


def latent(seed: int, index: int, size: int) -> NDArray[np.float32]:
    """The latent vector (size,) of image ``index`` of ``seed``, standard normal."""
    return _stream(seed, index, 0).standard_normal(size, np.float32)


def noise(seed: int, index: int, number: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Noise input ``number`` (0, 1, ...) of the same image, standard normal, for networks that take
    noise beside the latent vector."""
    return _stream(seed, index, 1 + number).standard_normal(shape, np.float32)


def _stream(seed: int, index: int, number: int) -> np.random.Generator:
    """Stream ``number`` of an image: streams lie 2**192 draws apart."""
    key = np.array([seed, index], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))
