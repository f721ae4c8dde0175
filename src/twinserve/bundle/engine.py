"""Run a bundle: seeds in, pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from twinserve.bundle.bundle import Bundle, BundleFacts
from twinserve.bundle.cpu import has_fast_bf16, thread_count
from twinserve.bundle.images import Pixels, as_pixels
from twinserve.bundle.latents import latent, noise
from twinserve.bundle.openvino_runtime import openvino
from twinserve.bundle.store import integer_network
from twinserve.errors import BundleError, UsageError

Array = NDArray[np.float32]


class Arithmetic(StrEnum):
    """Number format of the computation.

    ``AUTO`` takes the fastest floating-point one on this CPU (see
    :func:`twinserve.bundle.cpu.has_fast_bf16`). ``INT8`` is faster still where the CPU has it, and
    its pictures are at least 40 dB like those in float32 (:mod:`twinserve.bundle.quantise`).
    """

    AUTO = "auto"
    F32 = "f32"
    BF16 = "bf16"
    INT8 = "int8"


class ImageGenerator(Protocol):
    """All that a service needs to know of a model."""

    @property
    def facts(self) -> BundleFacts: ...

    @property
    def truncates(self) -> bool:
        """Whether ``psi`` means anything to this model."""
        ...

    def image(self, seed: int, index: int, psi: float | None = None) -> Pixels:
        """Image ``index`` of ``seed`` as (side, side, 3) bytes; ``psi`` None: the model's own."""
        ...


class Engine:
    """A compiled bundle, for one caller at a time: who shares it among threads takes turns.

    Raises:
        BundleError: OpenVINO cannot compile the bundle's graph, or this CPU or this model cannot
            run in int8.
    """

    def __init__(
        self, bundle: Bundle, arithmetic: Arithmetic = Arithmetic.AUTO, threads: int | None = None
    ) -> None:
        self._facts = bundle.facts
        options: dict[str, object] = {
            "INFERENCE_NUM_THREADS": threads or thread_count(),
            "NUM_STREAMS": 1,
        }
        if arithmetic is Arithmetic.AUTO:
            arithmetic = Arithmetic.BF16 if has_fast_bf16() else Arithmetic.F32
        integers = arithmetic is Arithmetic.INT8
        self._network = integer_network(bundle) if integers else bundle.network
        rest = Arithmetic.F32 if arithmetic is Arithmetic.INT8 else arithmetic
        options["INFERENCE_PRECISION_HINT"] = rest.value
        try:
            compiled = openvino().Core().compile_model(self._network.graph, "CPU", options)
        except RuntimeError as error:
            raise BundleError(f"{bundle.facts.name} cannot be compiled: {error}") from error
        self._network.forget_weights()
        self._request = compiled.create_infer_request()
        self._latent, self._noise_shapes, self._psi = _inputs(compiled)

    @property
    def facts(self) -> BundleFacts:
        return self._facts

    @property
    def noise_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes (1, 1, height, width) of the noise that the network takes beside the latent."""
        return self._noise_shapes

    @property
    def truncates(self) -> bool:
        """Whether ``psi`` means anything to this model."""
        return self._psi is not None

    def image(self, seed: int, index: int, psi: float | None = None) -> Pixels:
        """Image ``index`` of ``seed`` as (side, side, 3) bytes, clipped and rounded."""
        shapes = enumerate(self._noise_shapes)
        drawn = [noise(seed, index, number, shape) for number, shape in shapes]
        return as_pixels(self.picture(latent(seed, index, self._facts.latent), drawn, psi))

    def picture(
        self, z: Array, noise_maps: Sequence[Array] | None = None, psi: float | None = None
    ) -> Array:
        """The network's own output (3, side, side) for one latent (latent,), not clipped.

        ``noise_maps`` has one array for each of ``noise_shapes``; None draws those of seed 0.

        Raises:
            UsageError: ``psi`` is given and the model has no truncation.
        """
        if noise_maps is None:
            noise_maps = [noise(0, 0, k, shape) for k, shape in enumerate(self._noise_shapes)]
        inputs: dict[str, Array] = {self._latent: z[None]}
        for k, (values, shape) in enumerate(zip(noise_maps, self._noise_shapes, strict=True)):
            inputs[f"noise_{k}"] = values.reshape(shape)
        if self._psi:
            share = self._facts.truncation if psi is None else psi
            inputs[self._psi] = np.array([share], np.float32)
        elif psi is not None:
            raise UsageError(f"{self._facts.name} has no truncation; leave psi out.")
        return np.array(self._request.infer(inputs)[0][0])


def _inputs(compiled: Any) -> tuple[str, tuple[tuple[int, ...], ...], str | None]:
    """Name of the latent, shapes of the noise maps in order, and the name of psi if there is."""
    shapes = {node.get_any_name(): tuple(node.shape) for node in compiled.inputs}
    count = sum(name.startswith("noise_") for name in shapes)
    noise_shapes = tuple(shapes[f"noise_{k}"] for k in range(count))
    return "latent", noise_shapes, "psi" if "psi" in shapes else None
