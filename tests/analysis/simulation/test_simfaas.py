"""The published simulator ``simfaas`` sees as many cold starts as ours, on its own scenario."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from twinserve.analysis.simulation.run import simulate
from twinserve.workload import Poisson

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_both_simulators_agree_on_cold_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    bench = import_module("simulation")
    options = argparse.Namespace(rate=0.9, requests=4000)
    theirs = [bench.their_turn(options, seed)[0] for seed in range(6)]
    seconds = options.requests / options.rate
    ours = [
        simulate(bench.model(), Poisson(rate_rps=options.rate), seconds, seed=seed).cold_share
        for seed in range(60)
    ]
    error = float(np.std(ours, ddof=1)) * (1 / len(ours) + 1 / len(theirs)) ** 0.5
    assert abs(np.mean(ours) - np.mean(theirs)) < 3.5 * error
    assert np.mean(ours) > 0
