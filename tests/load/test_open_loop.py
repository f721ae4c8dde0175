"""Open loops: sent when due, timed from then, whatever the deployment does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from twinserve.load.plan import block_due_times
from twinserve.records.samples import Phase
from twinserve.workload import Ask, ClosedLoop, Constant, OpenLoop, Poisson, Trace, Workload

STALL_S = 1.0


def workload(arrivals: OpenLoop | ClosedLoop, **changes: object) -> Workload:
    usual = {"blocks": 1, "block_s": 1.0, "warmup_s": 0.0, "seed": 3}
    return Workload(profile="test", arrivals=arrivals, **(usual | changes))  # type: ignore[arg-type]


def stalling() -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answers at once, but not in the second that begins with the tenth request."""
    seen, over = 0, asyncio.Event()

    async def behave(_: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        if seen == 10:
            asyncio.get_running_loop().call_later(STALL_S, over.set)
        if seen >= 10:
            await over.wait()
        return web.json_response({})

    return behave


def test_a_stall_is_seen_by_every_request_that_was_due_in_it(loopback: ModuleType) -> None:
    opened = loopback.run(workload(Constant(rate_rps=50), block_s=2.0), stalling(), names=("a",))
    rows = sorted(opened.samples, key=lambda s: s.due_us)
    assert len(rows) == 100
    first = max(rows, key=lambda row: row.elapsed_ms)
    assert first.elapsed_ms >= 1000 * STALL_S
    for row in rows:
        if first.due_us <= row.due_us < first.done_us:
            assert row.done_us >= first.done_us - 100_000
    waited = [row for row in rows if row.elapsed_ms > 100]
    assert len(waited) >= 40  # 50 were due, the last ones waited little


def test_a_closed_loop_hardly_sees_the_same_stall(loopback: ModuleType) -> None:
    closed = loopback.run(workload(ClosedLoop(users=1), block_s=2.0), stalling(), names=("a",))
    slow = sum(row.elapsed_ms > 500 for row in closed.samples)
    assert 1 <= slow <= 3  # the stall, and what a busy machine may add to it


@pytest.mark.parametrize("arrivals", [Constant(rate_rps=60), Poisson(rate_rps=60)])
def test_every_request_is_sent_at_or_after_its_own_time(
    loopback: ModuleType, arrivals: OpenLoop
) -> None:
    planned = workload(arrivals, blocks=2, block_s=0.5)
    ran = loopback.run(planned)
    for group, due_s in enumerate(block_due_times(planned)):
        for block in (b for b in ran.blocks if b.pair == group):
            rows = sorted(ran.rows(block), key=lambda s: s.due_us)
            due_us = np.array([row.due_us - block.start_us for row in rows])
            assert np.array_equal(due_us, np.rint(1e6 * due_s))
            assert all(row.sent_us >= row.due_us for row in rows)
            assert block.end_us - block.start_us >= 1e6 * planned.block_s


def test_rows_are_timed_from_when_they_were_due(loopback: ModuleType) -> None:
    ran = loopback.run(workload(Constant(rate_rps=20)), names=("a",))
    for row in ran.samples:
        assert row.elapsed_ms == (row.done_us - row.due_us) / 1000
        assert row.row()[0] == round(row.started_epoch_ms + row.due_us / 1000)


def test_slow_answers_do_not_hold_requests_back(loopback: ModuleType) -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.6)
        return web.json_response({})

    ran = loopback.run(workload(Constant(rate_rps=50)), slow, names=("a",))
    (block,) = ran.blocks
    assert len(ran.rows(block)) == 50
    assert max(row.users for row in ran.samples) >= 25
    assert (block.unsent, block.note) == (0, "")
    # Answers that come after the last request was due belong to the block, and it waits for them.
    assert block.end_us >= max(row.done_us for row in ran.samples) > block.start_us + 1_200_000
    by_user: dict[int, list[tuple[int, int]]] = {}
    for row in ran.samples:
        by_user.setdefault(row.user, []).append((row.sent_us, row.done_us))
    for spans in by_user.values():
        spans.sort()
        assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_failures_do_not_stop_it(loopback: ModuleType) -> None:
    async def failing(_: web.Request) -> web.Response:
        return web.json_response({"detail": "broken"}, status=500)

    ran = loopback.run(workload(Constant(rate_rps=50)), failing, names=("a",))
    assert len(ran.samples) == 50
    assert {row.failure for row in ran.samples} == {"broken"}


def test_what_does_not_keep_up_is_stopped_with_a_note(loopback: ModuleType) -> None:
    async def hanging(_: web.Request) -> web.Response:
        await asyncio.sleep(1.5)
        return web.json_response({})

    ran = loopback.run(workload(Constant(rate_rps=50)), hanging, names=("a",), most_in_flight=20)
    (block,) = ran.blocks
    assert len(ran.samples) == 20
    assert block.unsent == 30
    assert block.note.startswith("stopped with 20 requests on their way; 30 more were due and not")


def test_both_sides_of_a_pair_are_asked_for_the_same(loopback: ModuleType) -> None:
    mix = (Ask(weight=2), Ask(images=3, format="webp"), Ask(bodies=('{"x": 1}', '{"x": 2}')))
    ran = loopback.run(workload(Poisson(rate_rps=60), mix=mix))
    assert loopback.shown(ran.asked["a"]) == loopback.shown(ran.asked["b"])
    accepted = [accept for accept, _ in ran.asked["a"]]
    assert set(accepted) == {"", "image/webp"}
    bodies = [body for _, body in ran.asked["a"]]
    assert {body["num_images"] for body in bodies if "num_images" in body} == {1, 3}
    assert {body["x"] for body in bodies if "x" in body} == {1, 2}
    assert all(row.format == ("webp" if row.images == 3 else "json") for row in ran.samples)


def _seen(loopback: ModuleType, ran: Any) -> list[str]:
    return [*loopback.shown(ran.asked["a"]), str([block.side for block in ran.blocks])]


def test_a_seed_repeats_a_run_and_a_repeat_differs(loopback: ModuleType) -> None:
    planned = workload(Poisson(rate_rps=40), blocks=2, block_s=0.3)
    first, again, other = (
        loopback.run(planned),
        loopback.run(planned),
        loopback.run(planned, repeat=1),
    )
    assert _seen(loopback, first) == _seen(loopback, again)
    assert _seen(loopback, first) != _seen(loopback, other)
    assert [block.index for block in other.blocks] == [4, 5, 6, 7]
    assert {block.repeat for block in other.blocks} == {1}
    assert [block.pair for block in other.blocks] == [2, 2, 3, 3]


def test_three_series_at_the_same_time_begin_together(loopback: ModuleType) -> None:
    planned = workload(Constant(rate_rps=20), concurrent=True)
    ran = loopback.run(planned, names=("a", "b", "contrast"))
    assert {block.side for block in ran.blocks} == {"a", "b", "contrast"}
    assert max(b.start_us for b in ran.blocks) < min(b.end_us for b in ran.blocks)
    assert all(len(ran.rows(block)) == 20 for block in ran.blocks)


def test_a_trace_is_played_once_over_the_blocks_and_warmed_up_for(loopback: ModuleType) -> None:
    trace = Trace(file="t", times_s=(0.75, 0.8, 0.9, 1.0))
    ran = loopback.run(workload(trace, blocks=2, block_s=0.5, warmup_s=0.5), names=("a",))
    assert [len(ran.rows(block)) for block in ran.blocks] == [0, 3]
    assert len(ran.of(Phase.WARMUP)) == 2  # 4 a second
