from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from twinserve.errors import TrainingError
from twinserve.training.checkpoint import (
    Progress,
    checkpoint_bytes,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from twinserve.training.networks import Discriminator, Generator, NetworkConfig

CONFIG = NetworkConfig(latent=8, feature_maps=(8, 4))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    networks, optimizers = _stepped()
    path = tmp_path / "checkpoint.safetensors"
    progress = Progress(3, 100, 20, 1.5, 2.5, {"8 stable": 20})
    write_checkpoint(path, CONFIG, networks, optimizers, progress, {"seed": 3}, grown=1)
    saved = read_checkpoint(path)
    assert (saved.config, saved.progress, saved.grown) == (CONFIG, progress, 1)
    assert (saved.images_seen, saved.settings) == (120, {"seed": 3})
    for name, tensor in saved.generator().state_dict().items():
        assert torch.equal(tensor, networks["generator_average"].state_dict()[name])
    assert not list(tmp_path.glob("*.part"))


def test_an_optimiser_gets_its_moments_and_its_step_back(tmp_path: Path) -> None:
    networks, optimizers = _stepped()
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, CONFIG, networks, optimizers, Progress(), {}, grown=1)
    network, before = networks["discriminator"], optimizers["optimizer_discriminator"]
    after = torch.optim.Adam(network.parameters())
    restore_optimizer(after, network, read_checkpoint(path).part("optimizer_discriminator"))
    for parameter in network.parameters():
        old, new = before.state[parameter], after.state[parameter]
        assert old.keys() == new.keys()
        assert all(torch.equal(old[key], new[key]) for key in old)


def test_its_size_is_foretold(tmp_path: Path) -> None:
    config = NetworkConfig(latent=32, feature_maps=(64, 32))
    networks, optimizers = _stepped(config)
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, config, networks, optimizers, Progress(), {}, grown=1)
    assert checkpoint_bytes(config) == pytest.approx(path.stat().st_size, rel=0.05)


def test_groups_are_kept_and_were_of_eight_before(tmp_path: Path) -> None:
    config = NetworkConfig(latent=8, feature_maps=(8, 4), group=4)
    networks, optimizers = _stepped(config)
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, config, networks, optimizers, Progress(), {}, grown=1)
    saved = read_checkpoint(path)
    assert saved.config.group == saved.discriminator().config.group == 4
    older = {"latent": "8", "feature_maps": "[8, 4]", "images_seen": "0"}
    save_file(saved.tensors, path, older)
    assert read_checkpoint(path).config.group == 8


def test_a_generator_in_mid_growth_is_not_handed_out(tmp_path: Path) -> None:
    networks, optimizers = _stepped()
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, CONFIG, networks, optimizers, Progress(), {}, grown=0)
    with pytest.raises(TrainingError, match="has grown to 4x4 of 8x8 only; train it to the end"):
        read_checkpoint(path).generator()


def test_what_a_kill_left_half_written_is_passed_over(tmp_path: Path) -> None:
    networks, optimizers = _stepped()
    path = tmp_path / "checkpoint.safetensors"
    path.with_suffix(".part").write_bytes(b"cut short")
    write_checkpoint(path, CONFIG, networks, optimizers, Progress(), {}, grown=1)
    assert read_checkpoint(path).generator()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is not a checkpoint"), (b"not one", "is not a checkpoint")],
)
def test_what_is_no_checkpoint_is_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "some.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrainingError, match=rf"some\.safetensors {message}"):
        read_checkpoint(path)


def test_a_safetensors_file_of_something_else_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(TrainingError, match="its metadata lack 'latent'"):
        read_checkpoint(path)


def test_tensors_of_no_known_part_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    metadata = {"latent": "8", "feature_maps": "[8, 4]", "images_seen": "0"}
    save_file({"classifier.weight": torch.zeros(1)}, path, metadata)
    with pytest.raises(TrainingError, match=r"no known part: classifier\.weight"):
        read_checkpoint(path)


def _stepped(
    config: NetworkConfig = CONFIG,
) -> tuple[dict[str, torch.nn.Module], dict[str, torch.optim.Adam]]:
    """Networks and optimisers after one step."""
    generator, discriminator = Generator(config), Discriminator(config)
    networks: dict[str, torch.nn.Module] = {
        "generator_average": Generator(config),
        "generator": generator,
        "discriminator": discriminator,
    }
    optimizers = {
        f"optimizer_{name}": torch.optim.Adam(networks[name].parameters())
        for name in ("generator", "discriminator")
    }
    discriminator(generator(torch.randn(8, config.latent), 1, 0.5), 1, 0.5).sum().backward()
    for optimizer in optimizers.values():
        optimizer.step()
    return networks, optimizers
