"""The figure of the break-even on the page: money a month and p95 over the rate, with its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twinserve.report.charts import svg

if TYPE_CHECKING:
    from twinserve.analysis.simulation.sweep import Sweep

STEM = "break-even"


@dataclass(frozen=True)
class BreakEvenFigure:
    """One burstiness: the stem of its figure, and what it shows for those who do not see it."""

    stem: str
    alternative: str


@dataclass(frozen=True)
class BreakEven:
    """``lines`` say where the choice goes from one side to the other, and what it rests on."""

    figures: tuple[BreakEvenFigure, ...]
    lines: tuple[str, ...]


def break_even(swept: Sweep) -> BreakEven:
    """The words around the figures of a sweep."""
    from twinserve.report.simulation import format_sweep

    figures = [
        BreakEvenFigure(_stem(burstiness), _alternative(swept, burstiness))
        for burstiness in _burstinesses(swept)
    ]
    lines = list(format_sweep(swept))
    if not swept.crossings:
        lines.insert(0, f"No crossing{_range(swept)}: {_choices(swept)}.")
    return BreakEven(tuple(figures), tuple(lines))


def break_even_svgs(swept: Sweep) -> dict[str, str]:
    """The figures by their stem."""
    from twinserve.report.simulation import figure

    return {_stem(value): svg(figure(swept, value)) for value in _burstinesses(swept)}


def _stem(burstiness: float) -> str:
    return STEM if burstiness == 1 else f"{STEM}-{burstiness:g}"


def _burstinesses(swept: Sweep) -> list[float]:
    return list(dict.fromkeys(point.burstiness for point in swept.points))


def _range(swept: Sweep) -> str:
    rates = [point.rate_rps for point in swept.points]
    return f" between {min(rates):g} and {max(rates):g} requests a second"


def _choices(swept: Sweep) -> str:
    """``function up to 0.1, either from 0.22 on``: runs of equal choices along the rate."""
    own = [point for point in swept.points if point.burstiness == swept.points[0].burstiness]
    said: list[str] = []
    for before, point in zip([None, *own], own, strict=False):
        if before is None or before.choice != point.choice:
            said.append(f"{point.choice} from {point.rate_rps:.2g} on")
    return ", ".join(said)


def _alternative(swept: Sweep, burstiness: float) -> str:
    own = [point for point in swept.points if point.burstiness == burstiness]
    ends = [
        f"{side} from {point.sides[side]['likely'].month:.3g} {swept.currency} a month at "
        f"{point.rate_rps:g} requests a second to {last.sides[side]['likely'].month:.3g} at "
        f"{last.rate_rps:g}"
        for point, last in [(own[0], own[-1])]
        for side in swept.sides
    ]
    return f"Cost a month and p95 of both sides over the rate of requests: {'; '.join(ends)}."
