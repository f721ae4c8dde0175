"""From a published checkpoint to the weights of a bundle.

The reference implementation is facebookresearch/pytorch_GAN_zoo (read at commits d8d6102, a5215f7
and 382a968): ``models/networks`` says what is computed, ``models/base_GAN.py`` how it is stored.
Its ``alpha`` is the share of the OLDER level, a bundle's is the share of the newer one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from twinserve.bundle import dcgan, pgan, stylegan
from twinserve.bundle.labels import with_labels
from twinserve.bundle.layers import Layer, fuse_upsampling
from twinserve.errors import CheckpointError
from twinserve.zoo.layers import Config, Parts, Shapes, layer_shapes, looks_like
from twinserve.zoo.reader import Checkpoint

MAPPING_MULTIPLIER = 0.01  # lrMul of the reference's MappingLayer
UNSQUASHED = ("WGANGP", "Logistic")  # losses whose generator ends without an activation
SQUASHED = ("DCGAN", "MSE")  # those whose generator ends in a hyperbolic tangent
SLOPE = 0.2

# Where a pixel's features nearly cancel, pixel normalisation divides by next to nothing and
# rounding grows a thousandfold (in the 512x512 test checkpoint the published float32 output is 2e-4
# from what exact arithmetic gives). The roundings that count are those of the first levels: there a
# PGAN is computed in the published order, with each constant behind its bias and pixel norm
# in steps at 4x4, and without joining upsampling and convolution up to 16x16. It costs about a
# hundredth of the operations.
UNFUSED_LEVELS = 2


class Chosen(StrEnum):
    """Which of a checkpoint's two generators."""

    AVERAGED = "averaged"
    RAW = "raw"

    @property
    def network(self) -> str:
        return {"averaged": "avgG", "raw": "netG"}[self.value]


@dataclass(frozen=True)
class Converted:
    """A generator of a checkpoint, ready to become a bundle; ``graph`` makes the OpenVINO model
    under a name."""

    architecture: str
    resolution: int
    latent: int
    truncation: float
    graph: Callable[[str], Any]


def convert(checkpoint: Checkpoint, chosen: Chosen = Chosen.AVERAGED) -> Converted:
    """One of the checkpoint's generators, its architecture recognised by its tensors.

    Raises:
        CheckpointError: the checkpoint has no such generator; it is of no known architecture; or
            its configuration or its tensors do not fit, which are named.
    """
    if chosen.network not in checkpoint.networks and "netG" in checkpoint.networks:
        raise CheckpointError(
            f"{checkpoint.path} has no averaged generator (avgG); import the raw one with "
            f"--weights raw."
        )
    tensors, config = checkpoint.network(chosen.network), Config(checkpoint)
    if looks_like(tensors, "mapping.", "baseScale0", "adain"):
        styled = stylegan_weights(checkpoint, chosen)
        truncation = min(1.0, config.number("phiTruncation"))
        return _converted("stylegan", styled, config, stylegan.graph, truncation)
    if looks_like(tensors, "main."):
        return _converted("dcgan", dcgan_weights(checkpoint, chosen), config, dcgan.graph)
    if looks_like(tensors, "groupScale0.", "scaleLayers.", "toRGBLayers."):
        return _converted("pgan", pgan_weights(checkpoint, chosen), config, pgan.graph)
    names = ", ".join(name[:60] for name in list(tensors)[:6])
    raise CheckpointError(
        f"{checkpoint.path} holds no generator of a known architecture (PGAN, DCGAN, StyleGAN); "
        f"its first tensors are {names or 'none'}."
    )


def pgan_weights(checkpoint: Checkpoint, chosen: Chosen) -> pgan.PganWeights:
    """GNet of ``progressive_conv_net.py``."""
    config = Config(checkpoint)
    equalised = check_growing(config)
    config.must_be("perChannelNormalization", True)
    widths = (config.integer("depthScale0"), *config.integers("depthOtherScales"))
    latent = config.integer("latentVectorDim")
    parts = Parts(checkpoint, chosen.network, pgan_shapes(latent, widths))
    older_rgb, alpha = _fade(config, parts, len(widths) - 1, len(widths), equalised)
    return pgan.PganWeights(
        linear=parts.plain_layer("formatLayer", equalised),
        first=parts.plain_layer("groupScale0.0", equalised),
        blocks=tuple(
            (
                _fused(parts.layer(f"scaleLayers.{level}.0", equalised), level >= UNFUSED_LEVELS),
                parts.layer(f"scaleLayers.{level}.1", equalised),
            )
            for level in range(len(widths) - 1)
        ),
        to_rgb=parts.layer(f"toRGBLayers.{len(widths) - 1}", equalised),
        older_rgb=older_rgb,
        alpha=alpha,
    )


def pgan_shapes(latent: int, widths: tuple[int, ...]) -> Shapes:
    shapes = layer_shapes("formatLayer", widths[0] * 16, latent)
    shapes |= layer_shapes("groupScale0.0", widths[0], widths[0], 3, 3)
    for level, (coarser, finer) in enumerate(pairwise(widths)):
        shapes |= layer_shapes(f"scaleLayers.{level}.0", finer, coarser, 3, 3)
        shapes |= layer_shapes(f"scaleLayers.{level}.1", finer, finer, 3, 3)
    for level, width in enumerate(widths):
        shapes |= layer_shapes(f"toRGBLayers.{level}", 3, width, 1, 1)
    return shapes


def stylegan_weights(checkpoint: Checkpoint, chosen: Chosen) -> stylegan.StyleganWeights:
    """GNet of ``styleGAN.py``; unlike the PGAN's, its 4x4 level makes no picture."""
    config = Config(checkpoint)
    equalised = check_growing(config)
    widths = (config.integer("depthScale0"), *config.integers("depthOtherScales"))
    latent, mappings = config.integer("latentVectorDim"), config.integer("nMappings", 1, 64)
    levels = len(widths) - 1
    if not levels:
        raise CheckpointError(f"{checkpoint.path} has not grown beyond 4x4, and makes no pictures.")
    shapes = stylegan_shapes(latent, widths, mappings)
    parts = Parts(checkpoint, chosen.network, shapes)
    older_rgb, alpha = _fade(config, parts, levels - 1, levels, equalised)

    def styled(noise: str, style: str) -> stylegan.Styled:
        strength = float(parts[f"{noise}.module.weight"].item())
        return stylegan.Styled(strength, parts.layer(f"{style}.styleModulator", True))

    return stylegan.StyleganWeights(
        mapping=tuple(
            parts.layer(f"mapping.FC.{k}", True, MAPPING_MULTIPLIER) for k in range(mappings)
        ),
        mean_w=parts["mean_w"][0],
        constant=parts["baseScale0"][0],
        first=styled("noiseMod00", "adain00"),
        convolution=parts.layer("conv0", True),
        second=styled("noiseMod01", "adain01"),
        blocks=tuple(
            stylegan.Block(
                _fused(parts.layer(f"scaleLayers.{level}.0", True)),
                styled(f"noiseModulators.{level}.0", f"scaleLayers.{level}.1"),
                parts.layer(f"scaleLayers.{level}.2", True),
                styled(f"noiseModulators.{level}.1", f"scaleLayers.{level}.3"),
            )
            for level in range(levels)
        ),
        to_rgb=parts.layer(f"toRGBLayers.{levels - 1}", True),
        older_rgb=older_rgb,
        alpha=alpha,
    )


def stylegan_shapes(latent: int, widths: tuple[int, ...], mappings: int) -> Shapes:
    first = widths[0]
    shapes: Shapes = {"baseScale0": (1, first, 4, 4), "mean_w": (1, first)}
    for k in range(mappings):
        shapes |= layer_shapes(f"mapping.FC.{k}", first, first if k else latent)
    shapes |= layer_shapes("conv0", first, first, 3, 3)
    for k in range(2):
        shapes |= layer_shapes(f"adain0{k}.styleModulator", 2 * first, first)
        shapes[f"noiseMod0{k}.module.weight"] = (1, 1, 1, 1)
    for level, (coarser, finer) in enumerate(pairwise(widths)):
        shapes |= layer_shapes(f"scaleLayers.{level}.0", finer, coarser, 3, 3)
        shapes |= layer_shapes(f"scaleLayers.{level}.1.styleModulator", 2 * finer, first)
        shapes |= layer_shapes(f"scaleLayers.{level}.2", finer, finer, 3, 3)
        shapes |= layer_shapes(f"scaleLayers.{level}.3.styleModulator", 2 * finer, first)
        shapes |= layer_shapes(f"toRGBLayers.{level}", 3, finer, 1, 1)
        for k in range(2):
            shapes[f"noiseModulators.{level}.{k}.module.weight"] = (1, 1, 1, 1)
    return shapes


def dcgan_weights(checkpoint: Checkpoint, chosen: Chosen) -> dcgan.DcganWeights:
    """GNet of ``DCGAN_nets.py`` in evaluation mode (the published hub code forgets to switch)."""
    config = Config(checkpoint)
    config.must_be("dimOutput", 3)
    loss = config.must_be("lossCriterion", *UNSQUASHED, *SQUASHED)
    latent, width = config.integer("latentVectorDim"), config.integer("dimG")
    depth = config.integer("depth", 0, 8)
    parts = Parts(checkpoint, chosen.network, dcgan_shapes(latent, width, depth))
    norms = [_norm(parts, f"main.batchNorm{k}") for k in range(depth + 1)]
    folded = [
        dcgan.fold(parts[f"main.convTranspose{k}.weight"], norms[k]) for k in range(1, depth + 1)
    ]
    last = parts["main.outlayer.weight"]
    unbiased = Layer(last, last[0, :, 0, 0] * 0)
    first = dcgan.fold(parts["formatLayer.weight"], norms[0])
    return dcgan.DcganWeights(dcgan.as_linear(first), (*folded, unbiased), loss in SQUASHED)


def dcgan_shapes(latent: int, width: int, depth: int) -> Shapes:
    widths = [width << level for level in range(depth, -1, -1)]
    shapes: Shapes = {"formatLayer.weight": (latent, widths[0], 4, 4)}
    for k, (coarser, finer) in enumerate(pairwise(widths), 1):
        shapes[f"main.convTranspose{k}.weight"] = (coarser, finer, 4, 4)
    for k, channels in enumerate(widths):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"main.batchNorm{k}.{part}"] = (channels,)
    return shapes | {"main.outlayer.weight": (width, 3, 4, 4)}


def _norm(parts: Parts, name: str) -> dcgan.BatchNorm:
    return dcgan.BatchNorm(
        weight=parts[f"{name}.weight"],
        bias=parts[f"{name}.bias"],
        mean=parts[f"{name}.running_mean"],
        variance=parts[f"{name}.running_var"],
    )


def _converted(
    architecture: str,
    weights: Any,
    config: Config,
    graph: Callable[[Any, str], Any],
    truncation: float = 1.0,
) -> Converted:
    sizes = config.label_sizes()

    def named(name: str) -> Any:
        model = graph(weights, name)
        return with_labels(model, sizes) if sizes else model

    return Converted(architecture, weights.resolution, weights.latent, truncation, named)


def check_growing(config: Config) -> bool:
    """Refuse what the growing architectures of a bundle do not compute; whether layers are
    equalised."""
    config.must_be("dimOutput", 3)
    config.must_be("leakyReluLeak", SLOPE)
    config.must_be("lossCriterion", *UNSQUASHED)
    return bool(config.must_be("equalizedlR", True, False))


def _fade(
    config: Config, parts: Parts, newest: int, levels: int, equalised: bool
) -> tuple[Layer | None, float]:
    """The older level's way to a picture, and the newer one's share of it."""
    older_share = config.share("alpha") if levels > 1 else 0.0
    if older_share == 0:
        return None, 1.0
    return parts.layer(f"toRGBLayers.{newest - 1}", equalised), 1 - older_share


def _fused(layer: Layer, fuse: bool = True) -> Layer:
    return Layer(fuse_upsampling(layer.weight), layer.bias) if fuse else layer
