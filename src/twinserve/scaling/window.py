"""How much there was to do over the last while, kept in little memory: no clock, no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

BUCKETS = 60


@dataclass
class LoadWindow:
    """The time average of a level (requests at a time, busy CPUs) over the last ``span_s`` seconds.

    Kept as integrals over buckets of a sixtieth of the span, so that memory does not grow with the
    number of changes; within the oldest bucket the level is taken as even.
    """

    span_s: float
    level: float = 0.0
    since_s: float | None = None  # the first level above 0 after a whole span of nothing
    _at_s: float | None = None
    _buckets: deque[tuple[int, float]] = field(default_factory=deque)  # number, integral

    def set(self, level: float, now_s: float) -> None:
        """From now on the level is ``level``."""
        self._advance(now_s)
        if level and not self.level and not self._buckets:
            self.since_s = now_s
        self.level = level

    def average(self, now_s: float, over_s: float, *, since_first: bool = False) -> float:
        """The level's average over the last ``over_s`` seconds, at most the span.

        ``since_first`` leaves out the time before there was anything to do.
        """
        self._advance(now_s)
        start_s = now_s - over_s
        total = sum(
            integral * self._share_after(start_s, number, now_s)
            for number, integral in self._buckets
        )
        if since_first and self.since_s is not None:
            over_s = min(over_s, now_s - self.since_s)
        return total / over_s if over_s > 0 else self.level

    def _advance(self, now_s: float) -> None:
        """Add what the level amounted to since the last change, and forget what is too old."""
        begun_s = self._at_s if self._at_s is not None else now_s
        self._at_s = max(now_s, begun_s)
        if self.level:
            self._add(max(begun_s, now_s - self.span_s), now_s)
        oldest = self._number(now_s - self.span_s)
        while self._buckets and self._buckets[0][0] < oldest:
            self._buckets.popleft()
        if not self._buckets and not self.level:
            self.since_s = None

    def _add(self, begin_s: float, end_s: float) -> None:
        while begin_s < end_s:
            number = self._number(begin_s)
            until_s = min(end_s, (number + 1) * self._width_s)
            if until_s <= begin_s:  # rounding at a bucket's edge
                number, until_s = number + 1, min(end_s, (number + 2) * self._width_s)
            integral = self.level * (until_s - begin_s)
            if self._buckets and self._buckets[-1][0] == number:
                integral += self._buckets.pop()[1]
            self._buckets.append((number, integral))
            begin_s = until_s

    def _share_after(self, start_s: float, number: int, now_s: float) -> float:
        """The share of a bucket's time that lies after ``start_s``."""
        begin_s = number * self._width_s
        end_s = min(begin_s + self._width_s, now_s)
        if start_s <= begin_s:
            return 1.0
        return max(0.0, end_s - start_s) / (end_s - begin_s) if end_s > begin_s else 0.0

    def _number(self, at_s: float) -> int:
        return int(at_s // self._width_s)

    @property
    def _width_s(self) -> float:
        return self.span_s / BUCKETS
