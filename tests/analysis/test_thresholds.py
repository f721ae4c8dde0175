"""Thresholds as a CI job writes them, on comparisons whose values are known."""

import pytest

from twinserve.analysis.comparison import (
    Apdex,
    Comparison,
    Estimate,
    Gate,
    GateStatus,
    Goodput,
    SideSummary,
    Strength,
    Summary,
    Verdict,
)
from twinserve.analysis.thresholds import Finding, check_sides, judge, parse_threshold
from twinserve.errors import UsageError

KEPT, CROSSED, UNTOLD = Finding.KEPT, Finding.CROSSED, Finding.UNTOLD
SIDES = ("container", "function")


def times(scale):
    """Percentiles of 100, 200, 250 and 300 ms and so on, times ``scale``."""
    return Summary(1000, 110 * scale, 40 * scale, 50 * scale, 100 * scale, 200 * scale,
                   250 * scale, 300 * scale, 400 * scale)  # fmt: skip


def exactly(value):
    return Estimate(value, None, None)


def summary(scale=1.0, errors=0, cold=2, told=True):
    found = times(scale) if told else None
    return SideSummary(
        requests=1000 if told else 0,
        errors=errors,
        cold_starts=cold,
        throughput_rps=20.5,
        elapsed_ms=found,
        latency_ms=found and times(0.9 * scale),
        connect_ms=None,
        process_ms=found,
        cpu_percent=found,
        memory_mib=found,
        apdex=Apdex(exactly(0.85), 500.0, 2000.0) if told else None,
        goodput=Goodput(exactly(18.0), exactly(0.88), 1000.0) if told else None,
    )


def comparison(container=None, function=None, choice="function", statuses=("pass", "unknown")):
    return Comparison(
        sides=SIDES,
        deployments={
            "container": container or summary(),
            "function": function or summary(scale=2.0, errors=12, cold=None),
        },
        differences={},
        gates=[Gate(f"gate{i}", GateStatus(status), "") for i, status in enumerate(statuses)],
        verdict=Verdict(choice, Strength.PROVISIONAL, "", "", [], "The sentence."),
    )


def judged(text, **options):
    (found,) = judge([parse_threshold(text)], comparison(**options))
    return found


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("container.p95>250ms", KEPT),
        ("container.p95>=250ms", CROSSED),
        ("container.p95>249.9ms", CROSSED),
        ("container.p95 > 0.24 s", CROSSED),
        ("container.p95>250000us", KEPT),
        ("function.p95<=500ms", CROSSED),
        ("p95>400ms", CROSSED),  # either side: the function has 500
        ("p95>500ms", KEPT),
        ("p50<150ms", CROSSED),
        ("container.elapsed.p50!=100ms", KEPT),
        ("container.latency.p95=225ms", CROSSED),
        ("container.latency.max>300ms", CROSSED),
        ("process.mean>219ms", CROSSED),
        ("std>80ms", KEPT),
        ("min<50ms", KEPT),
        ("errors>0", CROSSED),
        ("container.errors>0", KEPT),
        ("function.errors>=1.2%", CROSSED),
        ("errors>1.2 %", KEPT),
        ("throughput<20/s", KEPT),
        ("throughput<21 rps", CROSSED),
        ("container.cold_starts>1", CROSSED),
        ("requests<1000", KEPT),
        ("container.cpu>100%", CROSSED),  # the mean is 110
        ("container.cpu.p50>100%", KEPT),
        ("container.memory>399MiB", CROSSED),  # the maximum is 400
        ("container.memory.p95>0.5 GiB", KEPT),
        ("apdex<0.9", CROSSED),
        ("apdex<0.85", KEPT),
        ("goodput<90%", CROSSED),
        ("goodput<88 %", KEPT),
        ("goodput<19/s", CROSSED),
        ("verdict=function", CROSSED),
        ("verdict==undetermined", KEPT),
        ("verdict!=function", KEPT),
        ("verdict != container", CROSSED),
        ("gates=fail", KEPT),
        ("gates=unknown", CROSSED),
        ("gates!=pass", CROSSED),
    ],
)
def test_a_threshold_is_crossed_where_what_it_says_holds(text, finding):
    assert judged(text).finding is finding
    assert judged(text).fails is (finding is CROSSED)


def test_a_failed_gate_crosses_gates_fail():
    assert judged("gates=fail", statuses=("pass", "fail")).finding is CROSSED


@pytest.mark.parametrize(
    ("text", "finding", "sentence"),
    [
        ("function.p95>400ms", CROSSED, "p95 of elapsed time: function 500 ms."),
        ("p95>0.6s", KEPT, "p95 of elapsed time: container 0.25 s and function 0.5 s."),
        ("errors>1%", CROSSED, "Errors: container 0 % and function 1.2 %."),
        ("throughput<1/s", KEPT, "Throughput: container 20.5/s and function 20.5/s."),
        ("container.memory>1GiB", KEPT, "max of memory: container 0.391 GiB."),
        ("gates=fail", KEPT, "Gates: gate0 pass, gate1 unknown."),
        ("verdict=either", KEPT, "The verdict is function."),
    ],
)
def test_the_sentence_has_the_value_in_the_unit_of_the_threshold(text, finding, sentence):
    assert (judged(text).finding, judged(text).sentence) == (finding, sentence)


@pytest.mark.parametrize(
    "text",
    ["function.cold_starts>0", "connect.p95>1ms", "cold_starts>9", "container.connect.mean>9ms"],
)
def test_what_could_not_be_computed_fails_and_says_so(text):
    found = judged(text)
    assert found.finding is UNTOLD
    assert found.fails
    assert "could not be computed for" in found.sentence
    assert found.sentence.endswith("whether the threshold is kept is not known, and that fails.")


def test_a_side_without_requests_leaves_times_shares_and_rates_untold():
    empty = summary(told=False)
    for text in ("p95>1s", "apdex<1", "goodput<1%", "errors>1%", "throughput<1/s", "memory>1GiB"):
        assert judged(text, container=empty, function=empty).finding is UNTOLD
    assert judged("requests<1", container=empty).finding is CROSSED


def test_one_side_that_crosses_is_enough_though_the_other_one_is_untold():
    found = judged("cold_starts>1")
    assert found.finding is CROSSED
    assert found.sentence == "Cold starts: container 2."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write [side.]measure"),
        ("p95", "write [side.]measure"),
        ("p95>", "write [side.]measure"),
        (">5ms", "write [side.]measure"),
        ("p96>5ms", "'p96' ends in no measure; there are p50, p90, p95, p99, mean"),
        (
            "function.colour>5",
            "throughput, cold_starts, requests, apdex, goodput, verdict and gates",
        ),
        ("p95>800", "'800' is no such value; write 100ms, 100s or 100us"),
        ("p95>800 m", "write 100ms, 100s or 100us"),
        ("p95>fast", "'fast' is no such value"),
        ("p95>nan ms", "'nan ms' is no such value"),
        ("errors>5ms", "write a plain number or 100%"),
        ("memory>100MB", "write 100MiB or 100GiB"),
        ("throughput<5", "write 100/s or 100rps"),
        ("verdict>function", "verdict can only be compared by = and !="),
        ("gates=failed", "gates can be pass, fail or unknown"),
        ("function.verdict=either", "verdict is of the whole run: write 'verdict=either'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_allowed(text, says):
    with pytest.raises(UsageError) as refused:
        parse_threshold(text)
    assert says in str(refused.value)
    assert repr(text) in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("toaster.p95>1s", "no side 'toaster'; the sides are container and function"),
        ("verdict=toaster", "container, function, either, neither or undetermined"),
    ],
)
def test_a_side_that_does_not_exist_is_refused(text, says):
    for check in (
        lambda threshold: check_sides([threshold], SIDES),
        lambda threshold: judge([threshold], comparison()),
    ):
        with pytest.raises(UsageError, match=says.replace("?", "")):
            check(parse_threshold(text))


def test_a_side_may_have_any_name():
    for side in ("two-cpus", "cpu", "v1.2", "errors", "the old one"):
        assert parse_threshold(f"{side}.latency.p95>1s").side == side
        assert parse_threshold(f"{side}.errors>1").side == side
        check_sides([parse_threshold(f"verdict={side}")], ["other", side])
