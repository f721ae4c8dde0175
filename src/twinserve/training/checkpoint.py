"""A training checkpoint: one safetensors file with both networks, the average and, to resume, the
optimisers' moments. Nothing in it is ever executed.

Tensors are named ``generator_average.*``, ``generator.*``, ``discriminator.*`` and
``optimizer_{generator,discriminator}.<parameter>.{step,exp_avg,exp_avg_sq}``; the metadata holds
``resolution``, ``latent``, ``feature_maps``, ``group`` (8 where it is absent) and ``images_seen``
and, to resume, ``progress``, ``settings`` and ``grown`` (the last level that is fully there; all of
them where it is absent).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
MOMENTS = ("step", "exp_avg", "exp_avg_sq")

Setting = int | float | str | list[int] | None
Settings = dict[str, Setting]


@dataclass
class Progress:
    """How far a training has come; enough, with the tensors, to go on exactly."""

    seed: int = 0
    images_before: int = 0  # seen by the checkpoint that this training started from
    images: int = 0  # seen since
    minutes: float = 0.0
    cpu_minutes: float = 0.0
    images_of_part: dict[str, int] = field(default_factory=dict)
    steps: int | None = None  # since; checkpoints of before minibatches could differ have none

    @property
    def images_seen(self) -> int:
        return self.images_before + self.images


@dataclass
class Checkpoint:
    """What a checkpoint file holds, read and checked by name."""

    path: Path
    config: NetworkConfig
    tensors: dict[str, Tensor]
    images_seen: int
    grown: int  # the last level that is fully there
    progress: Progress | None
    settings: Settings | None  # what the training aimed at, for a resumed one to compare

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of one network or optimiser, without their prefix."""
        head = f"{prefix}."
        return {k[len(head) :]: v for k, v in self.tensors.items() if k.startswith(head)}

    def generator(self, weights: str = "generator_average") -> Generator:
        """The averaged (or raw) generator with every tensor accounted for.

        Raises:
            TrainingError: a tensor does not fit, or the training has not grown its last level yet.
        """
        if self.grown < self.config.levels - 1:
            side = 4 << self.grown
            raise TrainingError(
                f"{self.path} has grown to {side}x{side} of {self.config.resolution}x"
                f"{self.config.resolution} only; train it to the end first."
            )
        network = Generator(self.config)
        load_strictly(network, self.part(weights), weights)
        return network.eval()

    def discriminator(self) -> Discriminator:
        """The discriminator with every tensor accounted for."""
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
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        checkpoint = _checkpoint(path, metadata, tensors)
    except KeyError as error:
        raise TrainingError(f"{path} is not a checkpoint: its metadata lack {error}.") from error
    except (OSError, SafetensorError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} is not a checkpoint: {error}.") from error
    strangers = [name for name in tensors if name.split(".")[0] not in NETWORKS + OPTIMIZERS]
    if strangers:
        raise TrainingError(f"{path} holds tensors of no known part: {', '.join(strangers)}.")
    return checkpoint


def write_checkpoint(
    path: Path,
    config: NetworkConfig,
    networks: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Adam],
    progress: Progress,
    settings: Settings,
    grown: int,
) -> None:
    """Write beside ``path``, then rename, so that a kill leaves the old file or the new one.

    Raises:
        TrainingError: the file cannot be written, e.g. because the disk is full.
    """
    tensors = {
        f"{prefix}.{name}": tensor.cpu().contiguous()
        for prefix, network in networks.items()
        for name, tensor in network.state_dict().items()
    }
    for prefix, optimizer in optimizers.items():
        network = networks[prefix.removeprefix("optimizer_")]
        for name, parameter in network.named_parameters():
            for key, value in optimizer.state[parameter].items():
                tensors[f"{prefix}.{name}.{key}"] = value.cpu().contiguous()
    metadata = {
        "resolution": str(config.resolution),
        "latent": str(config.latent),
        "feature_maps": json.dumps(config.feature_maps),
        "group": str(config.group),
        "images_seen": str(progress.images_seen),
        "progress": json.dumps(asdict(progress)),
        "settings": json.dumps(settings),
        "grown": str(grown),
    }
    part = path.with_suffix(".part")
    with writing(path):
        try:
            save_file(tensors, part, metadata)
            _flush(part)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def checkpoint_bytes(config: NetworkConfig) -> int:
    """About what a checkpoint of a training in mid-run takes on the disk."""
    with torch.device("meta"):  # counted, not allocated
        generator, discriminator = (
            sum(p.numel() for p in network(config).parameters())
            for network in (Generator, Discriminator)
        )
    # Each trained network has two moments beside it, and the generator its average.
    return 4 * (4 * generator + 3 * discriminator)


def restore_optimizer(
    optimizer: torch.optim.Adam, network: nn.Module, moments: Mapping[str, Tensor]
) -> None:
    """Put the moments of :func:`write_checkpoint` back; parameters without any start afresh."""
    for name, parameter in network.named_parameters():
        kept = {k: moments[f"{name}.{k}"] for k in MOMENTS if f"{name}.{k}" in moments}
        if kept:
            # Moments must lie in memory like their parameter, or Adam's fused loop slows down.
            optimizer.state[parameter] = {
                k: v.clone() if k == "step" else torch.empty_like(parameter).copy_(v)
                for k, v in kept.items()
            }


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write ``path`` into one clear line.

    Raises:
        TrainingError: naming the path, the reason and the way out.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"{path} cannot be written ({error}). Make room or choose another folder; the same "
            f"command then goes on from the last state that was saved."
        ) from error


def _checkpoint(path: Path, metadata: dict[str, str], tensors: dict[str, Tensor]) -> Checkpoint:
    config = NetworkConfig(
        int(metadata["latent"]),
        tuple(json.loads(metadata["feature_maps"])),
        int(metadata.get("group", NetworkConfig.group)),
    )
    progress, settings = (json.loads(metadata.get(key, "null")) for key in ("progress", "settings"))
    return Checkpoint(
        path=path,
        config=config,
        tensors=tensors,
        images_seen=int(metadata["images_seen"]),
        grown=int(metadata.get("grown", config.levels - 1)),
        progress=Progress(**progress) if progress else None,
        settings=settings,
    )


def _flush(path: Path) -> None:
    """Bring the bytes to the disk before the rename does, so that a power cut loses neither."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
