"""Durations as people write them."""

from __future__ import annotations

import re

DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds_of(value: float | str) -> float | None:
    """``3.5``, ``"90s"``, ``"15m"`` and ``"1h"`` in seconds; None for another text."""
    if not isinstance(value, str):
        return float(value)
    found = DURATION.fullmatch(value.strip())
    return float(found[1]) * SECONDS[found[2]] if found else None
