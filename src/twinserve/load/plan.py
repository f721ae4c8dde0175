"""In which order blocks run, and what is asked for in them and when: pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from twinserve.workload import Ask, ClosedLoop, Constant, Format, Workload
from twinserve.workload.arrivals import due_times


@dataclass(frozen=True)
class PlannedBlock:
    """One block: its place in the run, its group of adjacent blocks, and what it loads."""

    index: int
    pair: int
    side: str


@dataclass(frozen=True)
class Request:
    """What one request asks for; a ``body`` of its own goes in place of images and seed."""

    images: int
    seed: int
    format: Format = "json"
    body: bytes | None = None


def draw_blocks(
    names: Sequence[str], groups: int, seed: int, repeat: int = 0
) -> list[PlannedBlock]:
    """``groups`` groups of adjacent blocks, one of each name, in an order drawn by the seed.

    Adjacent, since a host that slows down over the run would otherwise be taken for a difference
    between the sides. Numbers go on from repeat to repeat, each of which has an order of its own.
    """
    drawn = random.Random(f"{seed} {repeat}" if repeat else seed)  # noqa: S311 - not a secret
    order = [name for _ in range(groups) for name in drawn.sample(list(names), len(names))]
    first = repeat * len(order)
    return [
        PlannedBlock(first + place, (first + place) // len(names), name)
        for place, name in enumerate(order)
    ]


def request_seeds(seed: int, pair: int, user: int) -> Iterator[int]:
    """The seeds of one user's requests: the same for all sides of a group, so all do equal
    work."""
    drawn = _drawn(seed, pair, user)
    while True:
        yield drawn.getrandbits(32)


def draw_requests(mix: Sequence[Ask], seed: int, pair: int, user: int = 0) -> Iterator[Request]:
    """What one user (or an open loop) asks for, one request after the other: kinds by their
    weights, the same for all sides of a group."""
    drawn = _drawn(seed, pair, user)
    weights = [ask.weight for ask in mix]
    while True:
        bits = drawn.getrandbits(32)
        ask = drawn.choices(mix, weights)[0] if len(mix) > 1 else mix[0]
        if not ask.bodies:
            yield Request(ask.images, bits, ask.format)
            continue
        body = drawn.choice(ask.bodies)
        yield Request(_images(body), bits, ask.format, body.encode())


def block_due_times(workload: Workload, repeat: int = 0) -> list[NDArray[np.float64]]:
    """Of an open loop, when requests are due in each group of blocks, in seconds of the block.

    One schedule is drawn for all groups, as if they followed each other without a gap: so a trace
    or a day is played once, each part of it to all sides. Empty for a closed loop.
    """
    if isinstance(workload.arrivals, ClosedLoop):
        return []
    rng = np.random.default_rng([workload.seed, repeat])
    times_s = due_times(workload.arrivals, workload.blocks * workload.block_s, rng)
    edges_s = workload.block_s * np.arange(workload.blocks + 1)
    cuts = np.searchsorted(times_s, edges_s)
    return [
        times_s[first:last] - edge
        for first, last, edge in zip(cuts, cuts[1:], edges_s, strict=False)
    ]


def warmup_due_times(workload: Workload) -> NDArray[np.float64]:
    """Of an open loop, an even stream at its mean rate: a trace or a day may begin in silence."""
    rate = Constant(rate_rps=workload.rate_rps or 0.0)
    return due_times(rate, workload.warmup_s, np.random.default_rng(workload.seed))


def _drawn(seed: int, pair: int, user: int) -> random.Random:
    return random.Random(f"{seed} {pair} {user}")  # noqa: S311 - not a secret


def _images(body: str) -> int:
    """The images that a body of the user's own asks for; 1, as the service takes it, without."""
    found = msgspec.json.decode(body).get("num_images", 1)
    return found if isinstance(found, int) else 1
