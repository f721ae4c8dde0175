"""What the intervals and names of ``twinserve.analysis`` are worth: coverage, A/A rate and power.

Run with ``make bench-statistics``. Each line of a table is one design (how the rows come about) and
one size (blocks a side x rows a block); each number is a share of simulated experiments. Ends with
1 when a target is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from interval_designs import DESIGNS, SEQUENTIAL, Design, Size, sequential_blocks
from interval_experiments import Tally, false_differences, simulate, stop_early
from interval_logs import LOGS, drifts, two_occasions
from scipy.special import bdtr

from twinserve.analysis.statistics import CONFIDENCE

SEEDS = 1000
COVERED = (0.92, 0.98)  # of the core designs' means, medians and p95
MOST_WINNERS = 0.05
MOST_ALARMS = 0.06  # of a drift in a log that has none
LEAST_FOUND = 0.95
SURE = 0.99  # a rate at its limit passes in at least so many studies
STATISTICS = ("mean", "p50", "p95")
UNTIL, UNTIL_SIZE = 0.05, (40, 300)
COLUMNS = (
    *STATISTICS,
    *(f"{name} {kind}" for kind in ("diff", "ratio") for name in STATISTICS),
    *("effect", "superior", "apdex", "goodput"),
)


@dataclass(frozen=True)
class Target:
    """What was promised, and whether it was kept."""

    text: str
    met: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="experiments a line")
    seeds = parser.parse_args().seeds
    if seeds < 1:
        parser.error(f"--seeds is {seeds}; at least one experiment a line is needed")
    started = time.monotonic()
    print(f"{seeds} experiments a line; counted are those that have an interval.\n", flush=True)
    tallies = list(_coverage(seeds))
    targets = [
        *_covered(tallies),
        *_names(tallies),
        *_orders(seeds),
        *_stops(seeds),
        *_occasions(seeds),
        *_drifts(seeds),
    ]
    missed = [target for target in targets if not target.met]
    print(f"{len(targets) - len(missed)} of {len(targets)} targets met.")
    for target in missed:
        print(f"MISSED  {target.text}")
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(bool(missed))


Line = tuple[Design, Size, Tally]


def _coverage(seeds: int) -> Iterator[Line]:
    """Coverage of each interval where 0.950 is promised, printed line by line."""
    print("Share of intervals that hold the true value, where 0.950 is promised")
    print(f"{'':<28}" + "".join(f"{name:>11}" for name in COLUMNS))
    for design in DESIGNS:
        for size in design.sizes:
            tally = simulate(design, size, seeds)
            cells = "".join(f"{_share(tally.coverage(name)):>11}" for name in COLUMNS)
            missing = {n: 1 - tally.known[n] / seeds for n in STATISTICS if tally.known[n]}
            none = ", ".join(f"{n} {share:.3f}" for n, share in missing.items() if share)
            print(f"{_line(design, size)}{cells}{f'  without: {none}' if none else ''}", flush=True)
            yield design, size, tally
    print()


def _covered(tallies: Sequence[Line]) -> Iterator[Target]:
    for design, size, tally in tallies:
        for name in STATISTICS if design.core else ():
            text = f"{_line(design, size)}{name}: covers {_share(tally.coverage(name))}"
            yield covers(text, tally.held[name], tally.known[name])


def _names(tallies: Sequence[Line]) -> Iterator[Target]:
    """Winners among two sides that are alike, and a planted 15 %."""
    print(
        "Two sides that are alike: a winner is named (at most 0.05), zero is outside of the "
        "interval;\nthe second side 15 % slower: the first one is named (at least 0.95, at the "
        "sizes that promise it)"
    )
    heads = [f"{what} {name}" for what in ("winner", "zero out", "found") for name in STATISTICS]
    print(f"{'':<28}" + "".join(f"{head:>15}" for head in heads))
    for design, size, tally in tallies:
        promised = design.planted.get(size, ())
        rates = [
            rate[name] / tally.seeds for rate in (tally.winners, tally.apart) for name in STATISTICS
        ]
        found = [tally.found[name] / tally.seeds if promised else None for name in STATISTICS]
        print(_line(design, size) + "".join(f"{_share(rate):>15}" for rate in [*rates, *found]))
        for name in STATISTICS:
            text = f"{_line(design, size)}{name}"
            yield at_most(f"{text}: a winner among equals", tally.winners[name], tally.seeds)
            if name in promised:
                yield at_least(f"{text}: 15 % found", tally.found[name], tally.seeds)
    print()


def _orders(seeds: int) -> Iterator[Target]:
    """Why blocks run in pairs."""
    design = next(design for design in DESIGNS if design.name.startswith("host"))
    size = design.sizes[0]
    print(f"{design.name}, {size[0]}x{size[1]}: zero is outside of the interval of equal sides")
    for name, draw in (("adjacent pairs", design.draw), ("first A, then B", sequential_blocks)):
        apart = false_differences(draw, size, seeds)
        print(f"{name:<40}" + "".join(f"{n:>6} {apart[n] / seeds:.3f}" for n in STATISTICS))
        if name == "adjacent pairs":
            yield from (at_most(f"{name}: {n}", apart[n], seeds) for n in STATISTICS)
    print()


def _stops(seeds: int) -> Iterator[Target]:
    """What stopping early costs, and what looking without a plan would."""
    blocks, rows = UNTIL_SIZE
    print(
        f"{SEQUENTIAL.name}, up to {blocks}x{rows}, p95 until {100 * UNTIL:g} %: zero is outside "
        "of the final interval of equal sides"
    )
    for name, found in stop_early(SEQUENTIAL, UNTIL_SIZE, seeds, UNTIL).items():
        print(f"{name:<40}{found.apart / seeds:>7.3f}   mean blocks {found.blocks / seeds:.1f}")
        if name.endswith("planned looks"):
            yield at_most(f"stop when {name}", found.apart, seeds)
    print()


def _occasions(seeds: int) -> Iterator[Target]:
    """Two logs that are alike but for the occasion, whose level no log shows."""
    print("two logs, each with a level of its own (4 %): a winner by p95 is named")
    for name, winners in two_occasions(seeds).items():
        print(f"{name:<40}{winners / seeds:>7.3f}")
        if name.startswith("widened"):
            yield at_most(f"two logs, {name}", winners, seeds)
    print()


def _drifts(seeds: int) -> Iterator[Target]:
    """Alarms in logs without a drift, and how often one of 30 % is found."""
    print("drift of a log: alarm where there is none, undetermined, 30 % found")
    for log in LOGS:
        seen = drifts(log, seeds)
        rates = (seen.alarms, seen.undetermined, seen.found)
        name = f"{log.rows:,} rows, correlation {log.correlation:g}"
        print(f"{name:<40}" + "".join(f"{rate / seeds:>7.3f}" for rate in rates))
        yield at_most(f"drift alarms, {name}", seen.alarms, seeds, MOST_ALARMS)
    print()


def covers(text: str, held: int, of: int) -> Target:
    """Coverage lies within ``COVERED``; few experiments may miss it by what chance does to 95 %."""
    if not of:
        return Target(f"{text}, there was no interval", False)
    low, high = (binomial_quantile(p, of, CONFIDENCE) / of for p in (1 - SURE, SURE))
    return Target(text, min(COVERED[0], low) <= held / of <= max(COVERED[1], high))


def at_most(text: str, count: int, of: int, limit: float = MOST_WINNERS) -> Target:
    """A rate is at most ``limit``, unless so many are beyond chance at that limit."""
    return Target(f"{text} in {count} of {of}", count <= binomial_quantile(SURE, of, limit))


def at_least(text: str, count: int, of: int, limit: float = LEAST_FOUND) -> Target:
    """A rate is at least ``limit``, unless so few are beyond chance at that limit."""
    return Target(f"{text} in {count} of {of}", count >= binomial_quantile(1 - SURE, of, limit))


def binomial_quantile(p: float, of: int, rate: float) -> int:
    """The smallest count that so many of ``of`` stay within in a share ``p`` of cases."""
    return int(np.searchsorted(bdtr(np.arange(of + 1), of, rate), p))


def _line(design: Design, size: Size) -> str:
    return f"{design.name:<20}{f'{size[0]}x{size[1]}':<8}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()
