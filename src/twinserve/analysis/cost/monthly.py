"""What a month costs, as ``comparison.json`` has it under ``cost``: plain values.

``low`` and ``high`` of an :class:`~twinserve.analysis.estimate.Estimate` follow from the measured
use, ``cloud_low`` and ``cloud_high`` from the CPU factor and the added platform start as well.
"""

from __future__ import annotations

import msgspec

from twinserve.analysis.estimate import Estimate


class PlanMonth(msgspec.Struct, frozen=True, kw_only=True):
    """One side under one plan, in money a month; ``per_1000_images`` in money."""

    plan: str
    title: str
    month: Estimate
    cloud_low: float | None
    cloud_high: float | None
    per_1000_images: float


class SideMonth(msgspec.Struct, frozen=True, kw_only=True):
    """One side under every plan that is offered for it."""

    cheapest: str
    plans: list[PlanMonth]

    @property
    def best(self) -> PlanMonth:
        return next(plan for plan in self.plans if plan.plan == self.cheapest)


class CostDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Second side minus first, each under its cheapest plan, in money a month. ``at_low`` and
    ``at_high`` are the same with both sides at one end of what a cloud may change."""

    month: Estimate
    at_low: float
    at_high: float


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One level of traffic."""

    requests_per_month: float
    sides: dict[str, SideMonth]
    difference: CostDifference


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' months at several levels of traffic; ``stated`` is the user's own, if any.

    ``elsewhere`` says how times measured here became times of a cloud.
    """

    cloud: str
    currency: str
    region: str
    prices_of: str  # the month of the price book
    free_tier: bool
    elsewhere: str
    stated: float | None
    levels: list[Level]
    notes: list[str]

    def level(self, requests_per_month: float) -> Level:
        """The level of that traffic, which must be one of :attr:`levels`."""
        return next(
            level for level in self.levels if level.requests_per_month == requests_per_month
        )
