"""Which workloads other load generators may send, and as what."""

import msgspec
import pytest

from twinserve.errors import UsageError
from twinserve.load.one_load import JMX, LOCUST, check_exportable, one_load
from twinserve.workload import Ask, ClosedLoop, Poisson
from twinserve.workload.profiles import profile

QUICK = profile("quick")


def changed(**changes):
    return one_load(msgspec.structs.replace(QUICK, **changes))


def test_one_load_is_as_long_as_all_blocks_of_a_side():
    load = changed(blocks=3, block_s=4.0, concurrent=True)
    assert (load.blocks, load.block_s, load.concurrent) == (1, 12.0, False)


@pytest.mark.parametrize("kind", [JMX, LOCUST])
def test_users_of_one_kind_of_request_go_by_either(kind):
    check_exportable(changed(arrivals=ClosedLoop(users=3, think_s=0.5)), kind)


def test_locust_takes_mixes_and_ramps():
    ramp = ClosedLoop(users=2, ramp_s=1.0)
    check_exportable(changed(arrivals=ramp, mix=(Ask(), Ask(images=2, format="png"))), LOCUST)


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        (LOCUST, {"arrivals": Poisson(rate_rps=2)}, "as locust: its requests are due whether"),
        (LOCUST, {"cold": True}, "as locust: it waits for deployments without an instance"),
        (LOCUST, {"repeats": 2}, "as locust: the services are started anew"),
        (JMX, {"repeats": 2}, "as jmx: the services are started anew"),
        (JMX, {"arrivals": Poisson(rate_rps=2)}, "as jmx: its requests are due whether"),
        (JMX, {"mix": (Ask(), Ask(images=2))}, "as jmx: it mixes several kinds of request"),
    ],
)
def test_what_a_tool_cannot_say_honestly_is_refused_with_the_way_out(kind, changes, said):
    with pytest.raises(UsageError, match=f"'quick' cannot be exported {said}") as refused:
        check_exportable(changed(**changes), kind)
    assert "let twinserve compare send it" in str(refused.value)
