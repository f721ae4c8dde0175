"""Queueing behind concurrency: requests that wait because an instance is at work on others."""

from __future__ import annotations

from twinserve.analysis.causes.evidence import Evidence, Part, cause_of
from twinserve.analysis.causes.values import Cause
from twinserve.analysis.words import count, listed, share, time

NAME = "queueing"
LITTLE = 0.01  # of a side's time, below which a kind of waiting is not worth a word


def judge(evidence: Evidence) -> list[Cause]:
    """The wait for a place (gateway) and for a turn at the model (instance) together."""
    both = evidence.part("queue", "turn")
    outside, inside = evidence.part("queue"), evidence.part("turn")
    if both is None or outside is None or inside is None:
        return []
    said = listed([_words(evidence, name, outside, inside) for name in evidence.names])
    return [cause_of(NAME, both, f"{said[0].upper()}{said[1:]}")]


def _words(evidence: Evidence, name: str, outside: Part, inside: Part) -> str:
    deployment = evidence.deployment(name)
    waits = []
    if outside.shares[name] >= LITTLE:
        takes = (
            f" ({_instances(deployment.max_instances)} with "
            f"{count(deployment.concurrency, 'request')} at a time)"
            if deployment and deployment.concurrency
            else ""
        )
        waits.append(
            f"{time(outside.means[name])} ({share(outside.shares[name])}) for a place on an "
            f"instance{takes}"
        )
    if inside.shares[name] >= LITTLE:
        takes = (
            f" (it takes {deployment.concurrency} and computes one after the other)"
            if deployment and deployment.concurrency > 1
            else ""
        )
        waits.append(
            f"{time(inside.means[name])} ({share(inside.shares[name])}) inside an instance for "
            f"their turn at the model{takes}"
        )
    if not waits:
        return f"requests to the {name} hardly wait behind others"
    return f"requests to the {name} wait {listed(waits)}"


def _instances(most: int) -> str:
    return "one instance" if most == 1 else f"up to {most} instances"
