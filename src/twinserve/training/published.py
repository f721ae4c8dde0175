"""Networks of a published PGAN checkpoint as trainable ones: to score pictures, or to train on.

The published implementation (facebookresearch/pytorch_GAN_zoo, ``progressive_conv_net.py``) differs
from ours in what it does with the same numbers: its run-time constant, sqrt(2 / fan-in) for every
layer, multiplies the bias as well; its minibatch deviation is over groups of four with n - 1; its
``alpha`` is the share of the older level; and its discriminator never blends while it has only one
level above 4x4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from twinserve.bundle.layers import Layer
from twinserve.training.networks import (
    Discriminator,
    EqualConv,
    EqualLinear,
    Generator,
    NetworkConfig,
)
from twinserve.zoo.convert import Chosen, check_growing, pgan_shapes
from twinserve.zoo.layers import Config, Parts, Shapes, layer_shapes
from twinserve.zoo.reader import Checkpoint

GROUP = 4

Equal = EqualConv | EqualLinear


@dataclass(frozen=True)
class PublishedPgan:
    """Both networks and the share of the newest level in each; call them with that ``alpha``."""

    generator: Generator
    generator_alpha: float
    discriminator: Discriminator
    discriminator_alpha: float

    def scores(self, pictures: Tensor) -> Tensor:
        """The discriminator's score (N, 1) of each picture (N, 3, side, side).

        A group is four pictures in a row, or all of them where four do not divide their number.
        """
        size = GROUP if len(pictures) % GROUP == 0 else len(pictures)
        groups = torch.split(pictures, size)
        alpha = self.discriminator_alpha
        return torch.cat([self.discriminator(group, alpha=alpha) for group in groups])


def published_pgan(checkpoint: Checkpoint, chosen: Chosen = Chosen.AVERAGED) -> PublishedPgan:
    """The networks of a published PGAN, every tensor accounted for.

    Raises:
        CheckpointError: the checkpoint lacks a network, or its tensors or its configuration do not
            fit, which are named.
    """
    config = Config(checkpoint)
    equalised = check_growing(config)
    config.must_be("perChannelNormalization", True)
    widths = (config.integer("depthScale0"), *config.integers("depthOtherScales"))
    latent = config.integer("latentVectorDim")
    network = NetworkConfig(latent, widths, GROUP, deviation_correction=1)
    alpha = 1 - config.share("alpha") if len(widths) > 1 else 1.0
    return PublishedPgan(
        generator=_generator(checkpoint, chosen, network, equalised),
        generator_alpha=alpha,
        discriminator=_discriminator(checkpoint, config, network, equalised),
        discriminator_alpha=alpha if len(widths) > 2 else 1.0,
    )


def _generator(
    checkpoint: Checkpoint, chosen: Chosen, config: NetworkConfig, equalised: bool
) -> Generator:
    parts = Parts(checkpoint, chosen.network, pgan_shapes(config.latent, config.feature_maps))
    generator = Generator(config)
    names: dict[str, Equal] = {"formatLayer": generator.fc, "groupScale0.0": generator.c0}
    for level, block in enumerate(generator.blocks):
        names |= {f"scaleLayers.{level}.{k}": layer for k, layer in enumerate(block)}
    names |= {f"toRGBLayers.{level}": layer for level, layer in enumerate(generator.rgb)}
    _fill({name: parts.layer(name, equalised) for name in names}, names)
    return generator.eval()


def _discriminator(
    checkpoint: Checkpoint, config: Config, network: NetworkConfig, equalised: bool
) -> Discriminator:
    with_deviation = bool(config.must_be("miniBatchStdDev", True, False))
    outputs = 1 + config.integer("categoryVectorDim", 0)  # a score, then one for each class
    shapes = _discriminator_shapes(network.feature_maps, with_deviation, outputs)
    parts = Parts(checkpoint, "netD", shapes)
    discriminator = Discriminator(network)
    names: dict[str, Equal] = {
        "groupScaleZero.0": discriminator.c0,
        "groupScaleZero.1": discriminator.f1,
        "decisionLayer": discriminator.f2,
    }
    for level, block in enumerate(discriminator.blocks):
        names |= {f"scaleLayers.{level}.{k}": layer for k, layer in enumerate(block)}
    names |= {f"fromRGBLayers.{level}": layer for level, layer in enumerate(discriminator.rgb)}
    layers = {name: parts.layer(name, equalised) for name in names}
    score = layers["decisionLayer"]
    layers["decisionLayer"] = Layer(score.weight[:1], score.bias[:1])
    if not with_deviation:  # the channel is there, and counts for nothing
        first = layers["groupScaleZero.0"]
        padded = np.pad(first.weight, ((0, 0), (0, 1), (0, 0), (0, 0)))
        layers["groupScaleZero.0"] = Layer(padded, first.bias)
    _fill(layers, names)
    return discriminator.eval()


def _discriminator_shapes(widths: tuple[int, ...], with_deviation: bool, outputs: int) -> Shapes:
    first = widths[0]
    shapes = layer_shapes("groupScaleZero.0", first, first + with_deviation, 3, 3)
    shapes |= layer_shapes("groupScaleZero.1", first, first * 16)
    shapes |= layer_shapes("decisionLayer", outputs, first)
    for level, (coarser, finer) in enumerate(pairwise(widths)):
        shapes |= layer_shapes(f"scaleLayers.{level}.0", finer, finer, 3, 3)
        shapes |= layer_shapes(f"scaleLayers.{level}.1", coarser, finer, 3, 3)
    for level, width in enumerate(widths):
        shapes |= layer_shapes(f"fromRGBLayers.{level}", width, 3, 1, 1)
    return shapes


def _fill(layers: Mapping[str, Layer], modules: Mapping[str, Equal]) -> None:
    """Put each layer, whose constant is multiplied in, into a module that multiplies its own into
    the weight alone."""
    for name, layer in layers.items():
        module = modules[name]
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(layer.weight / np.float32(module.scale)))
            module.bias.copy_(torch.from_numpy(layer.bias.copy()))
