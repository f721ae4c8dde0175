"""The published way of serving, for ``model_speed.py``: the PyTorch PGAN, matplotlib, base64.

Written from the paper and from what the published implementation and its users do (FACTS on
facebookresearch/pytorch_GAN_zoo): run-time constants multiply each layer's output; upsampling is a
step of its own; all images of a request are one batch; ``torchvision.utils.make_grid``'s sheet goes
through ``plt.imshow`` and ``savefig``. torch.hub makes generator, its average and discriminator and
loads all three; ``--generator-alone`` is the least that a user could do instead.

Reads a request a line, answers a line; see ``worker.py``.
"""

from __future__ import annotations

import argparse
import base64
import io
import math
from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from torch import Tensor, nn
from worker import answer_requests

mpl.use("Agg")  # no screen
from matplotlib import pyplot as plt

SLOPE, EPSILON = 0.2, 1e-8
SHEET_COLUMNS, SHEET_GAP = 8, 2  # make_grid's own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument("--generator-alone", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.generator_alone:
        generator = load_generator(options.checkpoint)
    else:
        # The other two are held as well, as the object that torch.hub returns holds them.
        generator, *_held = load_as_hub_does(options.checkpoint)
    latents = torch.from_numpy(np.load(options.latents))
    answer_requests(
        lambda count: serve(generator, latents[:count]),
        lambda count: pictures(generator, latents[:count]).numpy(),
    )


def load_as_hub_does(checkpoint: Path) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Generator, averaged generator and discriminator, made with random weights and then filled."""
    stored = torch.load(checkpoint)
    latent, widths = stored["config"]["latent"], stored["config"]["widths"]
    generator, discriminator = Generator(latent, widths), Discriminator(widths)
    average = deepcopy(generator)
    generator.load_state_dict(stored["netG"])
    average.load_state_dict(stored["avgG"])
    discriminator.load_state_dict(stored["netD"])
    return generator, average, discriminator


def load_generator(checkpoint: Path) -> nn.Module:
    """The generator alone, filled from the file without reading the rest of it."""
    stored = torch.load(checkpoint, mmap=True)
    generator = Generator(stored["config"]["latent"], stored["config"]["widths"])
    generator.load_state_dict(stored["netG"])
    return generator


def pictures(generator: nn.Module, z: Tensor) -> Tensor:
    with torch.no_grad():
        result: Tensor = generator(z)
    return result


def serve(generator: nn.Module, z: Tensor) -> str:
    image = sheet(pictures(generator, z).clamp(-1, 1))
    figure = plt.figure()
    plt.imshow(image.permute(1, 2, 0).numpy())
    plt.axis("off")
    out = io.BytesIO()
    plt.savefig(out, format="png")
    plt.close(figure)  # without this each request would leave its figure behind
    return base64.b64encode(out.getvalue()).decode()


def sheet(images: Tensor) -> Tensor:
    """(N, 3, side, side) -> (3, height, width), each image's values spread over 0..1."""
    count, _, side, _ = images.shape
    columns = min(SHEET_COLUMNS, count)
    place = side + SHEET_GAP
    rows = math.ceil(count / columns)
    result = torch.zeros(3, rows * place + SHEET_GAP, columns * place + SHEET_GAP)
    for k, image in enumerate(images):
        low, high = image.min(), image.max()
        top, left = (SHEET_GAP + place * index for index in divmod(k, columns))
        result[:, top : top + side, left : left + side] = (image - low) / (high - low)
    return result


class Equalised(nn.Module):
    """A layer whose output is multiplied by He's constant, sqrt(2 / fan-in), at run time."""

    def __init__(self, module: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.module = module
        self.constant = math.sqrt(2 / module.weight[0].numel())
        nn.init.normal_(module.weight)
        nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module(x)
        y *= self.constant
        return y


class PixelNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * ((x**2).mean(dim=1, keepdim=True) + EPSILON).rsqrt()


class Upsample(nn.Module):
    """Nearest neighbours, by a copy."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        wide = x.view(n, c, h, 1, w, 1).expand(n, c, h, 2, w, 2)
        return wide.contiguous().view(n, c, 2 * h, 2 * w)


class Generator(nn.Module):
    """Latent (N, latent) -> pictures (N, 3, side, side); ``widths`` are those of the levels."""

    def __init__(self, latent: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.norm, self.activation = PixelNorm(), nn.LeakyReLU(SLOPE)
        self.linear = Equalised(nn.Linear(latent, 16 * widths[0]))
        self.first = convolution(widths[0], widths[0])
        self.levels = nn.ModuleList(
            nn.Sequential(
                Upsample(),
                convolution(coarser, finer),
                self.activation,
                self.norm,
                convolution(finer, finer),
                self.activation,
                self.norm,
            )
            for coarser, finer in pairwise(widths)
        )
        self.to_rgb = Equalised(nn.Conv2d(widths[-1], 3, 1))

    def forward(self, z: Tensor) -> Tensor:
        x = self.linear(self.norm(z)).view(len(z), -1, 4, 4)
        x = self.norm(self.activation(x))
        x = self.norm(self.activation(self.first(x)))
        for level in self.levels:
            x = level(x)
        result: Tensor = self.to_rgb(x)
        return result


class Discriminator(nn.Module):
    """As large as the published one; serving loads it and never runs it."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.from_rgb = Equalised(nn.Conv2d(3, widths[-1], 1))
        self.levels = nn.ModuleList(
            nn.Sequential(convolution(finer, finer), convolution(finer, coarser))
            for coarser, finer in pairwise(widths)
        )
        self.last = nn.ModuleList(
            [
                convolution(widths[0] + 1, widths[0]),
                Equalised(nn.Linear(widths[0] * 16, widths[0])),
                Equalised(nn.Linear(widths[0], 1)),
            ]
        )


def convolution(inputs: int, outputs: int) -> Equalised:
    return Equalised(nn.Conv2d(inputs, outputs, 3, padding=1))


if __name__ == "__main__":
    main()
