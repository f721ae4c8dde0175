"""Pictures as floats, and separable filters as matrix products: PyTorch runs these several times
as fast on a CPU as it runs convolutions of single channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

OUTPUTS_AT_A_TIME = 32  # an axis: longer blocks multiply more zeros, shorter ones run slower


def grey_levels(pictures: NDArray[np.uint8]) -> Tensor:
    """Bytes, which may be mapped from a file, to float32 of 0 to 255; a copy."""
    return torch.tensor(pictures, dtype=torch.float32)


def filtered(pictures: Tensor, taps: Sequence[float], stride: int = 1) -> Tensor:
    """Correlate both axes of (..., H, W) with ``taps``, at every ``stride``-th place.

    Only where all taps meet the picture: an axis of length n becomes (n - len(taps)) // stride + 1.
    """
    down = [band.T @ pictures[..., some, :] for some, band in _blocks(pictures, -2, taps, stride)]
    x = torch.cat(down, dim=-2) if len(down) > 1 else down[0]
    across = [x[..., some] @ band for some, band in _blocks(x, -1, taps, stride)]
    return torch.cat(across, dim=-1) if len(across) > 1 else across[0]


def _blocks(x: Tensor, axis: int, taps: Sequence[float], stride: int) -> list[tuple[slice, Tensor]]:
    """Block after block of outputs: the inputs that it needs, and the banded matrix for them."""
    outputs = (x.shape[axis] - len(taps)) // stride + 1
    blocks = []
    for begin in range(0, outputs, OUTPUTS_AT_A_TIME):
        band = _band(x, taps, stride, min(OUTPUTS_AT_A_TIME, outputs - begin))
        blocks.append((slice(begin * stride, begin * stride + len(band)), band))
    return blocks


def _band(like: Tensor, taps: Sequence[float], stride: int, outputs: int) -> Tensor:
    """(inputs, outputs): the taps in each column, ``stride`` rows lower than in the one before."""
    band = like.new_zeros((outputs - 1) * stride + len(taps), outputs)
    places = torch.arange(outputs)
    for k, tap in enumerate(taps):
        band[places * stride + k, places] = tap
    return band
