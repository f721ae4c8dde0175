"""``progress.png`` and ``progress.html``: losses and quality against images seen."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from twinserve.training.checkpoint import writing

if TYPE_CHECKING:
    import altair as alt

    Panel = alt.LayerChart | alt.FacetChart

Row = dict[str, Any]

POINTS = 400  # of a line; more rows are averaged
WIDTH, HEIGHT = 720, 220
GENERATOR, DISCRIMINATOR = "#b45309", "#0f766e"  # amber and teal: told apart by everybody
INK, GRID = "#334155", "#e2e8f0"


def can_plot() -> bool:
    """Whether what draws is installed: Altair and vl-convert, of the extra ``lab``."""
    return all(importlib.util.find_spec(name) for name in ("altair", "vl_convert"))


def write_plots(folder: Path, rows: Sequence[Row]) -> None:
    """Draw the rows of a log into ``progress.png`` and, to be asked for values, ``progress.html``.

    Both are made without a network, and the page loads nothing. Nothing is drawn of an empty log.

    Raises:
        TrainingError: a file cannot be written.
    """
    import vl_convert

    losses = [row for row in rows if "loss_generator" in row]
    if not losses:
        return
    spec = _figure(losses, [row for row in rows if "swd" in row]).to_dict()
    png = vl_convert.vegalite_to_png(spec, scale=2, allowed_base_urls=[])
    page = vl_convert.vegalite_to_html(spec, bundle=True)
    for name, content in (("progress.png", png), ("progress.html", page.encode())):
        with writing(folder / name):
            part = folder / f"{name}.part"
            part.write_bytes(content)
            part.replace(folder / name)


def _figure(losses: Sequence[Row], measured: Sequence[Row]) -> alt.VConcatChart:
    import altair as alt

    ends = min(row["images_seen"] for row in losses), max(row["images_seen"] for row in losses)
    panels = [_losses(losses, ends)]
    if measured:
        panels.append(_quality(measured, ends))
    figure: alt.VConcatChart = (
        alt.vconcat(*panels, spacing=22)
        .resolve_scale(color="independent")
        .configure(background="#ffffff", font="Helvetica, Arial, sans-serif", padding=10)
        .configure_view(stroke=None)
        .configure_axis(labelColor=INK, titleColor=INK, gridColor=GRID, titleFontWeight="normal")
        .configure_title(color=INK, fontSize=12, anchor="start")
        .configure_legend(labelColor=INK, title=None, orient="top", labelLimit=300)
    )
    return figure


def _losses(rows: Sequence[Row], ends: tuple[int, int]) -> Panel:
    import altair as alt

    names = {"generator": "loss_generator", "discriminator": "loss_discriminator"}
    points = [
        {"images": row["images_seen"], "loss": row[field], "network": name, "part": row["part"]}
        for row in _thinned(rows)
        for name, field in names.items()
    ]
    colours = alt.Scale(domain=list(names), range=[GENERATOR, DISCRIMINATOR])
    lines = (
        _chart(points)
        .mark_line(strokeWidth=1.4, clip=True)
        .encode(
            x=_images(ends),
            y=alt.Y("loss:Q", title="loss"),
            color=alt.Color("network:N", scale=colours),
            tooltip=["images:Q", "part:N", "network:N", "loss:Q"],
        )
    )
    return _panel("Losses, mean over some steps", [*_levels(rows, ends), lines])


def _quality(rows: Sequence[Row], ends: tuple[int, int]) -> Panel:
    """Lines break where the resolution changes: distances of two resolutions do not compare."""
    import altair as alt

    points = [
        {"images": row["images_seen"], "distance": value, "of": name, "part": row["part"],
         "resolution": _resolution(row)}
        for row in rows
        for name, value in _distances(row)
    ]  # fmt: skip
    names = [name for name, _ in _distances(max(rows, key=_resolution))]  # finest first, mean last
    marks = (
        _chart(points)
        .mark_line(strokeWidth=1.4, point={"size": 22})
        .encode(
            x=_images(ends),
            y=alt.Y("distance:Q", title="distance, times 1000"),
            color=alt.Color("of:N", scale=alt.Scale(domain=names)),
            detail="resolution:N",
            tooltip=["images:Q", "part:N", "of:N", "distance:Q"],
        )
    )
    title = f"Sliced Wasserstein distance, {rows[-1]['pictures']} pictures: lower is more alike"
    return _panel(title, [*_levels(rows, ends)[:1], marks])


def _levels(rows: Sequence[Row], ends: tuple[int, int]) -> list[alt.Chart]:
    """Where the resolution changes: a rule, and a label at its foot."""
    import altair as alt

    begun = [
        {"images": next(group)["images_seen"], "level": f"{side}x{side}"}
        for side, group in groupby(rows, _resolution)
    ]
    chart = _chart(begun).encode(x=_images(ends))
    words = chart.mark_text(align="left", dx=4, dy=-4, fontSize=10, color=INK, clip=True)
    return [
        chart.mark_rule(color=INK, strokeDash=[2, 3], opacity=0.5),
        words.encode(text="level:N", y=alt.value(HEIGHT)),
    ]


def _chart(values: Sequence[Row]) -> alt.Chart:
    import altair as alt

    return alt.Chart(alt.InlineData(values=list(values)))


def _panel(title: str, layers: Sequence[alt.Chart]) -> Panel:
    import altair as alt

    return alt.layer(*layers).properties(title=title, width=WIDTH, height=HEIGHT)


def _images(ends: tuple[int, int]) -> alt.X:
    import altair as alt

    scale = alt.Scale(domain=list(ends), nice=False)
    return alt.X("images:Q", title="images seen", scale=scale, axis=alt.Axis(format="~s"))


def _thinned(rows: Sequence[Row]) -> list[Row]:
    """At most about ``POINTS`` rows: each the mean of some in a row, within one part."""
    together = math.ceil(len(rows) / POINTS)
    thinned = []
    for part, of_part in groupby(rows, lambda row: row["part"]):
        some = list(of_part)
        for begin in range(0, len(some), together):
            block = some[begin : begin + together]
            means = {
                key: fmean(row[key] for row in block)
                for key in ("images_seen", "loss_generator", "loss_discriminator")
            }
            thinned.append({"part": part, **means})
    return thinned


def _resolution(row: Row) -> int:
    return int(row["part"].split()[0])


def _distances(row: Row) -> list[tuple[str, float]]:
    """A name and a distance for each pyramid level and for their mean."""
    side = _resolution(row)
    levels = [(f"{side >> k} pixels", value) for k, value in enumerate(row["swd"])]
    return [*levels, ("mean", row["swd_mean"])]
