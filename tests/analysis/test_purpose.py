"""What a verdict is for: objectives as people write them, and the rule's part about money."""

from __future__ import annotations

from dataclasses import replace

import pytest

from twinserve.analysis.choosing import Priced, choose_by_cost
from twinserve.analysis.comparison import Estimate, Gate, GateStatus
from twinserve.analysis.cost.monthly import CostDifference, Costs, Level, PlanMonth, SideMonth
from twinserve.analysis.purpose import NO_PURPOSE, Goal, Purpose, parse_objective, purpose_of
from twinserve.analysis.verdict import Candidate, Evidence, Objective, decide
from twinserve.errors import UsageError

TRAFFIC = 3e6


@pytest.mark.parametrize(
    ("texts", "objective"),
    [
        ([], Objective(1000.0, 0.01)),
        (["p95<1s"], Objective(1000.0, 0.01)),
        (["p95 <= 800ms"], Objective(800.0, 0.01)),
        (["errors<0.5%"], Objective(1000.0, 0.005)),
        (["errors<0.02"], Objective(1000.0, 0.02)),
        (["p95<1.5s", "errors<5%"], Objective(1500.0, 0.05)),
        (["p95<250ms,errors<2%"], Objective(250.0, 0.02)),
    ],
)
def test_an_objective_is_read_as_people_write_it(texts, objective):
    found = parse_objective(texts)
    assert found.p95_ms == pytest.approx(objective.p95_ms)
    assert found.error_share == pytest.approx(objective.error_share)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p99<1s", "'p99<1s'; write one of \"p95<1s\""),
        ("p95>1s", "write one of"),
        ("p95<1", "a time above 0 with its unit"),
        ("p95<0ms", "a time above 0"),
        ("errors<5ms", "errors a share"),
        ("errors<0%", "above 0 and up to 100 %"),
        ("errors<101%", "up to 100 %"),
        ("", "write one of"),
        ("p95<1s,p95<2s", "names p95 twice"),
    ],
)
def test_what_no_side_can_keep_or_nobody_can_read_is_refused_with_the_way_out(text, says):
    with pytest.raises(UsageError) as refusal:
        parse_objective([text])
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("purpose", "by_cost"),
    [
        (NO_PURPOSE, False),
        (Purpose(requests_per_month=TRAFFIC), True),
        (Purpose(requests_per_month=TRAFFIC, goal=Goal.FASTEST), False),
        (Purpose(requests_per_month=TRAFFIC, goal=Goal.CHEAPEST), True),
        (Purpose(goal=Goal.FASTEST), False),
    ],
)
def test_cost_decides_where_a_traffic_is_stated_unless_the_fastest_is_wanted(purpose, by_cost):
    assert purpose.by_cost is by_cost


def test_a_purpose_survives_its_file():
    purpose = Purpose(Objective(300.0, 0.02), TRAFFIC, Goal.CHEAPEST)
    assert purpose_of(purpose.stated) == purpose
    assert NO_PURPOSE.stated is None
    assert purpose_of(None) == NO_PURPOSE


# The rule


def month(value, low=None, high=None):
    estimate = Estimate(value, 0.97 * value if low is None else low, 1.03 * value)
    plan = PlanMonth(
        plan="plan",
        title="Plan",
        month=estimate,
        cloud_low=low,
        cloud_high=high,
        per_1000_images=0.1,
    )
    return SideMonth(cheapest="plan", plans=[plan])


def priced(first, second, low=None, high=None, at_low=None, at_high=None, p95=(110.0, 84.0)):
    gap = second - first
    width = 0.05 * max(first, second)
    difference = CostDifference(
        month=Estimate(
            gap, gap - width if low is None else low, gap + width if high is None else high
        ),
        at_low=gap if at_low is None else at_low,
        at_high=gap if at_high is None else at_high,
    )
    level = Level(
        requests_per_month=TRAFFIC,
        sides={"kettle": month(first), "toaster": month(second)},
        difference=difference,
    )
    costs = Costs(
        cloud="A cloud",
        currency="USD",
        region="here",
        prices_of="2026-11",
        free_tier=True,
        elsewhere="CPU factor 0.5 to 2 (assumed)",
        stated=TRAFFIC,
        levels=[level],
        notes=[],
    )
    return Priced(costs, ("kettle", "toaster"), p95)


@pytest.mark.parametrize(
    ("case", "choice", "says"),
    [
        (priced(30, 10), "toaster", "costs 10.00 USD instead of 30.00 USD at 3,000,000 requests a"),
        (priced(30, 10), "toaster", "about a third, and answers 1.3 times as fast as the kettle"),
        (priced(10, 30), "kettle", "and its p95 is 1.3 times that of the toaster"),
        (priced(10, 20), "kettle", "about half"),
        (
            priced(10, 13, p95=(84, 85)),
            "kettle",
            "23 % less, and its p95 is about that of the toas",
        ),
        (priced(30, 30.5, low=-1, high=2), "either", "cost the same to within 10 %"),
        (priced(0, 0), "either", "(0.00 USD and 0.00 USD)"),
        (
            priced(30, 34, low=-4, high=12),
            "undetermined",
            "from -4.00 USD to +12.00 USD, past zero",
        ),
        (priced(30, 34, at_low=-5.0), "undetermined", "from -5.00 USD to"),
        (priced(34, 30, low=-6, high=-2, at_high=9.0), "undetermined", "to +9.00 USD"),
        (priced(30, 36, at_low=-1.0), "kettle", "Choose the kettle"),  # within 10 %: not turned
    ],
)
def test_the_cheaper_is_chosen_as_far_as_the_interval_and_the_cloud_tell(case, choice, says):
    chosen, sentence = choose_by_cost(case)
    assert chosen == choice
    assert says in sentence


def test_without_an_interval_nothing_is_chosen():
    case = priced(30, 10)
    level = case.costs.levels[0]
    unknown = CostDifference(month=Estimate(-20.0, None, None), at_low=-20.0, at_high=-20.0)
    from msgspec.structs import replace as changed

    costs = changed(case.costs, levels=[changed(level, difference=unknown)])
    chosen, sentence = choose_by_cost(replace(case, costs=costs))
    assert chosen == "undetermined"
    assert "too small to say how far their costs differ" in sentence


def evidence(cost, by_cost=True, first=110.0, second=84.0, **more):
    def candidate(name, p95):
        return Candidate(name, 2000, 0, Estimate(p95, 0.97 * p95, 1.03 * p95))

    return Evidence(
        **(
            {
                "first": candidate("kettle", first),
                "second": candidate("toaster", second),
                "difference": Estimate(second - first, second - first - 7, second - first + 7),
                "gates": [Gate("load", GateStatus.PASS, "there.")],
                "scope": "here",
                "local": True,
                "priced": cost,
                "by_cost": by_cost,
            }
            | more
        )
    )


def test_the_verdict_goes_by_cost_and_its_rule_and_reasons_say_so():
    verdict = decide(evidence(priced(10, 30)))
    assert verdict.choice == "kettle"
    assert "the cheaper at 3,000,000 requests a month" in verdict.rule
    assert verdict.sentence.endswith(", measured on one machine.")
    money = [reason for reason in verdict.reasons if "USD" in reason]
    assert money[0].startswith("At 3,000,000 requests a month: kettle 10.00 USD (9.70 USD to")
    assert money[1].startswith("Difference of a month, toaster minus kettle: +20.00 USD (18.50 USD")


def test_the_fastest_is_chosen_by_p95_and_its_cost_told():
    verdict = decide(evidence(priced(10, 30), by_cost=False))
    assert verdict.choice == "toaster"
    assert "it costs 30.00 USD at 3,000,000 requests a month" in verdict.sentence
    assert "lower p95" in verdict.rule


def test_a_side_that_misses_the_objective_is_not_chosen_for_its_price():
    verdict = decide(evidence(priced(10, 30), first=1500.0))
    assert verdict.choice == "toaster"
    assert "it costs 30.00 USD" in verdict.sentence


def test_a_failed_gate_goes_before_any_price():
    failed = [Gate("load", GateStatus.FAIL, "not there.")]
    assert decide(evidence(priced(10, 30), gates=failed)).choice == "undetermined"
