"""A workload in words, for the line before a run, the report and the scope of a verdict."""

from __future__ import annotations

from twinserve.workload.description import (
    Arrivals,
    Ask,
    Bursts,
    ClosedLoop,
    Constant,
    OpenLoop,
    Poisson,
    Trace,
    Workload,
)

MEDIA = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP"}


def load_words(workload: Workload) -> str:
    """``4 users in a closed loop, 1 image a request``."""
    cold = ", each to a cold deployment" if workload.cold else ""
    return f"{arrivals_words(workload.arrivals)}{cold}, {mix_words(workload.mix)}"


def arrivals_words(arrivals: Arrivals) -> str:
    """When requests are due: ``5 requests a second, Poisson (an open loop)``."""
    if isinstance(arrivals, ClosedLoop):
        return _closed(arrivals)
    return f"{_open(arrivals)} (an open loop)"


def mix_words(mix: tuple[Ask, ...]) -> str:
    """What they ask for: ``1 image a request``, or the kinds with their shares."""
    if len(mix) == 1:
        return f"{_ask(mix[0])} a request"
    total = sum(ask.weight for ask in mix)
    kinds = [f"{100 * ask.weight / total:.3g} % {_ask(ask)}" for ask in mix]
    return f"a mix of {', '.join(kinds)}"


def _closed(arrivals: ClosedLoop) -> str:
    think = f" with {arrivals.think_s:g} s of think time" if arrivals.think_s else ""
    ramp = f", started over {arrivals.ramp_s:g} s" if arrivals.ramp_s else ""
    return f"{_count(arrivals.users, 'user')} in a closed loop{think}{ramp}"


def _open(arrivals: OpenLoop) -> str:
    if isinstance(arrivals, Constant):
        return f"{_rate(arrivals.rate_rps)}, evenly spaced"
    if isinstance(arrivals, Poisson):
        return f"{_rate(arrivals.rate_rps)}, Poisson"
    if isinstance(arrivals, Bursts):
        return (
            f"{_rate(arrivals.rate_rps)} and bursts of {arrivals.burst_rps:g} a second for "
            f"{arrivals.lasts_s:g} s in each {arrivals.every_s:g} s"
        )
    if isinstance(arrivals, Trace):
        return f"{_count(len(arrivals.times_s), 'request')} at the times of {arrivals.file}"
    week = ", weekdays weighted" if arrivals.week else ""
    return f"a day of {arrivals.day_s:g} s at {_rate(arrivals.rate_rps)} on average{week}"


def _ask(ask: Ask) -> str:
    what = f"a line of {ask.samples}" if ask.samples else _count(ask.images, "image")
    return f"{what} as {MEDIA[ask.format]}" if ask.format in MEDIA else what


def _rate(rate_rps: float) -> str:
    return f"{rate_rps:g} {'request' if rate_rps == 1 else 'requests'} a second"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
