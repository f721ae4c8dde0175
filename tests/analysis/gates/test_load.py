import numpy as np

from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.gates import load
from twinserve.workload import Bursts, ClosedLoop, Constant, Poisson, Workload

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN


def busy(users, each_ms=100, pause_ms=0, seconds=1):
    """Users who ask again ``pause_ms`` after each answer until the block's time is up."""
    starts = range(0, 1000 * seconds, each_ms + pause_ms)
    return [(user, at, at + each_ms) for user in range(users) for at in starts]


def workload(users, think_s=0.0):
    return planned(ClosedLoop(users=users, think_s=think_s))


def planned(arrivals, cold=False):
    return Workload(
        profile="quick", arrivals=arrivals, blocks=10, block_s=1.0, warmup_s=0.0, seed=7, cold=cold
    )


def test_users_who_are_always_waiting_for_an_answer_apply_the_load_in_full(block, side):
    full = side(block(busy(4)))
    gate = load.judge(workload(4), [full, full])
    assert gate.status is PASS
    assert "4.00 requests at a time of 4.00 intended (100 %), at most 4, 100 % of" in gate.detail
    assert "40.0 answers a second" in gate.detail


def test_a_load_generator_that_pauses_between_requests_fails_with_what_it_reached(block, side):
    paused = side(block(busy(4, each_ms=100, pause_ms=100)), name="right")
    gate = load.judge(workload(4), [side(block(busy(4))), paused])
    assert gate.status is FAIL
    assert "right: 2.00 requests at a time of 4.00 intended (50 %)" in gate.detail
    assert "at most 4, 50 % of the time at 3.6 or more" in gate.detail
    assert "load generator" in gate.detail


def test_declared_think_time_is_not_held_against_the_load(block, side):
    thinking = side(block(busy(4, each_ms=100, pause_ms=100)))
    gate = load.judge(workload(4, think_s=0.1), [thinking, thinking])
    assert gate.status is PASS
    assert "2.00 requests at a time of 2.00 intended" in gate.detail


def test_requests_that_follow_each_other_exactly_do_not_overlap(block, side):
    in_turn = [(user, 100 * (2 * turn + user), 100 * (2 * turn + user + 1))
               for turn in range(5) for user in range(2)]  # fmt: skip
    gate = load.judge(workload(2, think_s=0.1), [side(block(in_turn)), side(block(in_turn))])
    assert gate.status is FAIL
    assert "No two requests ever overlapped" in gate.detail
    assert "at most 1" in gate.detail


def test_the_start_and_the_tail_of_a_block_do_not_count_as_load(block, side):
    """The second user begins late and the last answers come after the block's time is up."""
    rows = [(0, 0, 300), (0, 300, 1600), (1, 250, 900), (1, 900, 1100)]
    gate = load.judge(workload(2), [side(block(rows)), side(block(rows))])
    assert "2.00 requests at a time of 2.00 intended" in gate.detail


def test_a_single_user_needs_no_overlap(block, side):
    alone = side(block(busy(1)))
    assert load.judge(workload(1), [alone, alone]).status is PASS


def test_a_side_without_requests_leaves_the_load_unknown(side, counted):
    sides = [counted(100), side(name="right")]
    for arrivals in (ClosedLoop(users=1), Constant(rate_rps=10)):
        assert load.judge(planned(arrivals), sides).status is UNKNOWN


def open_rows(rate_rps, each_ms=30, seconds=1, late_ms=lambda at_ms: 0 * at_ms):
    """Requests due evenly, sent ``late_ms`` after their time."""
    due = np.arange(0, 1000 * seconds, 1000 / rate_rps)
    late = np.array([late_ms(at) for at in due])
    return [(0, at, at + each_ms) for at in (due + late).astype(int)], late.astype(int)


def offered(block, side, rate_rps, name="left", **options):
    rows, late = open_rows(rate_rps, **options)
    return side(block(rows, late_ms=late), name=name)


def test_an_open_loop_whose_requests_leave_when_due_applies_its_rate(block, side):
    sides = [offered(block, side, 50), offered(block, side, 50, name="right")]
    gate = load.judge(planned(Constant(rate_rps=50)), sides)
    assert gate.status is PASS
    assert "left: 50 of 50 due requests sent (100 %), 50 a second of 50 intended" in gate.detail
    assert "at 100 % of the pace at which they were due; 1.49 at a time, at most 2" in gate.detail


def test_an_open_loop_that_falls_behind_did_not_reach_its_rate(block, side):
    """Each second of the plan takes a second and a quarter to send."""
    behind = offered(block, side, 50, name="right", late_ms=lambda at_ms: 0.25 * at_ms)
    gate = load.judge(planned(Constant(rate_rps=50)), [offered(block, side, 50), behind])
    assert gate.status is FAIL
    assert gate.detail.startswith("The rate was not reached")
    assert "right: 50 of 50 due requests sent (100 %), 50 a second of 50 intended, at 80 %" in (
        gate.detail
    )


def test_requests_that_were_due_and_never_sent_fail_the_load(block, side):
    sides = [offered(block, side, 200), offered(block, side, 200, name="right")]
    workload = planned(Constant(rate_rps=200))
    assert load.judge(workload, sides, {"right": 2}).status is PASS
    gate = load.judge(workload, sides, {"right": 3})
    assert gate.status is FAIL
    assert "right: 200 of 203 due requests sent (99 %)" in gate.detail


def test_a_rate_that_was_low_by_chance_is_not_held_against_a_poisson_load(block, side):
    """25 expected in a second, 12 to 14 come by chance in one of a hundred; 5 never."""
    few, none = (offered(block, side, rate) for rate in (14, 5))
    workload = planned(Poisson(rate_rps=25))
    assert load.judge(workload, [few, few]).status is PASS
    assert load.judge(workload, [none, none]).status is FAIL


def test_bursts_are_judged_by_what_was_due_and_not_by_their_mean(block, side):
    quiet = offered(block, side, 5)
    bursts = Bursts(rate_rps=5, burst_rps=100, every_s=60, lasts_s=10)
    gate = load.judge(planned(bursts), [quiet, quiet])
    assert gate.status is PASS
    assert "intended" not in gate.detail


def test_an_open_loop_without_overlap_passes_and_says_what_it_does_not_tell(block, side):
    alone = offered(block, side, 10)
    gate = load.judge(planned(Constant(rate_rps=10)), [alone, alone])
    assert gate.status is PASS
    assert "at most 1" in gate.detail
    assert "how long one takes by itself" in gate.detail


def test_cold_requests_come_one_at_a_time_as_they_should(counted):
    sides = [counted(12, cold=12), counted(12, cold=12, name="right")]
    gate = load.judge(planned(ClosedLoop(users=1), cold=True), sides)
    assert gate.status is PASS
    assert "left: 12 requests, one at a time" in gate.detail
