"""A value with its interval: what every measured figure of the analysis is given as."""

from __future__ import annotations

import msgspec


class Estimate(msgspec.Struct, frozen=True):
    """A value with its interval; a limit that the data cannot give is None."""

    estimate: float
    low: float | None
    high: float | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval says on which side of zero the value lies."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high
