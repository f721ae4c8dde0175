"""What a month costs, for the page: both sides at several levels of traffic."""

from __future__ import annotations

from dataclasses import dataclass

from twinserve.analysis.comparison import Comparison
from twinserve.analysis.cost.monthly import Costs, Level, PlanMonth
from twinserve.analysis.simulation.breaking_even import failed_gates
from twinserve.analysis.statistics import EQUIVALENCE, Finding, classify
from twinserve.report.cost import format_money
from twinserve.report.numbers import UNDETERMINED, format_list
from twinserve.report.tables import DifferenceCell


@dataclass(frozen=True)
class LevelRow:
    """One level of traffic: a cell a side, and what to make of their difference."""

    traffic: str
    stated: bool
    sides: tuple[DifferenceCell, ...]
    plans: tuple[str, ...]
    cheaper: str


@dataclass(frozen=True)
class PlanRow:
    """One side under one plan at one level: month, interval, band in a cloud, 1,000 images."""

    side: str
    plan: str
    cells: tuple[str, str, str, str]
    is_cheapest: bool


@dataclass(frozen=True)
class PlanTable:
    traffic: str
    rows: tuple[PlanRow, ...]


@dataclass(frozen=True)
class MoneySection:
    """What the page's section shows; ``head`` says what the amounts are of."""

    head: str
    sides: tuple[str, ...]
    levels: tuple[LevelRow, ...]
    plans: tuple[PlanTable, ...]
    notes: tuple[str, ...]
    caution: str = ""


def money_section(comparison: Comparison) -> MoneySection | None:
    """The section of a comparison that was priced."""
    costs = comparison.cost
    if costs is None:
        return None
    return MoneySection(
        head=_head(costs),
        sides=comparison.sides,
        levels=tuple(_level(level, comparison.sides, costs) for level in costs.levels),
        plans=tuple(
            PlanTable(_traffic(level), tuple(_plan_rows(level, comparison.sides)))
            for level in costs.levels
        ),
        notes=(*_assumptions(costs), *costs.notes),
        caution=_caution(comparison),
    )


def _caution(comparison: Comparison) -> str:
    failed = failed_gates(comparison)
    if not failed:
        return ""
    gates = f"{'gate' if len(failed) == 1 else 'gates'} {format_list(failed)}"
    return (
        f"The {gates} failed: the times that all of this follows from may be off. Measure again "
        f"before you decide by it."
    )


def _head(costs: Costs) -> str:
    free = "the free tier is counted" if costs.free_tier else "without free tier"
    return (
        f"A month of 30 days, in {costs.currency}: {costs.cloud}, {costs.region}, prices of "
        f"{costs.prices_of}, {free}. Each side under its cheapest plan."
    )


def _assumptions(costs: Costs) -> list[str]:
    return [
        "Under each amount stands what it could be in a cloud: the interval of the measured use, "
        f"widened by what a cloud may change ({costs.elsewhere}). Both sides run on the same "
        "cloud, so that moves them together; which is the cheaper is judged at each end of it."
    ]


def _level(level: Level, sides: tuple[str, str], costs: Costs) -> LevelRow:
    best = [level.sides[name].best for name in sides]
    return LevelRow(
        traffic=_traffic(level),
        stated=level.requests_per_month == costs.stated,
        sides=tuple(DifferenceCell(format_money(b.month.estimate), _cloud(b)) for b in best),
        plans=tuple(plan.title for plan in best),
        cheaper=_cheaper(level, sides),
    )


def _cheaper(level: Level, sides: tuple[str, str]) -> str:
    """In a word or two; with ``maybe`` where a cloud's CPU could turn it."""
    first, second = (level.sides[name].best.month.estimate for name in sides)
    difference = level.difference
    found = classify(difference.month, second)
    if found is Finding.EQUIVALENT:
        return "alike" if first or second else "both free"
    if found is Finding.UNDETERMINED:
        return UNDETERMINED
    if found is Finding.INCONCLUSIVE:
        return "not clear"
    name, less, more = (sides[0], first, second) if first < second else (sides[1], second, first)
    ends = (difference.at_low, difference.at_high)
    turned = (
        min(ends) < -EQUIVALENCE * second if first < second else max(ends) > EQUIVALENCE * second
    )
    by = f", {100 * (1 - less / more):.0f}\N{NO-BREAK SPACE}% less" if more else ""
    return f"{name}, unless the cloud's CPU turns it" if turned else f"{name}{by}"


def _plan_rows(level: Level, sides: tuple[str, str]) -> list[PlanRow]:
    return [
        PlanRow(
            side=name,
            plan=plan.title,
            cells=(
                format_money(plan.month.estimate),
                _span(plan.month.low, plan.month.high),
                _cloud(plan),
                format_money(plan.per_1000_images),
            ),
            is_cheapest=plan.plan == level.sides[name].cheapest,
        )
        for name in sides
        for plan in level.sides[name].plans
    ]


def _traffic(level: Level) -> str:
    return f"{level.requests_per_month:,.0f}"


def _cloud(plan: PlanMonth) -> str:
    return _span(plan.cloud_low, plan.cloud_high)


def _span(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return UNDETERMINED
    return f"{format_money(low)} to {format_money(high)}"
