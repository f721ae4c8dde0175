"""The gate ``load``: what the workload asks for really reached the deployments."""

from __future__ import annotations

from collections.abc import Mapping

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates import closed_load, open_load
from twinserve.analysis.gates.shares import Sides
from twinserve.workload import Workload


def judge(workload: Workload, sides: Sides, unsent: Mapping[str, int] | None = None) -> Gate:
    """Users were as busy as they could be, or requests left when they were due.

    ``unsent`` counts by side what was due in a block of an open loop and not sent any more.
    """
    if workload.cold:
        return closed_load.judge_cold(sides)
    if workload.is_open:
        return open_load.judge(workload, sides, unsent)
    return closed_load.judge(workload, sides)
