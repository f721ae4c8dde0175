"""The rule's part about money: of two sides that both keep the objective, the cheaper. Pure.

Docs: docs/architecture.md, "The verdict's rule". The deciding difference is that of a month at the
stated traffic, each side under its cheapest plan, with the interval that follows from the measured
use. What a cloud may change moves both sides together; where it could turn the choice, the choice
is not clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinserve.analysis.comparison import EITHER, UNDETERMINED
from twinserve.analysis.cost.monthly import Costs, Level, PlanMonth
from twinserve.analysis.estimate import Estimate
from twinserve.analysis.statistics import CONFIDENCE, EQUIVALENCE, Finding, classify
from twinserve.analysis.words import listed, money, share, times_as


@dataclass(frozen=True)
class Priced:
    """Both sides' months at the stated traffic; ``p95_ms`` are their own, for the sentence."""

    costs: Costs
    names: tuple[str, str]
    p95_ms: tuple[float, float]

    @property
    def level(self) -> Level:
        return self.costs.level(self.costs.stated or 0.0)

    @property
    def plans(self) -> tuple[PlanMonth, PlanMonth]:
        first, second = (self.level.sides[name].best for name in self.names)
        return first, second

    @property
    def amounts(self) -> tuple[float, float]:
        first, second = (plan.month.estimate for plan in self.plans)
        return first, second

    @property
    def traffic(self) -> str:
        return f"{self.level.requests_per_month:,.0f} requests a month"

    @property
    def finding(self) -> Finding:
        """What the interval of the difference says, and both ends of what a cloud may change."""
        difference, second = self.level.difference, self.amounts[1]
        found = classify(difference.month, second)
        ends = (difference.at_low, difference.at_high)
        if found is Finding.FIRST and min(ends) < -EQUIVALENCE * second:
            return Finding.INCONCLUSIVE
        if found is Finding.SECOND and max(ends) > EQUIVALENCE * second:
            return Finding.INCONCLUSIVE
        return found


def choose_by_cost(priced: Priced, place: str = "") -> tuple[str, str]:
    """The choice and its sentence; ``place`` ends the sentence (where the times were measured)."""
    match priced.finding:
        case Finding.EQUIVALENT:
            return EITHER, _alike(priced, place)
        case Finding.FIRST:
            return priced.names[0], _cheaper(priced, 0, place)
        case Finding.SECOND:
            return priced.names[1], _cheaper(priced, 1, place)
        case Finding.INCONCLUSIVE | Finding.UNDETERMINED:
            return UNDETERMINED, _unclear(priced)


def rule_by_cost(objective: str, priced: Priced) -> str:
    """The rule in words; ``objective`` as it was described."""
    return (
        f"Of the sides that keep the objective ({objective}), the cheaper at {priced.traffic}, "
        f"each under its cheapest plan; either, when the whole {share(CONFIDENCE)} interval of the "
        f"difference lies within {share(EQUIVALENCE)}."
    )


def cost_reasons(priced: Priced) -> list[str]:
    """What each side costs, how far they differ, and what that rests on."""
    costs, level = priced.costs, priced.level
    months = [
        f"{name} {_amount(plan.month.estimate, costs)} ({_span(plan.month, costs)}; {plan.title})"
        for name, plan in zip(priced.names, priced.plans, strict=True)
    ]
    first, second = priced.names
    difference = level.difference
    ends = sorted([difference.at_low, difference.at_high])
    free = "with the free tier" if costs.free_tier else "without free tier"
    return [
        f"At {priced.traffic}: {listed(months)}; {costs.cloud}, {costs.region}, prices of "
        f"{costs.prices_of}, {free}.",
        f"Difference of a month, {second} minus {first}: "
        f"{_signed(difference.month.estimate, costs)} ({_span(difference.month, costs)}); with "
        f"what a cloud may change, {_signed(ends[0], costs)} to {_signed(ends[1], costs)} "
        f"({costs.elsewhere}).",
    ]


def cost_words(priced: Priced, chosen: str) -> str:
    """What the chosen side costs, for a sentence that chose it by something else."""
    ours = priced.amounts[priced.names.index(chosen)]
    return f"costs {_amount(ours, priced.costs)} at {priced.traffic}"


def _cheaper(priced: Priced, place: int, where: str) -> str:
    name, other = priced.names[place], priced.names[1 - place]
    ours, theirs = priced.amounts[place], priced.amounts[1 - place]
    fast, slow = priced.p95_ms[place], priced.p95_ms[1 - place]
    return (
        f"Choose the {name}: it costs {_amount(ours, priced.costs)} instead of "
        f"{_amount(theirs, priced.costs)} at {priced.traffic}{_part(ours, theirs)}, and "
        f"{_speed(fast, slow, other)}{where}."
    )


def _part(ours: float, theirs: float) -> str:
    """``, a third``: where the amount is a plain fraction people say."""
    ratio = ours / theirs if theirs else 1.0
    named = {1 / 2: "half", 1 / 3: "a third", 1 / 4: "a quarter"}
    for fraction, word in named.items():
        if abs(ratio - fraction) <= 0.1 * fraction:
            return f", about {word}"
    return f", {share(1 - ratio)} less"


def _speed(ours_ms: float, theirs_ms: float, other: str) -> str:
    if ours_ms <= theirs_ms / (1 + EQUIVALENCE):
        return f"answers {times_as(theirs_ms / ours_ms)} as fast as the {other} (p95)"
    if theirs_ms <= ours_ms / (1 + EQUIVALENCE):
        return f"its p95 is {times_as(ours_ms / theirs_ms)} that of the {other}"
    return f"its p95 is about that of the {other}"


def _alike(priced: Priced, where: str) -> str:
    first, second = priced.names
    ours, theirs = priced.amounts
    return (
        f"Choose either: the {first} and the {second} keep the objective and cost the same to "
        f"within {share(EQUIVALENCE)} at {priced.traffic} ({_amount(ours, priced.costs)} and "
        f"{_amount(theirs, priced.costs)}){where}."
    )


def _unclear(priced: Priced) -> str:
    difference, costs = priced.level.difference, priced.costs
    if difference.month.low is None:
        why = "the run is too small to say how far their costs differ"
    else:
        ends = sorted([difference.at_low, difference.at_high])
        low, high = _limits(difference.month, ends)
        why = (
            f"their difference a month lies anywhere from {_signed(low, costs)} to "
            f"{_signed(high, costs)}, past zero and past {share(EQUIVALENCE)}"
        )
    return (
        f"Both sides keep the objective, and which is the cheaper at {priced.traffic} is not "
        f"clear: {why}."
    )


def _limits(month: Estimate, ends: Sequence[float]) -> tuple[float, float]:
    known = [*ends, *(limit for limit in (month.low, month.high) if limit is not None)]
    return min(known), max(known)


def _amount(value: float, costs: Costs) -> str:
    return money(value, costs.currency)


def _signed(value: float, costs: Costs) -> str:
    return f"{'+' if value > 0 else ''}{money(value, costs.currency)}"


def _span(month: Estimate, costs: Costs) -> str:
    if month.low is None or month.high is None:
        return "no interval"
    return f"{money(month.low, costs.currency)} to {money(month.high, costs.currency)}"
