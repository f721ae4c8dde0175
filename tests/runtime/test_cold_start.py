"""The benchmarks of the local platform run, and what they promise of a cold start holds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(BENCHMARKS / name), *options]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_from_spawn_to_the_first_picture_takes_at_most_four_bare_imports() -> None:
    done = run("cold_start.py", "--rounds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    ratios = dict(re.findall(r"^(container|function) .*\| ([\d.]+)$", done.stdout, re.MULTILINE))
    assert ratios.keys() == {"container", "function"}
    assert all(0 < float(ratio) <= 4 for ratio in ratios.values())


def test_what_the_gateway_adds_is_measured_beside_a_direct_call() -> None:
    """Whether its milliseconds are met is for a quiet machine to say (make bench-gateway)."""
    done = run("gateway_overhead.py", "--blocks", "2", "--seconds", "0.5", "--rate", "50")
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.startswith("50 requests a side at 50/s")
    for line in ("p50: ", "p99: ", "ceiling through the gateway: "):
        assert f"\n{line}" in done.stdout
    met = "The targets are met." in done.stdout
    assert met is (done.returncode == 0)
