"""Build the report of one run: ``report.html`` and ``figures/``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twinserve.analysis.comparison import Comparison, read_comparison
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
    from twinserve.analysis.simulation.sweep import Sweep


def write_report(
    run: RunDirectory,
    comparison: Comparison,
    swept: Sweep | None = None,
    beside: RunDirectory | None = None,
) -> Path:
    """Write ``report.html`` and ``figures/*.svg`` and ``*.png``; return the report's path.

    ``swept`` are both sides simulated over the rate, for the figure of the break-even; ``beside``
    is another run, analysed before, whose numbers are shown beside this one's.

    Made from the run's files alone: the same run and comparison give the same bytes, on one machine
    and one set of versions. A run that was cut off is reported up to its last finished block.

    Raises:
        RecordError: the manifest or the samples cannot be read.
    """
    other = _analysed(beside) if beside else None
    if is_logs(run.manifest):
        figures = log_figures(read_logs(run.manifest), read_samples(run.samples))
        return _write(run, comparison, figures, beside=other)
    svgs = break_even_svgs(swept) if swept else {}
    crossing = break_even(swept) if swept else None
    return _write(run, comparison, _run_figures(run), svgs, crossing, other)


def _analysed(run: RunDirectory) -> tuple[Setting, Comparison]:
    """A run as its analysis left it."""
    comparison = read_comparison(run.comparison)
    return _setting(run, comparison), comparison


def _setting(run: RunDirectory, comparison: Comparison) -> Setting:
    """What the page says around a run's numbers."""
    if is_logs(run.manifest):
        return setting_of_logs(read_logs(run.manifest), comparison)
    manifest = read_manifest(run.manifest)
    return setting_of(
        manifest,
        comparison,
        start_rows(read_events(run.events)),
        minute_cells(minute_rows(manifest, read_samples(run.samples))),
    )


def _run_figures(run: RunDirectory) -> dict[str, FigureData]:
    manifest = read_manifest(run.manifest)
    samples, resources = read_samples(run.samples), readings_if_any(run.resources)
    return {measure.stem: figure_data(measure, manifest, samples, resources) for measure in FIGURES}


def _write(
    run: RunDirectory,
    comparison: Comparison,
    figures: dict[str, FigureData],
    others: dict[str, str] | None = None,
    crossing: BreakEven | None = None,
    beside: tuple[Setting, Comparison] | None = None,
) -> Path:
    setting = _setting(run, comparison)
    svgs = {stem: svg(chart(data, setting.labels)) for stem, data in figures.items()}
    stages = stages_chart(comparison.causes) if comparison.causes else None
    svgs |= {"stages": svg(stages)} if stages else {}
    svgs |= others or {}
    _write_figures(run.figures, svgs)
    page = format_page(setting, comparison, figures, svgs, crossing, beside)
    replace_file(run.report, page.encode())
    return run.report


def _write_figures(folder: Path, svgs: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, text in svgs.items():
        replace_file(folder / f"{stem}.svg", text.encode())
        replace_file(folder / f"{stem}.png", png(text))
