from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinserve.errors import TrainingError
from twinserve.training.checkpoint import read_checkpoint
from twinserve.training.networks import (
    Discriminator,
    Generator,
    NetworkConfig,
    downsample,
    load_strictly,
    minibatch_deviation,
    pixel_norm,
    upsample,
)

SMALL = NetworkConfig(latent=8, feature_maps=(8, 8, 4))


def test_the_trained_faces_and_their_scores_come_out_as_recorded(faces: Path) -> None:
    expected = np.load(faces / "pgan-64-check.npz")
    checkpoint = read_checkpoint(faces / "pgan-64.safetensors")
    with torch.inference_mode():
        images = checkpoint.generator()(torch.from_numpy(expected["z"]))
        discriminator = checkpoint.discriminator()
        halves = torch.from_numpy(expected["images"]).split(8)
        scores = torch.cat([discriminator(half) for half in halves])
    assert np.abs(images.numpy() - expected["images"]).max() < 1e-3
    assert np.abs(scores.numpy().ravel() - expected["scores"].ravel()).max() < 1e-3
    names = {name.split(".")[0] for name in checkpoint.tensors}
    assert names == {"generator_average", "generator", "discriminator"}
    assert checkpoint.generator("generator")


def test_loading_names_every_tensor_that_is_missing_surplus_or_misshapen() -> None:
    tensors = Generator(SMALL).state_dict()
    del tensors["c0.bias"]
    tensors["stranger"] = torch.zeros(1)
    tensors["rgb.0.weight"] = torch.zeros(3, 9, 1, 1)
    with pytest.raises(TrainingError) as caught:
        load_strictly(Generator(SMALL), tensors, "generator")
    assert str(caught.value) == (
        "generator does not fit this network: c0.bias is missing; "
        "rgb.0.weight is (3, 9, 1, 1), wanted (3, 8, 1, 1); stranger is surplus."
    )


@pytest.mark.parametrize("level", [1, 2])
def test_a_level_that_has_not_faded_in_changes_nothing(level: int) -> None:
    generator, discriminator = Generator(SMALL), Discriminator(SMALL)
    z = torch.randn(8, 8)
    with torch.no_grad():
        before = generator(z, level - 1)
        assert torch.allclose(generator(z, level, alpha=0.0), upsample(before), atol=1e-6)
        score = discriminator(before, level - 1)
        assert torch.allclose(discriminator(upsample(before), level, alpha=0.0), score, atol=1e-5)


def test_fading_in_passes_from_the_older_picture_to_the_newer_in_a_straight_line() -> None:
    generator = Generator(SMALL)
    z = torch.randn(4, 8)
    with torch.no_grad():
        begin, middle, end = (generator(z, 2, alpha) for alpha in (0.0, 0.25, 1.0))
    assert torch.allclose(middle, 0.75 * begin + 0.25 * end, atol=1e-6)
    assert end.shape == (4, 3, 16, 16)


def test_pixel_normalisation_gives_unit_mean_square_at_each_pixel() -> None:
    normalised = pixel_norm(5 * torch.randn(2, 16, 4, 4))
    assert torch.allclose(normalised.square().mean(dim=1), torch.ones(2, 4, 4), atol=1e-5)


def test_minibatch_deviation_is_taken_within_groups_of_pictures() -> None:
    x = torch.randn(6, 3, 4, 4)
    channel = minibatch_deviation(x, group=3)[:, -1]
    for first in range(2):  # pictures 0, 2, 4 are one group, 1, 3, 5 the other
        expected = x[first::2].std(dim=0, correction=0).mean()
        assert torch.allclose(channel[first::2], expected.expand(3, 4, 4), atol=1e-5)


def test_a_batch_that_groups_do_not_divide_is_one_group() -> None:
    x = torch.randn(5, 3, 4, 4)
    expected = x.std(dim=0, correction=0).mean()
    assert torch.allclose(minibatch_deviation(x, group=8)[:, -1], expected, atol=1e-5)


def test_equalised_layers_keep_the_variance_of_their_input() -> None:
    torch.manual_seed(0)
    wide = Generator(NetworkConfig(latent=256, feature_maps=(256, 256)))
    with torch.no_grad():
        out = wide.c0(torch.randn(4, 256, 8, 8))[..., 1:-1, 1:-1]
    assert out.var().item() == pytest.approx(2, rel=0.1)  # He: 2, halved again by the rectifier


def test_down_undoes_up() -> None:
    x = torch.randn(1, 3, 4, 4)
    assert torch.allclose(downsample(upsample(x)), x)
