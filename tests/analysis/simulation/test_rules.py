"""The compiled event loop decides, step by step, what the live gateway's bookkeeping decides."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from twinserve.analysis.simulation import meter
from twinserve.analysis.simulation.model import Behaviour, Level, Model, exponential
from twinserve.analysis.simulation.run import Play
from twinserve.deployment import Deployment, Kind
from twinserve.scaling.billing import Mode
from twinserve.workload import Bursts, ClosedLoop, Poisson, Trace
from twinserve.workload.arrivals import due_times

BURSTS = Bursts(rate_rps=0.2, burst_rps=8.0, every_s=200.0, lasts_s=60.0)


@dataclass(frozen=True)
class Scene:
    policy: str
    arrivals: Any
    seconds: float = 900.0
    lanes: int = 0
    cpu_a_lane: float = 0.0
    time_scale: float = 1.0
    work_s: float = 0.4
    queue_most: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


SCENES = {
    "cloud-run, several at a time in one lane": Scene(
        "cloud-run", BURSTS, lanes=1, cpu_a_lane=1.0,
        fields={"concurrency": 8, "idle_s": 30.0, "max_instances": 6},
    ),
    "cloud-run, all at a time, a minimum": Scene(
        "cloud-run", BURSTS, fields={"concurrency": 4, "idle_s": 90.0, "max_instances": 5,
                                     "min_instances": 2},
    ),
    "cloud-functions, fewer instances than the load wants": Scene(
        "cloud-functions", Poisson(rate_rps=6.0), cpu_a_lane=0.9,
        fields={"concurrency": 1, "idle_s": 20.0, "max_instances": 2},
    ),
    "cloud-functions-1st, compressed": Scene(
        "cloud-functions-1st", BURSTS, time_scale=20,
        fields={"concurrency": 1, "idle_s": 200.0, "max_instances": 9, "memory_mib": 4096},
    ),
    "knative, panic and back to zero": Scene(
        "knative", BURSTS, fields={"concurrency": 4, "max_instances": 8},
    ),
    "knative, any number at a time": Scene(
        "knative", BURSTS, lanes=2, fields={"concurrency": 0, "max_instances": 4},
    ),
    "always-on, two of them and a short queue": Scene(
        "always-on", Poisson(rate_rps=5.0), queue_most=5,
        fields={"concurrency": 1, "min_instances": 2, "max_instances": 5},
    ),
    "users in a closed loop": Scene(
        "cloud-run", ClosedLoop(users=7, think_s=1.5), lanes=1,
        fields={"concurrency": 3, "idle_s": 10.0, "max_instances": 3},
    ),
    "a trace with long silences": Scene(
        "cloud-run", Trace(file="t", times_s=(1.0, 1.0, 1.0, 50.0, 300.0, 300.2, 899.0)),
        fields={"concurrency": 2, "idle_s": 60.0},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    path = Path(__file__).with_name("reference.py")
    spec = importlib.util.spec_from_file_location("reference", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SCENES)
def test_every_step_is_the_pure_rules(name: str, reference: ModuleType) -> None:
    scene = SCENES[name]
    model = model_of(scene)
    closed = isinstance(scene.arrivals, ClosedLoop)
    users, think_s = (scene.arrivals.users, scene.arrivals.think_s) if closed else (0, 0.0)
    seconds = scene.seconds / (scene.time_scale if scene.time_scale > 1 else 1)
    slow = reference.Reference(model, seed=5, users=users, think_s=think_s)
    due = [] if closed else due_times(scene.arrivals, seconds, np.random.default_rng([5, 1]))
    slow.run(list(due), seconds)
    fast = Play(model, scene.arrivals, seed=5, log=60_000)
    fast.until(seconds)
    w = fast.world
    lines = [
        (float(w["line_s"][k]), *(int(w[f"line_{n}"][k]) for n in ("what", "number", "other")))
        for k in range(int(w["lines"]))
    ]
    assert len(lines) > 10
    assert lines == slow.log
    assert int(w["answered"]) == len(slow.latencies)
    assert float(w["latency_s"]) == pytest.approx(sum(slow.latencies))
    assert int(w["refused"]) == slow.refused
    billed = {each.mode: each for each in slow.book.meter.billed(seconds)}
    busy_s, life_s, calls_s, idle_s = meter.bill(w)
    assert busy_s == pytest.approx(billed[Mode.REQUEST].billable_s)
    assert idle_s == pytest.approx(billed[Mode.REQUEST].idle_s)
    assert life_s == pytest.approx(billed[Mode.INSTANCE].billable_s)
    assert int(w["instances"]) == billed[Mode.INSTANCE].instances
    if Mode.FIRST_GEN in billed:
        assert calls_s == pytest.approx(billed[Mode.FIRST_GEN].billable_s)


def model_of(scene: Scene) -> Model:
    rng = np.random.default_rng(1)
    deployment = Deployment("side", Kind.CONTAINER, "none", policy=scene.policy, **scene.fields)
    behaviour = Behaviour(
        levels=[Level(1, exponential(scene.work_s, 500)), Level(1000, exponential(0.6, 500))],
        starts_s=rng.uniform(1.0, 4.0, 50),
        first_s=exponential(1.0, 100),
        lanes=scene.lanes,
        outside_s=0.01,
        stop_s=0.7,
        cpu_a_lane=scene.cpu_a_lane,
    )
    model = Model(deployment, behaviour)
    if scene.queue_most is not None:
        import msgspec

        limit = msgspec.structs.replace(model.policy.queue_most, value=scene.queue_most)
        model = Model(
            deployment, behaviour, msgspec.structs.replace(model.policy, queue_most=limit)
        )
    return model.compressed(scene.time_scale) if scene.time_scale > 1 else model
