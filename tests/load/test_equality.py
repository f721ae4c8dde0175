"""The same requests, the same images: exactly, or to within rounding where that is allowed."""

import asyncio
import base64
import io

import msgspec
import numpy as np
import pytest
from PIL import Image

from twinserve.load.equality import LEAST_PSNR_DB, REQUESTS, check_equality, psnr_db
from twinserve.load.sender import Outcome
from twinserve.records.samples import Sample

URLS = {"container": "http://a", "function": "http://b"}


def picture(seed, images, shift=0):
    """Images as a service answers them; ``shift`` is added to every value."""
    rng = np.random.default_rng(seed)
    for _ in range(images):
        pixels = rng.integers(20, 200, (8, 8, 3)) + shift
        file = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(file, "png")
        yield base64.b64encode(file.getvalue()).decode()


class Answering:
    """Sends nothing: answers for each side as ``shifts`` says; None is a service that fails."""

    def __init__(self, **shifts):
        self._shifts = shifts

    async def send(self, target, images, seed):
        shift = self._shifts[target.side]
        body = {"images": list(picture(seed, images, shift or 0))}
        sample = Sample(
            target.side, target.phase, -1, 0, 1, target.url, images, seed, 0.0, 0, 0, 0, 1, 2,
            503 if shift is None else 200, "", "" if shift is not None else "no place", 1, 1,
        )  # fmt: skip
        return Outcome(sample, msgspec.json.encode(body))


def checked(urls=URLS, least_psnr_db=None, **shifts):
    seen = []
    found = asyncio.run(check_equality(Answering(**shifts), urls, seen.append, least_psnr_db))
    assert len(seen) == len(REQUESTS) * len(urls)
    return found


def test_equal_images_are_equal():
    found = checked(container=0, function=0)
    assert (found.requests, found.equal, found.contrast) == (4, 4, "")
    assert "equal pixels on both sides" in found.detail


def test_a_value_that_differs_by_one_is_a_difference_on_one_machine():
    found = checked(container=0, function=1)
    assert found.equal == 0
    assert "image 0 differs in 100.0% of its values" in found.detail


def test_where_rounding_may_differ_40_db_are_enough_and_less_is_not():
    near = checked(least_psnr_db=LEAST_PSNR_DB, container=0, function=2)
    assert near.equal == 4
    assert "PSNR 42.1 dB or more, 40 dB are asked for" in near.detail
    far = checked(least_psnr_db=LEAST_PSNR_DB, container=0, function=3)
    assert far.equal == 0
    assert "PSNR 38.6 dB where 40 dB are needed" in far.detail


def test_a_contrast_that_differs_is_told_apart_from_the_sides():
    urls = URLS | {"contrast": "http://c"}
    found = checked(urls, container=0, function=0, contrast=5)
    assert found.equal == 4
    assert "image 0 differs" in found.contrast
    assert (
        "contrast failed (no place)"
        in checked(urls, container=0, function=0, contrast=None).contrast
    )


def test_a_side_that_fails_is_named():
    found = checked(container=0, function=None)
    assert found.equal == 0
    assert "function failed (no place)" in found.detail


def test_psnr_is_that_of_8_bit_values():
    black, grey = np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)
    assert psnr_db(black, black) == float("inf")
    assert psnr_db(black, grey) == 0.0
    one = black.copy()
    one[0, 0] = 16  # mean square error 16
    assert psnr_db(black, one) == pytest.approx(20 * np.log10(255 / 4))
