"""Payload: how large the answers are, what encoding them takes, and what base64 adds."""

from __future__ import annotations

from twinserve.analysis.causes.evidence import Evidence, Part, cause_of
from twinserve.analysis.causes.stages import StageRows, difference_of, share_of
from twinserve.analysis.causes.values import Cause
from twinserve.analysis.estimators import mean_of
from twinserve.analysis.words import listed, share, time

NAME = "payload"
JSON = "json"
BASE64 = 4 / 3  # RFC 4648: three bytes become four characters
KB = 1000.0


def judge(evidence: Evidence) -> list[Cause]:
    """Encoding, putting together (base64 among it) and receiving the answer."""
    if evidence.rows is None or evidence.stages is None:
        return []
    first, second = evidence.rows
    together = {each.name: _payload_ms(each) for each in evidence.rows}
    difference = difference_of(
        together[first.name], together[second.name], evidence.sides, evidence.confidence
    )
    means = {name: mean_of(values).estimate for name, values in together.items()}
    whole = evidence.stages.whole
    part = Part(
        means=means,
        shares={name: ms / max(whole.means[name], 1e-9) for name, ms in means.items()},
        difference=difference,
        of_difference=share_of(difference, whole.difference),
        scale_ms=min(whole.means[name] for name in evidence.names),
    )
    said = listed([_words(each, part) for each in evidence.rows])
    return [cause_of(NAME, part, f"{said[0].upper()}{said[1:]}{_base64(evidence)}")]


def _payload_ms(rows: StageRows) -> list:  # type: ignore[type-arg]
    """Encoding, what the service does besides, and the time from the first byte to the last."""
    inside = rows.values(("encode", "service"))
    return [a + b for a, b in zip(inside, rows.receiving_ms, strict=True)]


def _words(rows: StageRows, part: Part) -> str:
    size = mean_of(rows.received).estimate / KB
    return (
        f"an answer of the {rows.name} has {size:,.1f} kB, and encoding, packing and receiving it "
        f"take {time(part.means[rows.name])} ({share(part.shares[rows.name])})"
    )


def _base64(evidence: Evidence) -> str:
    """What JSON adds to the pictures: bytes that an ``Accept: image/…`` would save."""
    asked = {ask.format for ask in evidence.manifest.workload.mix}
    if asked != {JSON} or evidence.rows is None:
        return ""
    sizes = [mean_of(each.received).estimate for each in evidence.rows]
    saved = (1 - 1 / BASE64) * sum(sizes) / len(sizes) / KB
    return (
        f"; asked as JSON, pictures come in base64, 4/3 of their size: {saved:,.1f} kB of an "
        f"answer that asking for image/png or image/jpeg saves"
    )
