"""Run a bundle: seeds in, pictures out."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twinserve.bundle.bundle import Bundle, BundleFacts
from twinserve.bundle.cpu import thread_count
from twinserve.bundle.latents import latent
from twinserve.bundle.openvino_runtime import openvino
from twinserve.errors import BundleError

Pixels = NDArray[np.uint8]


class Arithmetic(StrEnum):
    """Number format of the computation; ``AUTO`` lets OpenVINO take the fastest on this CPU."""

    AUTO = "auto"
    F32 = "f32"
    BF16 = "bf16"


class ImageGenerator(Protocol):
    """All that a service needs to know of a model."""

    @property
    def facts(self) -> BundleFacts: ...

    def image(self, seed: int, index: int) -> Pixels:
        """Image ``index`` of ``seed`` as (side, side, 3) bytes."""
        ...


class Engine:
    """A compiled bundle, for one caller at a time: who shares it among threads takes turns.

    Raises:
        BundleError: OpenVINO cannot compile the bundle's graph.
    """

    def __init__(
        self, bundle: Bundle, arithmetic: Arithmetic = Arithmetic.AUTO, threads: int | None = None
    ) -> None:
        self._facts = bundle.facts
        options: dict[str, object] = {
            "INFERENCE_NUM_THREADS": threads or thread_count(),
            "NUM_STREAMS": 1,
        }
        if arithmetic is not Arithmetic.AUTO:
            options["INFERENCE_PRECISION_HINT"] = arithmetic.value
        try:
            self._request = (
                openvino().Core().compile_model(bundle.graph, "CPU", options).create_infer_request()
            )
        except RuntimeError as error:
            raise BundleError(f"{bundle.facts.name} cannot be compiled: {error}") from error

    @property
    def facts(self) -> BundleFacts:
        return self._facts

    def image(self, seed: int, index: int) -> Pixels:
        """Image ``index`` of ``seed`` as (side, side, 3) bytes, clipped and rounded."""
        picture = self.picture(latent(seed, index, self._facts.latent))
        pixels = np.clip(np.rint((picture + 1) * 127.5), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))

    def picture(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's own output (3, side, side) for one latent (latent,), not clipped."""
        results = self._request.infer({0: z[None]})
        return np.array(results[0][0])
