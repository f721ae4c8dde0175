"""Grow and train a Progressive GAN, so that a kill at any moment loses a few minutes at most."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from twinserve.errors import TrainingError, UsageError
from twinserve.training.checkpoint import (
    Checkpoint,
    Progress,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
)
from twinserve.training.networks import (
    Discriminator,
    Generator,
    NetworkConfig,
    downsample,
    fade,
    load_strictly,
    upsample,
)
from twinserve.training.pictures import Pictures, to_bytes
from twinserve.training.schedule import (
    Position,
    averaging_half_life,
    growth,
    learning_rate,
    r1_weight,
)

R1_EVERY = 16  # steps (lazy regularisation: Karras et al. 2020, arXiv:1912.04958)
R1_PICTURES = 16
WIDTHS = (128, 128, 128, 64, 32)  # feature maps a level of the small budget


@dataclass(frozen=True)
class TrainingOptions:
    """What a training aims at; a time limit ends it early, with the learning rate down by then."""

    resolution: int = 64
    images: int = 1_000_000
    minutes: float = float("inf")
    batch: int = 32
    rate: float = 0.002
    seed: int = 0
    save_every_s: float = 120.0
    grid_every: int = 10_000

    def __post_init__(self) -> None:
        sizes = [4 << level for level in range(len(WIDTHS))]
        if self.resolution not in sizes:
            raise UsageError(f"resolution {self.resolution} is not one of {sizes}.")
        for name in ("images", "minutes", "batch", "rate"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be above 0.")


@dataclass(frozen=True)
class Report:
    """How training stands after one step."""

    images: int
    images_seen: int
    images_wanted: int
    minutes: float
    cpu_minutes: float
    part: str
    rate: float
    loss_generator: float
    loss_discriminator: float
    images_per_s: float


class Trainer:
    """Trains in ``folder``: ``checkpoint.safetensors``, ``log.jsonl`` and ``grid-*.png``."""

    def __init__(
        self, folder: Path, pictures: Pictures, options: TrainingOptions, init: Path | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.pictures = pictures
        self.options = options
        self.path = folder / "checkpoint.safetensors"
        last_level = options.resolution.bit_length() - 3
        self.config = NetworkConfig(feature_maps=WIDTHS[: last_level + 1])
        start = read_checkpoint(init) if init else None
        present = start.config.levels - 1 if start else None
        self.schedule = growth(options.images, last_level, present)
        self.generator = Generator(self.config)
        self.discriminator = Discriminator(self.config)
        self.average = copy.deepcopy(self.generator)
        self.progress = Progress(options.seed, start.images_seen if start else 0)
        self.resumed = self.path.exists()
        saved = read_checkpoint(self.path) if self.resumed else start
        if saved:
            self._load(saved)
        for network in (self.generator, self.discriminator, self.average):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average.requires_grad_(False)
        self.optimizer_g = _adam(self.generator, options.rate)
        self.optimizer_d = _adam(self.discriminator, options.rate)
        if self.resumed and saved:
            restore_optimizer(self.optimizer_g, self.generator, saved.part("optimizer_generator"))
            restore_optimizer(
                self.optimizer_d, self.discriminator, saved.part("optimizer_discriminator")
            )

    def run(self) -> Iterator[Report]:
        """Train to the end, one report a step. Closing the iterator saves; so does an exception."""
        begun = _Clock(self.progress)
        saved_at = time.monotonic()
        try:
            while self.share_done < 1:
                before = time.monotonic()
                position = self.schedule.at(self.progress.images)
                losses = self._step(position)
                self._count(position)
                begun.update(self.progress)
                yield self._report(
                    position, losses, self.options.batch / (time.monotonic() - before)
                )
                if self.progress.images % self.options.grid_every < self.options.batch:
                    self.write_grid()
                if time.monotonic() - saved_at > self.options.save_every_s:
                    self.save()
                    saved_at = time.monotonic()
        finally:
            self.save()
        self.write_grid()

    @property
    def share_done(self) -> float:
        return max(
            self.progress.images / self.options.images,
            self.progress.minutes / self.options.minutes,
        )

    def save(self) -> None:
        write_checkpoint(
            self.path,
            self.config,
            {
                "generator_average": self.average,
                "generator": self.generator,
                "discriminator": self.discriminator,
            },
            {
                "optimizer_generator": self.optimizer_g,
                "optimizer_discriminator": self.optimizer_d,
            },
            self.progress,
        )

    def write_grid(self, columns: int = 10, rows: int = 6) -> Path:
        """Samples of the averaged generator for fixed latents, not picked."""
        z = _latents(self.options.seed, -1, columns * rows, self.config.latent)
        position = self.schedule.at(self.progress.images)
        with torch.no_grad():
            pictures = self.average(z, position.level, position.alpha)
        path = self.folder / f"grid-{self.progress.images_seen:09d}.png"
        Image.fromarray(_tiled(to_bytes(pictures), columns)).save(path)
        return path

    def _load(self, saved: Checkpoint) -> None:
        if saved.config.feature_maps != self.config.feature_maps[: saved.config.levels]:
            raise TrainingError(
                f"The checkpoint has feature maps {saved.config.feature_maps}, this training wants "
                f"{self.config.feature_maps}; choose --resolution {saved.config.resolution} or above."
            )
        if saved.progress and self.resumed:
            self.progress = saved.progress
        for name, network in (
            ("generator", self.generator),
            ("generator_average", self.average),
            ("discriminator", self.discriminator),
        ):
            _load_levels(network, saved, name)

    def _step(self, position: Position) -> tuple[float, float]:
        options, done = self.options, self.progress.images
        rate = learning_rate(options.rate, self.share_done)
        for optimizer in (self.optimizer_g, self.optimizer_d):
            optimizer.param_groups[0]["lr"] = rate
        real = self._real(position)
        loss_d = self._discriminator_loss(real, position)
        if done // options.batch % R1_EVERY == 0:
            loss_d = loss_d + self._penalty(real[:R1_PICTURES], position)
        _descend(self.optimizer_d, loss_d)
        with _frozen(self.discriminator):
            fake = self.generator(self._z(1), position.level, position.alpha)
            loss_g = F.softplus(-self.discriminator(fake, position.level, position.alpha)).mean()
            _descend(self.optimizer_g, loss_g)
        self._update_average()
        losses = loss_g.item(), loss_d.item()
        if not all(np.isfinite(losses)):
            raise TrainingError(
                f"The losses are {losses} after {done:,} images: training has diverged. Start again "
                f"from the last good checkpoint with a lower --rate."
            )
        return losses

    def _discriminator_loss(self, real: Tensor, position: Position) -> Tensor:
        """The non-saturating loss of Goodfellow et al. (2014)."""
        with torch.no_grad():
            fake = self.generator(self._z(0), position.level, position.alpha)
        scores_fake = self.discriminator(fake, position.level, position.alpha)
        scores_real = self.discriminator(real, position.level, position.alpha)
        return F.softplus(scores_fake).mean() + F.softplus(-scores_real).mean()

    def _penalty(self, real: Tensor, position: Position) -> Tensor:
        """R1: gamma/2 times the squared gradient at real pictures, times the steps it stands for."""
        real = real.detach().requires_grad_(True)
        scores = self.discriminator(real, position.level, position.alpha)
        (gradient,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
        squared = gradient.square().sum(dim=(1, 2, 3)).mean()
        return squared * (r1_weight(position.resolution) / 2 * R1_EVERY)

    def _real(self, position: Position) -> Tensor:
        """A batch of pictures at the present level, faded in like the generator's."""
        real = self.pictures.batch(self.options.seed, self.progress.images, self.options.batch)
        while real.shape[-1] > position.resolution:
            real = downsample(real)
        if position.alpha < 1:
            real = fade(upsample(downsample(real)), real, position.alpha)
        return real.contiguous(memory_format=torch.channels_last)

    def _z(self, draw: int) -> Tensor:
        key = 2 * self.progress.images + draw
        return _latents(self.options.seed, key, self.options.batch, self.config.latent)

    def _update_average(self) -> None:
        half_life = averaging_half_life(self.progress.images_seen + self.options.batch)
        keep = 0.5 ** (self.options.batch / half_life)
        with torch.no_grad():
            for mean, value in zip(
                self.average.parameters(), self.generator.parameters(), strict=True
            ):
                mean.lerp_(value, 1 - keep)

    def _count(self, position: Position) -> None:
        counts = self.progress.images_of_part
        counts[position.part] = counts.get(position.part, 0) + self.options.batch
        self.progress.images += self.options.batch

    def _report(self, position: Position, losses: tuple[float, float], speed: float) -> Report:
        report = Report(
            images=self.progress.images,
            images_seen=self.progress.images_seen,
            images_wanted=self.options.images,
            minutes=round(self.progress.minutes, 3),
            cpu_minutes=round(self.progress.cpu_minutes, 3),
            part=position.part,
            rate=self.optimizer_g.param_groups[0]["lr"],
            loss_generator=losses[0],
            loss_discriminator=losses[1],
            images_per_s=speed,
        )
        if self.progress.images // self.options.batch % 50 == 0:
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(asdict(report)) + "\n")
        return report


class _Clock:
    """Adds this process's wall and CPU minutes to those of the runs before."""

    def __init__(self, progress: Progress) -> None:
        self.wall, self.cpu = time.monotonic(), time.process_time()
        self.minutes, self.cpu_minutes = progress.minutes, progress.cpu_minutes

    def update(self, progress: Progress) -> None:
        progress.minutes = self.minutes + (time.monotonic() - self.wall) / 60
        progress.cpu_minutes = self.cpu_minutes + (time.process_time() - self.cpu) / 60


def _adam(network: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(0.0, 0.99))


def _descend(optimizer: torch.optim.Adam, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _latents(seed: int, key: int, count: int, size: int) -> Tensor:
    """Normal latents (count, size), a function of (seed, key) so that a resumed run repeats them."""
    random = np.random.Generator(np.random.Philox(key=np.array([seed, key], np.int64)))
    return torch.from_numpy(random.standard_normal((count, size), np.float32))


def _load_levels(network: nn.Module, saved: Checkpoint, name: str) -> None:
    """Load a network strictly; levels that the checkpoint has not grown yet keep their start."""
    grown = {"discriminator": Discriminator}.get(name, Generator)(saved.config).state_dict()
    fresh = {k: v for k, v in network.state_dict().items() if k not in grown}
    load_strictly(network, {**fresh, **saved.part(name)}, name)


def _tiled(pictures: np.ndarray, columns: int) -> np.ndarray:
    """(N, 3, side, side) bytes to one (rows * side, columns * side, 3) sheet."""
    n, c, side, _ = pictures.shape
    rows = n // columns
    sheet = pictures[: rows * columns].reshape(rows, columns, c, side, side)
    return sheet.transpose(0, 3, 1, 4, 2).reshape(rows * side, columns * side, c)
