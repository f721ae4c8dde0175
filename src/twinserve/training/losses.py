"""What both networks are trained to make small.

Every function returns one value a picture, (N,) float32, so that whoever adds them up decides over
how many pictures, and over how many processes, the mean is taken.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

GRADIENT_WEIGHT = 10.0  # lambda of WGAN-GP (the PGAN paper, A.1)
DRIFT_WEIGHT = 0.001  # epsilon_drift (the PGAN paper, A.1)
EPSILON = 1e-12  # a norm of exactly 0 has no derivative

Score = Callable[[Tensor], Tensor]  # pictures (N, 3, H, W) -> scores (N, 1)


def fooling(scores_fake: Tensor) -> Tensor:
    """The generator's non-saturating loss (Goodfellow et al., 2014)."""
    return F.softplus(-_flat(scores_fake))


def telling_apart(scores_real: Tensor, scores_fake: Tensor) -> Tensor:
    """The discriminator's part of the same."""
    return F.softplus(_flat(scores_fake)) + F.softplus(-_flat(scores_real))


def r1(score: Score, real: Tensor) -> Tensor:
    """Squared norm of the score's gradient at real pictures (Mescheder et al., 2018)."""
    return _squared_gradient(score, real)


def climbing(scores_fake: Tensor) -> Tensor:
    """The generator's Wasserstein loss (Arjovsky et al., 2017)."""
    return -_flat(scores_fake)


def wasserstein(scores_real: Tensor, scores_fake: Tensor) -> Tensor:
    """The critic's loss, with the term that keeps its scores from drifting (PGAN paper, A.1)."""
    real = _flat(scores_real)
    return _flat(scores_fake) - real + DRIFT_WEIGHT * real.square()


def gradient_penalty(score: Score, real: Tensor, fake: Tensor, shares: Tensor) -> Tensor:
    """Lambda times (gradient's norm - 1) squared, between real and made pictures.

    ``shares`` (N,) in [0, 1] says how near each point lies to the made picture (Gulrajani et al.,
    2017, algorithm 1).
    """
    between = torch.lerp(real, fake, shares.view(-1, 1, 1, 1))
    norm = (_squared_gradient(score, between) + EPSILON).sqrt()
    return GRADIENT_WEIGHT * (norm - 1).square()


def _squared_gradient(score: Score, pictures: Tensor) -> Tensor:
    pictures = pictures.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(pictures).sum(), pictures, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))


def _flat(scores: Tensor) -> Tensor:
    return scores.float().flatten()
