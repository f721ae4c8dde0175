"""What a training aims at, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from twinserve.errors import UsageError
from twinserve.training.arithmetic import Precision
from twinserve.training.networks import NetworkConfig
from twinserve.training.presets import SMALL, Preset


@dataclass(frozen=True)
class TrainingOptions:
    """What a training aims at; ``None`` is the preset's own value.

    With a time limit, whichever of ``images`` and ``minutes`` runs out first sets the pace: the
    networks are fully grown, and the learning rate is down, when it does.
    """

    resolution: int = 64
    preset: Preset = SMALL
    images: int | None = None
    minutes: float = math.inf
    batch: int | None = None
    rate: float | None = None
    seed: int = 0
    precision: Precision = Precision.AUTO
    save_every_s: float = 120.0
    grid_every: int = 10_000  # images
    quality_every: int = 50_000  # images; 0: never

    def __post_init__(self) -> None:
        sizes = [4 << level for level in range(len(self.preset.feature_maps))]
        if self.resolution not in sizes:
            raise UsageError(f"resolution is {self.resolution}; allowed is one of {sizes}.")
        for name in ("images", "minutes", "batch", "rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}; it must be above 0.")
        for name in ("seed", "quality_every"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be 0 or above.")

    @property
    def last_level(self) -> int:
        return self.resolution.bit_length() - 3

    @property
    def config(self) -> NetworkConfig:
        return self.preset.config(self.last_level + 1)

    @property
    def start_rate(self) -> float:
        return self.preset.rate if self.rate is None else self.rate

    @property
    def minibatches(self) -> tuple[int, ...]:
        """Pictures a step at each level, over all processes together."""
        levels = self.last_level + 1
        return (self.batch,) * levels if self.batch else self.preset.minibatches[:levels]

    def check_shared_by(self, processes: int) -> None:
        """Each process needs two pictures a step: one alone has no deviation from the others.

        Raises:
            UsageError: there are too few at some level.
        """
        fewest = min(self.minibatches)
        if processes > 1 and fewest < 2 * processes:
            raise UsageError(
                f"A minibatch of {fewest} leaves some of {processes} processes fewer than 2 "
                f"pictures; give --batch {2 * processes} or more, or start fewer processes."
            )
