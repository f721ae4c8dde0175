"""Do both sides give the same answers to the same requests?"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinserve.load.sender import Outcome, Sender, Target
from twinserve.records.manifest import EqualityResult
from twinserve.records.samples import Phase

# (images, seed): one image, several, and a seed beyond 32 bits.
REQUESTS = ((1, 7), (4, 7), (2, 123_456_789_012), (3, 0))


async def check_equality(
    sender: Sender,
    urls: Mapping[str, str],
    on_outcome: Callable[[Outcome], None],
) -> EqualityResult:
    """Send the same requests to both sides and compare every image pixel by pixel."""
    equal, faults = 0, []
    for images, seed in REQUESTS:
        pixels = {}
        for side, url in urls.items():
            outcome = await sender.send(Target(side, url, Phase.EQUALITY), images, seed)
            on_outcome(outcome)
            pixels[side] = _images(outcome)
        fault = _difference(pixels)
        equal += not fault
        if fault:
            faults.append(f"{images} image(s) of seed {seed}: {fault}")
    detail = "; ".join(faults) or f"all {len(REQUESTS)} requests gave equal pixels on both sides"
    return EqualityResult(len(REQUESTS), equal, detail)


def _images(outcome: Outcome) -> list[NDArray[np.uint8]] | str:
    """The images of an answer, or why there are none."""
    if not outcome.sample.success:
        return f"{outcome.sample.side} failed ({outcome.sample.failure})"
    try:
        files = msgspec.json.decode(outcome.body)["images"]
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(file)))) for file in files]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, OSError) as error:
        return f"{outcome.sample.side} sent no readable images ({error})"


def _difference(pixels: Mapping[str, list[NDArray[np.uint8]] | str]) -> str:
    """What differs between the two sides, or nothing."""
    first, second = pixels.values()
    if isinstance(first, str):
        return first
    if isinstance(second, str):
        return second
    if len(first) != len(second):
        return f"{len(first)} against {len(second)} images"
    for k, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.shape != b.shape:
            return f"image {k} has shape {a.shape} against {b.shape}"
        if not np.array_equal(a, b):
            return f"image {k} differs in {np.mean(a != b):.1%} of its values"
    return ""
