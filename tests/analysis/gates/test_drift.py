import re

import numpy as np
import pytest

from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.gates import drift
from twinserve.analysis.rows import NO_INTS, BlockRows, SideRows

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN


def block(index, latency_ms):
    none = NO_INTS
    return BlockRows(index, 0, 1_000_000, none, none, none, 0, 0, {"latency_ms": latency_ms})


def side(place, blocks):
    return SideRows(("left", "right")[place], blocks, instance_starts=1)


def drifting(rise, noise=0.01, blocks=10, seed=1):
    """Two sides in turn, latency rising by ``rise`` from the first block of the run to the last."""
    rng = np.random.default_rng(seed)
    last = 2 * blocks - 1
    level = (1 + rise) ** (np.arange(2 * blocks) / last) * np.exp(rng.normal(0, noise, 2 * blocks))
    rows = [
        block(i, (60 if i % 2 else 100) * level[i] * np.array([0.5, 1.0, 2.0]))
        for i in range(2 * blocks)
    ]
    return [side(0, rows[::2]), side(1, rows[1::2])]


def test_a_steady_run_passes_and_says_what_drift_it_would_have_seen():
    gate = drift.judge(drifting(0.0))
    assert gate.status is PASS
    assert "None found" in gate.detail
    assert "17 degrees of freedom" in gate.detail
    assert "would have been seen in 95 %" in gate.detail


def test_a_drift_has_its_size_a_request_and_an_hour():
    detail = drift.judge(drifting(0.5, noise=0.0)).detail
    for side in ("left", "right"):
        assert re.search(
            rf"{side} \+[\d.]+ ms a request, \+[\d.]+ k?m?s an hour, R² 0\.\d\d", detail
        )


def test_a_rise_of_half_fails():
    gate = drift.judge(drifting(0.5))
    assert gate.status is FAIL
    assert "+50 %" in gate.detail or "+49 %" in gate.detail or "+51 %" in gate.detail


def test_a_fall_fails_like_a_rise():
    assert drift.judge(drifting(-0.4)).status is FAIL


def test_a_rise_that_is_certain_and_small_passes():
    gate = drift.judge(drifting(0.05, noise=0.001))
    assert gate.status is PASS
    assert gate.detail.startswith("Small: latency changed by +4.9 %")


def test_a_rise_without_any_noise_is_told_without_dividing_by_zero():
    assert drift.judge(drifting(0.5, noise=0.0)).status is FAIL
    assert drift.judge(drifting(0.0, noise=0.0)).status is PASS


def test_drift_needs_six_blocks_a_side():
    assert drift.judge(drifting(0.5, blocks=5)).status is UNKNOWN
    assert drift.judge(drifting(0.5, blocks=6)).status is FAIL


def test_a_steady_run_is_seldom_said_to_drift():
    """Noise so large that every significant slope is also above 10 %: 5 in 100 are expected."""
    alarms = sum(drift.judge(drifting(0.0, 0.2, seed=s)).status is FAIL for s in range(300))
    assert 0.015 <= alarms / 300 <= 0.095


def shaped(left, right, noise=0.01, seed=1, rows=200, phi=0.0):
    """Two sides in turn; each block's latencies are its level times noise, which depends on the
    request before where ``phi`` is above 0."""
    rng = np.random.default_rng(seed)
    blocks = []
    for index in range(2 * len(left)):
        level = (left, right)[index % 2][index // 2] * float(np.exp(rng.normal(0, noise)))
        steps = rng.normal(0, 0.2, rows)
        for row in range(1, rows):
            steps[row] = phi * steps[row - 1] + np.sqrt(1 - phi**2) * steps[row]
        blocks.append(block(index, level * np.exp(steps)))
    return [side(0, blocks[::2]), side(1, blocks[1::2])]


def test_a_leak_in_one_side_only_fails_and_is_named():
    gate = drift.judge(shaped(np.linspace(100, 150, 10), np.full(10, 60.0)))
    assert gate.status is FAIL
    assert gate.detail.count("ms a request") == 2


def test_sides_that_drift_against_each_other_do_not_cancel():
    gate = drift.judge(shaped(np.geomspace(100, 140, 10), np.geomspace(100, 100 / 1.4, 10)))
    assert gate.status is FAIL
    assert "the left by itself by +3" in gate.detail
    assert "the right by itself by -2" in gate.detail


def test_the_host_getting_slower_half_way_fails():
    step = np.repeat([100.0, 140.0], 5)
    assert drift.judge(shaped(step, step)).status is FAIL


@pytest.mark.parametrize("place", [0, 4, 9])
def test_one_slow_block_is_no_drift(place):
    level = np.full(10, 100.0)
    level[place] = 500.0
    assert drift.judge(shaped(level, np.full(10, 80.0))).status is PASS


def test_slow_requests_here_and_there_are_no_drift():
    """A tenth of the requests of the last blocks takes ten times as long: the medians stay."""
    sides = shaped(np.full(10, 100.0), np.full(10, 80.0))
    for one in sides:
        for part in one.blocks[-3:]:
            part.measures["latency_ms"][::10] *= 10
    assert drift.judge(sides).status is PASS


def test_requests_that_depend_on_each_other_give_no_more_alarms():
    """Autocorrelation of 0.9 within blocks; every significant slope is also above 10 %."""
    flat = np.full(10, 100.0)
    gates = [drift.judge(shaped(flat, flat, 0.15, seed=s, phi=0.9)) for s in range(200)]
    assert 0.01 <= sum(gate.status is FAIL for gate in gates) / 200 <= 0.10
