"""A checkpoint of the published kind that holds the same generator as one of our random bundles."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from published_serving import Discriminator
from torch import Tensor

from twinserve.bundle import pgan
from twinserve.bundle.layers import Array, Layer
from twinserve.bundle.store import (
    FULL_SIZE,
    FULL_SIZE_LATENT,
    FULL_SIZE_MAPS,
    RANDOM_LATENT,
    RANDOM_MAPS,
)


def write_checkpoint(path: Path, model: str, resolution: int) -> None:
    """Generator, its average (the same) and a discriminator of random weights."""
    full = model == FULL_SIZE
    latent, maps = (FULL_SIZE_LATENT, FULL_SIZE_MAPS) if full else (RANDOM_LATENT, RANDOM_MAPS)
    weights = pgan.random_weights(resolution, latent, maps)
    widths = maps[: resolution.bit_length() - 2]
    generator = generator_state(weights)
    torch.manual_seed(0)
    stored = {
        "config": {"latent": latent, "widths": widths},
        "netG": generator,
        "avgG": {name: tensor.clone() for name, tensor in generator.items()},
        "netD": Discriminator(widths).state_dict(),
    }
    torch.save(stored, path)


def generator_state(weights: pgan.PganWeights) -> dict[str, Tensor]:
    """The weights by the names of ``published_serving.Generator``."""
    layers = {"linear": weights.linear, "first": weights.first, "to_rgb": weights.to_rgb}
    for level, (upsampling, convolution) in enumerate(weights.blocks):
        plain = Layer(unfused(upsampling.weight), upsampling.bias)
        layers |= {f"levels.{level}.1": plain, f"levels.{level}.4": convolution}
    state = {}
    for name, layer in layers.items():
        constant = np.float32(math.sqrt(2 / layer.weight[0].size))
        state[f"{name}.module.weight"] = torch.from_numpy(layer.weight / constant)
        state[f"{name}.module.bias"] = torch.from_numpy(layer.bias / constant)
    return state


def unfused(weight: Array) -> Array:
    """(in, out, 4, 4) -> (out, in, 3, 3): the inverse of ``layers.fuse_upsampling``, whose taps are
    T0 = W2, T1 = W1 + W2, T2 = W0 + W1 and T3 = W0 along each axis."""
    rows = np.stack([weight[:, :, 3], weight[:, :, 1] - weight[:, :, 0], weight[:, :, 0]], axis=2)
    taps = np.stack([rows[..., 3], rows[..., 1] - rows[..., 0], rows[..., 0]], axis=3)
    return np.ascontiguousarray(taps.transpose(1, 0, 2, 3))
