"""How a check ends: pass, fail or unknown, in numbers and with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinserve.analysis.comparison import Gate, GateStatus
from twinserve.analysis.words import listed

PASS, FAIL, UNKNOWN = GateStatus.PASS, GateStatus.FAIL, GateStatus.UNKNOWN


def passing(name: str, detail: str) -> Gate:
    return Gate(name, PASS, detail)


def failing(name: str, detail: str, remedy: str) -> Gate:
    return Gate(name, FAIL, f"{detail} {remedy}")


def unknowing(name: str, detail: str) -> Gate:
    return Gate(name, UNKNOWN, detail)


@dataclass(frozen=True)
class Part:
    """One of several things that a gate looks at.

    ``said`` is a sentence with its numbers, ``remedy`` one for whoever has to mend it, ``short``
    what is wrong in a few words. A part that did not pass needs the last two.
    """

    status: GateStatus
    said: str
    remedy: str = ""
    short: str = ""


def gate_of(name: str, parts: Sequence[Part]) -> Gate:
    """Fails where a part fails, else is unknown where one is; what is wrong comes first."""
    failed = [part for part in parts if part.status is FAIL]
    untold = [part for part in parts if part.status is UNKNOWN]
    passed = [part for part in parts if part.status is PASS]
    told = " ".join(part.said for part in (*failed, *untold, *passed))
    if failed:
        remedies = dict.fromkeys(part.remedy for part in failed)
        wrong = listed([part.short for part in failed])
        return failing(name, f"{wrong[:1].upper()}{wrong[1:]}. {told}", " ".join(remedies))
    if untold:
        remedies = dict.fromkeys(part.remedy for part in untold if part.remedy)
        return unknowing(name, " ".join([told, *remedies]))
    return passing(name, told)
