import re

import numpy as np
import pytest

from twinserve.analysis import gates
from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.rows import NO_FLOATS, BlockRows, SideRows
from twinserve.records.manifest import EqualityResult, Workload

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN


def block(requests=(), index=0, seconds=1, latency_ms=NO_FLOATS, failed=0, cold=0):
    """A block from ``requests`` of (user, sent, done), times in ms since the block began."""
    users, sent, done = np.array(requests, dtype=np.int64).reshape(-1, 3).T
    return BlockRows(
        index=index,
        start_us=0,
        end_us=max([seconds * 1_000_000, *(1000 * done)]),
        user=users,
        sent_us=1000 * sent,
        done_us=1000 * done,
        failed=failed,
        cold=cold,
        measures={"latency_ms": np.asarray(latency_ms)},
    )


def side(*blocks, name="left"):
    return SideRows(name, blocks, instance_starts=1)


def busy(users, each_ms=100, pause_ms=0, seconds=1):
    """Users who ask again ``pause_ms`` after each answer until the block's time is up."""
    starts = range(0, 1000 * seconds, each_ms + pause_ms)
    return [(user, at, at + each_ms) for user in range(users) for at in starts]


def workload(users, think_s=0.0):
    return Workload("quick", users, think_s, 10, 1.0, 0.0, 1, 7)


def counted(requests, failed=0, cold=0, name="left"):
    rows = [(0, i, i + 1) for i in range(requests)]
    return side(block(rows, failed=failed, cold=cold), name=name)


@pytest.mark.parametrize(
    ("result", "status", "says"),
    [
        (EqualityResult(4, 4, "equal pixels"), PASS, "4 of 4"),
        (EqualityResult(4, 3, "seed 9 differs"), FAIL, "seed 9 differs"),
        (EqualityResult(0, 0, ""), UNKNOWN, "ended before"),
        (None, UNKNOWN, "ended before"),
    ],
)
def test_equality_follows_the_answers(result, status, says):
    gate = gates.equality(result)
    assert (gate.name, gate.status) == ("equality", status)
    assert says in gate.detail


@pytest.mark.parametrize(("failed", "status"), [(0, PASS), (9, PASS), (10, FAIL), (1000, FAIL)])
def test_errors_fail_from_one_percent_of_a_side(failed, status):
    gate = gates.errors([counted(1000), counted(1000, failed=failed, name="right")])
    assert gate.status is status
    assert f"right: {failed:,} of 1,000 requests failed" in gate.detail


@pytest.mark.parametrize(("waited", "status"), [(0, PASS), (10, PASS), (11, FAIL)])
def test_cold_fails_above_one_percent_of_a_side(waited, status):
    gate = gates.cold([counted(1000, cold=waited), counted(1000, name="right")])
    assert gate.status is status
    assert f"left: {waited} of 1,000 requests waited" in gate.detail


def test_a_side_without_requests_leaves_errors_cold_and_load_unknown():
    sides = [counted(100), side(name="right")]
    assert gates.errors(sides).status is UNKNOWN
    assert "right" in gates.errors(sides).detail
    assert gates.cold(sides).status is UNKNOWN
    assert gates.load(workload(1), sides).status is UNKNOWN
    assert gates.drift(sides).status is UNKNOWN


def test_users_who_are_always_waiting_for_an_answer_apply_the_load_in_full():
    full = side(block(busy(4)))
    gate = gates.load(workload(4), [full, full])
    assert gate.status is PASS
    assert "4.00 requests at a time of 4.00 intended (100 %), at most 4, 100 % of" in gate.detail
    assert "40.0 answers a second" in gate.detail


def test_a_load_generator_that_pauses_between_requests_fails_with_what_it_reached():
    paused = side(block(busy(4, each_ms=100, pause_ms=100)), name="right")
    gate = gates.load(workload(4), [side(block(busy(4))), paused])
    assert gate.status is FAIL
    assert "right: 2.00 requests at a time of 4.00 intended (50 %)" in gate.detail
    assert "at most 4, 50 % of the time at 3.6 or more" in gate.detail
    assert "load generator" in gate.detail


def test_declared_think_time_is_not_held_against_the_load():
    thinking = side(block(busy(4, each_ms=100, pause_ms=100)))
    gate = gates.load(workload(4, think_s=0.1), [thinking, thinking])
    assert gate.status is PASS
    assert "2.00 requests at a time of 2.00 intended" in gate.detail


def test_requests_that_follow_each_other_exactly_do_not_overlap():
    in_turn = [(user, 100 * (2 * turn + user), 100 * (2 * turn + user + 1))
               for turn in range(5) for user in range(2)]  # fmt: skip
    gate = gates.load(workload(2, think_s=0.1), [side(block(in_turn)), side(block(in_turn))])
    assert gate.status is FAIL
    assert "No two requests ever overlapped" in gate.detail
    assert "at most 1" in gate.detail


def test_the_start_and_the_tail_of_a_block_do_not_count_as_load():
    """The second user begins late and the last answers come after the block's time is up."""
    rows = [(0, 0, 300), (0, 300, 1600), (1, 250, 900), (1, 900, 1100)]
    gate = gates.load(workload(2), [side(block(rows)), side(block(rows))])
    assert "2.00 requests at a time of 2.00 intended" in gate.detail


def test_a_single_user_needs_no_overlap():
    alone = side(block(busy(1)))
    assert gates.load(workload(1), [alone, alone]).status is PASS


def drifting(rise, noise=0.01, blocks=10, seed=1):
    """Two sides in turn, latency rising by ``rise`` from the first block of the run to the last."""
    rng = np.random.default_rng(seed)
    last = 2 * blocks - 1
    level = (1 + rise) ** (np.arange(2 * blocks) / last) * np.exp(rng.normal(0, noise, 2 * blocks))
    rows = [
        block(index=i, latency_ms=(60 if i % 2 else 100) * level[i] * np.array([0.5, 1.0, 2.0]))
        for i in range(2 * blocks)
    ]
    return [side(*rows[::2]), side(*rows[1::2], name="right")]


def test_a_steady_run_passes_and_says_what_drift_it_would_have_seen():
    gate = gates.drift(drifting(0.0))
    assert gate.status is PASS
    assert "None found" in gate.detail
    assert "17 degrees of freedom" in gate.detail
    assert "would have been seen in 95 %" in gate.detail


def test_a_drift_has_its_size_a_request_and_an_hour():
    detail = gates.drift(drifting(0.5, noise=0.0)).detail
    for side in ("left", "right"):
        assert re.search(
            rf"{side} \+[\d.]+ ms a request, \+[\d.]+ k?m?s an hour, R² 0\.\d\d", detail
        )


def test_a_rise_of_half_fails():
    gate = gates.drift(drifting(0.5))
    assert gate.status is FAIL
    assert "+50 %" in gate.detail or "+49 %" in gate.detail or "+51 %" in gate.detail


def test_a_fall_fails_like_a_rise():
    assert gates.drift(drifting(-0.4)).status is FAIL


def test_a_rise_that_is_certain_and_small_passes():
    gate = gates.drift(drifting(0.05, noise=0.001))
    assert gate.status is PASS
    assert gate.detail.startswith("Small: latency changed by +4.9 %")


def test_a_rise_without_any_noise_is_told_without_dividing_by_zero():
    assert gates.drift(drifting(0.5, noise=0.0)).status is FAIL
    assert gates.drift(drifting(0.0, noise=0.0)).status is PASS


def test_drift_needs_six_blocks_a_side():
    assert gates.drift(drifting(0.5, blocks=5)).status is UNKNOWN
    assert gates.drift(drifting(0.5, blocks=6)).status is FAIL


def test_a_steady_run_is_seldom_said_to_drift():
    """Noise so large that every significant slope is also above 10 %: 5 in 100 are expected."""
    alarms = sum(gates.drift(drifting(0.0, 0.2, seed=s)).status is FAIL for s in range(300))
    assert 0.015 <= alarms / 300 <= 0.095


def test_every_gate_is_there_in_the_order_of_the_contract(make_run):
    from twinserve.analysis.rows import read_sides
    from twinserve.records.manifest import read_manifest

    run = make_run()
    manifest = read_manifest(run.manifest)
    found = gates.check(manifest, read_sides(run, manifest))
    names = ["equality", "load", "drift", "saturation", "host", "errors", "cold"]
    assert [gate.name for gate in found] == names
    assert {g.name for g in found if g.status is UNKNOWN} == {"saturation", "host"}
    assert all("does not measure" in g.detail for g in found if g.status is UNKNOWN)
