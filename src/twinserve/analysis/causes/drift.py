"""Drift: times that changed over the run, as the gate of that name found."""

from __future__ import annotations

from twinserve.analysis.causes.evidence import Evidence, unknown
from twinserve.analysis.causes.values import Cause, Finding
from twinserve.analysis.comparison import GateStatus

NAME = "drift"
FINDINGS = {GateStatus.FAIL: Finding.NAMED, GateStatus.PASS: Finding.ABSENT}


def judge(evidence: Evidence) -> list[Cause]:
    """Named where the gate failed: then times depend on when they were measured."""
    gate = next((gate for gate in evidence.gates if gate.name == NAME), None)
    if gate is None:
        return []
    if gate.status not in FINDINGS:
        return [unknown(NAME, gate.detail)]
    return [Cause(name=NAME, finding=FINDINGS[gate.status], sentence=gate.detail)]
