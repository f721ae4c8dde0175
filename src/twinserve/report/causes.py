"""Why the sides differ, for the page: where the time goes, and what made the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import polars as pl

from twinserve.analysis.causes.values import Cause, Causes, Finding, Stage, Stages
from twinserve.analysis.comparison import Comparison
from twinserve.report.charts import GRID, INK, PAPER
from twinserve.report.numbers import (
    UNDETERMINED,
    format_interval,
    format_list,
    format_number,
    format_quantity,
    format_share,
    format_signed,
)
from twinserve.report.tables import DifferenceCell

# Told apart with any colour vision, on white and on dark paper, and none of them a side's.
COLOURS = {
    "late": "#94a3b8",
    "connect": "#5f7fbf",
    "queue": "#d9578a",
    "cold": "#4cb3e6",
    "turn": "#a678d8",
    "inference": "#8a9a3b",
    "encode": "#d8b23a",
    "service": "#9c7257",
    "process": "#8a9a3b",
    "rest": "#a9b4c3",
}
WIDTH, BAR, STEP = 720, 30, 46
LEAST_MS = 0.0005
TITLE = "Mean elapsed time of a request, taken apart, in ms"


@dataclass(frozen=True)
class StageRow:
    """One stage: its mean by series, the difference with its interval, its share of that."""

    title: str
    name: str
    colour: str
    means: tuple[str, ...]
    difference: DifferenceCell
    share: str


@dataclass(frozen=True)
class CauseLine:
    name: str
    sentence: str


@dataclass(frozen=True)
class Why:
    """What the page's section shows; ``series`` head the columns of the rows."""

    series: tuple[str, ...]
    rows: tuple[StageRow, ...]
    whole: StageRow | None
    untold: str
    alternative: str
    named: tuple[CauseLine, ...]
    others: tuple[CauseLine, ...]  # looked for and not there
    unknown: tuple[CauseLine, ...]
    advice: str


def why_section(comparison: Comparison) -> Why | None:
    """The section of a comparison that has causes; those of older files and of logs have none."""
    causes = comparison.causes
    if causes is None:
        return None
    stages = causes.stages
    return Why(
        series=tuple(stages.whole.means) if stages else (),
        rows=tuple(_row(stage) for stage in _shown(stages)) if stages else (),
        whole=_row(stages.whole) if stages else None,
        untold=causes.untold,
        alternative=_alternative(causes),
        named=_lines(causes.found(Finding.NAMED)),
        others=_lines(causes.found(Finding.ABSENT)),
        unknown=_lines(causes.found(Finding.UNKNOWN)),
        advice=causes.advice,
    )


def stages_chart(causes: Causes) -> alt.Chart | None:
    """A bar a series, made of its stages; None where the run does not tell them."""
    stages = causes.stages
    if stages is None:
        return None
    series, shown = list(stages.whole.means), _shown(stages)
    titles = [stage.title for stage in shown]
    rows = [
        {
            "series": name,
            "stage": stage.title,
            "order": place,
            "ms": float(f"{max(ms, 0.0):.5g}"),
        }
        for place, stage in enumerate(shown)
        for name, ms in stage.means.items()
    ]
    colours = [COLOURS[stage.name] for stage in shown]
    bars: alt.Chart = (
        alt.Chart(pl.DataFrame(rows))
        .mark_bar(height=BAR)
        .encode(
            x=alt.X(
                "sum(ms):Q", stack="zero", title="ms", axis=alt.Axis(tickCount=8, domain=False)
            ),
            y=alt.Y("series:N", sort=series, title=None, axis=alt.Axis(ticks=False, domain=False,
                    labelLimit=230, labelFontSize=12)),
            color=alt.Color("stage:N", sort=titles,
                            scale=alt.Scale(domain=titles, range=colours)),
            order=alt.Order("order:Q"),
        )
        .properties(width=WIDTH, height=STEP * len(series), title=TITLE)
        .configure(background=PAPER, font="Helvetica, Arial, sans-serif",
                   padding={"left": 24, "top": 8, "right": 8, "bottom": 4})
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK, titleColor=INK, gridColor=GRID, domainColor=GRID, tickColor=GRID,
            labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelPadding=5,
        )
        .configure_title(color=INK, fontSize=12, fontWeight=600, anchor="start", offset=8)
        .configure_legend(
            labelColor=INK, labelFontSize=11, title=None, orient="top", columns=4, columnPadding=46,
            symbolType="square", symbolSize=90, symbolStrokeWidth=0, labelLimit=200,
        )
        .configure_mark(aria=False)
    )  # fmt: skip
    return bars


def _shown(stages: Stages) -> list[Stage]:
    """Without those that took no time anywhere."""
    return [stage for stage in stages.stages if any(stage.means.values())]


def _ms(value: float) -> str:
    return format_number(value) if abs(value) >= LEAST_MS else "0"


def _row(stage: Stage) -> StageRow:
    return StageRow(
        title=stage.title,
        name=stage.name,
        colour=COLOURS.get(stage.name, ""),
        means=tuple(_ms(ms) for ms in stage.means.values()),
        difference=DifferenceCell(
            format_signed(stage.difference.estimate),
            format_interval(stage.difference, signed=True),
        ),
        share=_share(stage),
    )


def _share(stage: Stage) -> str:
    if stage.share is None:
        return UNDETERMINED
    percent = 100 * stage.share
    return f"{format_number(percent) if abs(percent) >= 1 else '0'}\N{NO-BREAK SPACE}%"


def _lines(causes: Sequence[Cause]) -> tuple[CauseLine, ...]:
    return tuple(CauseLine(cause.name, cause.sentence) for cause in causes)


def _alternative(causes: Causes) -> str:
    """What the bars show, for those who do not see them."""
    stages = causes.stages
    if stages is None:
        return ""
    told = []
    for name, whole in stages.whole.means.items():
        large = sorted(stages.stages, key=lambda stage, name=name: -stage.means[name])[:3]  # type: ignore[misc]
        parts = format_list(
            [f"{format_share(s.means[name], whole)} {s.title}" for s in large if s.means[name] > 0]
        )
        told.append(f"{name} {format_quantity(whole, 'ms')}, most of it {parts}")
    return f"{TITLE}: {'; '.join(told)}."
