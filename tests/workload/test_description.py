"""Workloads as values."""

import msgspec
import pytest

from twinserve.workload import Ask, Bursts, ClosedLoop, Constant, Day, Poisson, Trace, Workload
from twinserve.workload.words import load_words

KINDS = [
    (ClosedLoop(users=3, think_s=1.0), None, "3 users in a closed loop with 1 s of think time"),
    (ClosedLoop(users=1, ramp_s=2.0), None, "1 user in a closed loop, started over 2 s"),
    (Constant(rate_rps=1), 1, "1 request a second, evenly spaced (an open loop)"),
    (Poisson(rate_rps=5), 5, "5 requests a second, Poisson (an open loop)"),
    (
        Bursts(rate_rps=2, burst_rps=12, every_s=10, lasts_s=2),
        4,
        "2 requests a second and bursts of 12 a second for 2 s in each 10 s (an open loop)",
    ),
    (Trace(file="t.txt", times_s=(1.0, 4.0)), 0.5, "2 requests at the times of t.txt (an open"),
    (Day(rate_rps=3, day_s=60), 3, "a day of 60 s at 3 requests a second on average (an open"),
]


def workload(arrivals, **changes):
    return Workload(
        profile="p", arrivals=arrivals, blocks=1, block_s=1.0, warmup_s=0.0, seed=0, **changes
    )


@pytest.mark.parametrize(("arrivals", "rate_rps", "words"), KINDS)
def test_each_kind_has_a_rate_words_and_comes_back_from_json(arrivals, rate_rps, words) -> None:
    described = workload(arrivals)
    assert described.rate_rps == rate_rps
    assert described.is_open == (rate_rps is not None)
    assert described.users == (arrivals.users if rate_rps is None else 0)
    assert load_words(described).startswith(words)
    assert load_words(described).endswith(", 1 image a request")
    assert msgspec.json.decode(msgspec.json.encode(described), type=Workload) == described


def test_a_mix_has_a_mean_and_words() -> None:
    mix = (Ask(weight=3), Ask(images=5, format="jpeg"), Ask(samples="own.jsonl", bodies=("{}",)))
    described = workload(ClosedLoop(users=1), mix=mix, cold=True)
    assert described.images == (3 * 1 + 5 + 1) / 5
    assert load_words(described) == (
        "1 user in a closed loop, each to a cold deployment, a mix of 60 % 1 image, "
        "20 % 5 images as JPEG, 20 % a line of own.jsonl"
    )


def test_an_unknown_field_is_refused() -> None:
    data = msgspec.json.encode(workload(Poisson(rate_rps=1))).replace(b'"rate_rps"', b'"rate"')
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(data, type=Workload)
