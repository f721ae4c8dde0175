"""A cold start taken apart: from spawn to the first 64x64 answer, and its stages.

Beside it, in the same run, what a bare interpreter takes for the servers' imports. The target is at
most 4 times that::

    python benchmarks/cold_start.py --rounds 5
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import aiohttp

from twinserve.bundle.bundle import BundleFacts
from twinserve.bundle.store import bundle_facts, known_bundles
from twinserve.deployment import Deployment, fair_defaults
from twinserve.records.events import StartStages
from twinserve.runtime.instances import InstanceLog, ProcessRunner

BARE = "import flask, openvino"
TARGET = 4.0
SIDE = 64
STAGES = ("spawn_ms", "runtime_ms", "load_ms", "inference_ms")


@dataclass(frozen=True)
class Start:
    """One cold start: stages as the instance tells them, and the whole as a client sees it."""

    stages: StartStages
    ready_ms: float
    answered_ms: float

    @property
    def rest_ms(self) -> float:
        """What the server needed to listen and we to notice."""
        return self.ready_ms - sum(getattr(self.stages, stage) or 0.0 for stage in STAGES)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    model = model_of_side(SIDE)
    deployments = fair_defaults(model)
    bare_ms: list[float] = []
    starts: dict[str, list[Start]] = {name: [] for name in deployments}
    for _ in range(rounds):  # interleaved, so that a slow moment hits all alike
        bare_ms.append(bare_import_ms())
        for name, deployment in deployments.items():
            starts[name].append(asyncio.run(cold_start(deployment)))
    return show(model, bare_ms, starts)


def model_of_side(side: int) -> str:
    """A trained model of that side if one is installed, else random weights."""
    found: list[BundleFacts] = [bundle_facts(name) for name in known_bundles()]
    return next((facts.name for facts in found if facts.resolution == side), f"random-{side}")


def bare_import_ms() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE], check=True)
    return (time.perf_counter() - began) * 1000


async def cold_start(deployment: Deployment) -> Start:
    """Start an instance, ask it once, end it."""
    instance = ProcessRunner(InstanceLog(None)).instance(deployment.name, deployment, 0)
    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        try:
            await instance.start(session)
            ready = time.perf_counter()
            url = f"http://127.0.0.1:{instance.port}/generate"
            async with session.post(url, json={"seed": 7}) as answer:
                answer.raise_for_status()
                await answer.read()
            answered = time.perf_counter()
        finally:
            await instance.stop()
            instance.close()
    stages = instance.stages or StartStages()
    return Start(stages, (ready - began) * 1000, (answered - began) * 1000)


def show(model: str, bare_ms: list[float], starts: dict[str, list[Start]]) -> int:
    bare = statistics.median(bare_ms)
    print(f"{model}, medians of {len(bare_ms)} rounds, ms")
    print(f"bare `python -c {BARE!r}`: {bare:.0f}")
    print(f"{'':10} spawn runtime  load inference  rest | first answer | times bare (target: 4)")
    held = True
    for name, rows in starts.items():
        stages = [statistics.median(getattr(row.stages, s) or 0.0 for row in rows) for s in STAGES]
        rest = statistics.median(row.rest_ms for row in rows)
        answered = statistics.median(row.answered_ms for row in rows)
        spawn, runtime, load, inference = stages
        print(
            f"{name:10} {spawn:5.0f} {runtime:7.0f} {load:5.0f} {inference:9.0f} {rest:5.0f} | "
            f"{answered:12.0f} | {answered / bare:.2f}"
        )
        held = held and answered <= TARGET * bare
    print("The target is met." if held else "The target is MISSED.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
