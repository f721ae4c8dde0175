"""The page of a report: values in, one HTML text out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from twinserve.analysis.comparison import Comparison, GateStatus
from twinserve.report import beside, tables
from twinserve.report.breaking_even import BreakEven
from twinserve.report.causes import why_section
from twinserve.report.contrast import contrast_table
from twinserve.report.further import further_tables
from twinserve.report.measures import FIGURES
from twinserve.report.minutes import HEADINGS as MINUTE_HEADINGS
from twinserve.report.money import money_section
from twinserve.report.series import FigureData
from twinserve.report.setting import Setting
from twinserve.report.starts import HEADINGS
from twinserve.report.words import alternative_text, analysis, drawing_note

TEMPLATE = Path(__file__).with_name("template.html")
GATE_SIGNS = {GateStatus.PASS: "✓", GateStatus.FAIL: "✕", GateStatus.UNKNOWN: "?"}
GATE_MEANINGS = {
    "equality": "same answers from both sides",
    "load": "the load was really applied",
    "drift": "neither side changed over time",
    "saturation": "the load generator kept up",
    "host": "the machine kept up",
    "errors": "few requests failed",
    "cold": "few requests waited for a start",
}


@dataclass(frozen=True)
class Figure:
    """One figure as the page shows it; ``svg`` is markup of our own making."""

    stem: str
    title: str
    unit: str
    definition: str
    svg: str
    alternative: str
    omitted: str
    analysis: str


def format_page(
    setting: Setting,
    comparison: Comparison,
    figures: Mapping[str, FigureData],
    svgs: Mapping[str, str],
    crossing: BreakEven | None = None,
    other: tuple[Setting, Comparison] | None = None,
) -> str:
    """The whole ``report.html``; ``figures`` and ``svgs`` are by a measure's ``stem``; ``other``
    is a run to show beside this one.

    Equal values give equal text: no clock, no path, no address is in it.
    """
    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        setting=setting,
        comparison=comparison,
        verdict=comparison.verdict,
        labels=setting.labels,
        side_class=_side_classes(comparison),
        contrast=contrast_table(comparison),
        why=why_section(comparison),
        money=money_section(comparison),
        crossing=crossing,
        beside=other and beside.beside_section(setting, comparison, other),
        beside_columns=beside.COLUMNS,
        beside_note=beside.NOTE,
        svgs=svgs,
        gate_signs=GATE_SIGNS,
        gate_meanings=GATE_MEANINGS,
        counts=tables.count_rows(comparison),
        starts=setting.starts,
        start_headings=HEADINGS,
        minutes=setting.minutes,
        minute_headings=MINUTE_HEADINGS,
        groups=tables.measure_groups(comparison),
        statistics=tables.STATISTICS,
        differences=tables.DIFFERENCES,
        confidence=tables.confidence(comparison),
        further=further_tables(comparison),
        figures=_figures(comparison, figures, svgs),
    )


def _side_classes(comparison: Comparison) -> dict[str, str]:
    """The colour of each series, by a class of the page's style."""
    classes = {side: f"side-{n}" for n, side in enumerate(comparison.sides, start=1)}
    beside = comparison.contrast
    return classes | ({beside.name: "beside"} if beside else {})


def _figures(
    comparison: Comparison, figures: Mapping[str, FigureData], svgs: Mapping[str, str]
) -> list[Figure]:
    return [
        Figure(
            measure.stem,
            measure.title,
            measure.unit,
            measure.definition,
            svgs[measure.stem],
            alternative_text(measure, comparison),
            drawing_note(figures[measure.stem]),
            " ".join(analysis(measure, comparison, figures[measure.stem])),
        )
        for measure in FIGURES
        if measure.stem in figures
    ]
