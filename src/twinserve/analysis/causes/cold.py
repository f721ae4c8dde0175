"""Cold starts: requests that waited for an instance to start."""

from __future__ import annotations

from twinserve.analysis.causes.evidence import Evidence, Part, cause_of, unknown
from twinserve.analysis.causes.values import Cause, Finding
from twinserve.analysis.rows import SideRows
from twinserve.analysis.words import count, listed, share, time
from twinserve.records.manifest import REMOTE

NAME = "cold starts"


def judge(evidence: Evidence) -> list[Cause]:
    """By the gateways' own word on each request (``cold``)."""
    if evidence.manifest.runner == REMOTE:
        return [unknown(NAME, "Services elsewhere do not tell which requests waited for a start.")]
    part = evidence.part("cold")
    if part is None:
        return []
    waited = [side for side in evidence.sides if side.cold_requests]
    if not waited:
        return [
            Cause(
                name=NAME,
                finding=Finding.ABSENT,
                sentence="No measured request waited for an instance to start.",
                shares=part.shares,
                difference=part.difference,
                of_difference=part.of_difference,
            )
        ]
    said = listed([_words(side, part) for side in waited])
    return [cause_of(NAME, part, f"{said[0].upper()}{said[1:]}")]


def _words(side: SideRows, part: Part) -> str:
    answered = max(1, side.requests - side.errors)
    each = part.means[side.name] * answered / side.cold_requests
    return (
        f"{count(side.cold_requests, 'request')} of the {side.name} "
        f"({share(side.cold_requests / side.requests)}) waited for an instance to start, about "
        f"{time(each)} each, {share(part.shares[side.name])} of its time"
    )
