"""The gate ``cold``: cold and warm requests are not mixed."""

from __future__ import annotations

import numpy as np

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates.outcome import failing, passing, unknowing
from twinserve.analysis.gates.shares import Sides, shares, without_requests
from twinserve.analysis.rows import SideRows
from twinserve.analysis.words import share, time
from twinserve.workload import Workload

# A cold request takes many times as long as a warm one: five in a hundred are the p95 by
# themselves. One in a hundred leaves it where it was.
COLD_LIMIT = 0.01


def judge(workload: Workload, sides: Sides) -> Gate:
    """At most 1 % of each side's requests waited for an instance to start; in a workload that is
    cold on purpose at most 1 % did not."""
    if untold := without_requests(sides):
        return unknowing("cold", untold)
    return _all_cold(sides) if workload.cold else _all_warm(sides)


def _all_warm(sides: Sides) -> Gate:
    cold = [side.cold_requests for side in sides]
    detail = shares(sides, cold, "waited for an instance to start")
    if any(n > COLD_LIMIT * side.requests for n, side in zip(cold, sides, strict=True)):
        return failing(
            "cold",
            f"{detail}; at most {share(COLD_LIMIT)} may be mixed in.{_apart(sides)}",
            "Warm up longer, or keep instances with min_instances or a longer idle time; to "
            "measure cold starts, take the profile cold.",
        )
    return passing("cold", f"{detail}.{_apart(sides)}")


def _all_cold(sides: Sides) -> Gate:
    """The cold requests are the measurement."""
    warm = [side.requests - side.cold_requests for side in sides]
    detail = shares(sides, [side.cold_requests for side in sides], "met a cold deployment")
    if any(n > COLD_LIMIT * side.requests for n, side in zip(warm, sides, strict=True)):
        return failing(
            "cold",
            f"{detail}, as each one should; at most {share(COLD_LIMIT)} may be warm."
            f"{_apart(sides)}",
            "Give the deployments no minimum instance and a shorter idle time, so that every "
            "request finds none.",
        )
    return passing("cold", f"{detail}, as meant.{_apart(sides)}")


def _apart(sides: Sides) -> str:
    """Both groups' times of each side that has both, or a cold one."""
    told = [f"{side.name}: {found}" for side in sides if (found := _both(side))]
    return f" Elapsed time apart: {'; '.join(told)}." if told else ""


def _both(side: SideRows) -> str:
    cold, warm = (_known(side, name) for name in ("elapsed_cold_ms", "elapsed_warm_ms"))
    return f"{_group(cold, 'cold')}, {_group(warm, 'warm')}" if cold.size else ""


def _group(values: np.ndarray, what: str) -> str:
    if not values.size:
        return f"{what} none"
    middle, high = np.percentile(values, [50, 95])
    return f"{what} p50 {time(middle)}, p95 {time(high)} of {values.size:,}"


def _known(side: SideRows, measure: str) -> np.ndarray:
    """The values of all blocks; none where a run's rows do not tell them apart."""
    found = [block.measures[measure] for block in side.blocks if measure in block.measures]
    return np.concatenate([*found, np.empty(0)])
