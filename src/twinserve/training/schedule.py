"""When each level fades in, when it is stable, and how fast the networks learn: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinserve.errors import UsageError

# Thousands of images (fading, stable) a level of the small budget that grew the first faces on two
# cores in about two hours; the last level's stable part takes what remains.
SMALL_BUDGET = ((0, 60), (50, 50), (80, 110), (80, 140), (80, 368))

# Images a second at each level on the same two cores; only their ratios are used.
SPEEDS = (1400, 690, 270, 155, 88, 34)


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
        speed_now = _speed(self.at(images).level)
        seconds, begun = 0.0, 0
        for level, _, length in self.parts:
            left = begun + length - max(images, begun)
            seconds += max(left, 0) * speed_now / _speed(level) / images_per_s
            begun += length
        return seconds


def growth(images: int, last_level: int, present_level: int | None = None) -> Schedule:
    """Share ``images`` out over the levels as the small budget does.

    ``present_level`` is the level that the networks have been grown to already (None: nothing); its
    own parts are left out unless it is the last one, which then gets every image.

    Raises:
        UsageError: the networks have been grown beyond ``last_level``.
    """
    if present_level is not None and present_level > last_level:
        raise UsageError(
            f"The networks have grown to {4 << present_level}x{4 << present_level} already and "
            f"cannot shrink to {4 << last_level}x{4 << last_level}; choose a resolution of "
            f"{4 << present_level} or above."
        )
    if present_level == last_level:
        return Schedule(((last_level, False, images),))
    first = 0 if present_level is None else present_level + 1
    weights: list[tuple[int, bool, int]] = []
    for level in range(first, last_level + 1):
        fading, stable = SMALL_BUDGET[min(level, len(SMALL_BUDGET) - 1)]
        weights += [(level, True, fading), (level, False, stable)]
    return Schedule(_shares([part for part in weights if part[2]], images))


def learning_rate(start: float, progress: float, decay_share: float = 0.3) -> float:
    """Constant, then falling linearly to a tenth over the last ``decay_share`` of the run."""
    left = min(max(1 - progress, 0.0), decay_share) / decay_share
    return start * (0.1 + 0.9 * left)


def averaging_half_life(images_seen: int) -> float:
    """Half-life in images of the generator's average: short at first, as the past is worthless."""
    return max(min(10_000.0, 0.05 * images_seen), 1.0)


def r1_weight(resolution: int) -> float:
    """Gamma of the R1 penalty (Mescheder et al., 2018) at a resolution in pixels."""
    if resolution <= 16:
        return 0.05
    return 0.1 if resolution <= 32 else 0.3


def _speed(level: int) -> int:
    return SPEEDS[min(level, len(SPEEDS) - 1)]


def _shares(
    weights: Sequence[tuple[int, bool, int]], images: int
) -> tuple[tuple[int, bool, int], ...]:
    total = sum(weight for _, _, weight in weights)
    shares = [(level, fading, images * weight // total) for level, fading, weight in weights]
    level, fading, last = shares[-1]
    shares[-1] = (level, fading, last + images - sum(length for _, _, length in shares))
    return tuple(shares)
