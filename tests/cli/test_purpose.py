"""A verdict for a purpose on the command line: stated, kept, refused."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from twinserve.analysis.comparison import read_comparison
from twinserve.cli import twinserve
from twinserve.errors import UsageError


def invoke(*words):
    result = CliRunner().invoke(twinserve, [str(word) for word in words], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


def test_a_purpose_goes_into_the_verdict_and_stays_when_the_report_is_made_again(make_run, runs):
    run = make_run(users=1, shapes=(runs.Shape(300.0), runs.Shape(100.0)))
    stated = ("--objective", "p95<700ms,errors<2%", "--requests-per-month", "3M")
    said = invoke("report", run.path, *stated)
    assert "Choose the function: it costs" in said
    assert "at 3,000,000 requests a month" in said
    before = read_comparison(run.comparison)
    assert "within 700 ms and fewer than 2 % errors" in before.verdict.rule
    assert before.cost.stated == 3e6
    invoke("report", run.path)
    assert read_comparison(run.comparison) == before
    fastest = invoke("report", run.path, *stated, "--goal", "fastest")
    assert "times as fast as the container" in fastest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--goal", "cheapest"), "--goal cheapest needs your traffic"),
        (("--objective", "p42<1s"), "--objective is 'p42<1s'; write one of"),
        (("--requests-per-month", "none"), "'none' is not a number above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(make_run, words, says):
    run = make_run(rows=20)
    with pytest.raises(Exception, match=says) as refusal:
        invoke("report", run.path, *words)
    assert refusal.value.exit_code == 2
    assert not run.report.exists()


def test_a_search_for_rates_has_no_use_for_a_purpose():
    with pytest.raises(UsageError, match="--objective, --requests-per-month or --goal"):
        invoke("compare", "--find-rate", "p95<500ms", "--requests-per-month", "3M")
