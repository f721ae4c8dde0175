"""What protects the bill: a count, a rate, and a look at the plan before anything is sent."""

import pytest

from twinserve.errors import UsageError
from twinserve.load.limits import Budget, LimitReached, check_within, planned_requests
from twinserve.records.manifest import Limits
from twinserve.workload import Bursts, ClosedLoop, Poisson, Workload


def workload(arrivals, **changes):
    return Workload(
        **{"profile": "p", "arrivals": arrivals, "blocks": 10, "block_s": 4.0, "warmup_s": 2.0}
        | {"seed": 0}
        | changes
    )


def test_the_last_request_that_is_allowed_is_sent_and_the_next_one_is_not():
    budget = Budget(Limits(3, 1000.0))
    for _ in range(3):
        budget.wait_s(0.0)
    with pytest.raises(LimitReached, match="limit of 3 requests"):
        budget.wait_s(0.0)


def test_requests_wait_until_the_rate_allows_them_and_are_counted():
    budget = Budget(Limits(10_000, 20.0))
    now_s, sent_s = 0.0, []
    for _ in range(200):  # as fast as it goes
        now_s += budget.wait_s(now_s)
        sent_s.append(now_s)
    for first in range(0, 200, 7):
        window = [at for at in sent_s if sent_s[first] <= at < sent_s[first] + 5]
        assert len(window) <= 5 * 20 + 20  # a second's worth may come at once
    assert sent_s[-1] == pytest.approx(200 / 20 - 1, abs=0.1)
    assert budget.limits.held_back == pytest.approx(180, abs=1)


def test_a_rate_below_the_limit_is_never_held_back():
    budget = Budget(Limits(1000, 20.0))
    assert [budget.wait_s(number / 19) for number in range(300)] == [0.0] * 300
    assert budget.limits.held_back == 0


def test_a_slow_limit_still_sends_the_first_request_at_once():
    budget = Budget(Limits(10, 0.5))
    assert budget.wait_s(100.0) == 0.0
    assert budget.wait_s(100.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("arrivals", "changes", "why"),
    [
        (Poisson(rate_rps=60.0), {}, "60 requests a second, the limit is 50"),
        (Poisson(rate_rps=30.0), {"concurrent": True}, "60 requests a second"),
        (
            Bursts(rate_rps=1.0, burst_rps=80.0, every_s=5.0, lasts_s=1.0),
            {},
            "80 requests a second",
        ),
        (Poisson(rate_rps=45.0), {"blocks": 30}, "about 10,988 requests in all, the limit is"),
    ],
)
def test_a_plan_that_goes_beyond_the_limits_is_refused_before_it_begins(arrivals, changes, why):
    with pytest.raises(UsageError, match=why):
        check_within(Limits(5000, 50.0), workload(arrivals, **changes))


def test_a_closed_loop_is_not_known_before():
    users = workload(ClosedLoop(users=500))
    assert planned_requests(users) == 0
    check_within(Limits(1, 0.1), users)
