"""Build the report of one run: ``report.html`` and ``figures/``."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from twinserve.analysis.comparison import Comparison
from twinserve.errors import RecordError
from twinserve.records.lines import replace_file
from twinserve.records.manifest import read_manifest
from twinserve.records.resources import read_resources
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples
from twinserve.report.charts import chart, png, svg
from twinserve.report.html import format_page
from twinserve.report.measures import FIGURES
from twinserve.report.place import side_label
from twinserve.report.series import figure_data


def write_report(run: RunDirectory, comparison: Comparison) -> Path:
    """Write ``report.html`` and ``figures/*.svg`` and ``*.png``; return the report's path.

    Made from the run's files alone: the same run and comparison give the same bytes, on one machine
    and one set of versions. A run that was cut off is reported up to its last finished block.

    Raises:
        RecordError: the manifest or the samples cannot be read.
    """
    manifest = read_manifest(run.manifest)
    samples, resources = read_samples(run.samples), _readings(run.resources)
    figures = {
        measure.stem: figure_data(measure, manifest, samples, resources) for measure in FIGURES
    }
    labels = {side: side_label(side, manifest) for side in comparison.sides}
    svgs = {stem: svg(chart(data, labels)) for stem, data in figures.items()}
    _write_figures(run.figures, svgs)
    replace_file(run.report, format_page(manifest, comparison, figures, svgs).encode())
    return run.report


def _readings(path: Path) -> pl.DataFrame:
    """The run's readings; no rows where a run was cut off before its first one."""
    try:
        return read_resources(path)
    except RecordError:
        numbers = ("at_ms", "cpu_percent", "memory_mib")
        return pl.DataFrame(
            schema={"side": pl.String, "instance": pl.String} | dict.fromkeys(numbers, pl.Float64)
        )


def _write_figures(folder: Path, svgs: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, text in svgs.items():
        replace_file(folder / f"{stem}.svg", text.encode())
        replace_file(folder / f"{stem}.png", png(text))
