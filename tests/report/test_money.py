"""The section "What it costs": three levels of traffic, the user's own, and the break-even."""

from __future__ import annotations

import re

import msgspec
import pytest

from twinserve.analysis.answering import answer
from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import GateStatus
from twinserve.analysis.purpose import Purpose
from twinserve.analysis.simulation.breaking_even import FILE_NAME, break_even
from twinserve.errors import RecordError
from twinserve.report.build import write_report
from twinserve.report.money import money_section


@pytest.fixture
def run(make_run, runs):
    return make_run(users=1, shapes=(runs.Shape(300.0), runs.Shape(100.0)))


def test_three_levels_are_shown_and_the_stated_one_is_marked(run):
    section = money_section(answer(run, Purpose(requests_per_month=3e6)))
    assert [level.traffic for level in section.levels] == [
        "100,000", "1,000,000", "3,000,000", "10,000,000",
    ]  # fmt: skip
    assert [level.stated for level in section.levels] == [False, False, True, False]
    assert section.levels[2].cheaper.startswith("function")
    assert any("CPU factor 0.5 to 2 (assumed)" in note for note in section.notes)


def test_the_page_folds_the_other_plans_and_draws_the_break_even(run):
    comparison = answer(run)
    page = write_report(run, comparison, break_even(run, comparison)).read_text(encoding="utf-8")
    section = page.partition('id="cost"')[2].partition("</section>")[0]
    months, _, folded = section.partition("<details>")
    assert months.count("<tr><th") == 4  # the head and three levels
    assert "Cloud Run, instance-based, always on" in folded
    figure = re.search(r'id="break-even-figure">.*?</figure>', section, re.DOTALL)
    assert figure
    assert "<svg" in figure[0]
    assert "Cost a month and p95 of both sides over the rate" in figure[0]
    assert "requests simulated, seed 0. Not a measurement of any cloud." in section
    assert (run.figures / "break-even.png").read_bytes().startswith(b"\x89PNG")


def test_what_twinserve_simulate_left_is_shown_in_place_of_an_own_sweep(run):
    comparison = compare_run(run)
    own = break_even(run, comparison)
    theirs = msgspec.structs.replace(own, seed=7)
    (run.path / FILE_NAME).write_bytes(msgspec.json.encode(theirs))
    assert break_even(run, comparison) == theirs
    (run.path / FILE_NAME).write_bytes(b"{")
    with pytest.raises(RecordError, match="make it again with: twinserve simulate"):
        break_even(run, comparison)


def with_failed(comparison, name):
    gates = [
        msgspec.structs.replace(gate, status=GateStatus.FAIL) if gate.name == name else gate
        for gate in comparison.gates
    ]
    return msgspec.structs.replace(comparison, gates=gates)


@pytest.mark.parametrize("name", ["equality", "load", "errors"])
def test_nothing_is_simulated_where_the_times_are_not_those_of_the_sides(run, name):
    assert break_even(run, with_failed(compare_run(run), name)) is None


def test_after_another_failed_gate_the_section_warns(run):
    comparison = answer(run)
    assert money_section(comparison).caution == ""
    caution = money_section(with_failed(comparison, "host")).caution
    assert caution.startswith("The gate host failed: the times that all of this follows from may")


def test_a_comparison_without_prices_has_no_section(run):
    assert money_section(compare_run(run)) is None
