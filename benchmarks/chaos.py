"""What happens to requests when something dies: a table of scenarios, each done for real.

Under 50 concurrent users, a real gateway with real instances of the 64x64 model meets each fault
in turn, on plain processes and in Podman containers. The claim is that a request is answered or
gets an explicit error, never silence; exit code 1 if it does not hold::

    python benchmarks/chaos.py
    python benchmarks/chaos.py --runner podman --scenario kill --users 50

What cannot be done here is skipped, and its row says why.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from chaos_place import Place
from chaos_scenarios import SCENARIOS, Row, play
from chaos_users import SILENCE_S, Outcome

from twinserve.bundle.store import bundle_facts, known_bundles
from twinserve.cli.runner import prepared_runner
from twinserve.deployment import CONTAINER, Deployment, Kind
from twinserve.runtime.doctor import Mark, engine_finding
from twinserve.runtime.runner import PODMAN, PROCESS, RunnerChoice

SIDE = 64
RUNNERS = (PROCESS, PODMAN)
COLUMNS = ("sent", "answered", "refused", "cut off", "left", "lost")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runner", choices=RUNNERS, help="only this one")
    parser.add_argument("--scenario", choices=SCENARIOS, help="only this one")
    parser.add_argument("--users", type=int, default=50, help="concurrent users (20 or more)")
    options = parser.parse_args()
    if options.users < 20:
        parser.error(f"--users is {options.users}; it must be at least 20")
    model = model_of_side(SIDE)
    print(f"{model}, {options.users} concurrent users; silence is {SILENCE_S:g} s without a word")
    print(head())
    rows = []
    for runner in [options.runner] if options.runner else RUNNERS:
        for name in [options.scenario] if options.scenario else SCENARIOS:
            rows.append(played(name, runner, model, options.users))
            print("\n".join(lines(rows[-1])), flush=True)
    return verdict(rows)


def played(name: str, runner: str, model: str, users: int) -> Row:
    """One row; an engine that does not work here makes it a skipped one."""
    choice = runner_choice(runner, model)
    if isinstance(choice, str):
        return Row(name, runner, skipped=choice)
    with tempfile.TemporaryDirectory(prefix="twinserve-chaos-") as folder:
        place = Place(Path(folder), choice, model)
        return asyncio.run(play(SCENARIOS[name], place, users, SILENCE_S))


@cache
def runner_choice(runner: str, model: str) -> RunnerChoice | str:
    """The runner with its image, or why there is none here."""
    if runner == PROCESS:
        return RunnerChoice()
    finding = engine_finding(runner)
    if finding.mark is not Mark.YES:
        return f"{runner}: {finding.detail}"
    return prepared_runner(runner, [Deployment(CONTAINER, Kind.CONTAINER, model)])


def model_of_side(side: int) -> str:
    """A trained model of that side if one is installed, else random weights."""
    found = [bundle_facts(name) for name in known_bundles()]
    return next((facts.name for facts in found if facts.resolution == side), f"random-{side}")


def head() -> str:
    return f"{'scenario':13} {'runner':7} " + " ".join(f"{name:>8}" for name in COLUMNS)


def lines(row: Row) -> Iterator[str]:
    """The row, and below it what was seen."""
    if row.skipped:
        yield f"{row.scenario:13} {row.runner:7} skipped"
        yield from _indented(row.skipped)
        return
    counts = [row.account.sent, *(row.count(Outcome(name)) for name in COLUMNS[1:])]
    yield f"{row.scenario:13} {row.runner:7} " + " ".join(f"{count:8,}" for count in counts)
    yield from _indented(row.seen)
    if row.account.why:
        told = ", ".join(f"{count} x {why}" for why, count in row.account.why.most_common())
        yield from _indented(f"not answered: {told}")
    for problem in row.problems:
        yield from _indented(f"PROBLEM: {problem}")


def verdict(rows: list[Row]) -> int:
    lost = sum(row.count(Outcome.LOST) for row in rows)
    skipped = sum(bool(row.skipped) for row in rows)
    sent = sum(row.account.sent for row in rows)
    held = not any(row.problems for row in rows) and skipped < len(rows)
    print(
        f"{sent:,} requests in {len(rows) - skipped} rows, {lost:,} lost; {skipped} rows skipped."
    )
    print("The promise holds." if held else "The promise is BROKEN, or nothing was tried.")
    return 0 if held else 1


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, 96, initial_indent="    ", subsequent_indent="    ")


if __name__ == "__main__":
    sys.exit(main())
