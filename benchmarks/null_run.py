"""The manifest of a run in which one server that only answers stands on both sides."""

from __future__ import annotations

from twinserve.deployment import fair_defaults
from twinserve.load.sender import Clock
from twinserve.records.manifest import Manifest, ModelFacts, package_versions, this_hardware
from twinserve.workload import Workload


def null_manifest(clock: Clock, workload: Workload) -> Manifest:
    return Manifest(
        started_epoch_ms=clock.started_epoch_ms,
        versions=package_versions(),
        hardware=this_hardware(0, 0),
        runner="process",
        deployments=dict(fair_defaults("null", 900.0)),
        cap="one server that only answers, on both sides",
        model=ModelFacts("null", "", 0, "", True),
        workload=workload,
    )
