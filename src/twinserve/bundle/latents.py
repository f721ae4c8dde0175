"""The seed contract: image *k* of seed *s* depends on (bundle, s, k) alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST_SEED = 2**63 - 1


def latent(seed: int, index: int, size: int) -> NDArray[np.float32]:
    """The latent vector (size,) of image ``index`` of ``seed``, standard normal.

    A counter-based generator (Philox 4x64; Salmon et al., "Parallel Random Numbers: As Easy as 1,
    2, 3", SC 2011) keyed by both numbers: no image needs the one before it to have been drawn.
    """
    key = np.array([seed, index], np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(size, np.float32)
