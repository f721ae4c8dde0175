import numpy as np
import pytest

from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.gates import saturation
from twinserve.records.host import Ceiling
from twinserve.workload import ClosedLoop, Constant, Workload

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN
HIGH = Ceiling(requests_per_s=1000.0, users=16, seconds=1.5, answer_bytes=20_000)


def planned(arrivals):
    return Workload(
        profile="quick", arrivals=arrivals, blocks=1, block_s=10.0, warmup_s=0.0, seed=7
    )


CLOSED, OPEN = planned(ClosedLoop(users=4)), planned(Constant(rate_rps=20.0))


@pytest.fixture
def sides(block, side):
    """``sides(late_ms=3, each_ms=100)``: 20 requests a second on each side for 10 seconds."""

    def make(late_ms=0.0, each_ms=100):
        at = np.arange(0, 10_000, 50)
        rows = [(0, ms, ms + each_ms) for ms in at]
        late = np.broadcast_to(late_ms, at.size)
        apart = [(user, sent + 10_000, done + 10_000) for user, sent, done in rows]
        return [
            side(block(rows, late_ms=late)),
            side(block(apart, index=1, start_ms=10_000, late_ms=late), name="right"),
        ]

    return make


def test_a_generator_with_room_to_spare_passes_with_its_numbers(sides, watched):
    gate = saturation.judge(CLOSED, sides(), watched(), HIGH)
    assert gate.status is PASS
    assert "noticed things 0.20 ms late on average, at most 5.0 ms" in gate.detail
    assert "used 15 % of the one core it can use" in gate.detail
    assert "20 requests a second at p95 of the seconds, 2 % of the 1,000" in gate.detail
    assert "were sent" not in gate.detail


@pytest.mark.parametrize(
    ("beside", "status", "says"),
    [
        ({"lag_mean_ms": 3.3}, PASS, "late on average"),
        ({"lag_mean_ms": 3.4}, FAIL, "The load generator noticed answers late."),
        ({"generator_percent": [79.0] * 94 + [99.0] * 6}, FAIL, "used more than 80 % of its CPU."),
        ({"generator_percent": [79.0] * 96 + [99.0] * 4}, PASS, "used 79 % of the one core"),
        ({"generator_percent": 85.0}, FAIL, "85 % on average"),
        ({"lag_mean_ms": None}, UNKNOWN, "event loop was not measured"),
        ({"seconds": 79}, UNKNOWN, "tells of 79 of the 100 seconds"),
    ],
)
def test_lag_and_cpu_have_limits(beside, status, says, sides, watched):
    gate = saturation.judge(CLOSED, sides(each_ms=100), watched(**beside), HIGH)
    assert gate.status is status
    assert says in gate.detail
    assert ("Ask for fewer users" in gate.detail) is (status is FAIL)


@pytest.mark.parametrize(
    ("ceiling", "status"),
    [
        (None, UNKNOWN),
        (0.0, UNKNOWN),
        (15.9, UNKNOWN),
        (16.1, FAIL),
        (24.0, FAIL),
        (25.0, PASS),
        (10_000.0, PASS),
    ],
)
def test_the_rate_sent_stays_below_four_fifths_of_the_ceiling(ceiling, status, sides, watched):
    """20 requests a second are sent; a ceiling far below that was not measured well."""
    measured = ceiling if ceiling is None else Ceiling(
        requests_per_s=ceiling, users=16, seconds=1.5, answer_bytes=20_000
    )  # fmt: skip
    assert saturation.judge(CLOSED, sides(), watched(), measured).status is status


def test_a_single_busy_second_sets_no_rate(block, side):
    rows = [(0, ms, ms + 1) for ms in (*range(0, 30_000, 100), *range(5000, 6000, 2))]
    assert saturation.busiest_rps([side(block(sorted(rows)))]) == 10


@pytest.mark.parametrize(
    ("late_ms", "status"),
    [
        (0, PASS),
        (10, PASS),
        (11, FAIL),
        (np.repeat([500, 0], [9, 191]), PASS),  # one in twenty
        (np.repeat([500, 0], [12, 188]), FAIL),
    ],
)
def test_an_open_loop_may_send_late_by_a_tenth_of_the_median(late_ms, status, sides, watched):
    gate = saturation.judge(OPEN, sides(late_ms, each_ms=100), watched(), HIGH)
    assert gate.status is status
    assert "late at p95" in gate.detail
    if status is FAIL:
        assert gate.detail.startswith("Requests were sent late.")


def test_a_run_without_host_readings_is_unknown_and_says_how_to_get_them(sides):
    gate = saturation.judge(CLOSED, sides(), None, None)
    assert gate.status is UNKNOWN
    assert "no host.csv" in gate.detail


def test_what_failed_stands_before_what_is_unknown(sides):
    gate = saturation.judge(OPEN, sides(late_ms=50), None, HIGH)
    assert gate.status is FAIL
    assert gate.detail.index("late at p95") < gate.detail.index("no host.csv")


def test_jmeter_may_use_every_core_and_has_no_event_loop(sides, watched):
    beside = watched(generator_percent=150.0, lag_mean_ms=99.0)
    gate = saturation.judge(CLOSED, sides(), beside, HIGH, jmeter=True)
    assert gate.status is PASS
    assert "used 75 % of 2 cores" in gate.detail
    busy = saturation.judge(CLOSED, sides(), watched(generator_percent=170.0), HIGH, jmeter=True)
    assert busy.status is FAIL


def test_jmeter_on_other_hosts_has_no_ceiling_and_stays_unknown(sides, watched):
    gate = saturation.judge(CLOSED, sides(), watched(), None, jmeter=True)
    assert gate.status is UNKNOWN
    assert "can send at most was not measured" in gate.detail
