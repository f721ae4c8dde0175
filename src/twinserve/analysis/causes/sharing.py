"""Sharing the CPU: requests that are at work on one instance at the same time slow each other.

Nobody notes a wait for the CPU by itself: it makes the service's own work and its server's take
longer. What a request needs of the CPU is known (CPU time of the instances over their requests),
and so is how long it is inside one; where the CPU is all but busy, the rest of that time is
waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinserve.analysis.causes.evidence import WORTH_A_NAME, Evidence, Part
from twinserve.analysis.causes.values import Cause, Finding
from twinserve.analysis.rows import SideRows
from twinserve.analysis.words import listed, share, time

NAME = "sharing the CPU"
INSIDE = ("inference", "encode", "service", "process", "rest")
BUSY = 0.8  # of the CPUs of the instances, above which what does not work waits
SEVERAL = 1.2  # requests at a time on one instance


@dataclass(frozen=True)
class _Shared:
    """One side: CPU time a request, its time inside an instance without the wait for the model,
    both in ms; how busy the CPUs are, and how many requests are inside at a time."""

    name: str
    cpu_ms: float
    inside_ms: float
    busy: float
    at_a_time: float
    mean_ms: float

    @property
    def waits_ms(self) -> float:
        """How long a request waits for the CPU, at most; 0 where nothing says that it does."""
        if self.busy < BUSY or self.at_a_time < SEVERAL:
            return 0.0
        return max(0.0, self.inside_ms - self.cpu_ms)

    @property
    def share_of_time(self) -> float:
        return self.waits_ms / self.mean_ms if self.mean_ms else 0.0

    @property
    def words(self) -> str:
        if not self.waits_ms:
            return f"requests to the {self.name} do not wait for each other's CPU time"
        return (
            f"{self.at_a_time:.1f} requests at a time keep the {self.name}'s CPU "
            f"{share(self.busy)} busy: each needs {time(self.cpu_ms)} of it and waits for it up to "
            f"{time(self.waits_ms)} ({share(self.share_of_time)} of its time)"
        )


def judge(evidence: Evidence) -> list[Cause]:
    """By the instances' CPU time (``resources.csv``) and the stages of their requests."""
    part = evidence.part(*INSIDE)
    if part is None:
        return []
    found = [shared for side in evidence.sides if (shared := _shared(evidence, side, part))]
    if not found:
        return []
    named = any(each.share_of_time >= WORTH_A_NAME for each in found)
    said = listed([each.words for each in found])
    return [
        Cause(
            name=NAME,
            finding=Finding.NAMED if named else Finding.ABSENT,
            sentence=f"{said[0].upper()}{said[1:]}.",
            shares={each.name: each.share_of_time for each in found},
        )
    ]


def _shared(evidence: Evidence, side: SideRows, part: Part) -> _Shared | None:
    deployment, stages = evidence.deployment(side.name), evidence.stages
    percent = side.pooled("cpu_percent")
    answered = side.requests - side.errors
    if deployment is None or stages is None or not percent.size or not answered:
        return None
    seconds = sum(block.end_us - block.start_us for block in side.blocks) / 1e6
    turn = evidence.part("turn")
    waiting_ms = turn.means[side.name] if turn else 0.0
    return _Shared(
        name=side.name,
        cpu_ms=float(percent.mean()) * 10 * seconds / answered,
        inside_ms=part.means[side.name],
        busy=float(percent.mean()) / 100 / (deployment.cpu * deployment.max_instances),
        at_a_time=(part.means[side.name] + waiting_ms) / 1000 * answered / seconds
        / deployment.max_instances,
        mean_ms=stages.whole.means[side.name],
    )  # fmt: skip
