"""A sweep as text and as a figure: money a month and p95 over the rate, the crossing marked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import altair as alt
import polars as pl

from twinserve.analysis.comparison import NEITHER
from twinserve.analysis.simulation.sweep import CORNERS, UNCLEAR, Point, Sweep
from twinserve.report.charts import FIRST_COLOUR, GRID, INK, PAPER, SECOND_COLOUR
from twinserve.report.cost import format_money, format_span

WIDTH, HEIGHT = 420, 260
RATE = "requests a second"


def headings(sweep: Sweep) -> tuple[str, ...]:
    first, second = sweep.sides
    return ("Requests/s", first, "in a cloud", "p95", second, "in a cloud", "p95", "Choice")


def sweep_rows(sweep: Sweep, burstiness: float) -> Iterator[tuple[str, ...]]:
    """A row a rate: money a month and p95 as measured here, money over the band to a cloud; a p95
    that misses the objective has a mark."""
    for point in sweep.points:
        if point.burstiness == burstiness:
            cells = (cell for side in sweep.sides for cell in _cells(point, side))
            yield (f"{point.rate_rps:g}", *cells, point.choice)


def format_sweep(sweep: Sweep) -> Iterator[str]:
    """Crossings, the band in which the choice is not clear, and what all of it rests on."""
    for crossing in sweep.crossings:
        at = "" if crossing.rate_rps is None else f" at about {crossing.rate_rps:g}/s"
        yield (
            f"{_traffic(crossing.burstiness)}: from {crossing.before} to {crossing.after}{at}, "
            f"between {crossing.low:g} and {crossing.high:g} requests a second."
        )
    for burstiness in dict.fromkeys(point.burstiness for point in sweep.points):
        yield from _bands(sweep, burstiness)
    yield (
        f"Money in {sweep.currency} a month, {sweep.region}, prices of {sweep.prices_of}, "
        f"{'free tier counted' if sweep.free_tier else 'without free tier'}; each side by its "
        f"cheapest plan. Objective: {sweep.objective.words}, under "
        f"{100 * sweep.objective.refused_most:g} % refused."
    )
    yield (
        f"In a cloud: {sweep.elsewhere.sentence}. {sweep.simulated_requests:,} requests simulated, "
        f"seed {sweep.seed}. Not a measurement of any cloud."
    )
    yield from sweep.notes


def figure(sweep: Sweep, burstiness: float) -> alt.HConcatChart:
    """Money (left) and p95 (right) over the rate; lines are likely, bands from best to worst."""
    rows = list(_figure_rows(sweep, burstiness))
    crossing = [c for c in sweep.crossings if c.burstiness == burstiness]
    marks = [
        {"low": c.low, "high": c.high, "at": c.rate_rps or (c.low * c.high) ** 0.5}
        for c in crossing
    ]
    money = _panel(rows, "month", f"{sweep.currency} a month", marks, sweep)
    late = _panel(rows, "p95", "p95 of the latency (s)", marks, sweep)
    title = f"{_traffic(burstiness)}: what a month costs, and how fast it is"
    chart: alt.HConcatChart = (
        alt.hconcat(money, late, title=title, spacing=28)
        .configure(background=PAPER, font="Helvetica, Arial, sans-serif", padding=8)
        .configure_view(stroke=None)
        .configure_axis(labelColor=INK, titleColor=INK, gridColor=GRID, domainColor=GRID)
        .configure_title(color=INK, fontSize=12, fontWeight=600, anchor="start")
        .configure_legend(labelColor=INK, title=None, orient="top")
    )
    return chart


def _cells(point: Point, side: str) -> tuple[str, str, str]:
    seen = point.sides[side]
    low, likely, high = (seen[corner] for corner in CORNERS)
    return (
        format_money(likely.month),
        format_span(low.month, high.month),
        f"{_time(likely.p95_s)}{'' if likely.meets else '!'}",
    )


def _bands(sweep: Sweep, burstiness: float) -> Iterator[str]:
    own = [point for point in sweep.points if point.burstiness == burstiness]
    for word, said in ((UNCLEAR, "the choice is not clear"), (NEITHER, "neither side meets it")):
        rates = [f"{point.rate_rps:g}" for point in own if point.choice == word]
        if rates:
            yield f"{_traffic(burstiness)}: {said} at {', '.join(rates)} requests a second."


def _traffic(burstiness: float) -> str:
    if burstiness == 1:
        return "Poisson traffic"
    return f"Bursts of {burstiness:g} times the mean, a minute in ten"


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _figure_rows(sweep: Sweep, burstiness: float) -> Iterator[dict[str, Any]]:
    for point in sweep.points:
        if point.burstiness != burstiness:
            continue
        for side, seen in point.sides.items():
            low, likely, high = (seen[corner] for corner in CORNERS)
            yield {
                "rate": point.rate_rps,
                "side": side,
                "month": _short(likely.month),
                "month_low": _short(low.month),
                "month_high": _short(high.month),
                "p95": _short(likely.p95_s),
                "p95_low": _short(low.p95_s),
                "p95_high": _short(high.p95_s),
            }


def _panel(
    rows: list[dict[str, Any]],
    measure: str,
    title: str,
    marks: list[dict[str, float]],
    sweep: Sweep,
) -> alt.LayerChart | alt.FacetChart:
    data = alt.Chart(pl.DataFrame(rows))
    colour = alt.Color(
        "side:N", scale=alt.Scale(domain=list(sweep.sides), range=[FIRST_COLOUR, SECOND_COLOUR])
    )
    x = alt.X("rate:Q", title=RATE, scale=alt.Scale(type="log"), axis=alt.Axis(format="~g"))
    # A logarithmic scale of money would have no place for a month that is free.
    scale = alt.Scale(type="symlog") if measure == "month" else alt.Scale(type="log")
    shape = "~s" if measure == "month" else "~g"
    y = alt.Y(f"{measure}:Q", title=title, scale=scale, axis=alt.Axis(format=shape))
    band = data.mark_area(opacity=0.16).encode(
        x=x, y=alt.Y(f"{measure}_low:Q", scale=scale, title=title), y2=f"{measure}_high:Q",
        color=colour,
    )  # fmt: skip
    line = data.mark_line(strokeWidth=2, point=True).encode(x=x, y=y, color=colour)
    layers = [band, line]
    if marks:
        where = alt.Chart(pl.DataFrame(marks))
        layers = [
            where.mark_rect(color=INK, opacity=0.1).encode(
                x=alt.X("low:Q", title=RATE), x2="high:Q"
            ),
            *layers,
            where.mark_rule(color=INK, strokeDash=[4, 3]).encode(x=alt.X("at:Q", title=RATE)),
        ]
    found: alt.LayerChart | alt.FacetChart = alt.layer(*layers).properties(
        width=WIDTH, height=HEIGHT
    )
    return found


def _short(value: float) -> float:
    return float(f"{max(value, 1e-6):.4g}")
