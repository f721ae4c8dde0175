"""Do both sides give the same answers to the same requests?"""

from __future__ import annotations

import base64
import io
import math
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
# Where the type of CPU or the arithmetic differs, rounding does: so near must the pixels be.
LEAST_PSNR_DB = 40.0
WHITE = 255.0

Pixels = list[NDArray[np.uint8]]


async def check_equality(
    sender: Sender,
    urls: Mapping[str, str],
    on_outcome: Callable[[Outcome], None],
    least_psnr_db: float | None = None,
) -> EqualityResult:
    """Send the same requests to both sides and compare every image pixel by pixel.

    ``urls`` names the two sides first and then what is loaded beside them, which is compared with
    the first side but does not count. With ``least_psnr_db`` images that are not equal may be so
    near to each other (peak signal-to-noise ratio of 8-bit values).
    """
    judge = _Judge(least_psnr_db)
    faults, beside, equal = [], [], 0
    for images, seed in REQUESTS:
        answers = {}
        for side, url in urls.items():
            outcome = await sender.send(Target(side, url, Phase.EQUALITY), images, seed)
            on_outcome(outcome)
            answers[side] = _images(outcome)
        first, second, *others = answers.values()
        fault = judge.difference(first, second)
        asked = f"{images} image(s) of seed {seed}"
        equal += not fault
        faults += [f"{asked}: {fault}"] if fault else []
        beside += [f"{asked}: {found}" for other in others if (found := _against(first, other))]
    return EqualityResult(
        requests=len(REQUESTS),
        equal=equal,
        detail="; ".join(faults) or f"all {len(REQUESTS)} requests gave {judge.said}",
        contrast="; ".join(beside),
    )


class _Judge:
    """Compares answers and remembers how near the farthest equal ones were."""

    def __init__(self, least_psnr_db: float | None) -> None:
        self._least_db = least_psnr_db
        self._lowest_db = math.inf

    @property
    def said(self) -> str:
        if self._lowest_db == math.inf:
            return "equal pixels on both sides"
        return (
            f"the same images on both sides to within rounding: PSNR {self._lowest_db:.1f} dB or "
            f"more, {self._least_db:g} dB are asked for"
        )

    def difference(self, first: Pixels | str, second: Pixels | str) -> str:
        """What differs between the two answers, or nothing."""
        if isinstance(first, str):
            return first
        if isinstance(second, str):
            return second
        if len(first) != len(second):
            return f"{len(first)} against {len(second)} images"
        faults = (self._image(k, a, b) for k, (a, b) in enumerate(zip(first, second, strict=True)))
        return next((fault for fault in faults if fault), "")

    def _image(self, k: int, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> str:
        if a.shape != b.shape:
            return f"image {k} has shape {a.shape} against {b.shape}"
        if np.array_equal(a, b):
            return ""
        differs = f"image {k} differs in {np.mean(a != b):.1%} of its values"
        if self._least_db is None:
            return differs
        found_db = psnr_db(a, b)
        if found_db < self._least_db:
            return f"{differs}, PSNR {found_db:.1f} dB where {self._least_db:g} dB are needed"
        self._lowest_db = min(self._lowest_db, found_db)
        return ""


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of two 8-bit images of one shape; infinite where they are
    equal."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 10 * math.log10(WHITE**2 / error) if error else math.inf


def _against(first: Pixels | str, other: Pixels | str) -> str:
    """How what is loaded beside the sides differs from them; a failed side is told elsewhere."""
    return "" if isinstance(first, str) else _Judge(None).difference(first, other)


def _images(outcome: Outcome) -> Pixels | str:
    """The images of an answer, or why there are none."""
    if not outcome.sample.success:
        return f"{outcome.sample.side} failed ({outcome.sample.failure or outcome.sample.status})"
    try:
        files = msgspec.json.decode(outcome.body)["images"]
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(file)))) for file in files]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, OSError) as error:
        return f"{outcome.sample.side} sent no readable images ({error})"
