"""What each side costs a month at several levels of traffic, and how far the two differ. Pure.

The values stand in ``comparison.json`` under ``cost``; `twinserve cost` shows every plan's working.
"""

from __future__ import annotations

import msgspec

from twinserve.analysis.cost.bill import Cost, PlanCost, SideCost, cost_of
from twinserve.analysis.cost.elsewhere import Band, Elsewhere, read_elsewhere
from twinserve.analysis.cost.month import Traffic
from twinserve.analysis.cost.monthly import CostDifference, Costs, Level, PlanMonth, SideMonth
from twinserve.analysis.cost.pricing import PriceBook, read_book
from twinserve.analysis.cost.usage import SideUsage, run_usage
from twinserve.analysis.estimate import Estimate
from twinserve.analysis.statistics import mover
from twinserve.errors import RecordError
from twinserve.records.run import RunDirectory

LEVELS = (100_000.0, 1_000_000.0, 10_000_000.0)  # requests a month


def price_run(run: RunDirectory, stated: float | None = None) -> Costs | None:
    """A run's sides by the price book that comes along, with the CPU factor and platform start that
    were calibrated for it, else the assumed ones. None where a side has no answered request in a
    finished block, or the run cannot be read at all.

    Raises:
        RecordError: the calibration is damaged.
    """
    try:
        first, second = run_usage(run)
    except RecordError:
        return None
    return price_sides((first, second), read_book(), read_elsewhere(run.path), stated=stated)


def price_sides(
    sides: tuple[SideUsage, SideUsage],
    book: PriceBook,
    elsewhere: Elsewhere,
    *,
    stated: float | None = None,
    region: str = "",
    free_tier: bool = True,
) -> Costs:
    """The month of both sides at each of :data:`LEVELS` and at the ``stated`` traffic.

    Raises:
        UsageError: the region is not known, or a price is missing in it.
    """
    wanted = sorted({*LEVELS, *([stated] if stated else [])})

    def cost(requests: float, corner: Elsewhere) -> Cost:
        return cost_of(sides, book, Traffic(requests), corner, region=region, free_tier=free_tier)

    corners = {name: _only(elsewhere, name) for name in ("low", "high")}
    found = [cost(requests, elsewhere) for requests in wanted]
    first, second = (side.name for side in sides)
    return Costs(
        cloud=found[0].cloud,
        currency=found[0].currency,
        region=found[0].region,
        prices_of=found[0].prices_of,
        free_tier=free_tier,
        elsewhere=found[0].elsewhere.sentence,
        stated=stated,
        levels=[
            Level(
                requests_per_month=each.requests_per_month,
                sides={name: _side(side) for name, side in each.sides.items()},
                difference=_difference(
                    each,
                    first,
                    second,
                    *(cost(each.requests_per_month, corners[name]) for name in ("low", "high")),
                ),
            )
            for each in found
        ],
        notes=list(found[0].notes),
    )


def _only(elsewhere: Elsewhere, corner: str) -> Elsewhere:
    """One corner of the bands as if it were all that could be: both sides move together."""
    cpu, start = elsewhere.corners()[corner]
    return msgspec.structs.replace(
        elsewhere, cpu_factor=Band(cpu, cpu, cpu), platform_start_s=Band(start, start, start)
    )


def _side(side: SideCost) -> SideMonth:
    return SideMonth(cheapest=side.cheapest, plans=[_plan(plan) for plan in side.plans])


def _plan(plan: PlanCost) -> PlanMonth:
    month = plan.month
    return PlanMonth(
        plan=plan.plan,
        title=plan.title,
        month=Estimate(month.estimate, month.low, month.high),
        cloud_low=month.cloud_low,
        cloud_high=month.cloud_high,
        per_1000_images=plan.per_1000_images.estimate,
    )


def _difference(likely: Cost, first: str, second: str, low: Cost, high: Cost) -> CostDifference:
    """Cheapest plan against cheapest plan."""
    a, b = (_cheapest(likely, name) for name in (first, second))
    return CostDifference(
        month=mover(*(_estimate(plan) for plan in (a, b))),
        at_low=_gap(low, first, second),
        at_high=_gap(high, first, second),
    )


def _gap(cost: Cost, first: str, second: str) -> float:
    a, b = (_cheapest(cost, name).month.estimate for name in (first, second))
    return b - a


def _cheapest(cost: Cost, name: str) -> PlanCost:
    side = cost.sides[name]
    return next(plan for plan in side.plans if plan.plan == side.cheapest)


def _estimate(plan: PlanCost) -> Estimate:
    month = plan.month
    return Estimate(month.estimate, month.low, month.high)
