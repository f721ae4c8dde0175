"""The network, and everything else outside the service's own code."""

from __future__ import annotations

from twinserve.analysis.causes.evidence import Evidence, Part, cause_of
from twinserve.analysis.causes.values import Cause
from twinserve.analysis.words import listed, share, time
from twinserve.records.manifest import REMOTE


def judge(evidence: Evidence) -> list[Cause]:
    """Connecting, and what is left of elapsed time after everything that was measured."""
    connect, rest = evidence.part("connect"), evidence.part("rest")
    if connect is None or rest is None:
        return []
    return [
        cause_of("network", connect, f"Connecting takes {_each(evidence, connect)}"),
        cause_of("server and way", rest, f"{_rest(evidence)} takes {_each(evidence, rest)}"),
    ]


def _each(evidence: Evidence, part: Part) -> str:
    return listed(
        [
            f"{time(part.means[name])} of the {name}'s time ({share(part.shares[name])})"
            for name in evidence.names
        ]
    )


def _rest(evidence: Evidence) -> str:
    if evidence.manifest.runner == REMOTE:
        return "What lies between the client and the service's code (network, platform, server)"
    return "What lies between the client and the service's code (gateway, server, its threads)"
