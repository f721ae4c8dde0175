"""A bundle's pictures in large numbers, on every CPU at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twinserve.bundle.bundle import Bundle
from twinserve.bundle.cpu import thread_count
from twinserve.bundle.engine import Engine
from twinserve.training.threads import in_order

PSI = 1.0  # no truncation: a measurement is of everything that the model makes


class Maker:
    """Makes the pictures that the deployments would, with one single-threaded engine a CPU.

    A picture does not depend on the number of threads, and so each CPU makes its own: an engine
    with several threads spends a part of its time on waiting.
    """

    def __init__(self, bundle: Bundle, seed: int, threads: int | None = None) -> None:
        self._engines = [Engine(bundle, threads=1) for _ in range(threads or thread_count())]
        self._seed = seed

    def pictures(self, indices: range) -> NDArray[np.uint8]:
        """Those of the seed and indices: (N, 3, side, side) bytes."""
        shares = np.array_split(indices, len(self._engines))
        work = zip(self._engines, shares, strict=True)
        made = in_order(lambda each: self._share(*each), work, len(self._engines))
        return np.concatenate([share for share in made if len(share)])

    def _share(self, engine: Engine, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        psi = PSI if engine.truncates else None
        pictures = [engine.image(self._seed, int(k), psi).transpose(2, 0, 1) for k in indices]
        return np.stack(pictures) if pictures else np.empty(0, np.uint8)
