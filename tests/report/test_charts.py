"""Charts of readings that begin long before the first block."""

from __future__ import annotations

from collections.abc import Callable

from twinserve.records.manifest import read_manifest
from twinserve.records.resources import read_resources
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples
from twinserve.report.charts import chart
from twinserve.report.measures import FIGURES
from twinserve.report.series import figure_data


def test_two_minutes_without_a_block_are_drawn(make_run: Callable[..., RunDirectory]) -> None:
    run = make_run(blocks=4, rows=400, users=1)
    manifest, samples = read_manifest(run.manifest), read_samples(run.samples)
    first, second = manifest.sides
    begin = next(block for block in manifest.blocks if block.side == second)
    end = next(block for block in reversed(manifest.blocks) if block.side == first)
    manifest.blocks = [begin, end]  # all readings of the first side but the last are outside
    readings = read_resources(run.resources)
    for measure in FIGURES:
        if measure.is_resource:
            data = figure_data(measure, manifest, samples, readings)
            assert "mark" in chart(data, {side: side for side in manifest.sides}).to_json()
