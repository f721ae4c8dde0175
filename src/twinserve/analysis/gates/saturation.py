"""The gate ``saturation``: the load generator itself was not the bottleneck."""

from __future__ import annotations

import numpy as np

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates.outcome import FAIL, PASS, UNKNOWN, Part, gate_of
from twinserve.analysis.gates.shares import Sides
from twinserve.analysis.rows import SideRows
from twinserve.analysis.watched import Watched, mean_of
from twinserve.analysis.words import share, time
from twinserve.records.host import Ceiling
from twinserve.workload import Workload

# What the generator adds to a time may be as much as counts as equal between the sides.
LATE_SHARE = 0.10
# The event loop is waited for when a connection stands, at the first byte and at the last one.
WAITS_A_REQUEST = 3
# At 80 % of what one server can do, work waits for two services on average (M/D/1: u / 2(1 - u)),
# and from there the wait grows steeply.
BUSY_SHARE = 0.80
REFUTED = 1.25  # of the ceiling: what sends so much more has another one
P = 95  # a generator that is too busy in one second of twenty already makes p95
SECOND_US = 1_000_000
REMEDY = "Ask for fewer users or a lower rate, or give the load generator a machine of its own."


def judge(
    workload: Workload,
    sides: Sides,
    watched: Watched | None,
    ceiling: Ceiling | None,
    jmeter: bool = False,
) -> Gate:
    """Requests left when they were due, the event loop noticed answers at once, and both its CPU
    and its rate stayed well below what it can do.

    With ``jmeter`` the sender was JMeter, which may use every core and has no event loop.
    """
    parts = [_lateness(sides)] if workload.is_open and not jmeter else []
    if watched is None:
        parts += [Part(UNKNOWN, "This run has no host.csv, so what the load generator used is "
                                "not known.", "Runs of this version write it.")]  # fmt: skip
    elif watched.is_short:
        parts += [Part(UNKNOWN, watched.short_sentence)]
    else:
        parts += (
            [_cpu(watched, jmeter)] if jmeter else [_lag(sides, watched), _cpu(watched, jmeter)]
        )
    return gate_of("saturation", [*parts, _headroom(sides, ceiling)])


def _lateness(sides: Sides) -> Part:
    """From due to sent, by side, against the side's own median."""
    late = [_late(side) for side in sides if side.requests]
    if not late:
        return Part(UNKNOWN, "No request was sent in a block.")
    said = "; ".join(
        f"{name} {time(p95)} late at p95, at most {time(most)} (median answer {time(middle)})"
        for name, p95, most, middle in late
    )
    ok = all(p95 <= LATE_SHARE * middle for _, p95, _, middle in late)
    said = f"Requests were sent: {said}; allowed are {share(LATE_SHARE)} of the median."
    return Part(PASS, said) if ok else Part(FAIL, said, REMEDY, "requests were sent late")


def _late(side: SideRows) -> tuple[str, float, float, float]:
    late_ms = np.concatenate([(b.sent_us - b.due_us) / 1000 for b in side.blocks])
    return side.name, float(np.percentile(late_ms, P)), float(late_ms.max()), _median_ms(side)


def _median_ms(side: SideRows) -> float:
    """Of elapsed time; of requests without an answer how long they took."""
    times = np.concatenate([(b.done_us - b.sent_us) / 1000 for b in side.blocks])
    return float(np.median(times)) if times.size else 0.0


def _lag(sides: Sides, watched: Watched) -> Part:
    """The event loop's delay, three times a request, against the faster side's median."""
    asked = [side for side in sides if side.requests]
    if watched.lag_mean_ms is None or watched.lag_max_ms is None or not asked:
        return Part(UNKNOWN, "The delay of the generator's event loop was not measured.")
    lag_ms = mean_of(watched, watched.lag_mean_ms)
    middle_ms = min(_median_ms(side) for side in asked)
    said = (
        f"Its event loop noticed things {time(lag_ms)} late on average, at most "
        f"{time(float(watched.lag_max_ms.max()))}; {WAITS_A_REQUEST} such waits a request may be "
        f"{share(LATE_SHARE)} of the faster median ({time(middle_ms)})."
    )
    if WAITS_A_REQUEST * lag_ms <= LATE_SHARE * middle_ms:
        return Part(PASS, said)
    return Part(FAIL, said, REMEDY, "the load generator noticed answers late")


def _cpu(watched: Watched, jmeter: bool) -> Part:
    """The CPU it used in all but one second of twenty, of what it can use."""
    can = watched.cores if jmeter else 1
    used = float(np.percentile(watched.generator_percent, P)) / 100
    of = f"{watched.cores} cores" if jmeter else "the one core it can use"
    said = (
        f"The load generator used {share(used / can)} of {of} at p{P} of the seconds "
        f"({share(mean_of(watched, watched.generator_percent) / 100 / can)} on average)."
    )
    if used <= BUSY_SHARE * can:
        return Part(PASS, said)
    return Part(FAIL, said, REMEDY, f"it used more than {share(BUSY_SHARE)} of its CPU")


def _headroom(sides: Sides, ceiling: Ceiling | None) -> Part:
    """The rate of its busy seconds against the most that it could send here."""
    if ceiling is None or not ceiling.requests_per_s:
        return Part(UNKNOWN, "What the load generator can send at most was not measured.")
    rate = busiest_rps(sides)
    used = rate / ceiling.requests_per_s
    said = (
        f"It sent {rate:,.3g} requests a second at p{P} of the seconds, {share(used)} of the "
        f"{ceiling.requests_per_s:,.0f} that it reaches here against a server that does nothing."
    )
    if used > REFUTED:
        why = f"{said} So that was measured too low, beside other work or before it was warm."
        return Part(UNKNOWN, why, "Compare again on a machine that is left alone.")
    if used <= BUSY_SHARE:
        return Part(PASS, said)
    return Part(FAIL, said, REMEDY, f"it sent more than {share(BUSY_SHARE)} of what it can")


def busiest_rps(sides: Sides) -> float:
    """Requests sent in a second, all sides together, in all but one second of twenty."""
    sent_us = [block.sent_us for side in sides for block in side.blocks]
    seconds = np.concatenate([*sent_us, np.empty(0, dtype=np.int64)]) // SECOND_US
    if not seconds.size:
        return 0.0
    _, counts = np.unique(seconds, return_counts=True)
    return float(np.percentile(counts, P))
