"""Our way of serving, for ``model_speed.py``: a bundle in OpenVINO, Pillow's PNG, base64.

Reads a request a line, answers a line; see ``worker.py``. Images are those of seed 0.
"""

from __future__ import annotations

import argparse
import base64

import numpy as np
from worker import answer_requests

# What the service itself imports comes along, so that a start costs what it really costs.
import twinserve.service.core  # noqa: F401
from twinserve.bundle.engine import Arithmetic, Engine
from twinserve.bundle.images import ImageFormat, encode, grid
from twinserve.bundle.latents import latent
from twinserve.bundle.store import open_bundle

SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--arithmetic", type=Arithmetic, required=True)
    options = parser.parse_args()
    engine = Engine(open_bundle(options.model), options.arithmetic, threads=1)
    answer_requests(lambda count: serve(engine, count), lambda count: pictures(engine, count))


def serve(engine: Engine, count: int) -> str:
    images = [engine.image(SEED, index) for index in range(count)]
    sheet = images[0] if count == 1 else grid(images)
    return base64.b64encode(encode(sheet, ImageFormat.PNG)).decode()


def pictures(engine: Engine, count: int) -> np.ndarray:
    """The network's own output (count, 3, side, side)."""
    latents = (latent(SEED, index, engine.facts.latent) for index in range(count))
    return np.stack([engine.picture(z) for z in latents])


if __name__ == "__main__":
    main()
