"""From this machine to a cloud: a CPU factor and an added start, each a band with its origin.

A time measured here is no time of a cloud. It becomes one by a named factor on what the CPU does
and by what a platform adds to a start. Until `twinserve calibrate` has measured them, both are
assumptions, and every figure that uses them says so and is widened by them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from twinserve.errors import RecordError, UsageError
from twinserve.records.lines import replace_file

FILE_NAME = "calibration.json"
SCHEMA_VERSION = 1


class Band(msgspec.Struct, frozen=True):
    """From ``low`` to ``high``, most likely ``likely``; ``measured`` or an assumption."""

    low: float
    likely: float
    high: float
    measured: bool = False

    @property
    def word(self) -> str:
        return "measured" if self.measured else "assumed"


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """How times there follow from times here: CPU work times ``cpu_factor``, starts as well and
    ``platform_start_s`` longer."""

    schema_version: int = SCHEMA_VERSION
    cpu_factor: Band
    platform_start_s: Band
    url: str = ""  # where it was measured
    requests: int = 0

    @property
    def sentence(self) -> str:
        cpu, start = self.cpu_factor, self.platform_start_s
        if self == AS_MEASURED:
            return "the times were measured there"
        return (
            f"CPU factor {cpu.low:g} to {cpu.high:g} ({cpu.word}), added platform start "
            f"{start.low:g} to {start.high:g} s ({start.word})"
        )

    def corners(self) -> dict[str, tuple[float, float]]:
        """CPU factor and added start of the best, the likely and the worst case."""
        cpu, start = self.cpu_factor, self.platform_start_s
        return {
            "low": (cpu.low, start.low),
            "likely": (cpu.likely, start.likely),
            "high": (cpu.high, start.high),
        }


ASSUMED = Elsewhere(cpu_factor=Band(0.5, 1.0, 2.0), platform_start_s=Band(0.0, 0.0, 10.0))
# What was measured on the platform itself needs no translation.
AS_MEASURED = Elsewhere(
    cpu_factor=Band(1.0, 1.0, 1.0, measured=True),
    platform_start_s=Band(0.0, 0.0, 0.0, measured=True),
)


def with_bands(
    elsewhere: Elsewhere,
    cpu_factor: tuple[float, float] | None,
    platform_start_s: tuple[float, float] | None,
) -> Elsewhere:
    """The same with the user's own bands in place of some.

    Raises:
        UsageError: a band is upside down, or a factor is not above 0.
    """
    changes = {}
    if cpu_factor is not None:
        low, high = cpu_factor
        if not 0 < low <= high:
            raise UsageError(
                f"The CPU factor is {low:g} to {high:g}; write LOW..HIGH with both above 0."
            )
        changes["cpu_factor"] = Band(low, min(max(1.0, low), high), high)
    if platform_start_s is not None:
        low, high = platform_start_s
        if not 0 <= low <= high:
            raise UsageError(
                f"The platform start is {low:g} to {high:g} s; write LOW..HIGH in seconds."
            )
        changes["platform_start_s"] = Band(low, low, high)
    return msgspec.structs.replace(elsewhere, **changes)


def read_elsewhere(folder: Path) -> Elsewhere:
    """What `twinserve calibrate` has measured for a run; without it what is assumed.

    Raises:
        RecordError: the file is damaged.
    """
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Elsewhere)
    except FileNotFoundError:
        return ASSUMED
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is damaged: {error}; remove it or calibrate again.") from error


def write_elsewhere(folder: Path, elsewhere: Elsewhere) -> Path:
    """Keep what was measured beside the run."""
    path = folder / FILE_NAME
    replace_file(path, msgspec.json.format(msgspec.json.encode(elsewhere), indent=2) + b"\n")
    return path
