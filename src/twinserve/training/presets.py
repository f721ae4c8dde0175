"""The two ways to train, number by number; pure values.

``PAPER``: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and
Variation", ICLR 2018 (arXiv:1710.10196), appendix A. What both presets share is in
:mod:`~twinserve.training.networks`: weights start as N(0, 1) and biases as 0, the gain is sqrt(2)
(1 for the layers to RGB and for the score), the constants of He et al. are multiplied in at run
time, and Adam's betas are (0, 0.99).

``SMALL``: what grew recognisable faces on two cores in about two hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twinserve.training.networks import NetworkConfig

LATER_AVERAGE = 10_000.0  # images: the longest half-life of the small budget's average


class Loss(StrEnum):
    NON_SATURATING = "non-saturating"  # Goodfellow et al. 2014, with lazy R1
    WGAN_GP = "wgan-gp"  # Gulrajani et al. 2017, with the paper's drift term


@dataclass(frozen=True)
class Preset:
    """What a training prescribes; tuples hold one value a level (4x4 first)."""

    name: str
    latent: int
    feature_maps: tuple[int, ...]
    group: int  # pictures of a group in the minibatch deviation
    loss: Loss
    rate: float  # of Adam
    decay_share: float  # of the run, at its end, over which the rate falls to a tenth
    average_a_step: float | None  # decay of the generator's average; None: by images, see below
    minibatches: tuple[int, ...]
    parts: tuple[tuple[int, int], ...]  # thousands of images (fading, stable)
    images: int | None  # of a whole training; None: what the parts add up to
    speeds: tuple[float, ...]  # images a second; only their ratios are used, to foretell the end

    def config(self, levels: int) -> NetworkConfig:
        """Both networks with that many levels."""
        return NetworkConfig(self.latent, self.feature_maps[:levels], self.group)

    def average_kept(self, images_seen: int, batch: int) -> float:
        """Share of the generator's average that stays in one step.

        The small budget forgets by half over min(10,000, 5 %) of the images seen: at first the past
        is worthless.
        """
        if self.average_a_step is not None:
            return self.average_a_step
        half_life = max(min(LATER_AVERAGE, 0.05 * images_seen), 1.0)
        return float(0.5 ** (batch / half_life))


SMALL = Preset(
    name="small",
    latent=128,
    feature_maps=(128, 128, 128, 64, 32, 16, 16, 8),
    group=8,
    loss=Loss.NON_SATURATING,
    rate=0.002,
    decay_share=0.3,
    average_a_step=None,
    # 32 as the first faces were grown; fewer where a step on a CPU would take many seconds.
    minibatches=(32, 32, 32, 32, 32, 32, 16, 8),
    # As the first faces were grown; each finer level is given what the last one was.
    parts=((0, 60), (50, 50), (80, 110), (80, 140), *((80, 368),) * 4),
    images=1_000_000,
    # Measured on two cores; at 256 and 512 with steps of two pictures, against such steps at 128.
    speeds=(1400, 690, 270, 155, 88, 34, 18, 8),
)

PAPER = Preset(
    name="paper",
    latent=512,  # table 2
    feature_maps=(512, 512, 512, 512, 256, 128, 64, 32),  # table 2
    group=4,  # the authors' published code
    loss=Loss.WGAN_GP,  # A.1
    rate=0.001,  # A.1: "We do not use any learning rate decay or rampdown"
    decay_share=0.0,
    average_a_step=0.999,  # A.1
    minibatches=(16, 16, 16, 16, 16, 16, 14, 6),  # A.1
    parts=((0, 800), *((800, 800),) * 7),  # A.1: 800k images fading in, 800k to stabilise
    images=None,
    # From the multiplications a picture, and as much again as a 32x32 picture's for each step.
    speeds=(98, 93, 75, 43, 26, 19, 15, 12),
)

PRESETS = {preset.name: preset for preset in (SMALL, PAPER)}


def r1_weight(resolution: int) -> float:
    """Gamma of the R1 penalty (Mescheder et al., 2018) at a resolution in pixels.

    From 128x128 on it grows as a picture's area, as in Karras et al. 2020 (arXiv:2006.06676): the
    more pixels there are, the smaller is the gradient at each.
    """
    if resolution <= 16:
        return 0.05
    known = {32: 0.1, 64: 0.3}
    return known.get(resolution, (resolution / 128) ** 2)
