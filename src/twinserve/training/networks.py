"""The Progressive GAN: Karras et al., "Progressive Growing of GANs for Improved Quality,
Stability, and Variation", ICLR 2018 (arXiv:1710.10196).

A level is a resolution: level 0 is 4x4, level 1 is 8x8, level L is (4 * 2**L) squared. Both
networks hold every level that they will grow to and are called with the level to run at and
``alpha``, the share of the newest level while it fades in (1 = fully there).

Shapes are (N, C, H, W); pictures are RGB in about [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinserve.errors import TrainingError

EPSILON = 1e-8
SLOPE = 0.2
GAIN = math.sqrt(2)  # He initialisation's gain for (leaky) ReLU

Item = TypeVar("Item")


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of both networks; ``feature_maps[L]`` is the width of level L.

    ``deviation_correction`` 1 takes the deviation within a group of pictures with n - 1 (as the
    published PyTorch implementation does), 0 with n.
    """

    latent: int = 128
    feature_maps: tuple[int, ...] = (128, 128, 128, 64, 32)
    group: int = 8
    deviation_correction: int = 0

    @property
    def levels(self) -> int:
        return len(self.feature_maps)

    @property
    def resolution(self) -> int:
        """Side of the finest picture in pixels."""
        return 4 << (self.levels - 1)


class EqualLinear(nn.Module):
    """A linear layer whose weight is scaled at run time (section 4.1: equalised learning rate)."""

    def __init__(self, inputs: int, outputs: int, gain: float = GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias)


class EqualConv(nn.Module):
    """A same-size convolution whose weight is scaled at run time."""

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = gain / math.sqrt(inputs * kernel * kernel)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


def pixel_norm(x: Tensor) -> Tensor:
    """Scale each pixel's feature vector to unit mean square (section 4.2)."""
    # bfloat16 keeps too few digits for a mean of squares.
    precise = x.to(torch.promote_types(x.dtype, torch.float32))
    scale = torch.rsqrt(precise.square().mean(dim=1, keepdim=True) + EPSILON)
    return x * scale.to(x.dtype)


def upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def downsample(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)


def fade(older: Tensor, newer: Tensor, alpha: float) -> Tensor:
    return torch.lerp(older, newer, alpha)


def minibatch_deviation(x: Tensor, group: int, correction: int = 0) -> Tensor:
    """Append one channel: the standard deviation over groups of pictures (section 3).

    (N, C, H, W) -> (N, C + 1, H, W). A batch that the group size does not divide is one group.
    """
    n, c, h, w = x.shape
    size = group if n % group == 0 else n
    y = x.float().reshape(size, n // size, c, h, w)
    variance = y.var(dim=0, correction=min(correction, size - 1))
    deviation = (variance + EPSILON).sqrt().mean(dim=(1, 2, 3))  # (N / size,)
    channel = deviation.to(x.dtype).repeat(size).view(n, 1, 1, 1).expand(n, 1, h, w)
    return torch.cat([x, channel], dim=1)


class Generator(nn.Module):
    """Latent (N, latent) -> picture (N, 3, 4 * 2**level, 4 * 2**level), not clipped."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        maps = config.feature_maps
        self.config = config
        self.fc = EqualLinear(config.latent, maps[0] * 16, gain=GAIN / 4)
        self.c0 = EqualConv(maps[0], maps[0], 3)
        self.blocks = _modules(
            _modules((EqualConv(older, newer, 3), EqualConv(newer, newer, 3)))
            for older, newer in pairwise(maps)
        )
        self.rgb = _modules(EqualConv(width, 3, 1, gain=1.0) for width in maps)

    def forward(self, z: Tensor, level: int | None = None, alpha: float = 1.0) -> Tensor:
        level = self.config.levels - 1 if level is None else level
        x = self.fc(pixel_norm(z)).view(len(z), -1, 4, 4)
        x = _activate(x)
        x = _activate(self.c0(x))
        older = x
        for upsampling, convolution in self.blocks[:level]:
            older = x
            x = _activate(upsampling(upsample(x)))
            x = _activate(convolution(x))
        picture: Tensor = self.rgb[level](x)
        if level > 0 and alpha < 1:
            picture = fade(upsample(self.rgb[level - 1](older)), picture, alpha)
        return picture


class Discriminator(nn.Module):
    """Picture (N, 3, H, W) at a level -> score (N, 1); higher is more like the data."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        maps = config.feature_maps
        self.config = config
        self.rgb = _modules(EqualConv(3, width, 1) for width in maps)
        self.blocks = _modules(
            _modules((EqualConv(newer, newer, 3), EqualConv(newer, older, 3)))
            for older, newer in pairwise(maps)
        )
        self.c0 = EqualConv(maps[0] + 1, maps[0], 3)
        self.f1 = EqualLinear(maps[0] * 16, maps[0])
        self.f2 = EqualLinear(maps[0], 1, gain=1.0)

    def forward(self, picture: Tensor, level: int | None = None, alpha: float = 1.0) -> Tensor:
        level = self.config.levels - 1 if level is None else level
        x = F.leaky_relu(self.rgb[level](picture), SLOPE)
        for k in reversed(range(level)):
            for convolution in self.blocks[k]:
                x = F.leaky_relu(convolution(x), SLOPE)
            x = downsample(x)
            if k == level - 1 and alpha < 1:
                older = F.leaky_relu(self.rgb[k](downsample(picture)), SLOPE)
                x = fade(older, x, alpha)
        x = minibatch_deviation(x, self.config.group, self.config.deviation_correction)
        x = F.leaky_relu(self.c0(x), SLOPE)
        x = F.leaky_relu(self.f1(x.flatten(1)), SLOPE)
        score: Tensor = self.f2(x)
        return score


def load_strictly(network: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load every tensor, or say which are missing, surplus or of another shape.

    Raises:
        TrainingError: naming each tensor that does not fit.
    """
    wanted = network.state_dict()
    faults = [f"{key} is missing" for key in wanted if key not in tensors]
    faults += [f"{key} is surplus" for key in tensors if key not in wanted]
    faults += [
        f"{key} is {tuple(tensors[key].shape)}, wanted {tuple(wanted[key].shape)}"
        for key in wanted
        if key in tensors and tensors[key].shape != wanted[key].shape
    ]
    if faults:
        raise TrainingError(f"{name} does not fit this network: {'; '.join(sorted(faults))}.")
    network.load_state_dict(dict(tensors))


def _modules(modules: Iterable[Item]) -> Sequence[Item]:
    """A ModuleList whose items keep their type, which torch's own annotations forget."""
    return cast("Sequence[Item]", nn.ModuleList(modules))  # type: ignore[arg-type]


def _activate(x: Tensor) -> Tensor:
    return pixel_norm(F.leaky_relu(x, SLOPE))
