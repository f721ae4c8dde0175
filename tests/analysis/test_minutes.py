"""One record a minute, counted by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from twinserve.analysis.minutes import minute_rows
from twinserve.records.manifest import read_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples


def test_minutes_are_those_of_a_sides_own_load(make_run: Callable[..., RunDirectory]) -> None:
    run = make_run(blocks=8, rows=200, users=1)
    manifest, samples = read_manifest(run.manifest), read_samples(run.samples)
    block_s = manifest.workload.block_s
    assert 2 < 8 * block_s / 60 < 4
    rows = minute_rows(manifest, samples)
    for side in manifest.sides:
        own = [row for row in rows if row.side == side]
        assert [row.minute for row in own] == list(range(1, len(own) + 1))
        blocks = [block for block in manifest.blocks if block.side == side]
        at_s, ms = [], []
        for place, block in enumerate(blocks):
            mine = samples.filter((pl.col("block") == block.index) & (pl.col("phase") == "block"))
            at_s += (place * block_s + (mine["due_us"] - block.start_us) / 1e6).to_list()
            ms += mine["elapsed_ms"].to_list()
        minute = (np.array(at_s) // 60).astype(int)
        for row in own:
            times = np.array(ms)[minute == row.minute - 1]
            assert (row.requests, row.errors) == (times.size, 0)
            assert np.isclose(row.mean_ms, times.mean())
            assert np.isclose(row.p95_ms, np.percentile(times, 95))


def test_failed_requests_are_counted_and_not_timed(
    make_run: Callable[..., RunDirectory], runs
) -> None:
    shape = runs.Shape(median_ms=100.0, error_share=1.0)
    run = make_run(blocks=8, rows=200, users=1, shapes=(shape, runs.Shape()))
    rows = minute_rows(read_manifest(run.manifest), read_samples(run.samples))
    failed = [row for row in rows if row.side == "container"]
    assert failed
    assert all(row.errors == row.requests and row.p50_ms is None for row in failed)


def test_a_short_run_has_none(make_run: Callable[..., RunDirectory]) -> None:
    run = make_run(blocks=2, rows=20)
    assert minute_rows(read_manifest(run.manifest), read_samples(run.samples)) == []
