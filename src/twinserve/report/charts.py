"""A figure's values as an Altair chart, and the chart as SVG and PNG."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl
import vl_convert

from twinserve.report.series import FigureData

FIRST_COLOUR = "#b45309"  # amber
SECOND_COLOUR = "#0f766e"  # teal: told apart from amber with any colour vision
INK = "#334155"
PAPER = "#ffffff"
GRID = "#e2e8f0"
WIDTH, BOX_WIDTH, HEIGHT = 690, 110, 250
MINUTES_FROM_S = 600
Layers = alt.LayerChart | alt.FacetChart


def chart(data: FigureData, labels: dict[str, str]) -> alt.HConcatChart:
    """Both sides over the time of the run, and beside it how the values of each side spread.

    ``labels`` names the sides for people. Nothing in it refers to a file or an address.
    """
    chosen = alt.Scale(domain=list(labels.values()), range=[FIRST_COLOUR, SECOND_COLOUR])
    title = f"{data.measure.title} in {data.measure.unit}, over the time of the run"
    figure: alt.HConcatChart = (
        alt.hconcat(
            _over_time(data, labels, chosen),
            _spread(data, labels, chosen),
            title=title,
            bounds="flush",
            spacing=18,
        )
        .resolve_scale(color="independent")
        .configure(background=PAPER, font="Helvetica, Arial, sans-serif", padding=8)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK, titleColor=INK, gridColor=GRID, domainColor=GRID, tickColor=GRID,
            labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelPadding=5,
        )
        .configure_title(color=INK, fontSize=12, fontWeight=600, anchor="start", offset=8)
        .configure_legend(
            labelColor=INK, labelFontSize=12, title=None, orient="top", offset=6, labelLimit=330,
            columnPadding=44, symbolType="circle", symbolSize=90, symbolOpacity=1,
            symbolStrokeWidth=0,
        )
        .configure_mark(aria=False)
    )  # fmt: skip
    return figure


def svg(figure: alt.TopLevelMixin) -> str:
    """The chart as SVG text; equal charts give equal text. No address may be loaded meanwhile."""
    return str(vl_convert.vegalite_to_svg(figure.to_dict(), allowed_base_urls=[]))


def png(svg_text: str, scale: float = 2) -> bytes:
    return bytes(vl_convert.svg_to_png(svg_text, scale=scale))


def _over_time(data: FigureData, labels: dict[str, str], colours: alt.Scale) -> Layers:
    layers = [_blocks(data, labels, colours)] if data.shaded else []
    if data.measure.is_resource:
        layers += [_line(data, labels, colours, loaded=loaded) for loaded in (False, True)]
    else:
        layers += [_dots(data, labels, colours), _medians(data, labels, colours)]
    if data.beyond:
        layers.append(_beyond(data, labels, colours))
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def _blocks(data: FigureData, labels: dict[str, str], colours: alt.Scale) -> alt.Chart:
    rows = [
        {"start": _t(band.start_s, data), "end": _t(band.end_s, data), "side": labels[band.side]}
        for band in data.bands
    ]
    marked: alt.Chart = (
        _chart(rows)
        .mark_rect(opacity=0.09)
        .encode(x=_time_axis("start", data), x2="end:Q", color=_colour(colours))
    )
    return marked


def _dots(data: FigureData, labels: dict[str, str], colours: alt.Scale) -> alt.Chart:
    marked: alt.Chart = (
        _chart(_points(data, labels, ~_above(data)))
        .mark_circle(size=9, opacity=0.5)
        .encode(x=_time_axis("at", data), y=_value_axis("value", data), color=_colour(colours))
    )
    return marked


def _line(data: FigureData, labels: dict[str, str], colours: alt.Scale, loaded: bool) -> alt.Chart:
    """The readings joined up: faint through the whole run, strong within the side's own blocks."""
    rows = _points(data, labels, pl.col("block").is_not_null() if loaded else pl.lit(True))
    strokes = {"strokeWidth": 2, "opacity": 1} if loaded else {"strokeWidth": 1, "opacity": 0.3}
    marked: alt.Chart = (
        _chart(rows)
        .mark_line(strokeCap="round", point={"size": 7} if loaded else False, **strokes)
        .encode(
            x=_time_axis("at", data),
            y=_value_axis("value", data),
            color=_colour(colours),
            detail="block:N" if loaded else alt.Undefined,
        )
    )
    return marked


def _beyond(data: FigureData, labels: dict[str, str], colours: alt.Scale) -> alt.Chart:
    """What lies above the range, as triangles at its upper edge."""
    marked: alt.Chart = (
        _chart(_points(data, labels, _above(data)))
        .mark_point(shape="triangle-up", size=28, filled=True, opacity=0.9)
        .encode(x=_time_axis("at", data), y=_value_axis("value", data), color=_colour(colours))
    )
    return marked


def _medians(data: FigureData, labels: dict[str, str], colours: alt.Scale) -> alt.Chart:
    rows = [
        {
            "start": _t(band.start_s, data),
            "end": _t(band.end_s, data),
            "value": _short(min(band.median, data.top)),
            "side": labels[band.side],
        }
        for band in data.bands
        if band.median is not None
    ]
    marked: alt.Chart = (
        _chart(rows)
        .mark_rule(strokeWidth=2.6, strokeCap="round")
        .encode(
            x=_time_axis("start", data),
            x2="end:Q",
            y=_value_axis("value", data),
            color=_colour(colours),
        )
    )
    return marked


def _spread(data: FigureData, labels: dict[str, str], colours: alt.Scale) -> Layers:
    rows = [
        {"side": labels[box.side]}
        | {p: _short(min(getattr(box, p), data.top)) for p in ("p5", "p25", "p50", "p75", "p95")}
        for box in data.boxes
    ]
    x = alt.X(
        "side:N",
        title="spread under load" if data.measure.is_resource else "spread of all requests",
        axis=alt.Axis(labels=False, ticks=False, titlePadding=25),
        scale=alt.Scale(domain=list(labels.values()), paddingInner=0.3),
    )
    colour = _colour(colours, legend=False)
    base = _chart(rows).encode(x=x, color=colour)
    whiskers = base.mark_rule(strokeWidth=1.4).encode(y=_value_axis("p5", data, False), y2="p95:Q")
    half = base.mark_bar(size=24, opacity=0.35).encode(
        y=_value_axis("p25", data, False), y2="p75:Q"
    )
    middle = base.mark_tick(thickness=3, size=24).encode(y=_value_axis("p50", data, False))
    return alt.layer(whiskers, half, middle).properties(width=BOX_WIDTH, height=HEIGHT)


def _points(data: FigureData, labels: dict[str, str], keep: pl.Expr) -> list[dict[str, Any]]:
    return [
        {
            "at": _t(at_s, data),
            "value": _short(min(value, data.top)),
            "side": labels[series.side],
            "block": block,
        }
        for series in data.series
        for at_s, value, block in series.points.filter(keep).iter_rows()
    ]


def _above(data: FigureData) -> pl.Expr:
    return pl.col("value") > data.top


def _chart(rows: list[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(pl.DataFrame(rows, infer_schema_length=None))


def _time_axis(field: str, data: FigureData) -> alt.X:
    unit = "min" if _in_minutes(data) else "s"
    end = max((band.end_s for band in data.bands), default=1.0)
    return alt.X(
        f"{field}:Q",
        title=f"{data.axis} ({unit})",
        scale=alt.Scale(domain=[0, _t(end, data)], nice=False),
        axis=alt.Axis(grid=False, tickCount=10),
    )


def _value_axis(field: str, data: FigureData, labelled: bool = True) -> alt.Y:
    axis = alt.Axis(tickCount=5, labels=labelled, ticks=False, domain=False)
    scale = alt.Scale(domain=[0, _short(data.top)], nice=False)
    return alt.Y(f"{field}:Q", title=None, scale=scale, axis=axis)


def _colour(scale: alt.Scale, legend: bool = True) -> alt.Color:
    shown = alt.Legend() if legend else None
    return alt.Color("side:N", scale=scale, legend=shown)


def _in_minutes(data: FigureData) -> bool:
    return max((band.end_s for band in data.bands), default=0) > MINUTES_FROM_S


def _t(at_s: float, data: FigureData) -> float:
    return round(at_s / 60, 4) if _in_minutes(data) else round(at_s, 3)


def _short(value: float) -> float:
    return float(f"{value:.5g}")
