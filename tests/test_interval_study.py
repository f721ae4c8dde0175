"""The study of the intervals: its designs are what they say, its targets can be missed."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NAMES = ("independent", "autocorrelated 0.9", "heavy tail", "blocks shift 5 %", "queue at 70 %")


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def design(name: str) -> Any:
    designs = import_module("interval_designs").DESIGNS
    return next(each for each in designs if each.name == name)


@pytest.mark.parametrize("name", [*NAMES, "slow mode in 1 of 3"])
def test_a_design_has_the_values_that_it_says(name: str) -> None:
    """Block means scatter by what the rows do; five standard errors are beyond chance."""
    each = design(name)
    first, second = each.draw(np.random.default_rng(1), 400, 1000)
    rows = np.concatenate([first, second])
    error = rows.mean(axis=1).std() / np.sqrt(len(rows))
    assert abs(rows.mean() - each.mean) < 5 * error
    for p in (0.5, 0.95):
        below = (rows <= each.quantile(p)).mean(axis=1)
        assert abs(below.mean() - p) < 5 * below.std() / np.sqrt(len(rows))


def test_a_queue_is_in_its_steady_state_from_the_first_request_on() -> None:
    first, _ = design("queue at 70 %").draw(np.random.default_rng(2), 20_000, 3)
    assert first.mean(axis=0) == pytest.approx(1 / 0.3, rel=0.05)


def test_pairs_see_the_drift_alike_and_two_halves_do_not() -> None:
    drift, sequential = design("host drifts 30 %"), import_module("interval_designs")
    for draw, low, high in ((drift.draw, 0.97, 1.03), (sequential.sequential_blocks, 1.1, 1.2)):
        first, second = draw(np.random.default_rng(3), 10, 2000)
        assert low < second.mean() / first.mean() < high


def test_a_small_study_prints_every_table_and_meets_its_targets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run_study(monkeypatch, capsys, "4")
    assert code == 0, printed
    for words in (
        *NAMES,
        *("first A, then B", "tight enough, planned looks", "widened by 15 %", "targets met"),
        "3,000 rows, correlation 0.9",
    ):
        assert words in printed
    assert "MISSED" not in printed


def test_seeds_below_one_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, printed = run_study(monkeypatch, capsys, "0")
    assert code == 2
    assert "--seeds is 0" in printed


def run_study(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seeds: str
) -> tuple[Any, str]:
    """The study's exit code and what it said."""
    monkeypatch.setattr(sys, "argv", ["interval_coverage.py", "--seeds", seeds])
    with pytest.raises(SystemExit) as ended:
        import_module("interval_coverage").main()
    said = capsys.readouterr()
    return ended.value.code, said.out + said.err


def test_targets_are_missed_beyond_chance_and_not_before() -> None:
    study = import_module("interval_coverage")
    assert study.covers("", 950, 1000).met
    assert [study.covers("", held, 1000).met for held in (919, 920, 980, 981)] == [
        *(False, True, True, False)
    ]
    assert study.covers("", 18, 20).met
    assert not study.covers("", 0, 0).met
    # Of 200 at a rate of 0.05 more than 18 come once in a hundred studies (binomial).
    assert [study.at_most("", count, 200).met for count in (0, 18, 19)] == [True, True, False]
    assert [study.at_least("", count, 200).met for count in (200, 182, 181)] == [True, True, False]


def test_intervals_around_a_wrong_value_are_seen() -> None:
    experiments, study = import_module("interval_experiments"), import_module("interval_coverage")
    right = design("independent")
    wrong = replace(right, mean=1.05 * right.mean)
    covered = {}
    for name, each in (("right", right), ("wrong", wrong)):
        tally = experiments.simulate(each, (10, 100), 40)
        covered[name] = study.covers(name, tally.held["mean"], tally.known["mean"]).met
    assert covered == {"right": True, "wrong": False}


def test_a_slower_side_is_found_and_an_equal_one_is_not() -> None:
    experiments = import_module("interval_experiments")
    tally = experiments.simulate(design("independent"), (10, 300), 20)
    assert tally.found["p95"] == 20
    assert tally.winners["p95"] <= 3


def test_one_server_on_both_sides_seldom_has_a_winner() -> None:
    """Real requests over loopback, real rows, the analysis and the rule of real runs."""
    servers = import_module("aa_servers")
    with servers.null_server() as url:
        found = [servers.compared(url, seed, block_s=0.05) for seed in range(4)]
    for comparison in found:
        assert min(side.requests for side in comparison.deployments.values()) >= 40
        assert all(side.errors == 0 for side in comparison.deployments.values())
    lines = dict(servers.report(found))
    winners = [met for line, met in lines.items() if "winner" in line]
    assert winners == [True] * 4
    assert servers.block_seconds(found[0]) >= servers.LEAST_BLOCK_S
