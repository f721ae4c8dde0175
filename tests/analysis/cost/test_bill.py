"""A month's cost follows from the measured use, the traffic and the price book, by hand as well."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from twinserve.analysis.cost.bill import PlanCost, bill, cost_of
from twinserve.analysis.cost.elsewhere import AS_MEASURED, ASSUMED, with_bands
from twinserve.analysis.cost.month import MONTH_S, Traffic
from twinserve.analysis.cost.pricing import read_book
from twinserve.analysis.cost.usage import BlockUsage, SideUsage, run_usage
from twinserve.cli import twinserve
from twinserve.deployment import Deployment, Kind
from twinserve.errors import RecordError, UsageError
from twinserve.records.run import RunDirectory

BOOK = read_book()
LOGS = Path(__file__).parents[2] / "data" / "jtl"
BUSY_S = 0.25  # of instance time a request


def side(
    *seconds: float, kind: Kind = Kind.FUNCTION, requests: int = 100, **fields: object
) -> SideUsage:
    """A side whose blocks took so many seconds a request."""
    deployment = Deployment(kind.value, kind, "m", concurrency=1, idle_s=900.0, **fields)  # type: ignore[arg-type]
    blocks = [BlockUsage(requests, requests * s, 0, requests * s, 0, 1e5) for s in seconds]
    return SideUsage(deployment, blocks, blocks[0], starts_s=(1.0,), on_platform=True)


def plan(found: SideUsage, name: str, traffic: Traffic, **options: bool) -> PlanCost:
    cost = cost_of([found], BOOK, traffic, AS_MEASURED, **options)  # type: ignore[arg-type]
    return next(each for each in cost.sides[found.name].plans if each.plan == name)


def test_request_based_is_instance_time_rounded_up_times_the_rates() -> None:
    traffic = Traffic(3e6)
    found = plan(side(BUSY_S), "functions-2nd", traffic, free_tier=False)
    rate = traffic.rate_rps
    added_s = (1 - math.exp(-rate * 0.05)) / rate  # half a step, or until the next request
    seconds = 3e6 * (BUSY_S + added_s)
    by_hand = seconds * (0.000024 + 4 * 0.0000025) + 3e6 * 0.4e-6 + 3e6 * 1e3 / 1e9 * 0.12
    assert found.month.estimate == pytest.approx(by_hand, rel=1e-6)
    assert found.per_1000_images.estimate == pytest.approx(by_hand / 3000)


def test_a_short_request_that_comes_alone_is_billed_a_whole_step() -> None:
    traffic = Traffic(100_000)
    found = plan(side(0.004), "functions-2nd", traffic, free_tier=False)
    cpu = next(line for line in found.lines if line.item == "CPU")
    assert cpu.quantity == pytest.approx(100_000 * 0.1, rel=0.01)


def test_rare_requests_each_pay_a_start() -> None:
    month = plan(side(BUSY_S), "functions-2nd", Traffic(100)).lines[0].quantity
    starts = 100 * math.exp(-100 / MONTH_S * 900)
    assert month == pytest.approx(100 * (BUSY_S + 0.05) + starts * 1.0, rel=1e-3)


def test_minimum_instances_are_billed_idle_beside_their_work_and_start_nothing() -> None:
    lines = plan(side(BUSY_S), "functions-2nd", Traffic(100, min_instances=2)).lines
    idle = next(line for line in lines if line.item == "idle CPU")
    assert idle.quantity == pytest.approx(2 * MONTH_S - 100 * 0.3, rel=1e-6)
    assert idle.price == 0.0000025


def test_always_on_is_what_facts_say_a_month_costs() -> None:
    found = plan(side(BUSY_S), "always-on", Traffic(1000), free_tier=False)
    assert found.instances == 1
    assert found.month.estimate == pytest.approx(67.39, abs=0.02)  # and nearly no egress
    assert plan(side(BUSY_S), "always-on", Traffic(30e6)).instances == 3  # 2.9 of work


def test_an_instance_lives_on_between_requests_and_the_work_is_the_least() -> None:
    rare = plan(side(BUSY_S), "cloud-run-instance", Traffic(100))
    alive = 1 - math.exp(-100 / MONTH_S * (900 + BUSY_S))
    starts = 100 * math.exp(-100 / MONTH_S * 900)
    assert rare.lines[0].quantity == pytest.approx(MONTH_S * alive + starts)
    busy = plan(side(BUSY_S), "cloud-run-instance", Traffic(30e6))
    assert busy.lines[0].quantity == pytest.approx(30e6 * BUSY_S, rel=1e-3)


def test_the_first_generation_counts_each_call_and_ghz() -> None:
    found = plan(side(BUSY_S), "functions-1st", Traffic(1e6), free_tier=False)
    ghz = next(line for line in found.lines if line.item == "CPU")
    assert ghz.quantity == pytest.approx(1e6 * 0.3 * 4.8)


def test_the_first_generation_is_not_offered_for_what_it_could_not_run() -> None:
    cost = cost_of([side(0.1, memory_mib=3000)], BOOK, Traffic(1e6), ASSUMED)
    assert "functions-1st" not in [each.plan for each in cost.sides["function"].plans]


def test_the_free_tier_takes_its_credit_and_never_more_than_the_line() -> None:
    rates = BOOK.rates("cloud-run-request")
    little = bill(rates, {"vcpu_s": 1000.0, "requests": 100.0}, free_tier=True)
    assert [line.amount for line in little] == [0.0, 0.0]
    much = bill(rates, {"vcpu_s": 1e6, "idle_vcpu_s": 1e6}, free_tier=True)
    assert much[0].credit == pytest.approx(4.32)
    assert much[1].credit == 0.0  # the same account, which is used up
    idle = bill(rates, {"vcpu_s": 1e5, "idle_vcpu_s": 1e6}, free_tier=True)
    assert [line.credit for line in idle] == pytest.approx([2.4, 1.92])


def test_the_interval_follows_from_block_to_block() -> None:
    steady = plan(side(*[BUSY_S] * 6), "functions-2nd", Traffic(30e6)).month
    assert steady.low == pytest.approx(steady.estimate) == steady.high
    uneven = plan(side(*[0.2, 0.3] * 3), "functions-2nd", Traffic(30e6)).month
    assert uneven.low is not None and uneven.high is not None
    assert uneven.low < 0.9 * uneven.estimate < 1.1 * uneven.estimate < uneven.high
    few = plan(side(0.2, 0.3), "functions-2nd", Traffic(30e6)).month
    assert (few.low, few.high) == (None, None)  # fewer blocks than an interval takes


def test_cpu_factor_and_platform_start_widen_what_was_measured_here() -> None:
    here = side(*[BUSY_S] * 6)
    local = SideUsage(here.deployment, here.blocks, here.whole, here.starts_s)
    found = cost_of([local], BOOK, Traffic(30e6), ASSUMED)
    assert "0.5 to 2 (assumed)" in found.elsewhere.sentence
    month = next(p for p in found.sides["function"].plans if p.plan == "functions-2nd").month
    assert month.cloud_low is not None and month.cloud_high is not None
    assert month.cloud_low < 0.65 * month.estimate
    assert month.cloud_high > 1.7 * month.estimate
    rare = cost_of([local], BOOK, Traffic(1000), ASSUMED, free_tier=False)
    money = next(p for p in rare.sides["function"].plans if p.plan == "functions-2nd").month
    assert money.cloud_high is not None and money.cloud_high > 5 * money.estimate  # 10 s a start


def test_a_price_that_is_missing_in_a_region_leaves_its_plan_out_and_says_so() -> None:
    found = cost_of([side(0.1)], BOOK, Traffic(1e6), ASSUMED, region="us-west2")
    assert "always-on" not in [each.plan for each in found.sides["function"].plans]
    assert any("tier2, which us-west2" in note for note in found.notes)


@pytest.mark.parametrize("requests", [0, -3, math.nan])
def test_a_month_without_requests_is_refused(requests: float) -> None:
    with pytest.raises(UsageError, match="a number above 0"):
        Traffic(requests)


def test_bands_that_are_upside_down_are_refused() -> None:
    with pytest.raises(UsageError, match="CPU factor is 2 to 1"):
        with_bands(ASSUMED, (2, 1), None)
    with pytest.raises(UsageError, match="platform start is -1 to 1 s"):
        with_bands(ASSUMED, None, (-1, 1))


# Real files


def test_the_published_logs_cost_what_they_say_and_not_what_was_published(tmp_path: Path) -> None:
    """The authors wrote $3.15 against $0.23; from their own logs it is about $0.21 and $0.024."""
    words = ["import-jtl", "--out", str(tmp_path / "run")]
    for name in ("container", "function"):
        words += [f"--{name}", str(LOGS / f"{name}.csv")]
    assert CliRunner().invoke(twinserve, words).exit_code == 0
    found = cost_of(run_usage(RunDirectory(tmp_path / "run")), BOOK, Traffic(3e6), ASSUMED)
    assert found.sides["container"].run["cloud-run-request"] == pytest.approx(0.21, abs=0.002)
    assert found.sides["function"].run["functions-2nd"] == pytest.approx(0.024, abs=0.0005)
    said = CliRunner().invoke(twinserve, ["cost", str(tmp_path / "run"), "--explain"])
    assert said.exit_code == 0
    assert "container: the 100 requests of the run themselves cost" in said.output
    assert "0.21 by cloud-run-request" in said.output
    assert "0.024 by functions-2nd" in said.output
    assert "the times were measured there" in said.output


def test_a_run_of_ours_is_priced_by_its_busy_time(
    make_run: Callable[..., RunDirectory],
) -> None:
    run = make_run(blocks=6, rows=60)
    container, function = run_usage(run)
    assert len(container.blocks) == len(function.blocks) == 6
    assert list(container.starts_s) == [0.9]
    for each in container.blocks:
        assert each.busy_s <= each.calls_s + 1e-9  # four users share it
        assert each.busy_s <= each.billable_s < each.busy_s + 0.3
    found = CliRunner().invoke(twinserve, ["cost", str(run.path), "--json"])
    assert found.exit_code == 0
    assert '"instance_s_a_request"' in found.output


def test_a_side_without_an_answer_is_refused(make_run: Callable[..., RunDirectory]) -> None:
    with pytest.raises(RecordError, match="no answered request in a finished block"):
        run_usage(make_run(blocks=6, rows=20, finished_blocks=1))
