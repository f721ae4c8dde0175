"""The files that a workload's file names: times of a trace, and bodies of requests."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from twinserve.errors import UsageError

MOST_TIMES = 1_000_000
MOST_SAMPLES = 10_000
MOST_BYTES = 32 * 2**20  # they are kept in run.json


def read_times(path: Path) -> tuple[float, ...]:
    """A trace: one time in seconds a line, from 0 on, ascending; ``#`` begins a comment.

    Raises:
        UsageError: a line is no time or goes back; it names the file, the line and the value.
    """
    times: list[float] = []
    for number, line in _lines(path):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        times.append(_time(path, number, text, times[-1] if times else 0.0))
        if len(times) > MOST_TIMES:
            raise UsageError(f"{path} has more than {MOST_TIMES:,} times; leave some out.")
    if not times or times[-1] <= 0:
        raise UsageError(f"{path} has no time above 0; write one in seconds a line.")
    return tuple(times)


def read_samples(path: Path) -> tuple[str, ...]:
    """Bodies of requests: one JSON object a line, sent as it stands.

    Raises:
        UsageError: a line is no JSON object; it names the file and the line.
    """
    bodies = []
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            raise UsageError(f"{path}, line {number}: not a JSON object ({error}).") from None
        bodies.append(line.strip())
    if not bodies:
        raise UsageError(f"{path} has no line; write one JSON object a line.")
    if len(bodies) > MOST_SAMPLES:
        raise UsageError(f"{path} has {len(bodies):,} lines; at most {MOST_SAMPLES:,} are used.")
    return tuple(bodies)


def _time(path: Path, number: int, text: str, least: float) -> float:
    try:
        time_s = float(text)
    except ValueError:
        time_s = math.nan
    if not least <= time_s < math.inf:
        raise UsageError(
            f"{path}, line {number}: {text[:40]!r}; allowed is a time in seconds, {least:g} or "
            f"more, as the times ascend."
        )
    return time_s


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} is larger than {MOST_BYTES // 2**20} MiB; leave lines out.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path} cannot be read ({reason}).") from error
    return list(enumerate(text.splitlines(), 1))
