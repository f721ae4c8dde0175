"""The gate ``load`` for a closed loop: users who ask, wait and think."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates.levels import levels
from twinserve.analysis.gates.outcome import failing, passing, unknowing
from twinserve.analysis.gates.shares import Sides, without_requests
from twinserve.analysis.rows import BlockRows, SideRows
from twinserve.analysis.words import share
from twinserve.workload import Workload

# Below nine tenths of it the load is another one than the report names; a tenth is also what counts
# as equal between the sides.
LOAD_SHARE = 0.90


def judge(workload: Workload, sides: Sides) -> Gate:
    """The users of the closed loop were as busy as N*R/(R+Z) says (Little's law)."""
    applied = [_applied(workload, side) for side in sides]
    seen = [a for a in applied if a is not None]
    if len(seen) < len(applied):
        return unknowing("load", "A side has no block that is long enough to tell.")
    detail = f"{'; '.join(a.described() for a in seen)}."
    if any(a.mean < LOAD_SHARE * a.target for a in seen):
        return failing(
            "load",
            f"The load was not fully applied: {detail}",
            "Free a core for the load generator, or ask for fewer users.",
        )
    if workload.users > 1 and any(a.most < 2 for a in seen):
        return failing(
            "load",
            f"No two requests ever overlapped: {detail}",
            "Ask for more users or a shorter think time.",
        )
    return passing("load", detail)


def judge_cold(sides: Sides) -> Gate:
    """Cold requests come one at a time by design: each waits until there is no instance."""
    if untold := without_requests(sides):
        return unknowing("load", untold)
    told = "; ".join(f"{side.name}: {side.requests:,} requests, one at a time" for side in sides)
    return passing("load", f"{told}, as a workload of cold starts means it; says nothing of load.")


@dataclass(frozen=True)
class _Applied:
    """The load that one side's steady windows saw, in requests at a time."""

    side: str
    target: float
    mean: float
    most: int
    busy_share: float  # of the time, at LOAD_SHARE of the target or more
    throughput_rps: float

    def described(self) -> str:
        return (
            f"{self.side}: {self.mean:.2f} requests at a time of {self.target:.2f} intended "
            f"({share(self.mean / self.target)}), at most {self.most}, {share(self.busy_share)} of "
            f"the time at {LOAD_SHARE * self.target:.1f} or more, {self.throughput_rps:.1f} "
            f"answers a second"
        )


def _applied(workload: Workload, side: SideRows) -> _Applied | None:
    windows = [(block, *_steady_window(block, workload.block_s)) for block in side.blocks]
    windows = [(block, a, b) for block, a, b in windows if b > a]
    if not windows:
        return None
    response_us = np.concatenate([block.done_us - block.sent_us for block, _, _ in windows]).mean()
    target = workload.users * response_us / (response_us + 1e6 * workload.think_s)
    level, length = (
        np.concatenate(parts)
        for parts in zip(*(levels(block, a, b) for block, a, b in windows), strict=True)
    )
    return _Applied(
        side=side.name,
        target=float(target),
        mean=float(np.average(level, weights=length)),
        most=int(level[length > 0].max()),
        busy_share=float(length[level >= LOAD_SHARE * target].sum() / length.sum()),
        throughput_rps=side.throughput_rps,
    )


def _steady_window(block: BlockRows, block_s: float) -> tuple[int, int]:
    """From when the last user has begun to when users stop asking, in microseconds of the run."""
    if not block.sent_us.size:
        return 0, 0
    first_sends = [int(block.sent_us[block.user == user].min()) for user in np.unique(block.user)]
    return max(first_sends), min(block.start_us + round(block_s * 1e6), block.end_us)
