"""A training checkpoint: one safetensors file with both networks, the average and, to resume, the
optimisers' moments. Nothing in it is ever executed.

Tensors are named ``generator_average.*``, ``generator.*``, ``discriminator.*`` and
``optimizer_{generator,discriminator}.<parameter>.{step,exp_avg,exp_avg_sq}``; the metadata holds
``resolution``, ``latent``, ``feature_maps``, ``images_seen`` and, to resume, ``progress``.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from twinserve.errors import TrainingError
from twinserve.training.networks import Discriminator, Generator, NetworkConfig, load_strictly

NETWORKS = ("generator_average", "generator", "discriminator")
OPTIMIZERS = ("optimizer_generator", "optimizer_discriminator")


@dataclass
class Progress:
    """How far a training has come; enough, with the tensors, to go on exactly."""

    seed: int = 0
    images_before: int = 0  # seen by the checkpoint that this training started from
    images: int = 0  # seen since
    minutes: float = 0.0
    cpu_minutes: float = 0.0
    images_of_part: dict[str, int] = field(default_factory=dict)

    @property
    def images_seen(self) -> int:
        return self.images_before + self.images


@dataclass
class Checkpoint:
    """What a checkpoint file holds, read and checked by name."""

    config: NetworkConfig
    tensors: dict[str, Tensor]
    images_seen: int
    progress: Progress | None

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one network or optimiser, without their prefix."""
        head = f"{prefix}."
        return {k[len(head) :]: v for k, v in self.tensors.items() if k.startswith(head)}

    def generator(self, weights: str = "generator_average") -> Generator:
        """The averaged (or raw) generator with every tensor accounted for."""
        network = Generator(self.config)
        load_strictly(network, self.part(weights), weights)
        return network.eval()

    def discriminator(self) -> Discriminator:
        network = Discriminator(self.config)
        load_strictly(network, self.part("discriminator"), "discriminator")
        return network


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        TrainingError: the file is missing, not a checkpoint, or holds a tensor of no known part.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = NetworkConfig(int(metadata["latent"]), tuple(json.loads(metadata["feature_maps"])))
        images_seen = int(metadata["images_seen"])
        progress = Progress(**json.loads(metadata["progress"])) if "progress" in metadata else None
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} is not a checkpoint: {error}.") from error
    strangers = [name for name in tensors if name.split(".")[0] not in NETWORKS + OPTIMIZERS]
    if strangers:
        raise TrainingError(f"{path} holds tensors of no known part: {', '.join(strangers)}.")
    return Checkpoint(config, tensors, images_seen, progress)


def write_checkpoint(
    path: Path,
    config: NetworkConfig,
    networks: dict[str, nn.Module],
    optimizers: dict[str, torch.optim.Adam],
    progress: Progress,
) -> None:
    """Write beside ``path``, then rename, so that a kill leaves the old file or the new one."""
    tensors = {
        f"{prefix}.{name}": tensor.contiguous()
        for prefix, network in networks.items()
        for name, tensor in network.state_dict().items()
    }
    for prefix, optimizer in optimizers.items():
        network = networks[prefix.removeprefix("optimizer_")]
        for name, parameter in network.named_parameters():
            for key, value in optimizer.state[parameter].items():
                tensors[f"{prefix}.{name}.{key}"] = value.contiguous()
    metadata = {
        "resolution": str(config.resolution),
        "latent": str(config.latent),
        "feature_maps": json.dumps(config.feature_maps),
        "images_seen": str(progress.images_seen),
        "progress": json.dumps(asdict(progress)),
    }
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata)
    os.replace(part, path)


def restore_optimizer(
    optimizer: torch.optim.Adam, network: nn.Module, moments: dict[str, Tensor]
) -> None:
    """Put the moments of :func:`write_checkpoint` back; parameters without any start afresh."""
    for name, parameter in network.named_parameters():
        kept = {k: moments[f"{name}.{k}"] for k in MOMENTS if f"{name}.{k}" in moments}
        if kept:
            # Moments must lie in memory like their parameter, or Adam's fused loop slows down.
            optimizer.state[parameter] = {
                k: v if k == "step" else torch.empty_like(parameter).copy_(v)
                for k, v in kept.items()
            }


MOMENTS = ("step", "exp_avg", "exp_avg_sq")
