"""What a comparison says of one measure, under the rules for undetermined."""

import msgspec
import numpy as np
import pytest

from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import read_comparison, write_comparison
from twinserve.analysis.pair import Pair
from twinserve.analysis.rows import BlockRows, SideRows
from twinserve.analysis.summary import candidate, side_summary

NOTHING = np.zeros(0, dtype=np.int64)


def side(seed, blocks=10, rows=150, level=100.0, failed=0, **more):
    rng = np.random.default_rng(seed)
    return SideRows("one", [_block(rng, n, rows, level, failed) for n in range(blocks)], 1, **more)


def _block(rng, index, rows, level, failed):
    times = level * rng.lognormal(rng.normal(0, 0.03), 0.25, rows)
    sent = np.arange(rows + failed, dtype=np.int64)
    start_us = index * 5_000_000
    measures = dict.fromkeys(("elapsed_ms", "latency_ms", "connect_ms", "process_ms"), times)
    none = dict.fromkeys(("cpu_percent", "memory_mib"), np.empty(0))
    return BlockRows(
        index, start_us, start_us + 4_000_000, sent, sent, sent, failed, 0, measures | none
    )


def difference(first, second, **more):
    return Pair(first, second, "elapsed_ms", **more).difference()


def test_ratios_are_of_medians_and_percentiles_first_over_second():
    found = difference(side(1, level=120.0), side(2))
    assert list(found.ratios) == ["p50", "p90", "p95", "p99"]
    for name in ("p50", "p90", "p95"):
        ratio = found.ratios[name]
        assert ratio.low < 1.2 < ratio.high
    assert found.ratios["p99"].low is None  # 1,500 rows, 5,000 are needed
    assert found.p99.low is None
    assert found.p90.low < found.p90.estimate < found.p90.high < 0


def test_every_difference_is_named_by_its_own_interval():
    assert difference(side(1, level=120.0), side(2)).findings == {
        "mean": "second",
        "p50": "second",
        "p95": "second",
    }
    alike = difference(side(1), side(2)).findings
    assert set(alike.values()) == {"equivalent"}
    few = difference(side(1, rows=40), side(2, rows=40)).findings
    assert few["p95"] == "undetermined"


@pytest.mark.parametrize("more", [{"blocks": 5}, {"untold": "it says nothing"}])
def test_what_the_rules_leave_undetermined_has_estimates_and_no_interval(more):
    blocks = more.pop("blocks", 10)
    found = difference(side(1, blocks=blocks, **more), side(2, blocks=blocks, **more))
    for each in (
        *(found.mean, found.p50, found.p90, found.p95, found.p99, found.ratio_of_means),
        *(found.effect_size, found.superiority, *found.ratios.values()),
    ):
        assert each.low is each.high is None
        assert np.isfinite(each.estimate)
    assert set(found.findings.values()) == {"undetermined"}


def test_a_side_by_itself_has_the_intervals_that_can_be_told():
    summary = side_summary(side(1)).elapsed_ms
    assert set(summary.intervals) == {"mean", "p50", "p90", "p95"}
    assert summary.intervals["p50"].estimate == pytest.approx(summary.p50)
    assert summary.intervals["mean"].low < summary.mean < summary.intervals["mean"].high
    assert side_summary(side(1, blocks=5)).elapsed_ms.intervals == {}


def test_a_side_has_its_apdex_and_goodput_with_failed_requests_counted():
    found = side_summary(side(1, level=800.0, failed=10))
    times = np.concatenate([block.measures["elapsed_ms"] for block in side(1, level=800.0).blocks])
    satisfied, tolerating = (times <= 500).sum(), ((times > 500) & (times <= 1500)).sum()
    assert found.apdex.score.estimate == pytest.approx((satisfied + tolerating / 2) / 1600)
    assert (found.apdex.satisfied_ms, found.apdex.tolerated_ms) == (500, 1500)
    assert found.goodput.rps.estimate == pytest.approx((times <= 1000).sum() / 40)
    assert found.goodput.share.estimate == pytest.approx((times <= 1000).sum() / 1600)
    assert found.goodput.rps.low < found.goodput.rps.estimate < found.goodput.rps.high
    few = side_summary(side(1, blocks=5))
    assert few.apdex.score.low is few.goodput.rps.low is few.goodput.share.low is None


def test_two_occasions_widen_everything():
    first, second = side(1, level=120.0), side(2)
    firm, widened = difference(first, second), difference(first, second, allowance=0.15)
    for name in ("mean", "p50", "p95", "ratio_of_means", "effect_size", "superiority"):
        narrow, wide = getattr(firm, name), getattr(widened, name)
        assert wide.estimate == narrow.estimate
        assert wide.low < narrow.low < narrow.high < wide.high
    assert set(widened.findings.values()) == {"inconclusive"}
    slow = side(3, level=800.0)
    narrow, wide = (side_summary(slow, allowance) for allowance in (0.0, 0.15))
    assert wide.apdex.score.low < narrow.apdex.score.low
    assert wide.goodput.rps.high > narrow.goodput.rps.high


def test_a_look_of_its_own_confidence_has_wider_intervals():
    first, second = side(1), side(2)
    usual, look = difference(first, second), difference(first, second, confidence=0.99)
    assert look.p50.high - look.p50.low > usual.p50.high - usual.p50.low
    one, other = candidate(first), candidate(first, confidence=0.99)
    assert other.p95.high > one.p95.high
    assert other.blocks == 10


def test_an_older_file_without_the_new_fields_is_still_read(make_run):
    run = make_run()
    comparison = compare_run(run)
    write_comparison(run.comparison, comparison)
    old = msgspec.json.decode(run.comparison.read_bytes())
    for summary in old["deployments"].values():
        del summary["apdex"], summary["goodput"], summary["elapsed_ms"]["intervals"]
    for found in old["differences"].values():
        for name in ("p90", "p99", "ratios", "findings", "effect_size", "superiority"):
            del found[name]
    del old["precision"]
    run.comparison.write_bytes(msgspec.json.encode(old))
    read = read_comparison(run.comparison)
    assert read.differences["elapsed_ms"].p95 == comparison.differences["elapsed_ms"].p95
    assert read.precision == {}
