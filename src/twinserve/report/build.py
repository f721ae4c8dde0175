"""Build the report of one run: ``report.html`` and ``figures/``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinserve.analysis.comparison import Comparison
from twinserve.analysis.minutes import minute_rows
from twinserve.records.events import read_events
from twinserve.records.lines import replace_file
from twinserve.records.logs import is_logs, read_logs
from twinserve.records.manifest import read_manifest
from twinserve.records.resources import readings_if_any
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples
from twinserve.report.breaking_even import BreakEven, break_even, break_even_svgs
from twinserve.report.causes import stages_chart
from twinserve.report.charts import chart, png, svg
from twinserve.report.html import format_page
from twinserve.report.logs import log_figures, setting_of_logs
from twinserve.report.measures import FIGURES
from twinserve.report.minutes import minute_cells
from twinserve.report.series import FigureData, figure_data
from twinserve.report.setting import Setting, setting_of
from twinserve.report.starts import start_rows

if TYPE_CHECKING:
    from twinserve.analysis.sweep import Sweep


def write_report(run: RunDirectory, comparison: Comparison, swept: Sweep | None = None) -> Path:
    """Write ``report.html`` and ``figures/*.svg`` and ``*.png``; return the report's path.

    ``swept`` are both sides simulated over the rate, for the figure of the break-even.

    Made from the run's files alone: the same run and comparison give the same bytes, on one machine
    and one set of versions. A run that was cut off is reported up to its last finished block.

    Raises:
        RecordError: the manifest or the samples cannot be read.
    """
    if is_logs(run.manifest):
        return _write_log_report(run, comparison)
    svgs = break_even_svgs(swept) if swept else {}
    manifest = read_manifest(run.manifest)
    samples, resources = read_samples(run.samples), readings_if_any(run.resources)
    figures = {
        measure.stem: figure_data(measure, manifest, samples, resources) for measure in FIGURES
    }
    setting = setting_of(
        manifest,
        comparison,
        start_rows(read_events(run.events)),
        minute_cells(minute_rows(manifest, samples)),
    )
    return _write(run, setting, comparison, figures, svgs, break_even(swept) if swept else None)


def _write_log_report(run: RunDirectory, comparison: Comparison) -> Path:
    manifest = read_logs(run.manifest)
    figures = log_figures(manifest, read_samples(run.samples))
    return _write(run, setting_of_logs(manifest, comparison), comparison, figures)


def _write(
    run: RunDirectory,
    setting: Setting,
    comparison: Comparison,
    figures: dict[str, FigureData],
    others: dict[str, str] | None = None,
    crossing: BreakEven | None = None,
) -> Path:
    svgs = {stem: svg(chart(data, setting.labels)) for stem, data in figures.items()}
    stages = stages_chart(comparison.causes) if comparison.causes else None
    svgs |= {"stages": svg(stages)} if stages else {}
    svgs |= others or {}
    _write_figures(run.figures, svgs)
    replace_file(run.report, format_page(setting, comparison, figures, svgs, crossing).encode())
    return run.report


def _write_figures(folder: Path, svgs: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, text in svgs.items():
        replace_file(folder / f"{stem}.svg", text.encode())
        replace_file(folder / f"{stem}.png", png(text))
