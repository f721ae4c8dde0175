"""``p95<500ms``: a percentile of the latency and what it may be at most. Pure."""

from __future__ import annotations

import re

SHAPE = re.compile(r"p(\d{1,2}(?:\.\d+)?)\s*(?:<=?|≤)\s*(\d+(?:\.\d+)?)\s*(ms|s)")
MS_OF = {"ms": 1.0, "s": 1000.0}


def parse_latency_limit(text: str) -> tuple[float, float] | None:
    """The percentile as a share of 1, and its limit in ms; None where the text is none, or states
    no percentile or no time above 0."""
    found = SHAPE.fullmatch(text.strip())
    if not found:
        return None
    p, limit_ms = float(found[1]) / 100, float(found[2]) * MS_OF[found[3]]
    return (p, limit_ms) if 0 < p < 1 and limit_ms else None
