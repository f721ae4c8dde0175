"""How well one side serves: APDEX, and goodput under a limit, from block to block: pure.

Sources: Apdex Alliance, *Application Performance Index, Technical Specification* (2007), with what
Apache JMeter counts: a failed request is frustrated, whatever its time. A share's limits: Korn &
Graubard (1998); a rate's: Cochran's ratio estimator over blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from twinserve.analysis.comparison import Estimate
from twinserve.analysis.estimators import (
    Estimator,
    Values,
    around_log,
    ratio_of_totals,
    share_limits,
    t_point,
    without_limits,
)
from twinserve.analysis.statistics import CONFIDENCE

SATISFIED_MS = 500.0  # JMeter's defaults
TOLERATED_MS = 1500.0
LIMIT_MS = 1000.0


@dataclass(frozen=True)
class Served:
    """One block as a user met it: elapsed times in ms of the answered requests, how many failed,
    and how long it went on."""

    elapsed_ms: Values
    failed: int
    seconds: float

    @property
    def requests(self) -> int:
        return self.elapsed_ms.size + self.failed


def apdex(
    blocks: Sequence[Served],
    satisfied_ms: float = SATISFIED_MS,
    tolerated_ms: float = TOLERATED_MS,
    confidence: float = CONFIDENCE,
) -> Estimate | None:
    """(satisfied + tolerating / 2) / all requests, failed ones among them; 1 is best.

    None without a request, no limits with fewer than two blocks.
    """
    scores = [
        (np.count_nonzero(b.elapsed_ms <= satisfied_ms) + _up_to(b, tolerated_ms)) / 2
        for b in blocks
    ]
    return _share(blocks, scores, confidence)


def share_within(
    blocks: Sequence[Served], limit_ms: float = LIMIT_MS, confidence: float = CONFIDENCE
) -> Estimate | None:
    """The share of all requests that were answered within ``limit_ms``; None without a request."""
    return _share(blocks, [_up_to(block, limit_ms) for block in blocks], confidence)


def goodput(
    blocks: Sequence[Served], limit_ms: float = LIMIT_MS, confidence: float = CONFIDENCE
) -> Estimate | None:
    """Answers a second within ``limit_ms``: the ratio of their number to the blocks' time.

    None without any time to speak of; no limits with fewer than two blocks, or without any such
    answer.
    """
    timed = [block for block in blocks if block.seconds > 0]
    if not timed:
        return None
    good = np.array([_up_to(block, limit_ms) for block in timed], dtype=float)
    rate = ratio_of_totals(good, np.array([block.seconds for block in timed]))
    if not math.isfinite(rate.estimate):
        return None
    if not rate.has_log:
        return without_limits(rate.estimate)
    return around_log(rate.estimate, _t(rate, confidence) * rate.error / rate.estimate)


def _share(blocks: Sequence[Served], counts: Sequence[float], confidence: float) -> Estimate | None:
    asked = [(block.requests, count) for block, count in zip(blocks, counts, strict=True)]
    told = [(requests, count) for requests, count in asked if requests]
    if not told:
        return None
    sizes, totals = (np.array(column, dtype=float) for column in zip(*told, strict=True))
    share = ratio_of_totals(totals, sizes)
    if not share.is_known:
        return without_limits(share.estimate)
    limits = share_limits(
        share.estimate, share.error**2, _t(share, confidence), confidence, float(sizes.sum())
    )
    return Estimate(share.estimate, *limits)


def _up_to(block: Served, limit_ms: float) -> int:
    return int(np.count_nonzero(block.elapsed_ms <= limit_ms))


def _t(estimator: Estimator, confidence: float) -> float:
    return t_point(estimator.degrees, confidence)
