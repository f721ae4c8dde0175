"""What a month of traffic uses, under each way to count it. Pure.

Instance time a request comes from the run. What a run at one load cannot tell of other traffic
follows from requests that know nothing of each other (Poisson) and one instance: rounding adds at
most what is left of a step, less where the next request comes within it; an instance starts
whenever a gap outlasts the idle time (a share exp(-rate * idle) of requests) and is alive a share
1 - exp(-rate * (idle + service)) of the month. `twinserve simulate` needs no such simplification.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from twinserve.analysis.cost.pricing import QUANTITIES
from twinserve.analysis.cost.usage import SideUsage
from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.scaling.billing import MIB_OF_GIB, Mode, billing_rules, rounded_up

MONTH_S = 30 * 86_400.0
BYTES_OF_GB = 1e9


@dataclass(frozen=True)
class Traffic:
    """A month's requests, and the user's own minimum of instances, if any."""

    requests: float
    min_instances: int | None = None

    def __post_init__(self) -> None:
        if not self.requests > 0:
            raise UsageError(
                f"The month has {self.requests:g} requests; it takes a number above 0, as 3M."
            )

    @property
    def rate_rps(self) -> float:
        return self.requests / MONTH_S


@dataclass(frozen=True)
class Month:
    """Quantities by name as a price book has them, and how they come about."""

    quantities: dict[str, float]
    working: list[str]
    instances: int | None = None


def month_of(
    side: SideUsage,
    mode: Mode,
    traffic: Traffic,
    corner: tuple[float, float],
    share: float,
    always_on: bool,
) -> Month:
    """One month's quantities at one corner; ``share`` scales the measured use to a limit of its
    interval."""
    n = traffic.requests
    minimum = side.deployment.min_instances
    if traffic.min_instances is not None:
        minimum = traffic.min_instances
    use = _use(side, traffic, *corner, share)
    starts = (
        0.0 if minimum or always_on else n * math.exp(-traffic.rate_rps * side.deployment.idle_s)
    )
    instances = None
    idle_s = 0.0
    if always_on:
        instances = max(1, minimum, math.ceil(n * use.busy_s / MONTH_S))
        time_s = instances * MONTH_S
        working = [f"{instances} instance(s) x {MONTH_S:,.0f} s of a 30-day month"]
    elif mode is Mode.INSTANCE:
        time_s, working = _life_s(side, traffic, use, minimum, starts)
    else:
        a_request = use.calls_s if mode is Mode.FIRST_GEN else use.billable_s
        started_s = 0.0 if mode is Mode.FIRST_GEN else starts * use.start_s
        time_s = n * a_request + started_s
        idle_s = max(0.0, minimum * MONTH_S - time_s)
        working = _request_words(n, a_request, starts, started_s, time_s, minimum, idle_s)
    quantities = quantities_of(mode, side.deployment, time_s, idle_s, n, n * use.bytes_)
    return Month(quantities, working, instances)


def _use(
    side: SideUsage, traffic: Traffic, cpu_factor: float, platform_start_s: float, share: float
) -> _Use:
    """Use a request: work grows with the CPU factor; rounding up comes on top."""
    step_s = billing_rules().round_up_s.value
    requests = sum(block.requests for block in side.blocks)

    def mean(name: str) -> float:
        return sum(float(getattr(block, name)) for block in side.blocks) / requests

    busy_s = share * mean("busy_s") * cpu_factor
    call_s = share * mean("calls_s") * cpu_factor
    start_s = float(np.mean(side.starts_s)) if side.starts_s else 0.0
    return _Use(
        busy_s=busy_s,
        billable_s=busy_s + _added_s(busy_s, step_s, traffic.rate_rps),
        calls_s=call_s + _left_of_step(call_s, step_s),
        bytes_=mean("egress_bytes"),
        start_s=rounded_up(start_s * cpu_factor + platform_start_s, step_s),
    )


def _added_s(busy_s: float, step_s: float, rate_rps: float) -> float:
    """What rounding up adds to a request: the rest of the step, or until the next request comes if
    that is sooner; the mean of min(rest, exponential gap)."""
    rest_s = _left_of_step(busy_s, step_s)
    return -math.expm1(-rate_rps * rest_s) / rate_rps


def _left_of_step(busy_s: float, step_s: float) -> float:
    """What is left of a step after ``busy_s``: half of one on average, where it takes several."""
    return step_s - busy_s if busy_s < step_s else step_s / 2


def _life_s(
    side: SideUsage, traffic: Traffic, use: _Use, minimum: int, starts: float
) -> tuple[float, list[str]]:
    """How long instances live in a month: at least one while requests keep coming, more where the
    work asks for it."""
    alive = 1 - math.exp(-traffic.rate_rps * (side.deployment.idle_s + use.busy_s))
    at_least_s = max(MONTH_S * alive, MONTH_S * minimum)
    work_s = traffic.requests * use.busy_s
    time_s = max(at_least_s, work_s) + starts * use.start_s
    working = [
        f"an instance lives {100 * alive:.3g} % of the month at {traffic.rate_rps:.3g} requests/s "
        f"and {side.deployment.idle_s:g} s of idle time, or {minimum} at all times: "
        f"{at_least_s:,.0f} s",
        f"the work asks for {traffic.requests:,.0f} requests x {use.busy_s:.4g} s = "
        f"{work_s:,.0f} s",
        f"{starts:,.0f} starts x {use.start_s:.3g} s; in all {time_s:,.0f} s",
    ]
    return time_s, working


def _request_words(
    n: float,
    a_request_s: float,
    starts: float,
    started_s: float,
    time_s: float,
    minimum: int,
    idle_s: float,
) -> list[str]:
    words = [f"{n:,.0f} requests x {a_request_s:.4g} s = {n * a_request_s:,.0f} s billed"]
    if started_s:
        words.append(f"{starts:,.0f} starts from zero take {started_s:,.0f} s")
    words.append(f"in all {time_s:,.0f} s of instance time")
    if minimum:
        words.append(f"{minimum} minimum instance(s) idle for the other {idle_s:,.0f} s")
    return words


@dataclass(frozen=True)
class _Use:
    """Per request, at one corner of the band: seconds of instance time, as billed, and by call as
    billed; bytes. A start takes ``start_s``."""

    busy_s: float
    billable_s: float
    calls_s: float
    bytes_: float
    start_s: float


def quantities_of(
    mode: Mode, deployment: Deployment, busy_s: float, idle_s: float, requests: float, bytes_: float
) -> dict[str, float]:
    """What is counted of so much instance time; ``idle_s`` is of minimum instances."""
    gib = deployment.memory_mib / MIB_OF_GIB
    counted = {"requests": requests, "egress_gb": bytes_ / BYTES_OF_GB, "gib_s": busy_s * gib}
    ghz = ghz_of(deployment)
    if mode is Mode.FIRST_GEN and ghz is not None:
        counted |= {"ghz_s": busy_s * ghz, "idle_ghz_s": idle_s * ghz}
    else:
        counted |= {"vcpu_s": busy_s * deployment.cpu, "idle_vcpu_s": idle_s * deployment.cpu}
    counted["idle_gib_s"] = idle_s * gib
    return {name: counted[name] for name in QUANTITIES if name in counted}


def ghz_of(deployment: Deployment) -> float | None:
    """The GHz that the 1st generation bills for its memory; None for what it cannot run."""
    sold = dict(billing_rules().first_gen_ghz.value)
    return sold.get(deployment.memory_mib) if deployment.concurrency == 1 else None
