"""Grow and train a Progressive GAN, so that a kill at any moment loses a few minutes at most."""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Generator as Steps
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from twinserve.errors import TrainingError, UsageError
from twinserve.training import losses
from twinserve.training.checkpoint import (
    OPTIMIZERS,
    Checkpoint,
    Progress,
    restore_optimizer,
    write_checkpoint,
)
from twinserve.training.distributed import ALONE, Team
from twinserve.training.log import Log, QualityReport, Report
from twinserve.training.networks import (
    Discriminator,
    Generator,
    downsample,
    fade,
    load_strictly,
    upsample,
)
from twinserve.training.pictures import Pictures
from twinserve.training.presets import Loss, r1_weight
from twinserve.training.samples import QUALITY_PICTURES, latents, quality, write_grid
from twinserve.training.schedule import Position, learning_rate
from twinserve.training.start import Start

R1_EVERY = 16  # steps (lazy regularisation: Karras et al. 2020, arXiv:1912.04958)
R1_PICTURES = 16
BETAS = (0.0, 0.99)
LOG_EVERY = 50  # steps
SPEED_OVER = 4 * R1_EVERY  # steps: the speed must not jump with the lazy penalty

Draw = Callable[[Path, list[dict[str, Any]]], None]


class Trainer:
    """Trains in a folder: ``checkpoint.safetensors``, ``log.jsonl`` and ``grid-*.png``; with each
    grid it calls ``draw(folder, rows of the log)``.

    On one thread of a CPU and without a time limit, a training that was stopped and resumed
    computes what an undisturbed one does, bit for bit: latents, pictures and every other random
    choice are functions of the seed and of the images seen. The processes of a team compute what
    one would, up to the order of summation, where the groups of the minibatch deviation allow it
    (see :mod:`~twinserve.training.distributed`); only its leader writes.

    Raises:
        UsageError: the pictures or the team do not go with the options.
    """

    def __init__(
        self, start: Start, pictures: Pictures, team: Team = ALONE, draw: Draw | None = None
    ) -> None:
        self.start, self.pictures, self.team, self._draw = start, pictures, team, draw
        self.options, self.schedule, self.path = start.options, start.schedule, start.path
        self.config = self.options.config
        self._check()
        self.progress = self._progress()
        self._build(start.saved)
        self._log = Log(start.folder / "log.jsonl")
        self._speeds: deque[tuple[int, float]] = deque(maxlen=SPEED_OVER)  # images, seconds
        self._asked_to_stop = self.stopped = False

    def run(self) -> Steps[Report, None, None]:
        """Train to the end, one report a step; closing the iterator saves.

        Raises:
            TrainingError: training has diverged, something cannot be written, or another process
                of the team has ended. The last state that was saved stays as it is.
        """
        if self.team.leads:
            self._log.trim(self.progress.images)
        clock, saved_at = _Clock(self.progress, self.team), time.monotonic()
        while self.share_done < 1 and not self.stopped:
            report = self._advance(clock)
            try:
                yield report
            except GeneratorExit:
                self.save()
                raise
            if self._passed(self.options.quality_every):
                self.measure()
            if self._passed(self.options.grid_every):
                self.show()
            if time.monotonic() - saved_at > self.options.save_every_s:
                self.save()
                saved_at = time.monotonic()
        self.save()
        if not self.stopped:
            self.show()

    def stop(self) -> None:
        """Save and end after the present step, with every process of the team."""
        self._asked_to_stop = True

    @property
    def share_done(self) -> float:
        return max(
            self.progress.images / self.schedule.images,
            self.progress.minutes / self.options.minutes,
        )

    @property
    def position(self) -> Position:
        return self.schedule.at(self._place)

    def save(self) -> None:
        """Write the checkpoint, unless training has diverged: then the last good one stays."""
        if not self.team.leads:
            return
        networks = {
            "generator_average": self.average,
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        if not all(p.isfinite().all() for n in networks.values() for p in n.parameters()):
            raise self._diverged("The weights are no longer finite")
        optimizers = dict(zip(OPTIMIZERS, (self.optimizer_g, self.optimizer_d), strict=True))
        settings = self.start.settings(len(self.pictures))
        grown = self.position.grown
        write_checkpoint(
            self.path, self.config, networks, optimizers, self.progress, settings, grown
        )

    def show(self) -> None:
        """Write a sample grid, and draw the log anew."""
        if not self.team.leads:
            return
        path = self.start.folder / f"grid-{self.progress.images_seen:09d}.png"
        seed, side = self.options.seed, self.options.resolution
        write_grid(path, self.average, self.position, seed, side)
        if self._draw:
            self._draw(self.start.folder, self._log.rows())

    def measure(self) -> None:
        """Log how alike a few made and real pictures are; nothing below 16x16."""
        if not self.team.leads:
            return
        position = self.position
        distances = quality(self.average, position, self.pictures, self.options.seed)
        if distances:
            report = QualityReport(
                images=self.progress.images,
                images_seen=self.progress.images_seen,
                part=position.part,
                pictures=min(QUALITY_PICTURES, len(self.pictures)),
                swd=distances.levels,
                swd_mean=distances.mean,
            )
            self._log.append(report)

    def _check(self) -> None:
        if self.pictures.resolution != self.options.resolution:
            raise UsageError(
                f"The pictures are {self.pictures.resolution} pixels wide and the resolution is "
                f"{self.options.resolution}; read the pictures at that resolution."
            )
        self.start.check_pictures(len(self.pictures))
        self.options.check_shared_by(self.team.size)

    def _progress(self) -> Progress:
        saved = self.start.saved
        if not (self.start.resumed and saved and saved.progress):
            return Progress(self.options.seed, saved.images_seen if saved else 0, steps=0)
        progress = saved.progress
        if progress.steps is None:  # such checkpoints knew one minibatch for all levels
            progress.steps = progress.images // self.options.minibatches[0]
        return progress

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
            network.to(self.team.device)
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer_g = _adam(self.generator, self.options.start_rate)
        self.optimizer_d = _adam(self.discriminator, self.options.start_rate)
        if self.start.resumed and saved:
            moments_g, moments_d = map(saved.part, OPTIMIZERS)
            restore_optimizer(self.optimizer_g, self.generator, moments_g)
            restore_optimizer(self.optimizer_d, self.discriminator, moments_d)

    @property
    def _place(self) -> int:
        """The image of the schedule that training is at; a time limit may pull it forward."""
        by_time = self.progress.minutes / self.options.minutes * self.schedule.images
        return max(self.progress.images, int(by_time))

    def _passed(self, every: int) -> bool:
        """Whether the last step came to or past a multiple of ``every`` images."""
        return bool(every) and self.progress.images % every < self._speeds[-1][0]

    def _advance(self, clock: _Clock) -> Report:
        before = time.monotonic()
        position, progress = self.position, self.progress
        batch = self.options.minibatches[position.level]
        parts = self._step(position, batch)
        progress.images_of_part[position.part] = (
            progress.images_of_part.get(position.part, 0) + batch
        )
        progress.images += batch
        progress.steps = self._steps + 1
        # One message settles all that the processes must agree on.
        loss_g, loss_d, stopping, wall, cpu = self.team.sums(
            *parts, float(self._asked_to_stop), *clock.minutes()
        )
        clock.update(progress, wall, cpu)
        self.stopped = stopping > 0
        if not (math.isfinite(loss_g) and math.isfinite(loss_d)):
            raise self._diverged(f"The losses are {loss_g} and {loss_d}")
        self._speeds.append((batch, time.monotonic() - before))
        return self._report(position, loss_g, loss_d)

    def _step(self, position: Position, batch: int) -> tuple[float, float]:
        """Train both networks once; returns this process's parts of both mean losses."""
        rate = learning_rate(
            self.options.start_rate, self.share_done, self.options.preset.decay_share
        )
        for optimizer in (self.optimizer_g, self.optimizer_d):
            optimizer.param_groups[0]["lr"] = rate
        loss_d = self._train_discriminator(position, batch)
        loss_g = self._train_generator(position, batch)
        self._update_average(batch)
        return loss_g.item(), loss_d.item()

    def _train_discriminator(self, position: Position, batch: int) -> Tensor:
        real = self._real(position, batch)
        with torch.no_grad(), self._computing():
            fake = self.generator(self._z(0, batch), position.level, position.alpha).float()
        with self._computing():
            scores_fake = self.discriminator(fake, position.level, position.alpha)
            scores_real = self.discriminator(real, position.level, position.alpha)
        if self.options.preset.loss is Loss.NON_SATURATING:
            loss = losses.telling_apart(scores_real, scores_fake).sum() / batch
            if self._steps % R1_EVERY == 0:
                loss = loss + self._lazy_r1(real, position, batch)
        else:
            loss = losses.wasserstein(scores_real, scores_fake).sum() / batch
            shares = self._shares(batch)
            penalty = losses.gradient_penalty(self._score(position), real, fake, shares)
            loss = loss + penalty.sum() / batch
        self._descend(self.optimizer_d, self.discriminator, loss)
        return loss.detach()

    def _train_generator(self, position: Position, batch: int) -> Tensor:
        with _frozen(self.discriminator):
            with self._computing():
                fake = self.generator(self._z(1, batch), position.level, position.alpha).float()
                scores = self.discriminator(fake, position.level, position.alpha)
            non_saturating = self.options.preset.loss is Loss.NON_SATURATING
            each = losses.fooling(scores) if non_saturating else losses.climbing(scores)
            loss = each.sum() / batch
            self._descend(self.optimizer_g, self.generator, loss)
        return loss.detach()

    def _lazy_r1(self, real: Tensor, position: Position, batch: int) -> Tensor:
        """R1 on the first pictures of the minibatch, times the steps that it stands for."""
        pictures = min(R1_PICTURES, batch)
        mine = real[: self.team.share_of(pictures)]
        squared = losses.r1(self._score(position), mine).sum() / pictures
        return squared * (r1_weight(position.resolution) / 2 * R1_EVERY)

    def _score(self, position: Position) -> losses.Score:
        """The discriminator at a position, in float32: penalties are gradients of it."""
        return lambda pictures: self.discriminator(pictures, position.level, position.alpha)

    def _real(self, position: Position, batch: int) -> Tensor:
        """This process's share of the real pictures, faded in like the generator's."""
        seed, images = self.options.seed, self.progress.images
        real = self.pictures.batch(seed, images, batch, position.resolution, self.team.share)
        real = real.to(self.team.device)
        if position.alpha < 1:
            real = fade(upsample(downsample(real)), real, position.alpha)
        return real.contiguous(memory_format=torch.channels_last)

    def _z(self, draw: int, batch: int) -> Tensor:
        key = 2 * self.progress.images + draw
        z = latents(self.options.seed, key, batch, self.config.latent)
        return z[self.team.share].to(self.team.device)

    def _shares(self, batch: int) -> Tensor:
        """How far between real and made pictures the gradient penalty looks."""
        random = np.random.default_rng((self.options.seed, 2, self.progress.images))
        shares = torch.from_numpy(random.random(batch, np.float32))
        return shares[self.team.share].to(self.team.device)

    def _computing(self) -> AbstractContextManager[object]:
        return self.options.precision.computing(self.team.device)

    def _descend(self, optimizer: torch.optim.Adam, network: nn.Module, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.team.sum_gradients(network)
        optimizer.step()

    def _update_average(self, batch: int) -> None:
        kept = self.options.preset.average_kept(self.progress.images_seen + batch, batch)
        with torch.no_grad():
            for mean, value in zip(
                self.average.parameters(), self.generator.parameters(), strict=True
            ):
                mean.lerp_(value, 1 - kept)

    @property
    def _steps(self) -> int:
        return self.progress.steps or 0

    def _diverged(self, what: str) -> TrainingError:
        kept = f"{self.path} keeps the last good state" if self.path.exists() else "Nothing is kept"
        return TrainingError(
            f"{what} after {self.progress.images:,} images: training has diverged. {kept}; run the "
            f"same command with a --rate below {self.options.start_rate}."
        )

    def _report(self, position: Position, loss_g: float, loss_d: float) -> Report:
        progress = self.progress
        speed = sum(n for n, _ in self._speeds) / sum(seconds for _, seconds in self._speeds)
        by_images = self.schedule.seconds_left(self._place, speed) / 60
        report = Report(
            images=progress.images,
            images_seen=progress.images_seen,
            images_wanted=self.schedule.images,
            minutes=round(progress.minutes, 3),
            cpu_minutes=round(progress.cpu_minutes, 3),
            part=position.part,
            rate=self.optimizer_g.param_groups[0]["lr"],
            loss_generator=loss_g,
            loss_discriminator=loss_d,
            images_per_s=round(speed, 2),
            minutes_left=max(min(by_images, self.options.minutes - progress.minutes), 0.0),
        )
        if self.team.leads and (self._steps % LOG_EVERY == 0 or self.share_done >= 1):
            self._log.append(report)
        return report


class _Clock:
    """Adds the team's wall and CPU minutes to those of the runs before."""

    def __init__(self, progress: Progress, team: Team) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()
        self._before = progress.minutes, progress.cpu_minutes
        self._leads = team.leads

    def minutes(self) -> tuple[float, float]:
        """This process's part of the team's wall minutes (the leader's) and CPU minutes."""
        wall = (time.monotonic() - self._wall) / 60 if self._leads else 0.0
        return wall, (time.process_time() - self._cpu) / 60

    def update(self, progress: Progress, wall: float, cpu: float) -> None:
        progress.minutes, progress.cpu_minutes = self._before[0] + wall, self._before[1] + cpu


def _adam(network: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=BETAS)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _load_levels(network: nn.Module, saved: Checkpoint, name: str) -> None:
    """Load a network strictly; levels that the checkpoint has not grown yet keep their start."""
    grown = {"discriminator": Discriminator}.get(name, Generator)(saved.config).state_dict()
    fresh = {k: v for k, v in network.state_dict().items() if k not in grown}
    load_strictly(network, {**fresh, **saved.part(name)}, name)
