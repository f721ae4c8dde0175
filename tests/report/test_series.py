from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from twinserve.records.manifest import read_manifest
from twinserve.records.resources import ResourceRow, ResourceWriter, read_resources
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples
from twinserve.report.measures import CPU, ELAPSED, MEMORY
from twinserve.report.series import (
    HIGHEST_KEPT,
    MOST_POINTS,
    figure_data,
    resource_rows,
    robust_top,
    thin,
)

MakeRun = Callable[..., RunDirectory]


def rows(values: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"at_s": [float(n) for n in range(len(values))], "value": values})


def test_few_rows_are_all_drawn() -> None:
    few = rows([1.0] * MOST_POINTS)
    assert thin(few).height == MOST_POINTS


def test_many_rows_are_thinned_but_keep_their_highest() -> None:
    values = [float(n % 97) for n in range(20_000)]
    values[777] = values[15_001] = 5_000.0
    thinned = thin(rows(values))
    assert thinned.height <= MOST_POINTS + HIGHEST_KEPT
    assert thinned.filter(pl.col("value") == 5_000.0).height == 2
    assert thinned["at_s"].is_sorted()


def test_one_outlier_does_not_set_the_range() -> None:
    bulk = [90.0 + n % 20 for n in range(500)]
    assert robust_top([rows([*bulk, 9_000.0]), rows(bulk)]) < 160


def test_the_slower_side_sets_the_range() -> None:
    assert robust_top([rows([10.0] * 50), rows([900.0 + n for n in range(50)])]) > 949


@pytest.mark.parametrize("sides", [[], [[]], [[0.0, 0.0]]])
def test_a_range_is_above_zero_without_values(sides: list[list[float]]) -> None:
    assert robust_top([rows(values) for values in sides]) > 0


def test_a_figure_agrees_with_the_rows_of_the_blocks(make_run: MakeRun) -> None:
    run = make_run(blocks=3, rows=50)
    manifest, samples = read_manifest(run.manifest), read_samples(run.samples)
    data = figure_data(ELAPSED, manifest, samples, read_resources(run.resources))
    measured = samples.filter(pl.col("phase") == "block")
    assert len(data.bands) == 6
    for series, box in zip(data.series, data.boxes, strict=True):
        own = measured.filter(pl.col("side") == series.side)
        assert series.total == own.height
        assert box.p50 == pytest.approx(own["elapsed_ms"].median())
    for band, block in zip(data.bands, manifest.blocks, strict=True):
        own = measured.filter(pl.col("block") == block.index)
        assert band.median == pytest.approx(own["elapsed_ms"].median())
    assert data.bands[0].start_s == 0


def test_the_block_that_was_cut_off_is_not_drawn(make_run: MakeRun) -> None:
    run = make_run(blocks=3, rows=50, finished_blocks=2)
    manifest, samples = read_manifest(run.manifest), read_samples(run.samples)
    data = figure_data(ELAPSED, manifest, samples, read_resources(run.resources))
    finished = samples.filter(pl.col("block").is_in([0, 1]))
    assert sum(series.total for series in data.series) == finished.height


def test_instances_of_a_side_are_added_up_in_each_second(make_run: MakeRun) -> None:
    run = make_run(blocks=1, rows=100, resources=False)
    manifest = read_manifest(run.manifest)
    block = manifest.blocks[0]
    at_ms = manifest.started_epoch_ms + (block.start_us + 1_200_000) // 1000
    with ResourceWriter(run.resources) as writer:
        for instance, shift_ms in (("a", 0.0), ("b", 0.4)):
            writer.add(ResourceRow(at_ms + shift_ms, block.side, instance, 40.0, 100.0, 1))
    found = resource_rows(MEMORY, manifest, read_resources(run.resources))
    assert found["value"].to_list() == [200.0]
    assert found["block"].to_list() == [block.index]


def test_a_cpu_reading_of_the_second_before_the_block_is_not_the_blocks(make_run: MakeRun) -> None:
    run = make_run(blocks=1, rows=100, resources=False)
    manifest = read_manifest(run.manifest)
    block = manifest.blocks[0]
    at_ms = manifest.started_epoch_ms + (block.start_us + 400_000) / 1000
    with ResourceWriter(run.resources) as writer:
        writer.add(ResourceRow(at_ms, block.side, "a", 40.0, 100.0, 1))
    readings = read_resources(run.resources)
    assert resource_rows(CPU, manifest, readings)["block"].to_list() == [None]
    assert resource_rows(MEMORY, manifest, readings)["block"].to_list() == [block.index]
