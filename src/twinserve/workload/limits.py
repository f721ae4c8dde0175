"""What no single number of a workload tells: whether all of them together can be run."""

from __future__ import annotations

from typing import NamedTuple

from twinserve.workload.description import Trace, Workload

LEAST_BLOCK_S = 0.5


class Impossible(NamedTuple):
    """The key that is in the way, and what is wrong with it and allowed there."""

    key: str
    said: str


def impossible(workload: Workload) -> Impossible | None:
    """Why a workload cannot be run or would have nothing to show; None where it can."""
    if workload.block_s < LEAST_BLOCK_S:
        return _block(workload, f"allowed is {LEAST_BLOCK_S:g} s or more.")
    if workload.cold and workload.users != 1:
        what = "an open loop" if workload.is_open else f"{workload.users} users"
        return Impossible(
            "cold",
            f"is true with {what}; only one user of a closed loop finds every deployment cold: "
            'allowed are kind = "closed" and users = 1.',
        )
    if isinstance(workload.arrivals, Trace):
        return _trace(workload, workload.arrivals)
    return _rate(workload)


def _rate(workload: Workload) -> Impossible | None:
    rate_rps = workload.rate_rps
    if rate_rps is None or rate_rps * workload.block_s >= 1:
        return None
    least = f"Allowed is {1 / rate_rps:g} s or more." if rate_rps else "Allowed is a higher rate."
    return _block(
        workload, f"at {rate_rps:g} requests a second a block holds less than one. {least}"
    )


def _trace(workload: Workload, trace: Trace) -> Impossible | None:
    """The blocks of a side play a trace once, one after the other; each must begin within it."""
    last_s = trace.times_s[-1]
    if last_s > (workload.blocks - 1) * workload.block_s:
        return None
    return _block(
        workload,
        f"{workload.blocks} of them last {workload.blocks * workload.block_s:g} s, and "
        f"{trace.file} ends at {last_s:g} s. Allowed is at most {last_s / workload.blocks:g} s, or "
        f"fewer blocks.",
    )


def _block(workload: Workload, said: str) -> Impossible:
    return Impossible("block", f"is {workload.block_s:g} s; {said}")
