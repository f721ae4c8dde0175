"""The gates as far as two JMeter logs can tell: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twinserve.analysis.comparison import Gate, GateStatus
from twinserve.analysis.gates import errors
from twinserve.analysis.gates.closed_load import LOAD_SHARE
from twinserve.analysis.gates.drift import DRIFT_LIMIT, HOUR_US
from twinserve.analysis.gates.levels import levels
from twinserve.analysis.gates.outcome import failing, passing, unknowing
from twinserve.analysis.rows import BlockRows, SideRows
from twinserve.analysis.trend import Line, Trend, line, trend
from twinserve.analysis.words import change, count, listed, share, signed_time, time
from twinserve.records.logs import Intended, LogFile, LogsManifest

MEASURE = "elapsed_ms"
SLOW = 3  # times the median: what a first request may take that met a cold instance
FEWEST_ROWS = 2

Sides = Sequence[SideRows]


@dataclass(frozen=True)
class Checked:
    """Every gate, and for those that failed what happened in a few words."""

    gates: list[Gate]
    meanings: Mapping[str, str]


def check(manifest: LogsManifest, sides: Sides) -> Checked:
    """Every gate, in the order in which comparison.json names them."""
    loaded, load_meaning = load(manifest, sides)
    drifted, drift_meaning = drift(sides)
    gates = [equality(manifest), loaded, drifted, saturation(), host()]
    gates += [errors.judge(sides), cold(sides)]
    return Checked(gates, {"load": load_meaning, "drift": drift_meaning})


def equality(manifest: LogsManifest) -> Gate:
    """A log holds no answers; their sizes are all it tells."""
    sizes = [
        f"{side} {log.mean_bytes:,.0f} bytes"
        for side, log in manifest.logs.items()
        if log.mean_bytes is not None
    ]
    hint = f" Answers had on average: {listed(sizes)}." if sizes else ""
    return unknowing(
        "equality",
        f"A log does not hold the answers, so whether both sides gave the same ones is not known."
        f"{hint} Send both the same requests and compare, as `twinserve compare` does first.",
    )


def load(manifest: LogsManifest, sides: Sides) -> tuple[Gate, str]:
    """Requests overlapped, and as many as were meant to."""
    seen = [_loaded(side, manifest.logs[side.name], manifest.intended) for side in sides]
    detail = f"{'; '.join(one.described() for one in seen)}."
    bare = [one.side for one in seen if one.status is GateStatus.FAIL and one.most < 2]
    short = [one.side for one in seen if one.status is GateStatus.FAIL and one.most >= 2]
    if bare or short:
        found = [f"no two requests of the {listed(bare)} ever overlapped"] if bare else []
        found += [f"the {listed(short)} got less load than intended"] if short else []
        return failing(
            "load",
            f"Not loaded: {listed(found)}. {detail}",
            "This says how long one request takes by itself, nothing about load: let the threads "
            "of the plan run at the same time (a shorter ramp-up, loops without end).",
        ), listed(found)
    if any(one.status is GateStatus.UNKNOWN for one in seen):
        return unknowing(
            "load",
            f"Requests overlapped; whether as many as intended, the logs do not say. {detail} Tell "
            "the intention with --users (and --think) or --rate.",
        ), ""
    return passing("load", detail), ""


def drift(sides: Sides) -> tuple[Gate, str]:
    """Response times stay where they were from the first request to the last."""
    series = [(side, side.pooled(MEASURE)) for side in sides]
    if any(values.size < FEWEST_ROWS for _, values in series):
        return unknowing("drift", "A log has too few answered requests to tell."), ""
    seen = [_Drift(side, line(y), trend(y), _hours(side)) for side, y in series]
    detail = f"{'; '.join(one.described() for one in seen)}."
    drifting = [one for one in seen if one.is_large]
    if drifting:
        worst = max(drifting, key=lambda one: one.line.r_squared)
        return failing(
            "drift",
            f"Not steady: {detail}",
            "A mean of such a log depends on how long it went on. Look for a leak (does a restart "
            "make it fast again?), or for other work on the host; leave a warm-up out with "
            "--warmup.",
        ), worst.said()
    if any(one.trend is None for one in seen):
        return unknowing("drift", f"Not every log is long enough to tell: {detail}"), ""
    return passing("drift", f"None above {share(DRIFT_LIMIT)}: {detail}"), ""


def saturation() -> Gate:
    return unknowing(
        "saturation",
        "A log does not tell whether the load generator kept up; note its CPU beside the test.",
    )


def host() -> Gate:
    return unknowing(
        "host",
        "A log does not tell whether other work was in the way; note the host's CPU and swapping "
        "beside the test.",
    )


def cold(sides: Sides) -> Gate:
    """A log has no word for a cold start; only that a first answer was slow can be seen."""
    told = [_first_answer(side) for side in sides if side.pooled(MEASURE).size]
    return unknowing(
        "cold",
        f"A log does not say which requests met a cold instance. {'; '.join(told)}. Warm both "
        "sides up first, and leave the warm-up out with --warmup.",
    )


@dataclass(frozen=True)
class _Loaded:
    """What one log shows of its load; times of steady load only."""

    side: str
    mean: float
    most: int
    overlapping: float  # share of the time with two requests or more
    rate_rps: float
    threads: int
    target: float | None  # requests at a time
    target_rps: float | None
    status: GateStatus

    def described(self) -> str:
        intended = ""
        if self.target is not None:
            intended = f" of {self.target:.2f} intended"
        if self.target_rps is not None:
            intended += f", {self.rate_rps:.3g} a second of {self.target_rps:.3g} intended"
        threads = f" from {count(self.threads, 'thread')}" if self.threads else ""
        return (
            f"{self.side}: {self.mean:.2f} requests at a time{intended}, at most {self.most}, two "
            f"or more during {share(self.overlapping)} of the time; "
            f"{_rate(self.rate_rps)}{threads}"
        )


def _loaded(side: SideRows, log: LogFile, intended: Intended) -> _Loaded:
    whole = _whole(side)
    begin_us, end_us = int(whole.sent_us.min()), int(whole.sent_us.max())
    if end_us <= begin_us:  # one request, or all at once
        end_us = int(whole.done_us.max())
    concurrency, lengths = levels(whole, begin_us, max(end_us, begin_us + 1))
    total = max(float(lengths.sum()), 1.0)
    mean = float(concurrency @ lengths) / total
    most = int(concurrency[lengths > 0].max(initial=0))
    rate = whole.sent_us.size / (total / 1e6)
    target = _target(whole, log, intended)
    status = _status(mean, most, rate, log, target, intended)
    told = intended.users is not None or intended.rate_rps is not None
    return _Loaded(
        side=side.name,
        mean=mean,
        most=most,
        overlapping=float(lengths[concurrency >= 2].sum()) / total,
        rate_rps=rate,
        threads=log.threads,
        target=target if told or (target or 0) >= 2 else None,
        target_rps=intended.rate_rps,
        status=status,
    )


def _target(whole: BlockRows, log: LogFile, intended: Intended) -> float | None:
    """Requests at a time that were meant: N*R/(R+Z) as told, else JMeter's own count of threads."""
    if intended.users is not None:
        response_s = float((whole.done_us - whole.sent_us).mean()) / 1e6
        return intended.users * response_s / max(response_s + intended.think_s, 1e-9)
    return None if intended.rate_rps is not None else log.active_threads


def _status(
    mean: float, most: int, rate: float, log: LogFile, target: float | None, intended: Intended
) -> GateStatus:
    if intended.rate_rps is not None:
        return GateStatus.PASS if rate >= LOAD_SHARE * intended.rate_rps else GateStatus.FAIL
    if intended.users is not None:
        reached = mean >= LOAD_SHARE * (target or 0) and (most > 1 or intended.users == 1)
        return GateStatus.PASS if reached else GateStatus.FAIL
    if log.threads == 1:
        return GateStatus.PASS  # one user at a time is what was meant
    if most < 2:
        return GateStatus.FAIL
    busy = target is not None and target >= 2 and mean >= LOAD_SHARE * target
    return GateStatus.PASS if busy else GateStatus.UNKNOWN


def _whole(side: SideRows) -> BlockRows:
    """All batches of a log as one."""
    first, *_, last = (*side.blocks, side.blocks[-1])
    user, sent_us, done_us = (
        np.concatenate([getattr(batch, name) for batch in side.blocks])
        for name in ("user", "sent_us", "done_us")
    )
    return BlockRows(
        0, first.start_us, last.end_us, user, sent_us, done_us, side.errors, 0, measures={}
    )


@dataclass(frozen=True)
class _Drift:
    """How one log's response times move, in the order of its requests."""

    side: SideRows
    line: Line
    trend: Trend | None
    hours: float

    @property
    def is_large(self) -> bool:
        return bool(self.trend and self.trend.is_significant and abs(self.trend.size) > DRIFT_LIMIT)

    @property
    def an_hour(self) -> float:
        return (self.line.last - self.line.first) / self.hours if self.hours else 0.0

    def described(self) -> str:
        sizes = (
            f"about {signed_time(self.line.slope)} a request and "
            f"{signed_time(self.an_hour)} an hour "
            f"(straight line, R\N{SUPERSCRIPT TWO} {self.line.r_squared:.2f})"
        )
        if self.trend is None:
            return (
                f"{self.side.name}: {sizes}; its requests depend on each other too much to tell "
                "this from chance"
            )
        whole = f"{change(self.trend.size)} from its first request to its last"
        if self.trend.is_significant:
            return f"{self.side.name}: {whole}, {sizes}; {self.trend.basis}"
        seen = ""
        if self.trend.detectable is not None:
            seen = f"; {change(self.trend.detectable)} would nearly always have been seen"
        return f"{self.side.name}: none found ({whole}, {sizes}; {self.trend.basis}{seen})"

    def said(self) -> str:
        how = "slower" if self.line.slope > 0 else "faster"
        return (
            f"the {self.side.name} gets {how} by about {time(abs(self.line.slope))} with every "
            "request"
        )


def _hours(side: SideRows) -> float:
    begins = [batch.sent_us for batch in side.blocks if batch.sent_us.size]
    return float(begins[-1].max() - begins[0].min()) / HOUR_US if begins else 0.0


def _first_answer(side: SideRows) -> str:
    values = side.pooled(MEASURE)
    middle = float(np.median(values))
    slow = int(np.count_nonzero(values > SLOW * middle))
    return (
        f"{side.name}: the first answer took {time(float(values[0]))}, the median is "
        f"{time(middle)}, {count(slow, 'answer')} took over {SLOW} times as long"
    )


def _rate(rps: float) -> str:
    if rps >= 1:
        return f"{rps:,.1f} requests a second"
    return f"{60 * rps:.1f} requests a minute"
