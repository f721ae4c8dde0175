"""Synthetic runs: run directories as a comparison leaves them, by the records room's writers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from twinserve.deployment import SIDES, Deployment, Kind
from twinserve.records.events import EventKind, EventWriter, InstanceEvent
from twinserve.records.manifest import (
    Block,
    EqualityResult,
    Hardware,
    Manifest,
    ModelFacts,
    RunState,
    write_manifest,
)
from twinserve.records.resources import ResourceRow, ResourceWriter
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Phase, Sample, SampleWriter
from twinserve.workload import Ask, ClosedLoop, Workload

EPOCH_MS = 1_790_000_000_000.0
GAP_US = 500_000  # between blocks
CONTRAST = "contrast"


@dataclass(frozen=True)
class Shape:
    """How one side behaves: log-normal response times of this median and spread."""

    median_ms: float = 80.0
    sigma: float = 0.25
    error_share: float = 0.0
    cold_rows: int = 0  # rows in each block that waited for an instance
    drift: float = 0.0  # 0.5: half as long again at the end of the run
    pause_s: float = 0.0  # a pause of the users that the workload does not declare
    block_sigma: float = 0.01
    repeat_sigma: float = 0.0  # what an instance gets at its start and keeps until its end


EQUAL = EqualityResult(4, 4, "4 of 4 requests gave equal pixels")
DEFAULT_SHAPES = (Shape(median_ms=100.0), Shape(median_ms=75.0))


@dataclass
class _Scene:
    names: Sequence[str]  # of the two sides
    shapes: Mapping[str, Shape]  # of all series: the contrast has one as well
    users: int
    images: int
    think_s: float
    block_us: int
    rng: np.random.Generator
    samples: SampleWriter
    blocks: list[Block] = field(default_factory=list)
    now_us: int = 0
    luck: dict[str, float] = field(default_factory=dict)  # of the instances of this repeat

    def begin_repeat(self) -> None:
        self.luck = {
            name: float(np.exp(self.rng.normal(0, shape.repeat_sigma)))
            for name, shape in self.shapes.items()
            if shape.repeat_sigma
        }


def write_run(
    path: Path,
    *,
    blocks: int = 10,
    rows: int = 120,
    users: int = 4,
    images: int = 1,
    think_s: float = 0.0,
    seed: int = 7,
    sides: Sequence[str] = SIDES,
    shapes: Sequence[Shape] = DEFAULT_SHAPES,
    equality: EqualityResult | None = EQUAL,
    state: RunState = RunState.COMPLETE,
    finished_blocks: int | None = None,
    resources: bool = True,
    contrast: Shape | None = None,
    repeats: int = 1,
) -> RunDirectory:
    """Write a run of ``blocks`` blocks a side; the slower side has about ``rows`` rows a block.

    ``finished_blocks`` cuts the run off after so many blocks (of both sides together): the rows of
    the next block are there, the block itself is not in the manifest. ``contrast`` is how the
    matched contrast behaves, where there is one; ``repeats`` starts all of them anew.
    """
    run = RunDirectory.create(path)
    rng = np.random.default_rng(seed)
    behaviour = dict(zip(sides, shapes, strict=True))
    behaviour |= {CONTRAST: contrast} if contrast else {}
    block_us = round(1000 * rows / users * max(s.median_ms + 1000 * think_s for s in shapes))
    with SampleWriter(run.samples) as writer:
        scene = _Scene(sides, behaviour, users, images, think_s, block_us, rng, writer)
        _write_unmeasured(scene)
        length = len(behaviour) * blocks  # of a repeat
        for index, side in enumerate(_order(list(behaviour), blocks * repeats, rng)):
            if finished_blocks is not None and index > finished_blocks:
                break
            if index % length == 0:
                scene.begin_repeat()
            share = index % length / max(length - 1, 1)
            _write_block(scene, index, side, index // length, share)
    finished = scene.blocks if finished_blocks is None else scene.blocks[:finished_blocks]
    if resources:
        _write_resources(run, scene)
    _write_events(run, scene)
    workload = Workload(
        profile="quick",
        arrivals=ClosedLoop(users=users, think_s=think_s),
        mix=(Ask(images=images),),
        blocks=blocks,
        block_s=block_us / 1e6,
        warmup_s=1.0,
        seed=seed,
        repeats=repeats,
    )
    write_manifest(run.manifest, _manifest(scene, workload, equality, state, finished))
    return run


def _order(sides: Sequence[str], blocks: int, rng: np.random.Generator) -> Iterator[str]:
    for _ in range(blocks):
        yield from rng.permutation(list(sides)).tolist()


def _write_unmeasured(scene: _Scene) -> None:
    """One equality request and the warm-up of each side; the first ones wait for an instance."""
    for side in scene.names:
        for phase in (Phase.EQUALITY, Phase.WARMUP, Phase.WARMUP):
            cold_ms = 900.0 if phase is Phase.EQUALITY else None
            done_us = scene.now_us + (1_000_000 if cold_ms else 100_000)
            scene.samples.add(
                _sample(scene, side, phase, -1, 0, scene.now_us, done_us, cold_ms=cold_ms)
            )
            scene.now_us = done_us


def _write_block(scene: _Scene, index: int, side: str, repeat: int, share: float) -> None:
    """A closed loop: whoever is free first sends the next request, until the block's time is up."""
    shape = scene.shapes[side]
    level_us = 1000 * shape.median_ms * (1 + shape.drift * share)
    level_us *= float(np.exp(scene.rng.normal(0, shape.block_sigma))) * scene.luck.get(side, 1.0)
    start_us = end_us = scene.now_us + GAP_US
    free_us = start_us + np.arange(scene.users) * 200
    sent = 0
    while free_us.min() < start_us + scene.block_us:
        user = int(np.argmin(free_us))
        sent_us = int(free_us[user])
        done_us = sent_us + round(level_us * scene.rng.lognormal(0, shape.sigma))
        fails = bool(scene.rng.random() < shape.error_share)
        cold_ms = (done_us - sent_us) / 2000 if sent < shape.cold_rows else None
        scene.samples.add(
            _sample(
                scene,
                side,
                Phase.BLOCK,
                index,
                user,
                sent_us,
                done_us,
                fails=fails,
                cold_ms=cold_ms,
            )
        )
        free_us[user] = done_us + 50 + round((scene.think_s + shape.pause_s) * 1e6)
        end_us = max(end_us, done_us)
        sent += 1
    pair = index // len(scene.shapes)
    scene.blocks.append(Block(index, pair, side, start_us, end_us, repeat))
    scene.now_us = end_us


def _sample(
    scene: _Scene,
    side: str,
    phase: Phase,
    block: int,
    user: int,
    sent_us: int,
    done_us: int,
    *,
    fails: bool = False,
    cold_ms: float | None = None,
) -> Sample:
    time_us = done_us - sent_us
    return Sample(
        side=side,
        phase=phase,
        block=block,
        user=user,
        users=scene.users,
        url="http://127.0.0.1:8080/generate",
        images=scene.images,
        seed=1000 + sent_us % 1000,
        started_epoch_ms=EPOCH_MS,
        due_us=sent_us,
        sent_us=sent_us,
        connected_us=sent_us + round(200 + 0.001 * time_us),
        first_byte_us=None if fails else done_us - round(0.01 * time_us),
        done_us=done_us,
        status=502 if fails else 200,
        reason="Bad Gateway" if fails else "OK",
        failure="the instance died" if fails else "",
        received_bytes=300 if fails else 12_000,
        sent_bytes=180,
        process_ms=None if fails else 0.9 * time_us / 1000,
        queue_ms=None if fails else 0.02 * time_us / 1000,
        cold_ms=cold_ms,
        instance="" if fails else f"{side}-1",
    )


def _write_resources(run: RunDirectory, scene: _Scene) -> None:
    """A reading a second; the side whose block it is works, the other one idles."""
    with ResourceWriter(run.resources) as writer:
        for second in range(1, scene.now_us // 1_000_000 + 1):
            at_us = second * 1_000_000
            for name in scene.names:
                busy = any(b.side == name and b.start_us <= at_us < b.end_us for b in scene.blocks)
                cpu = scene.rng.normal(95, 3) if busy else 0.5
                memory = 180 + 20 * scene.names.index(name) + scene.rng.normal(0, 1)
                at_ms = EPOCH_MS + at_us / 1000 + scene.rng.uniform(0, 5)
                requests = scene.users if busy else 0
                writer.add(ResourceRow(at_ms, name, f"{name}-1", max(cpu, 0.0), memory, requests))


def _write_events(run: RunDirectory, scene: _Scene) -> None:
    writer = EventWriter(run.events)
    for name in scene.names:
        instance = f"{name}-1"
        writer.add(InstanceEvent(EPOCH_MS, name, instance, EventKind.START, "first request"))
        writer.add(InstanceEvent(EPOCH_MS + 900, name, instance, EventKind.READY, start_ms=900.0))
    end_ms = EPOCH_MS + scene.now_us / 1000 + 100
    for name in scene.names:
        writer.add(InstanceEvent(end_ms, name, f"{name}-1", EventKind.STOP, "end of the run"))
    writer.close()


def _manifest(
    scene: _Scene,
    workload: Workload,
    equality: EqualityResult | None,
    state: RunState,
    finished: list[Block],
) -> Manifest:
    kinds = (Kind.CONTAINER, Kind.FUNCTION)
    return Manifest(
        state=state,
        detail="" if state is RunState.COMPLETE else "stopped by Ctrl-C",
        started_epoch_ms=EPOCH_MS,
        finished_epoch_ms=EPOCH_MS + scene.now_us / 1000,
        versions={"twinserve": "0.1.0"},
        hardware=Hardware("Example CPU", 2, 7900, "Linux x86_64", "3.11.9"),
        runner="process",
        deployments={
            name: Deployment(name, kind, "pgan-64", concurrency=80 if kind is kinds[0] else 1)
            for name, kind in zip(scene.names, kinds, strict=True)
        },
        contrast=_contrast(scene),
        cap="1 instance a side: 2 cores, one kept for the load generator",
        model=ModelFacts("pgan-64", "0" * 64, 64, "non-commercial research only", False),
        workload=workload,
        equality=equality,
        blocks=finished,
    )


def _contrast(scene: _Scene) -> Deployment | None:
    """The container with the function's settings."""
    if CONTRAST not in scene.shapes:
        return None
    return Deployment(CONTRAST, Kind.CONTAINER, "pgan-64", concurrency=1)
