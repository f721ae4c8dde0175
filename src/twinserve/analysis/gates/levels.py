"""How many requests were in flight, from their rows alone: pure."""

from __future__ import annotations

import numpy as np

from twinserve.analysis.rows import BlockRows, Floats


def levels(block: BlockRows, start_us: int, end_us: int) -> tuple[Floats, Floats]:
    """Requests in flight, and for how long, between one event and the next inside the window."""
    at_us = np.concatenate([block.done_us, block.sent_us])
    step = np.concatenate([-np.ones(block.done_us.size), np.ones(block.sent_us.size)])
    order = np.lexsort((step, at_us))  # at one moment an end comes before a start
    inner = np.clip(at_us[order], start_us, end_us)
    return np.cumsum(step[order]), np.diff(inner, append=end_us).astype(float)
