"""Checks that an experiment must pass before its comparison may be believed: pure, a file each."""

from __future__ import annotations

from collections import Counter

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates import cold, drift, equality, errors, host, load, saturation
from twinserve.analysis.gates.outcome import unknowing as unknowing  # for who knows better
from twinserve.analysis.gates.shares import Sides
from twinserve.analysis.watched import Watched
from twinserve.records.manifest import Manifest

JMETER = "jmeter"  # among the versions of a run whose load JMeter sent


def check(manifest: Manifest, sides: Sides, watched: Watched | None = None) -> list[Gate]:
    """Every gate, in the order in which comparison.json names them."""
    unsent: Counter[str] = Counter()
    for block in manifest.blocks:
        unsent[block.side] += block.unsent
    by_jmeter = JMETER in manifest.versions
    return [
        equality.judge(manifest.equality),
        load.judge(manifest.workload, sides, unsent),
        drift.judge(sides),
        saturation.judge(manifest.workload, sides, watched, manifest.ceiling, by_jmeter),
        host.judge(manifest, watched),
        errors.judge(sides),
        cold.judge(manifest.workload, sides),
    ]
