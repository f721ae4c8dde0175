"""Published PGAN checkpoints as torch networks, and files that torch itself wrote."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from twinserve.errors import CheckpointError
from twinserve.training.published import PublishedPgan, published_pgan
from twinserve.zoo.convert import Chosen, convert
from twinserve.zoo.reader import Checkpoint, read_checkpoint

ZOO = Path(__file__).parents[1] / "data/zoo"
SCORED = ("zoo_pgan_16_fading", "zoo_pgan_64")
TOLERANCE = 1e-4


def read(name: str) -> Checkpoint:
    return read_checkpoint(ZOO / f"{name}.pth")


def expected(name: str) -> dict[str, Any]:
    return {key: torch.from_numpy(array) for key, array in np.load(ZOO / f"{name}.npz").items()}


def score_error(networks: PublishedPgan, name: str) -> float:
    given = expected(name)
    with torch.inference_mode():
        return float((networks.scores(given["d_input"]) - given["netD"]).abs().max())


@pytest.mark.parametrize("name", SCORED)
def test_the_discriminator_scores_like_the_reference(name: str) -> None:
    assert score_error(published_pgan(read(name)), name) < TOLERANCE


@pytest.mark.parametrize("chosen", list(Chosen))
@pytest.mark.parametrize("name", SCORED)
def test_the_generator_makes_what_the_reference_makes(name: str, chosen: Chosen) -> None:
    networks, given = published_pgan(read(name), chosen), expected(name)
    with torch.inference_mode():
        pictures = networks.generator(given["z"], alpha=networks.generator_alpha)
    assert (pictures - given[chosen.network]).abs().max() < TOLERANCE


def test_at_512_all_but_the_ill_conditioned_pixels_agree() -> None:
    """At a few pixels the features nearly cancel, and any two float32 computations part."""
    networks, given = published_pgan(read("zoo_pgan_512")), expected("zoo_pgan_512")
    with torch.inference_mode():
        pictures = networks.generator(given["z"])[..., ::8, ::8]
    differences = (pictures - given["avgG"]).abs()
    assert differences.max() < 10 * TOLERANCE
    assert (differences > TOLERANCE).sum() <= 6
    assert differences.square().mean().sqrt() < TOLERANCE / 10


def test_the_tolerance_notices_the_wrong_fade_and_the_wrong_deviation() -> None:
    name = "zoo_pgan_16_fading"
    networks = published_pgan(read(name))
    assert networks.discriminator_alpha == pytest.approx(0.7)
    turned = replace(networks, discriminator_alpha=1 - networks.discriminator_alpha)
    assert score_error(turned, name) > TOLERANCE
    config = networks.discriminator.config
    networks.discriminator.config = replace(config, deviation_correction=0)
    assert score_error(networks, name) > TOLERANCE
    networks.discriminator.config = config
    assert score_error(networks, name) < TOLERANCE


def test_the_discriminators_biases_are_scaled_as_published(tmp_path: Path) -> None:
    """Those of the fixtures are all zero, so here they are not, against the published formula."""
    checkpoint = read("zoo_pgan_16_fading")
    torch.manual_seed(0)
    state = {
        key: torch.randn(tensor.shape) if key.endswith("bias") else torch.from_numpy(tensor.array())
        for key, tensor in checkpoint.networks["netD"].items()
    }
    path = tmp_path / "x.pth"
    torch.save({"config": {}, "netG": {}, "netD": state}, path)
    networks = {**checkpoint.networks, "netD": read_checkpoint(path).networks["netD"]}
    found = published_pgan(replace(checkpoint, networks=networks))
    given = expected("zoo_pgan_16_fading")["d_input"]
    with torch.inference_mode():
        assert torch.allclose(found.scores(given), by_hand(state, given, 0.3), atol=1e-5)
        assert not torch.allclose(found.scores(given), by_hand(state, given, 0.3, 1), atol=1e-2)


def by_hand(
    state: dict[str, Tensor], x: Tensor, older_share: float, bias_constant: float | None = None
) -> Tensor:
    """Three levels of the published discriminator, four pictures: each layer's whole output is
    multiplied by its constant."""

    def layer(name: str, x: Tensor, active: bool = True) -> Tensor:
        weight, bias = state[f"{name}.module.weight"], state[f"{name}.module.bias"]
        constant = (2 / weight[0].numel()) ** 0.5
        bias = bias * (constant if bias_constant is None else bias_constant)
        if weight.ndim == 4:
            y = F.conv2d(x, weight, padding=weight.shape[-1] // 2) * constant + bias[:, None, None]
        else:
            y = F.linear(x, weight) * constant + bias
        return F.leaky_relu(y, 0.2) if active else y

    older = layer("fromRGBLayers.1", F.avg_pool2d(x, 2))
    x = layer("scaleLayers.1.1", layer("scaleLayers.1.0", layer("fromRGBLayers.2", x)))
    x = older_share * older + (1 - older_share) * F.avg_pool2d(x, 2)
    x = F.avg_pool2d(layer("scaleLayers.0.1", layer("scaleLayers.0.0", x)), 2)
    deviation = (x.var(dim=0) + 1e-8).sqrt().mean().expand(4, 1, 4, 4)
    x = layer("groupScaleZero.0", torch.cat([x, deviation], dim=1))
    return layer("decisionLayer", layer("groupScaleZero.1", x.flatten(1)), active=False)


def test_pictures_are_scored_in_fours_or_all_together() -> None:
    networks, given = published_pgan(read("zoo_pgan_64")), expected("zoo_pgan_64")["d_input"]
    with torch.inference_mode():
        fours = networks.scores(torch.cat([given, given.flip(0) * 0.5]))
        assert torch.allclose(fours[:4], networks.scores(given), atol=1e-5)
        assert networks.scores(given[:3]).shape == (3, 1)
        assert networks.scores(given[:1]).isfinite().all()


def test_with_one_level_above_4x4_the_discriminator_does_not_blend() -> None:
    checkpoint = read("zoo_pgan_16_fading")
    newest = ("scaleLayers.1", "toRGBLayers.2", "fromRGBLayers.2")
    networks = {
        name: {key: tensor for key, tensor in tensors.items() if not key.startswith(newest)}
        for name, tensors in checkpoint.networks.items()
    }
    config = {**checkpoint.config, "depthOtherScales": [16]}
    found = published_pgan(replace(checkpoint, networks=networks, config=config))
    assert found.generator_alpha == pytest.approx(0.7)
    assert found.discriminator_alpha == 1.0


def test_a_discriminator_without_the_deviation_channel_ignores_ours() -> None:
    checkpoint = read("zoo_pgan_64")
    key = "groupScaleZero.0.module.weight"
    tensors = dict(checkpoint.networks["netD"])
    tensors[key] = replace(tensors[key], shape=(16, 16, 3, 3))  # its first sixteen channels
    networks = {**checkpoint.networks, "netD": tensors}
    config = {**checkpoint.config, "miniBatchStdDev": False}
    found = published_pgan(replace(checkpoint, networks=networks, config=config))
    given = expected("zoo_pgan_64")["d_input"]
    with torch.inference_mode():
        alone = torch.cat([found.scores(picture[None]) for picture in given])
        assert torch.allclose(found.scores(given), alone, atol=1e-5)


def test_a_discriminator_that_does_not_fit_is_named() -> None:
    checkpoint = read("zoo_pgan_64")
    tensors = dict(checkpoint.networks["netD"])
    del tensors["decisionLayer.module.bias"]
    networks = {**checkpoint.networks, "netD": tensors}
    with pytest.raises(CheckpointError, match=r"netD of .* decisionLayer\.module\.bias is missing"):
        published_pgan(replace(checkpoint, networks=networks))
    networks.pop("netD")
    with pytest.raises(CheckpointError, match="has no netD"):
        published_pgan(replace(checkpoint, networks=networks))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
     torch.int16, torch.int8, torch.uint8, torch.bool],
)  # fmt: skip
def test_what_torch_writes_is_read(tmp_path: Path, dtype: torch.dtype, zipped: bool) -> None:
    whole = torch.arange(-12, 12).reshape(4, 6).to(dtype)
    state = OrderedDict(
        whole=whole,
        part=whole[1:3, ::2],
        turned=whole.t(),
        parameter=torch.nn.Parameter(whole.float()),
        number=torch.tensor(7).to(dtype),
    )
    path = tmp_path / "x.pth"
    torch.save({"config": {"a": 1}, "netG": state}, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path).network("netG")
    for name, tensor in state.items():
        assert np.array_equal(found[name].array(), tensor.detach().float().numpy())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
def test_a_whole_checkpoint_written_by_torch_converts(tmp_path: Path, zipped: bool) -> None:
    checkpoint = read("zoo_pgan_16_fading")
    content = {
        "config": dict(checkpoint.config),
        **{
            name: OrderedDict(
                (key, torch.from_numpy(tensor.array().copy())) for key, tensor in tensors.items()
            )
            for name, tensors in checkpoint.networks.items()
        },
    }
    path = tmp_path / "x.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert convert(read_checkpoint(path)).resolution == 16


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "stream"])
@pytest.mark.parametrize(
    "odd", [torch.nn.Linear(2, 2), torch.device("cpu"), print], ids=["module", "device", "print"]
)
def test_what_else_torch_would_write_is_refused(tmp_path: Path, odd: Any, zipped: bool) -> None:
    path = tmp_path / "x.pth"
    torch.save({"config": {}, "netG": {}, "odd": odd}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"has no need of|names a storage"):
        read_checkpoint(path)


def test_a_bare_state_dict_is_not_a_published_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(CheckpointError, match="it holds weight, bias"):
        read_checkpoint(path)
