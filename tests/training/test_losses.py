from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from twinserve.training import losses

REAL, FAKE = torch.tensor([[2.0], [0.0]]), torch.tensor([[-1.0], [1.0]])


def test_the_non_saturating_losses_are_the_logistic_ones() -> None:
    def cross_entropy(score: float, label: int) -> float:
        share = 1 / (1 + math.exp(-score))
        return -math.log(share if label else 1 - share)

    expected = [
        cross_entropy(-1, 0) + cross_entropy(2, 1),
        cross_entropy(1, 0) + cross_entropy(0, 1),
    ]
    assert losses.telling_apart(REAL, FAKE).tolist() == pytest.approx(expected)
    expected = [cross_entropy(-1, 1), cross_entropy(1, 1)]
    assert losses.fooling(FAKE).tolist() == pytest.approx(expected)


def test_the_critic_pays_a_thousandth_of_a_real_scores_square() -> None:
    assert losses.wasserstein(REAL, FAKE).tolist() == pytest.approx([-3 + 0.004, 1])
    assert losses.climbing(FAKE).tolist() == [1, -1]


def test_r1_is_the_squared_gradient_at_each_real_picture() -> None:
    slope = torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1)
    pictures = torch.randn(4, 3, 2, 2)
    squared = losses.r1(lambda x: (slope * x).flatten(1).sum(1, keepdim=True), pictures)
    assert squared.tolist() == pytest.approx([4 * (1 + 4 + 0.25)] * 4)  # on each of 4 pixels


@pytest.mark.parametrize(("slope", "penalty"), [(0.0, 10), (1.0, 0), (3.0, 40)])
def test_the_gradient_penalty_is_ten_times_the_squared_distance_of_the_norm_from_one(
    slope: float, penalty: float
) -> None:
    found = losses.gradient_penalty(
        lambda x: slope * x[:, 0, 0, 0].unsqueeze(1),
        torch.randn(3, 3, 2, 2),
        torch.randn(3, 3, 2, 2),
        torch.rand(3),
    )
    assert found.tolist() == pytest.approx([penalty] * 3, abs=1e-4)


def test_the_gradient_penalty_looks_between_real_and_made_pictures() -> None:
    real, fake = torch.zeros(3, 1, 1, 1), torch.ones(3, 1, 1, 1)
    seen: list[Tensor] = []

    def score(pictures: Tensor) -> Tensor:
        seen.append(pictures.detach())
        return pictures.flatten(1)

    losses.gradient_penalty(score, real, fake, torch.tensor([0.0, 0.25, 1.0]))
    assert seen[0].flatten().tolist() == [0, 0.25, 1]


def test_penalties_can_be_trained_on() -> None:
    weight = torch.nn.Parameter(torch.tensor(2.0))
    real, fake = torch.randn(2, 1, 1, 1), torch.randn(2, 1, 1, 1)
    losses.gradient_penalty(
        lambda x: (weight * x).flatten(1), real, fake, torch.rand(2)
    ).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.item() == pytest.approx(2 * 2 * 10 * (2 - 1), rel=1e-4)
