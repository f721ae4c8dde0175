"""What a run's sides cost at three levels of traffic, and at the user's own."""

from __future__ import annotations

import pytest

from twinserve.analysis.answering import answer
from twinserve.analysis.comparison import read_comparison, write_comparison
from twinserve.analysis.cost.bill import cost_of
from twinserve.analysis.cost.elsewhere import ASSUMED
from twinserve.analysis.cost.money import LEVELS, price_run
from twinserve.analysis.cost.month import Traffic
from twinserve.analysis.cost.pricing import read_book
from twinserve.analysis.cost.usage import run_usage
from twinserve.analysis.purpose import Purpose


@pytest.fixture
def run(make_run, runs):
    return make_run(rows=60, shapes=(runs.Shape(300.0), runs.Shape(100.0)))


def test_three_levels_and_the_stated_one_are_priced_as_twinserve_cost_does(run):
    found = price_run(run, 3e6)
    assert [level.requests_per_month for level in found.levels] == sorted([*LEVELS, 3e6])
    alone = cost_of(run_usage(run), read_book(), Traffic(3e6), ASSUMED)
    for name, side in found.level(3e6).sides.items():
        theirs = {plan.plan: plan.month.estimate for plan in alone.sides[name].plans}
        assert {plan.plan: plan.month.estimate for plan in side.plans} == theirs
        assert side.best.month.estimate == min(theirs.values())


def test_the_difference_is_of_the_cheapest_plans_with_both_sides_at_one_end_together(run):
    level = price_run(run).levels[-1]
    first, second = (level.sides[name].best.month for name in ("container", "function"))
    difference = level.difference
    assert difference.month.estimate == pytest.approx(second.estimate - first.estimate)
    assert difference.month.low < difference.month.estimate < difference.month.high
    # CPU factor 0.5 and 2: nearly half and twice the gap, since most of it is time
    assert difference.at_high < difference.month.estimate < difference.at_low < 0


def test_a_run_without_answers_has_no_price_and_still_a_comparison(make_run, runs):
    run = make_run(rows=60, shapes=(runs.Shape(error_share=1.0), runs.Shape()))
    assert price_run(run) is None
    assert answer(run).cost is None


def test_the_answer_is_for_the_purpose_and_survives_its_file(make_run, runs):
    run = make_run(users=1, shapes=(runs.Shape(300.0), runs.Shape(100.0)))
    found = answer(run, Purpose(requests_per_month=3e6))
    assert found.verdict.choice == "function"
    assert "at 3,000,000 requests a month" in found.verdict.sentence
    write_comparison(run.comparison, found)
    assert read_comparison(run.comparison) == found
