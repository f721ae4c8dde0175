"""What a month costs: measured use times traffic, at the rates of a price book. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from twinserve.analysis.comparison import Estimate
from twinserve.analysis.cost.elsewhere import AS_MEASURED, Elsewhere
from twinserve.analysis.cost.month import Month, Traffic, ghz_of, month_of, quantities_of
from twinserve.analysis.cost.pricing import PriceBook, Rates
from twinserve.analysis.cost.usage import SideUsage
from twinserve.analysis.statistics import mean_interval
from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.scaling.billing import Mode

ALWAYS_ON = "always-on"
ITEMS = {
    "vcpu_s": "CPU",
    "ghz_s": "CPU",
    "gib_s": "memory",
    "requests": "requests",
    "egress_gb": "egress",
    "idle_vcpu_s": "idle CPU",
    "idle_ghz_s": "idle CPU",
    "idle_gib_s": "idle memory",
}
# Of which quantity's credit each one takes: idle minimum instances use up the same.
CREDIT_OF = {"idle_vcpu_s": "vcpu_s", "idle_ghz_s": "ghz_s", "idle_gib_s": "gib_s"}


class Line(msgspec.Struct, frozen=True):
    """One line of a bill: so much of something at so much a unit, and what of it is free."""

    item: str
    quantity: float
    unit: str
    price: float
    credit: float  # money of the free tier that this line takes
    amount: float  # money, after the credit


class Money(msgspec.Struct, frozen=True):
    """``low`` and ``high`` follow from the measured use; ``cloud_low`` and ``cloud_high`` from the
    CPU factor and the platform start as well. None: the run cannot tell."""

    estimate: float
    low: float | None
    high: float | None
    cloud_low: float | None
    cloud_high: float | None

    def times(self, factor: float) -> Money:
        limits = (self.low, self.high, self.cloud_low, self.cloud_high)
        return Money(
            self.estimate * factor, *(None if each is None else each * factor for each in limits)
        )


class PlanCost(msgspec.Struct, frozen=True, kw_only=True):
    """One side under one plan; ``instances`` run the whole month under ``always-on``."""

    plan: str
    title: str
    mode: str
    instances: int | None = None
    lines: list[Line]  # of the estimate
    month: Money
    per_1000_images: Money
    working: list[str]  # how the quantities come about


class SideCost(msgspec.Struct, frozen=True, kw_only=True):
    """One side: what the measured requests cost themselves, and the month under each plan."""

    instance_s_a_request: Estimate
    requests: int  # of the whole run
    run: dict[str, float]  # plan -> money of the whole run itself, without free tier
    plans: list[PlanCost]
    cheapest: str


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What `twinserve cost` answers, and what ``comparison.json`` has under ``cost``."""

    cloud: str
    currency: str
    region: str
    prices_of: str  # the month of the book
    requests_per_month: float
    free_tier: bool
    elsewhere: Elsewhere
    sides: dict[str, SideCost]
    notes: list[str]


def cost_of(
    sides: Sequence[SideUsage],
    book: PriceBook,
    traffic: Traffic,
    elsewhere: Elsewhere,
    *,
    region: str = "",
    free_tier: bool = True,
) -> Cost:
    """The month of every side under every plan of the book that is offered for its kind.

    Raises:
        UsageError: the region is not known, or a price is missing in it.
    """
    region = region or book.default_region
    local = [side for side in sides if not side.on_platform]
    plans = {side.name: plans_of(side.deployment, book, region) for side in sides}
    return Cost(
        cloud=book.cloud,
        currency=book.currency,
        region=region,
        prices_of=book.date,
        requests_per_month=traffic.requests,
        free_tier=free_tier,
        elsewhere=elsewhere if local else AS_MEASURED,
        sides={
            side.name: _side(
                side,
                plans[side.name][0],
                traffic,
                AS_MEASURED if side.on_platform else elsewhere,
                free_tier,
            )
            for side in sides
        },
        notes=list(
            dict.fromkeys(note for side in sides for note in (*side.assumed, *plans[side.name][1]))
        ),
    )


def plans_of(deployment: Deployment, book: PriceBook, region: str) -> tuple[list[Rates], list[str]]:
    """The plans that this deployment could be billed by, and why others are left out.

    Raises:
        UsageError: there is none in that region.
    """
    offered = [
        name
        for name, plan in book.plans.items()
        if deployment.kind in plan.kinds
        and (plan.mode is not Mode.FIRST_GEN or ghz_of(deployment) is not None)
    ]
    found, refusals = [], []
    for name in offered:
        try:
            found.append(book.rates(name, region))
        except UsageError as refusal:
            refusals.append(refusal)
    if refusals and not found:
        raise refusals[0]
    return found, [f"Left out: {refusal}" for refusal in refusals]


def bill(rates: Rates, quantities: dict[str, float], free_tier: bool) -> list[Line]:
    """Lines of a bill for a month's quantities (:data:`~.pricing.QUANTITIES`)."""
    left = dict(rates.credits) if free_tier else {}
    lines = []
    for name, quantity in quantities.items():
        if name not in rates.plan.prices or not quantity:
            continue
        full = quantity * rates.price(name)
        account = CREDIT_OF.get(name, name)
        credit = min(full, left.get(account, 0.0))
        left[account] = left.get(account, 0.0) - credit
        unit = rates.plan.prices[name].unit
        lines.append(Line(ITEMS[name], quantity, unit, rates.price(name), credit, full - credit))
    return lines


def total(lines: Sequence[Line]) -> float:
    return sum(line.amount for line in lines)


# One side


def _side(
    side: SideUsage,
    plans: Sequence[Rates],
    traffic: Traffic,
    elsewhere: Elsewhere,
    free_tier: bool,
) -> SideCost:
    measured = _interval(side, [block.busy_s for block in side.blocks])
    costs = [
        _plan(side, rates, traffic, elsewhere, free_tier, always_on)
        for rates in plans
        for always_on in ((False, True) if rates.plan.mode is Mode.INSTANCE else (False,))
    ]
    return SideCost(
        instance_s_a_request=measured,
        requests=side.whole.requests,
        run={rates.plan.name: _run_itself(side, rates) for rates in plans if _counts_run(rates)},
        plans=costs,
        cheapest=min(costs, key=lambda each: each.month.estimate).plan,
    )


def _interval(side: SideUsage, seconds: Sequence[float]) -> Estimate:
    """Seconds a request over all blocks, from block to block (ratio estimator)."""
    blocks = [
        np.full(block.requests, each / block.requests)
        for block, each in zip(side.blocks, seconds, strict=True)
        if block.requests
    ]
    found = mean_interval(blocks)
    enough = len(blocks) >= side.fewest_blocks
    return found if enough else Estimate(found.estimate, None, None)


def _plan(
    side: SideUsage,
    rates: Rates,
    traffic: Traffic,
    elsewhere: Elsewhere,
    free_tier: bool,
    always_on: bool,
) -> PlanCost:
    measured = _interval(side, [block.busy_s for block in side.blocks])
    corners = elsewhere.corners()

    def month(corner: str, share: float) -> Month:
        return month_of(side, rates.plan.mode, traffic, corners[corner], share, always_on)

    likely = month("likely", 1.0)
    lines = bill(rates, likely.quantities, free_tier)

    def money(corner: str, limit: float | None) -> float | None:
        if limit is None:
            return None
        share = limit / measured.estimate
        return total(bill(rates, month(corner, share).quantities, free_tier))

    found = Money(
        total(lines),
        money("likely", measured.low),
        money("likely", measured.high),
        money("low", measured.low or measured.estimate),
        money("high", measured.high or measured.estimate),
    )
    plan = rates.plan
    return PlanCost(
        plan=ALWAYS_ON if always_on else plan.name,
        title=f"{plan.title}, always on" if always_on else plan.title,
        mode=plan.mode.value,
        instances=likely.instances,
        lines=lines,
        month=found,
        per_1000_images=found.times(1000 / (traffic.requests * side.images)),
        working=likely.working,
    )


# The run itself


def _counts_run(rates: Rates) -> bool:
    return rates.plan.mode is not Mode.INSTANCE


def _run_itself(side: SideUsage, rates: Rates) -> float:
    """What the run's own requests cost, without free tier and without what they sent."""
    whole = side.whole
    time_s = whole.billable_calls_s if rates.plan.mode is Mode.FIRST_GEN else whole.billable_s
    counted = quantities_of(rates.plan.mode, side.deployment, time_s, 0.0, whole.requests, 0.0)
    return total(bill(rates, counted, free_tier=False))
