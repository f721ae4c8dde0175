"""When each level fades in, when it is stable, and how fast the networks learn: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinserve.errors import UsageError
from twinserve.training.presets import Preset


@dataclass(frozen=True)
class Position:
    """Where training stands: the level it runs at and the newest level's share."""

    level: int
    alpha: float

    @property
    def resolution(self) -> int:
        return 4 << self.level

    @property
    def grown(self) -> int:
        """The last level that is fully there."""
        return self.level if self.alpha >= 1 else self.level - 1

    @property
    def part(self) -> str:
        """A name for the part of the schedule, e.g. ``16 fading``."""
        return f"{self.resolution} {'stable' if self.alpha >= 1 else 'fading'}"


@dataclass(frozen=True)
class Schedule:
    """Parts of (level, fading?, images), in the order in which they run."""

    parts: tuple[tuple[int, bool, int], ...]
    speeds: tuple[float, ...]  # images a second at each level; only their ratios are used

    @property
    def images(self) -> int:
        return sum(images for _, _, images in self.parts)

    def at(self, images: int) -> Position:
        """The position after ``images`` images of this schedule; past its end, the last level."""
        begun = 0
        for level, fading, length in self.parts:
            if images < begun + length:
                return Position(level, (images - begun) / length if fading else 1.0)
            begun += length
        return Position(self.parts[-1][0], 1.0)

    def seconds_left(self, images: int, images_per_s: float) -> float:
        """Time for the rest, from the speed measured where training stands now."""
        speed_now = self.speeds[self.at(images).level]
        seconds, begun = 0.0, 0
        for level, _, length in self.parts:
            left = begun + length - max(images, begun)
            seconds += max(left, 0) * speed_now / self.speeds[level] / images_per_s
            begun += length
        return seconds


def growth(
    preset: Preset, last_level: int, images: int | None = None, present_level: int | None = None
) -> Schedule:
    """Share ``images`` out over the levels as the preset does.

    Without ``images`` it is the preset's own number or, where it names none, the images of its
    parts. ``present_level`` is the level that the networks have been grown to already (None:
    nothing); its own parts are left out unless it is the last one, which then gets every image.

    Raises:
        UsageError: the networks have been grown beyond ``last_level``.
    """
    if present_level is not None and present_level > last_level:
        raise UsageError(
            f"The networks have grown to {4 << present_level}x{4 << present_level} already and "
            f"cannot shrink to {4 << last_level}x{4 << last_level}; choose a resolution of "
            f"{4 << present_level} or above."
        )
    weights: list[tuple[int, bool, int]] = []
    if present_level == last_level:
        weights = [(last_level, False, preset.parts[last_level][1])]
    else:
        for level in range(0 if present_level is None else present_level + 1, last_level + 1):
            fading, stable = preset.parts[level]
            weights += [(level, True, fading), (level, False, stable)]
    total = images or preset.images or 1000 * sum(weight for _, _, weight in weights)
    return Schedule(_shares([part for part in weights if part[2]], total), preset.speeds)


def learning_rate(start: float, progress: float, decay_share: float) -> float:
    """Constant, then falling linearly to a tenth over the last ``decay_share`` of the run."""
    if not decay_share:
        return start
    left = min(max(1 - progress, 0.0), decay_share) / decay_share
    return start * (0.1 + 0.9 * left)


def _shares(
    weights: Sequence[tuple[int, bool, int]], images: int
) -> tuple[tuple[int, bool, int], ...]:
    total = sum(weight for _, _, weight in weights)
    shares = [(level, fading, images * weight // total) for level, fading, weight in weights]
    level, fading, last = shares[-1]
    shares[-1] = (level, fading, last + images - sum(length for _, _, length in shares))
    return tuple(shares)
