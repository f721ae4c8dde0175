"""A month's cost as text: rows of a table, and how each number comes about."""

from __future__ import annotations

from collections.abc import Iterator

from twinserve.analysis.cost.bill import Cost, PlanCost, SideCost
from twinserve.analysis.cost.month import MONTH_S
from twinserve.report.numbers import UNDETERMINED, format_count, format_number

HEADINGS = ("Side", "Plan", "Month", "Interval", "In a cloud", "1,000 images")
PART_HEADINGS = ("Side", "Plan", "CPU", "Memory", "Requests", "Egress", "Idle", "Free tier")
PARTS = (("CPU",), ("memory",), ("requests",), ("egress",), ("idle CPU", "idle memory"))


def cost_rows(cost: Cost) -> Iterator[tuple[str, ...]]:
    """A row a side and plan, the cheapest of a side marked; cells as :data:`HEADINGS`."""
    for name, side in cost.sides.items():
        for plan in side.plans:
            marked = " *" if plan.plan == side.cheapest else ""
            month = plan.month
            yield (
                name,
                f"{plan.plan}{marked}",
                format_money(month.estimate),
                format_span(month.low, month.high),
                format_span(month.cloud_low, month.cloud_high),
                format_money(plan.per_1000_images.estimate),
            )


def part_rows(cost: Cost) -> Iterator[tuple[str, ...]]:
    """What each month consists of, before the free tier; cells as :data:`PART_HEADINGS`."""
    for name, side in cost.sides.items():
        for plan in side.plans:
            full = {line.item: line.amount + line.credit for line in plan.lines}
            parts = (
                format_money(sum(full.get(item, 0.0) for item in items))
                if any(item in full for item in items)
                else UNDETERMINED
                for items in PARTS
            )
            credit = sum(line.credit for line in plan.lines)
            yield (name, plan.plan, *parts, format_money(-credit))


def format_head(cost: Cost) -> Iterator[str]:
    """What the table is of."""
    free = "the free tier is counted" if cost.free_tier else "without free tier"
    yield (
        f"A month of 30 days with {cost.requests_per_month:,.0f} requests "
        f"({format_number(cost.requests_per_month / MONTH_S)} a second), {cost.currency}, "
        f"{cost.region}, prices of {cost.prices_of}; {free}."
    )


def format_notes(cost: Cost) -> Iterator[str]:
    """What the run itself cost, what holds for the table, and what was assumed."""
    for name, side in cost.sides.items():
        yield _run_itself(name, side, cost.currency)
    yield "* the cheapest of a side. Interval: from the measured use, block to block."
    yield f"In a cloud: {cost.elsewhere.sentence}."
    yield from cost.notes


def format_working(cost: Cost) -> Iterator[str]:
    """Every number of the table worked out."""
    for name, side in cost.sides.items():
        used = side.instance_s_a_request
        yield (
            f"{name}: {used.estimate:.4g} s of instance time a request, from the run "
            f"({_seconds(used.low)} to {_seconds(used.high)})"
        )
        for plan in side.plans:
            yield f"  {plan.title}:"
            yield from (f"    {words}" for words in plan.working)
            yield from (f"    {words}" for words in _lines(plan))
            yield f"    together {format_money(plan.month.estimate)} {cost.currency} a month"


def format_money(value: float) -> str:
    """Cents from one unit on, whole units from a thousand on; below, two significant digits."""
    size = abs(value)
    if size >= 999.5:
        return f"{value:,.0f}"
    if value == 0 or size >= 0.995:
        return f"{value:,.2f}"
    return f"{value:.2g}" if size >= 1e-4 else f"{value:.1e}"


def format_span(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return UNDETERMINED
    if high >= 999.5:
        return f"{low:,.0f}{UNDETERMINED}{high:,.0f}"
    return f"{format_money(low)}{UNDETERMINED}{format_money(high)}"


def _seconds(limit: float | None) -> str:
    return UNDETERMINED if limit is None else f"{limit:.4g} s"


def _run_itself(name: str, side: SideCost, currency: str) -> str:
    costs = ", ".join(f"{format_money(money)} by {plan}" for plan, money in side.run.items())
    return (
        f"{name}: the {format_count(side.requests, 'request')} of the run themselves cost, in "
        f"{currency} and without free tier and egress: {costs}."
    )


def _lines(plan: PlanCost) -> Iterator[str]:
    for line in plan.lines:
        credit = f" - {format_money(line.credit)} free" if line.credit else ""
        yield (
            f"{line.item}: {line.quantity:,.6g} {line.unit} x {line.price:.7g}{credit} = "
            f"{format_money(line.amount)}"
        )
