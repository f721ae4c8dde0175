"""How true and how fast the load generator is: ``make bench-load``.

Four parts. *Truth*: a server answers after a delay that follows from the request's seed; what a
row's latency has beyond that, and beyond what a bare socket sees, is the generator's error.
*Speed*: our generator, Locust (FastHttpUser) and JMeter ask the same server on one core, one after
the other, round by round; all of them open a connection for each request. *Memory*: our
generator's over a million rows. *Reading*: analysis and report of those rows against JMeter's
report generator on the same file. ::

    python benchmarks/load_speed.py --parts truth,speed --rounds 3

Ends with 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from load_rivals import RIVALS, Measured, Server, measured
from load_rows import Grown, Read, jmeter_reads, memory_over, twinserve_reads
from load_truth import Errors, true_times

from twinserve.errors import UsageError
from twinserve.load.jmeter_home import JMeter, find_jmeter

MEDIAN_TARGET_MS, P99_TARGET_MS = 0.5, 2.0
SPEED_TARGET = 0.80  # of the better of the two others
GROWTH_TARGET = 1.10  # memory at the end over memory after a tenth of the rows


@dataclass(frozen=True)
class Options:
    rounds: int
    seconds: float
    warm_up_s: float
    users: int
    rows: int
    folder: Path
    jmeter: JMeter | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="by commas (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the speed part")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=8.0, help="seconds; Java compiles then")
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the memory part")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # no generator may outlive this one
    parts = chosen.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts has {unknown.pop()!r}; known are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as folder:
        options = Options(
            rounds=chosen.rounds,
            seconds=chosen.seconds,
            warm_up_s=chosen.warm_up,
            users=chosen.users,
            rows=chosen.rows,
            folder=Path(folder),
            jmeter=_jmeter(),
        )
        met = [is_met for part in parts for is_met in PARTS[part](options)]
    print("all targets met" if all(met) else "a target was missed", flush=True)
    return 0 if all(met) else 1


def truth(options: Options) -> Iterator[bool]:
    """Latency as written down against the delay that was asked for and what a bare socket sees."""
    print(f"Truth: what latency has beyond a bare socket's, in ms, {options.seconds:g} s each")
    for name, errors in true_times(options.seconds):
        yield _say_errors(name, errors)


def speed(options: Options) -> Iterator[bool]:
    """Requests a second on one core."""
    print(f"\nSpeed: {options.users} users on one core, a connection for each request")
    rivals = [name for name in RIVALS if name != "JMeter" or options.jmeter]
    if options.jmeter is None:
        print("JMeter: not measured, none is installed")
    seen: dict[str, list[Measured]] = {name: [] for name in rivals}
    for _ in range(options.rounds):
        for name in rivals:
            with Server.started() as server:
                seen[name].append(
                    measured(
                        RIVALS[name](server.url, options.users, options.folder, options.jmeter),
                        server,
                        options.warm_up_s,
                        options.seconds,
                    )
                )
    for name, rounds in seen.items():
        print(
            f"{name:<12}{_median(r.requests_per_s for r in rounds):>9,.0f} requests/s"
            f"{_median(r.cpu_us for r in rounds):>9.0f} us of CPU a request"
            f"{_median(r.busy for r in rounds):>7.0%} of the core busy"
        )
    ours, *others = (_median(r.requests_per_s for r in rounds) for rounds in seen.values())
    share = ours / max(others)
    yield _target(f"ours over the better of the others: {share:.2f}", share >= SPEED_TARGET, "0.80")


def memory(options: Options) -> Iterator[bool]:
    """Our generator's memory over many rows."""
    print(f"\nMemory: resident memory while about {options.rows:,} rows are written", flush=True)
    grown = memory_over(options.rows, options.users, options.folder)
    for rows, mib in grown.readings:
        print(f"{rows:>12,} rows {mib:8.1f} MiB")
    yield _grown(grown)


def reading(options: Options) -> Iterator[bool]:
    """Our analysis and report against JMeter's, of the rows that the memory part wrote."""
    run = options.folder / "run"
    if not run.exists():
        memory_over(options.rows, options.users, options.folder)
    with (run / "samples.csv").open("rb") as file:
        rows = sum(1 for _ in file) - 1
    print(f"\nReading: from {rows:,} rows to a report", flush=True)
    ours = twinserve_reads(run)
    _say_read("twinserve", ours)
    if options.jmeter is None:
        print("JMeter: not measured, none is installed")
        return
    theirs = jmeter_reads(options.jmeter, run, options.folder)
    _say_read("JMeter", theirs)
    ratio = theirs.seconds / ours.seconds
    yield _target(f"JMeter's time over ours: {ratio:.2f}", ratio >= 1, "1")


PARTS: dict[str, Callable[[Options], Iterator[bool]]] = {
    "truth": truth,
    "speed": speed,
    "memory": memory,
    "reading": reading,
}


def _say_errors(name: str, errors: Errors) -> bool:
    met = abs(errors.p50_ms) <= MEDIAN_TARGET_MS and abs(errors.p99_ms) <= P99_TARGET_MS
    return _target(
        f"{name:<16}{errors.rows:>6,} rows: p50 {errors.p50_ms:+.2f}, p99 {errors.p99_ms:+.2f}",
        met,
        f"{MEDIAN_TARGET_MS:g} and {P99_TARGET_MS:g}",
    )


def _grown(grown: Grown) -> bool:
    return _target(
        f"memory at the end over that after a tenth: {grown.factor:.2f}",
        grown.factor <= GROWTH_TARGET,
        f"at most {GROWTH_TARGET:g}",
    )


def _say_read(name: str, read: Read) -> None:
    print(f"{name:<12}{read.seconds:8.1f} s, at most {read.peak_mib:7.0f} MiB", flush=True)


def _target(text: str, met: bool, target: str) -> bool:
    print(f"{text} (target {target}){'' if met else '   MISSED'}", flush=True)
    return met


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


def _jmeter() -> JMeter | None:
    try:
        return find_jmeter()
    except UsageError:
        return None


if __name__ == "__main__":
    if psutil.cpu_count() == 1:
        print("one core only: server and generator share it, the speed part tells nothing")
    sys.exit(main())
