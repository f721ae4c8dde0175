"""Is what runs there ready, and does it make the very images that the model makes here?"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from twinserve.bundle.engine import Engine, ImageGenerator
from twinserve.bundle.images import Pixels, decode
from twinserve.bundle.store import open_bundle
from twinserve.cloud.asking import Ask
from twinserve.cloud.patience import Patience
from twinserve.errors import CloudError

# A fresh name or a fresh right takes a while until every front door knows it.
NOT_YET = (401, 403, 404, 429, 500, 502, 503, 504)
REFUSED = (401, 403)
REFUSED_S = 120.0  # longer than a right takes to be known everywhere
SHOWN = 200


@dataclass(frozen=True)
class Verified:
    """``lowest_db`` is the PSNR of the image that is farthest from ours; infinite: all equal."""

    requests: int
    images: int
    lowest_db: float

    def __str__(self) -> str:
        near = (
            "equal pixels"
            if math.isinf(self.lowest_db)
            else f"the same images to within rounding (PSNR {self.lowest_db:.1f} dB or more)"
        )
        return f"ready, and all {self.requests} requests ({self.images} images) gave {near}"


def verify(
    ask: Ask,
    model: str,
    requests: Sequence[tuple[int, int]],
    least_db: float,
    patience: Patience,
    waited: Callable[[str, float, float], None],
) -> Verified:
    """Wait for ``/readyz``, then compare each request's images with those of the model here.

    ``requests`` are (images, seed). CPU type and arithmetic may differ there, so images need not be
    equal, but at least ``least_db`` near.

    Raises:
        CloudError: it does not get ready, does not answer, or makes other images.
    """
    _until_ready(ask, patience, waited)
    here = Engine(open_bundle(model))
    found = [db for images, seed in requests for db in _compared(ask, here, images, seed)]
    lowest_db = min(found)
    if lowest_db < least_db:
        raise CloudError(
            f"It serves other images than {model} makes here: PSNR is {lowest_db:.1f} dB, at least "
            f"{least_db:g} dB are asked for. Is another model in the image?"
        )
    return Verified(len(requests), len(found), lowest_db)


def _until_ready(ask: Ask, patience: Patience, waited: Callable[[str, float, float], None]) -> None:
    said = ""
    for waited_s in patience.looks():
        try:
            status, body = ask("GET", "/readyz")
        except OSError as error:
            said = f"the connection failed ({getattr(error, 'reason', error)})"
        else:
            if status == 200:
                return
            said = f"it answers {status} ({body[:SHOWN].decode(errors='replace').strip()})"
            if status not in NOT_YET or (status in REFUSED and waited_s > REFUSED_S):
                break
        waited(f"wait for /readyz: {said}", waited_s, patience.ready_s)
    raise CloudError(f"/readyz does not say that it is ready: {said}.")


def _compared(ask: Ask, here: ImageGenerator, images: int, seed: int) -> Iterator[float]:
    """How near each image is to ours, in dB."""
    theirs = _asked(ask, images, seed)
    if len(theirs) != images:
        raise CloudError(f"It gave {len(theirs)} images where {images} were asked for.")
    for k, image in enumerate(theirs):
        yield psnr_db(here.image(seed, k), image)


def _asked(ask: Ask, images: int, seed: int) -> list[Pixels]:
    body = msgspec.json.encode({"num_images": images, "seed": seed, "layout": "list"})
    try:
        status, answer = ask("POST", "/generate", body)
    except OSError as error:
        raise CloudError(f"It does not answer ({getattr(error, 'reason', error)}).") from error
    if status != 200:
        shown = answer[:SHOWN].decode(errors="replace")
        raise CloudError(f"POST /generate answers {status}: {shown}")
    try:
        return [decode(base64.b64decode(each)) for each in msgspec.json.decode(answer)["images"]]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, OSError) as error:
        raise CloudError(f"POST /generate gave no readable images ({error}).") from error


def psnr_db(ours: Pixels, theirs: Pixels) -> float:
    """Peak signal-to-noise ratio of 8-bit images; infinite where they are equal, and of images of
    different sizes lower than any."""
    if ours.shape != theirs.shape:
        return -math.inf
    error = float(np.mean((ours.astype(np.float64) - theirs) ** 2))
    return 10 * math.log10(255**2 / error) if error else math.inf
