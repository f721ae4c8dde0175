"""The gate ``load`` for an open loop: requests that are due whether earlier ones are answered or
not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates.closed_load import LOAD_SHARE
from twinserve.analysis.gates.levels import levels
from twinserve.analysis.gates.outcome import failing, passing, unknowing
from twinserve.analysis.gates.shares import Sides, without_requests
from twinserve.analysis.rows import BlockRows, SideRows
from twinserve.analysis.words import share
from twinserve.workload import Constant, Poisson, Workload

# What is due and never sent is missing from the busiest moments: a hundredth of the rows there is
# a fifth of what lies above p95.
SENT_SHARE = 0.99
SIGMAS = 3.0  # of a Poisson count: a rate that is low by chance is not held against the load


def judge(workload: Workload, sides: Sides, unsent: Mapping[str, int] | None = None) -> Gate:
    """Nearly all that was due was sent, at nine tenths of the rate it was due at, or faster.

    ``unsent`` counts by side what was due in a block and not sent any more.
    """
    if untold := without_requests(sides):
        return unknowing("load", untold)
    seen = [_offered(workload, side, (unsent or {}).get(side.name, 0)) for side in sides]
    detail = f"{'; '.join(one.described() for one in seen)}."
    if any(one.sent_share < SENT_SHARE for one in seen):
        return failing(
            "load",
            f"Not all that was due was sent: {detail}",
            "Ask for a lower rate; run.json says for each block why no more was sent.",
        )
    if any(one.pace < LOAD_SHARE or one.is_short for one in seen):
        return failing(
            "load",
            f"The rate was not reached: {detail}",
            "Ask for a lower rate, or free a core for the load generator.",
        )
    if any(one.most < 2 for one in seen):
        detail += (
            " Where no two requests overlap, this says how long one takes by itself; a higher rate "
            "would show how the deployment carries several."
        )
    return passing("load", detail)


@dataclass(frozen=True)
class _Offered:
    """What one side was offered in its blocks."""

    side: str
    due: int
    sent: int
    pace: float  # sent a second over due a second, from the first to the last of a block
    sent_rps: float
    intended_rps: float | None  # where every block has the same rate
    seconds: float
    mean: float  # requests at a time
    most: int
    throughput_rps: float

    @property
    def sent_share(self) -> float:
        return self.sent / self.due

    @property
    def is_short(self) -> bool:
        """Whether fewer were sent than the rate asks for, by more than chance."""
        if self.intended_rps is None:
            return False
        chance = SIGMAS * math.sqrt(self.intended_rps / self.seconds)
        return self.sent_rps < LOAD_SHARE * self.intended_rps - chance

    def described(self) -> str:
        of = f" of {self.intended_rps:.3g} intended" if self.intended_rps is not None else ""
        return (
            f"{self.side}: {self.sent:,} of {self.due:,} due requests sent "
            f"({share(self.sent_share)}), {self.sent_rps:.3g} a second{of}, at {share(self.pace)} "
            f"of the pace at which they were due; {self.mean:.2f} at a time, at most {self.most}; "
            f"{self.throughput_rps:.1f} answers a second"
        )


def _offered(workload: Workload, side: SideRows, unsent: int) -> _Offered:
    seconds = workload.block_s * len(side.blocks)
    steady = isinstance(workload.arrivals, Constant | Poisson)
    mean, most = _in_flight(workload, side)
    return _Offered(
        side=side.name,
        due=side.requests + unsent,
        sent=side.requests,
        pace=_pace(side),
        sent_rps=side.requests / seconds,
        intended_rps=workload.rate_rps if steady else None,
        seconds=seconds,
        mean=mean,
        most=most,
        throughput_rps=side.throughput_rps,
    )


def _pace(side: SideRows) -> float:
    """1 where sending kept up, less where the last request of a block left late."""
    due_us = sum(_span(block.due_us) for block in side.blocks)
    sent_us = sum(_span(block.sent_us) for block in side.blocks)
    return due_us / sent_us if due_us and sent_us else 1.0


def _span(times_us: np.ndarray) -> int:
    return int(np.ptp(times_us)) if times_us.size else 0


def _in_flight(workload: Workload, side: SideRows) -> tuple[float, int]:
    """Mean and maximum of requests at a time while requests were due."""
    parts = [levels(block, *_window(block, workload.block_s)) for block in side.blocks]
    level, length = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not length.sum():
        return 0.0, 0
    return float(np.average(level, weights=length)), int(level[length > 0].max())


def _window(block: BlockRows, block_s: float) -> tuple[int, int]:
    end_us = block.start_us + round(block_s * 1e6)
    return block.start_us, max(min(end_us, block.end_us), block.start_us + 1)
