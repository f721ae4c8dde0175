"""The section "Why": where the time goes, which causes were named, what to change first."""

from __future__ import annotations

import re

import msgspec
import pytest

from twinserve.analysis.causes.values import Causes, Finding
from twinserve.analysis.compare import compare_run
from twinserve.report.build import write_report
from twinserve.report.causes import stages_chart, why_section


@pytest.fixture(scope="module")
def section(whole_page):
    return whole_page.partition('id="why"')[2].partition("</section>")[0]


def test_the_rows_of_the_table_add_up_to_elapsed(section):
    table = section.partition('id="stages"')[2].partition("</table>")[0]
    rows = re.findall(r"<tr><th scope=\"row\">.*?</th>(.*?)</tr>", table, re.DOTALL)
    cells = [[float(c.replace(",", "").replace("\N{MINUS SIGN}", "-")) for c in
              re.findall(r"<td>([^<]+)</td>", row)[:2]] for row in rows]  # fmt: skip
    *parts, whole = cells
    for side in (0, 1):
        assert sum(part[side] for part in parts) == pytest.approx(whole[side], abs=0.3)


def test_every_cause_is_on_the_page_in_one_of_three_lists(section, whole_comparison):
    listed = re.findall(r"<li><strong>([^<]+)\.</strong>", section)
    assert [name.lower() for name in listed] == [
        cause.name.lower()
        for finding in (Finding.NAMED, Finding.UNKNOWN, Finding.ABSENT)
        for cause in whole_comparison.causes.found(finding)
    ]


def test_stages_that_take_no_time_are_left_out_of_bars_and_rows(make_run):
    causes = compare_run(make_run(rows=30)).causes
    assert any(stage.name == "cold" for stage in causes.stages.stages)
    assert "waiting for a start" not in stages_chart(causes).to_json()


def test_the_bars_are_described_for_those_who_do_not_see_them(section):
    described = re.search(r'role="img" aria-label="(Mean elapsed[^"]+)"', section)
    assert described
    assert "container" in described[1]
    assert "most of it" in described[1]


def test_the_advice_stands_at_the_head(make_run):
    run = make_run(rows=30)
    comparison = compare_run(run)
    advised = msgspec.structs.replace(comparison.causes, advice="Take <four> instances.")
    page = write_report(run, msgspec.structs.replace(comparison, causes=advised)).read_text()
    assert "<strong>What to change first:</strong> Take &lt;four&gt; instances." in page


def test_a_run_that_does_not_tell_says_why_and_draws_no_bars(make_run):
    run = make_run(rows=30)
    comparison = compare_run(run)
    silent = Causes(stages=None, untold="nobody said")
    page = write_report(run, msgspec.structs.replace(comparison, causes=silent)).read_text()
    assert "Where the time goes cannot be told: nobody said." in page
    assert 'id="stages-figure"' not in page


def test_an_older_comparison_has_no_section(whole_comparison):
    assert why_section(msgspec.structs.replace(whole_comparison, causes=None)) is None
