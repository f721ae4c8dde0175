"""A trained generator as a bundle: constants folded, upsampling fused, float16 weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from twinserve.bundle import pgan
from twinserve.bundle.bundle import Bundle, BundleFacts, write_bundle
from twinserve.bundle.layers import Array, Layer, fuse_upsampling
from twinserve.training.networks import EqualConv, EqualLinear, Generator


def export(generator: Generator, folder: Path, facts: BundleFacts) -> Bundle:
    """Write the generator's bundle into ``folder``; the facts' content hash is filled in."""
    return write_bundle(folder, pgan.graph(folded(generator), facts.name), facts)


def folded(generator: Generator) -> pgan.PganWeights:
    """The generator at its last level as plain arrays, every run-time constant multiplied in."""
    return pgan.PganWeights(
        linear=_layer(generator.fc),
        first=_layer(generator.c0),
        blocks=tuple(
            (_fused(_layer(upsampling)), _layer(convolution))
            for upsampling, convolution in generator.blocks
        ),
        to_rgb=_layer(generator.rgb[-1]),
    )


def _layer(module: EqualConv | EqualLinear) -> Layer:
    return Layer(_array(module.weight * module.scale), _array(module.bias))


def _fused(layer: Layer) -> Layer:
    return Layer(fuse_upsampling(layer.weight), layer.bias)


def _array(tensor: Tensor) -> Array:
    values: Array = tensor.detach().cpu().numpy()
    return np.ascontiguousarray(values)
