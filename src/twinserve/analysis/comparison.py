"""``comparison.json``: what a run says, as typed values (contract: docs/architecture.md)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from twinserve.errors import RecordError
from twinserve.records.lines import replace_file

SCHEMA_VERSION = 1
MEASURES = (
    "elapsed_ms",
    "latency_ms",
    "connect_ms",
    "process_ms",
    "cpu_percent",
    "memory_mib",
)


class GateStatus(StrEnum):
    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


class Strength(StrEnum):
    FIRM = "firm"
    PROVISIONAL = "provisional"


class Summary(msgspec.Struct, frozen=True):
    """One measure of one side; ``std`` has n-1 below, percentiles are type 7 (linear)."""

    count: int
    mean: float
    std: float | None  # None below two values
    min: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


class Estimate(msgspec.Struct, frozen=True):
    """A value with its interval; a limit that the data cannot give is None."""

    estimate: float
    low: float | None
    high: float | None


class Difference(msgspec.Struct, frozen=True):
    """Second side minus first; ``ratio_of_means`` is first over second."""

    mean: Estimate
    p50: Estimate
    p95: Estimate
    ratio_of_means: Estimate | None  # None where the second mean is 0
    confidence: float


class SideSummary(msgspec.Struct, frozen=True):
    """One side over its finished blocks: warm-up and equality requests are not in it."""

    requests: int  # errors included
    errors: int  # counted, and left out of the times
    cold_starts: int | None  # instance starts in the whole run, warm-up included; None: not told
    throughput_rps: float  # answered requests
    elapsed_ms: Summary | None
    latency_ms: Summary | None
    connect_ms: Summary | None
    process_ms: Summary | None
    cpu_percent: Summary | None
    memory_mib: Summary | None


class Gate(msgspec.Struct, frozen=True):
    """A check that must pass before the comparison may be believed."""

    name: str
    status: GateStatus
    detail: str


class Verdict(msgspec.Struct, frozen=True):
    """``choice`` is a side's name, ``either``, ``neither`` or ``undetermined``."""

    choice: str
    strength: Strength
    rule: str
    scope: str
    reasons: list[str]
    sentence: str


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the report shows; ``cost`` stays None until a price book is there."""

    schema_version: int = SCHEMA_VERSION
    sides: tuple[str, str]
    allowance: float | None = None  # by which the intervals of two logs are widened
    deployments: dict[str, SideSummary]
    differences: dict[str, Difference]
    gates: list[Gate]
    cost: None = None
    verdict: Verdict


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write a ``comparison.json``; a reader finds the old one or the new one."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n")


def read_comparison(path: Path) -> Comparison:
    """Read a ``comparison.json``.

    Raises:
        RecordError: it is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Comparison)
    except FileNotFoundError:
        raise RecordError(
            f"{path} is missing; make it with: twinserve report {path.parent}"
        ) from None
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is damaged: {error}.") from error
