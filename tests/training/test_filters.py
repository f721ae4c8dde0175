from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal

from twinserve.training.filters import filtered, grey_levels

TAPS = [0.1, 0.7, -0.3, 0.4, 0.2]


@pytest.mark.parametrize("shape", [(5, 5), (16, 9), (40, 40), (97, 130)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_filter_is_the_one_that_scipy_computes(shape: tuple[int, int], stride: int) -> None:
    pictures = np.random.default_rng(0).standard_normal((2, 3, *shape))
    expected = signal.correlate(pictures, np.outer(TAPS, TAPS)[None, None], mode="valid")
    found = filtered(torch.from_numpy(pictures), TAPS, stride)
    assert np.allclose(found.numpy(), expected[..., ::stride, ::stride], atol=1e-12)


def test_bytes_that_cannot_be_written_become_floats_that_can() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    pixels.flags.writeable = False
    floats = grey_levels(pixels)
    assert floats.tolist() == list(range(256))
    floats += 1
    assert pixels[0] == 0
