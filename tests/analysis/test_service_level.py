"""APDEX as JMeter counts it, and what is answered in time."""

import json
import re
import subprocess

import numpy as np
import polars as pl
import pytest

from twinserve.analysis.service_level import Served, apdex, goodput, share_within
from twinserve.records.samples import read_samples


def served(seed, blocks=10, rows=100, level=0.0, failed=0):
    rng = np.random.default_rng(seed)
    return [
        Served(rng.lognormal(6 + level * rng.normal(), 0.5, rows), failed, 10.0)
        for _ in range(blocks)
    ]


def test_apdex_counts_satisfied_whole_tolerating_half_and_failed_not_at_all():
    block = Served(np.array([100.0, 500.0, 501.0, 1500.0, 1501.0]), failed=3, seconds=1.0)
    assert apdex([block]).estimate == pytest.approx((2 + 2 / 2) / 8)


def test_apdex_takes_other_thresholds():
    block = Served(np.array([10.0, 30.0, 90.0]), failed=0, seconds=1.0)
    assert apdex([block], 20, 80).estimate == pytest.approx(0.5)


def test_goodput_is_answers_within_the_limit_over_the_time_of_the_blocks():
    blocks = [Served(np.array([900.0, 1000.0, 1100.0]), 1, 2.0), Served(np.array([1.0]), 0, 6.0)]
    assert goodput(blocks, 1000.0).estimate == pytest.approx(3 / 8)
    assert share_within(blocks, 1000.0).estimate == pytest.approx(3 / 5)


def test_blocks_that_differ_widen_both():
    for level in (apdex, goodput):
        alike, apart = level(served(1)), level(served(1, level=0.5))
        assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_limits_of_an_apdex_never_leave_zero_to_one():
    perfect = [Served(np.full(100, 5.0), 0, 1.0)] * 8
    assert apdex(perfect).estimate == apdex(perfect).high == 1
    assert 0.99 < apdex(perfect).low < 1
    hopeless = [Served(np.empty(0), 100, 1.0)] * 8
    assert apdex(hopeless).estimate == apdex(hopeless).low == 0
    assert 0 < apdex(hopeless).high < 0.01


def test_without_requests_or_time_there_is_none():
    assert apdex([]) is None
    assert apdex([Served(np.empty(0), 0, 1.0)]) is None
    assert goodput([Served(np.ones(3), 0, 0.0)]) is None


def test_no_answer_in_time_is_a_goodput_of_zero_without_limits():
    found = goodput([Served(np.full(9, 5000.0), 0, 1.0)] * 8)
    assert (found.estimate, found.low, found.high) == (0.0, None, None)


def test_one_block_has_no_limits():
    assert apdex(served(2, blocks=1)).low is None
    assert goodput(served(2, blocks=1)).low is None


def test_jmeters_own_report_has_the_same_apdex(jmeter, make_run, runs, tmp_path):
    shapes = (runs.Shape(median_ms=800, sigma=0.8, error_share=0.1), runs.Shape(400, sigma=1.0))
    run = make_run(blocks=2, rows=100, shapes=shapes)
    words = ("-g", str(run.samples), "-o", str(tmp_path / "dashboard"), "-j", str(tmp_path / "log"))
    subprocess.run([*jmeter.command, *words], check=True, capture_output=True, cwd=tmp_path)
    script = (tmp_path / "dashboard" / "content" / "js" / "dashboard.js").read_text()
    table = re.search(r'\$\("#apdexTable"\), (\{.*?\}), function', script)
    shown = {row["data"][3]: row["data"][0] for row in json.loads(table[1])["items"]}
    rows = read_samples(run.samples)
    for name in ("container", "function"):
        own = rows.filter(pl.col("side") == name)
        answered = own.filter(pl.col("success"))["elapsed"].to_numpy()
        side = [Served(answered, own.height - answered.size, 1.0)]
        assert 0.3 < shown[f"{name} generate"] < 0.9
        assert apdex(side).estimate == pytest.approx(shown[f"{name} generate"])
