"""Grow and train a Progressive GAN, so that a kill at any moment loses a few minutes at most."""

from __future__ import annotations

import copy
import json
import math
import time
from collections import deque
from collections.abc import Generator as Steps
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from twinserve.errors import TrainingError, UsageError
from twinserve.training.checkpoint import (
    OPTIMIZERS,
    Checkpoint,
    Progress,
    Settings,
    read_checkpoint,
    restore_optimizer,
    write_checkpoint,
    writing,
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
LOG_EVERY = 50  # steps
SPEED_OVER = 4 * R1_EVERY  # steps: the speed must not jump with the lazy penalty


@dataclass(frozen=True)
class TrainingOptions:
    """What a training aims at.

    With a time limit, whichever of ``images`` and ``minutes`` runs out first sets the pace: the
    networks are fully grown, and the learning rate is down, when it does.
    """

    resolution: int = 64
    images: int = 1_000_000
    minutes: float = math.inf
    batch: int = 32
    rate: float = 0.002
    seed: int = 0
    save_every_s: float = 120.0
    grid_every: int = 10_000  # images
    latent: int = 128
    widths: tuple[int, ...] = WIDTHS

    def __post_init__(self) -> None:
        sizes = [4 << level for level in range(len(self.widths))]
        if self.resolution not in sizes:
            raise UsageError(f"resolution is {self.resolution}; allowed is one of {sizes}.")
        for name in ("images", "minutes", "batch", "rate"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be above 0.")
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; it must be 0 or above.")

    @property
    def last_level(self) -> int:
        return self.resolution.bit_length() - 3

    @property
    def config(self) -> NetworkConfig:
        return NetworkConfig(self.latent, self.widths[: self.last_level + 1])


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
    images_per_s: float  # over the last steps
    minutes_left: float


class Trainer:
    """Trains in ``folder``: ``checkpoint.safetensors``, ``log.jsonl`` and ``grid-*.png``.

    A folder with a checkpoint goes on from there; without, training starts from ``init``, grown by
    as many levels as it lacks, or from nothing. On one thread and without a time limit, a training
    that was stopped and resumed computes what an undisturbed one does, bit for bit.

    Raises:
        UsageError: the folder or ``init`` does not go with the options.
        TrainingError: a checkpoint cannot be read, or the folder cannot be written.
    """

    def __init__(
        self, folder: Path, pictures: Pictures, options: TrainingOptions, init: Path | None = None
    ) -> None:
        self.folder, self.pictures, self.options = folder, pictures, options
        self.path = folder / "checkpoint.safetensors"
        self.config = options.config
        self.resumed = self.path.exists()
        if pictures.resolution != options.resolution:
            raise UsageError(
                f"The pictures are {pictures.resolution} pixels wide and the resolution is "
                f"{options.resolution}; read the pictures at that resolution."
            )
        saved, self.start_level = self._start(init)
        self.settings = self._settings()
        if self.resumed and saved:
            self._check_settings(saved)
        self.schedule = growth(options.images, options.last_level, self.start_level)
        if saved:
            self._check_config(saved)
        self.progress = self._progress(saved)
        self._build(saved)
        self._steps: deque[float] = deque(maxlen=SPEED_OVER)  # seconds each
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> Steps[Report, None, None]:
        """Train to the end, one report a step; closing the iterator saves.

        Raises:
            TrainingError: training has diverged, or something cannot be written. The last state
                that was saved stays as it is.
        """
        self._trim_log()
        clock, saved_at = _Clock(self.progress), time.monotonic()
        while self.share_done < 1:
            report = self._advance(clock)
            try:
                yield report
            except GeneratorExit:
                self.save()
                raise
            if self.progress.images % self.options.grid_every < self.options.batch:
                self.write_grid()
            if time.monotonic() - saved_at > self.options.save_every_s:
                self.save()
                saved_at = time.monotonic()
        self.save()
        self.write_grid()

    @property
    def share_done(self) -> float:
        return max(
            self.progress.images / self.options.images,
            self.progress.minutes / self.options.minutes,
        )

    @property
    def position(self) -> Position:
        return self.schedule.at(self._place)

    def save(self) -> None:
        """Write the checkpoint, unless training has diverged: then the last good one stays."""
        networks = {
            "generator_average": self.average,
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        if not all(p.isfinite().all() for n in networks.values() for p in n.parameters()):
            raise self._diverged("The weights are no longer finite")
        optimizers = {
            "optimizer_generator": self.optimizer_g,
            "optimizer_discriminator": self.optimizer_d,
        }
        write_checkpoint(
            self.path,
            self.config,
            networks,
            optimizers,
            self.progress,
            self.settings,
            self.position.grown,
        )

    def write_grid(self, columns: int = 10, rows: int = 6) -> Path:
        """Samples of the averaged generator for fixed latents, not picked; grids have one size."""
        z = _latents(self.options.seed, -1, columns * rows, self.config.latent)
        position = self.position
        with torch.no_grad():
            pictures = self.average(z, position.level, position.alpha)
        sheet = _tiled(to_bytes(pictures), columns)
        factor = self.options.resolution // position.resolution
        path = self.folder / f"grid-{self.progress.images_seen:09d}.png"
        with writing(path):
            Image.fromarray(sheet.repeat(factor, 0).repeat(factor, 1)).save(path)
        return path

    def _start(self, init: Path | None) -> tuple[Checkpoint | None, int | None]:
        """The checkpoint to start from, and the level to which it had grown when training began."""
        if not self.resumed:
            start = read_checkpoint(init) if init else None
            return start, start.grown if start else None
        saved = read_checkpoint(self.path)
        if saved.settings is not None:
            level = saved.settings["start_level"]
            return saved, None if level is None else int(level)
        # A checkpoint of before settings were kept: ask the file that training started from.
        if saved.progress and saved.progress.images_before and not init:
            raise UsageError(f"{self.folder} was begun from a checkpoint; give the same --init.")
        return saved, read_checkpoint(init).grown if init else None

    def _settings(self) -> Settings:
        """What must stay the same for a resumed training to go on as if never stopped."""
        options = self.options
        return {
            "resolution": options.resolution,
            "images": options.images,
            "minutes": options.minutes if math.isfinite(options.minutes) else None,
            "batch": options.batch,
            "seed": options.seed,
            "pictures": len(self.pictures),
            "start_level": self.start_level,
        }

    def _check_settings(self, saved: Checkpoint) -> None:
        began: Settings = {"resolution": saved.config.resolution}
        if saved.progress:
            began["seed"] = saved.progress.seed
        began |= saved.settings or {}
        changed = [name for name, value in began.items() if value != self.settings[name]]
        if changed:
            then = ", ".join(f"{name} {_shown(began[name])}" for name in changed)
            now = ", ".join(f"{name} {_shown(self.settings[name])}" for name in changed)
            raise UsageError(
                f"{self.folder} was begun with {then} and is now asked for {now}. Go on with the "
                f"same options, or begin in another folder with --init {self.path}."
            )

    def _check_config(self, saved: Checkpoint) -> None:
        wanted = NetworkConfig(self.config.latent, self.config.feature_maps[: saved.config.levels])
        if saved.config != wanted:
            raise UsageError(
                f"{saved.path} has latent vectors of {saved.config.latent} and feature maps "
                f"{saved.config.feature_maps}, this training wants {wanted.latent} and "
                f"{wanted.feature_maps}; start from another checkpoint or from none."
            )

    def _progress(self, saved: Checkpoint | None) -> Progress:
        if self.resumed and saved and saved.progress:
            return saved.progress
        return Progress(self.options.seed, saved.images_seen if saved else 0)

    def _build(self, saved: Checkpoint | None) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.options.seed)
            self.generator = Generator(self.config)
            self.discriminator = Discriminator(self.config)
            self.average = copy.deepcopy(self.generator).requires_grad_(False)
            if saved:
                _load_levels(self.generator, saved, "generator")
                _load_levels(self.average, saved, "generator_average")
                _load_levels(self.discriminator, saved, "discriminator")
        for network in (self.generator, self.discriminator, self.average):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer_g = _adam(self.generator, self.options.rate)
        self.optimizer_d = _adam(self.discriminator, self.options.rate)
        if self.resumed and saved:
            moments_g, moments_d = map(saved.part, OPTIMIZERS)
            restore_optimizer(self.optimizer_g, self.generator, moments_g)
            restore_optimizer(self.optimizer_d, self.discriminator, moments_d)

    @property
    def _place(self) -> int:
        """The image of the schedule that training is at; a time limit may pull it forward."""
        by_time = self.progress.minutes / self.options.minutes * self.options.images
        return max(self.progress.images, int(by_time))

    def _advance(self, clock: _Clock) -> Report:
        before = time.monotonic()
        position = self.position
        losses = self._step(position)
        counts = self.progress.images_of_part
        counts[position.part] = counts.get(position.part, 0) + self.options.batch
        self.progress.images += self.options.batch
        clock.update(self.progress)
        self._steps.append(time.monotonic() - before)
        return self._report(position, losses)

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
        if not all(map(math.isfinite, losses)):
            raise self._diverged(f"The losses are {losses[0]} and {losses[1]}")
        return losses

    def _diverged(self, what: str) -> TrainingError:
        kept = f"{self.path} keeps the last good state" if self.path.exists() else "Nothing is kept"
        return TrainingError(
            f"{what} after {self.progress.images:,} images: training has diverged. {kept}; run the "
            f"same command with a --rate below {self.options.rate}."
        )

    def _discriminator_loss(self, real: Tensor, position: Position) -> Tensor:
        """The non-saturating loss of Goodfellow et al. (2014)."""
        with torch.no_grad():
            fake = self.generator(self._z(0), position.level, position.alpha)
        scores_fake = self.discriminator(fake, position.level, position.alpha)
        scores_real = self.discriminator(real, position.level, position.alpha)
        return F.softplus(scores_fake).mean() + F.softplus(-scores_real).mean()

    def _penalty(self, real: Tensor, position: Position) -> Tensor:
        """R1: gamma/2 times the squared gradient at real pictures, times the steps it is for."""
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

    def _report(self, position: Position, losses: tuple[float, float]) -> Report:
        options, progress = self.options, self.progress
        speed = options.batch * len(self._steps) / sum(self._steps)
        by_images = self.schedule.seconds_left(self._place, speed) / 60
        report = Report(
            images=progress.images,
            images_seen=progress.images_seen,
            images_wanted=options.images,
            minutes=round(progress.minutes, 3),
            cpu_minutes=round(progress.cpu_minutes, 3),
            part=position.part,
            rate=self.optimizer_g.param_groups[0]["lr"],
            loss_generator=losses[0],
            loss_discriminator=losses[1],
            images_per_s=round(speed, 2),
            minutes_left=max(min(by_images, options.minutes - progress.minutes), 0.0),
        )
        if progress.images // options.batch % LOG_EVERY == 0 or self.share_done >= 1:
            with writing(self._log), self._log.open("a") as log:
                log.write(json.dumps(asdict(report)) + "\n")
        return report

    @property
    def _log(self) -> Path:
        return self.folder / "log.jsonl"

    def _trim_log(self) -> None:
        """Drop the rows of steps that a kill undid; they are about to be computed again."""
        if not self._log.exists():
            return
        with writing(self._log):
            rows = self._log.read_text().splitlines(keepends=True)
            kept = [row for row in rows if _images_of(row) <= self.progress.images]
            self._log.write_text("".join(kept))


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
    """Normal latents (count, size), a function of (seed, key): a resumed run repeats them."""
    random = np.random.Generator(np.random.Philox(key=np.array([seed, key], np.int64)))
    return torch.from_numpy(random.standard_normal((count, size), np.float32))


def _load_levels(network: nn.Module, saved: Checkpoint, name: str) -> None:
    """Load a network strictly; levels that the checkpoint has not grown yet keep their start."""
    grown = {"discriminator": Discriminator}.get(name, Generator)(saved.config).state_dict()
    fresh = {k: v for k, v in network.state_dict().items() if k not in grown}
    load_strictly(network, {**fresh, **saved.part(name)}, name)


def _images_of(row: str) -> float:
    try:
        return float(json.loads(row)["images"])
    except ValueError:
        return math.inf  # torn by the kill


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:,}"


def _tiled(pictures: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """(N, 3, side, side) bytes to one (rows * side, columns * side, 3) sheet."""
    n, c, side, _ = pictures.shape
    rows = n // columns
    sheet = pictures[: rows * columns].reshape(rows, columns, c, side, side)
    return sheet.transpose(0, 3, 1, 4, 2).reshape(rows * side, columns * side, c)
