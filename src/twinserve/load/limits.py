"""How many requests a run may send, and how fast: what protects the bill of remote services."""

from __future__ import annotations

from twinserve.errors import RuntimeFailure, UsageError
from twinserve.records.manifest import Limits
from twinserve.workload import Bursts, Workload

MOST_REQUESTS = 5_000
MOST_RATE_RPS = 50.0
BURST_S = 1.0  # so much of the rate may come at once, as arrivals at random times do
OTHER_REQUESTS = 8  # that compare the answers, both sides and each repeat


class LimitReached(RuntimeFailure):
    """The run has sent as many requests as its owner allowed; what was measured stands."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The limit of {most:,} requests was reached (raise it with --max-requests)."
        )


class Budget:
    """Counts requests and spaces them: at most ``limits.max_rate_rps`` on average over a second."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken = 0
        self._held_back = 0
        self._free_s = float("-inf")  # when all that was taken is paid for by the rate

    @property
    def limits(self) -> Limits:
        """The limits, and how many requests the rate has held back until now."""
        most, rate = self._limits.max_requests, self._limits.max_rate_rps
        return Limits(most, rate, self._held_back)

    def wait_s(self, now_s: float) -> float:
        """Take one request; returns how long it must wait before it is sent.

        Raises:
            LimitReached: there is none left.
        """
        if self._taken >= self._limits.max_requests:
            raise LimitReached(self._limits.max_requests)
        self._taken += 1
        self._free_s = max(self._free_s, now_s) + 1 / self._limits.max_rate_rps
        wait_s = self._free_s - now_s - max(BURST_S, 1 / self._limits.max_rate_rps)
        if wait_s < 1e-9:  # rounding
            return 0.0
        self._held_back += 1
        return wait_s


def check_within(limits: Limits, workload: Workload, sides: int = 2) -> None:
    """Returns if the limits allow the workload; of a closed loop only the run itself can tell.

    Raises:
        UsageError: it would be held back, or cut off, for certain.
    """
    rate_rps = workload.rate_rps
    if rate_rps is None:
        return
    if isinstance(workload.arrivals, Bursts):
        rate_rps = max(rate_rps, workload.arrivals.burst_rps)
    rate_rps *= sides if workload.concurrent else 1
    if rate_rps > limits.max_rate_rps:
        raise UsageError(
            f"The workload asks for {rate_rps:g} requests a second, the limit is "
            f"{limits.max_rate_rps:g}; ask for less, or raise it with --max-rate."
        )
    planned = planned_requests(workload, sides)
    if planned > limits.max_requests:
        raise UsageError(
            f"The workload sends about {planned:,} requests in all, the limit is "
            f"{limits.max_requests:,}; ask for less, or raise it with --max-requests."
        )


def planned_requests(workload: Workload, sides: int = 2) -> int:
    """About how many requests an open loop sends to all sides in all repeats; 0 of a closed one."""
    a_side_s = workload.warmup_s + workload.blocks * workload.block_s
    requests = sides * a_side_s * (workload.rate_rps or 0) + OTHER_REQUESTS
    return round(workload.repeats * requests) if workload.rate_rps else 0
