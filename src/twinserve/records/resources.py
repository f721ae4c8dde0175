"""``resources.csv``: CPU and memory of every instance, one row a second and instance."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from twinserve.records.lines import CsvWriter, whole_lines

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class ResourceRow:
    """One reading of one instance (all its processes together).

    ``cpu_percent`` is of one core (200 = two cores busy) over the time since the reading before;
    ``memory_mib`` is the proportional set size where the system tells it, else the resident set
    size; of a container what its cgroup holds, less the file cache that the kernel gives up first.

    The rest is None where the system does not tell it, and in runs of before there was a runner for
    containers. ``cpu_limit`` (CPUs) and ``memory_limit_mib`` are the limits in force. The last
    three count since the reading before, as the cgroup's ``cpu.stat`` names them: in
    ``nr_throttled`` of ``nr_periods`` the quota was used up, which kept threads from running for
    ``throttled_usec``.
    """

    at_ms: float  # epoch
    side: str
    instance: str
    cpu_percent: float
    memory_mib: float
    busy_requests: int
    threads: int | None = None
    cpu_limit: float | None = None
    memory_limit_mib: float | None = None
    nr_periods: int | None = None
    nr_throttled: int | None = None
    throttled_usec: int | None = None


COLUMNS = tuple(field.name for field in fields(ResourceRow))


class ResourceWriter(CsvWriter):
    """Appends readings to a run's ``resources.csv``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, COLUMNS)

    def add(self, row: ResourceRow) -> None:
        self.write(astuple(row))


def read_resources(path: Path) -> pl.DataFrame:
    """Every whole row of a ``resources.csv``, columns as :class:`ResourceRow`; an older file lacks
    some, which are null then."""
    import polars as pl

    types = {
        "at_ms": pl.Float64,
        "side": pl.String,
        "instance": pl.String,
        "cpu_percent": pl.Float64,
        "memory_mib": pl.Float64,
        "busy_requests": pl.Int64,
        "threads": pl.Int64,
        "cpu_limit": pl.Float64,
        "memory_limit_mib": pl.Float64,
        "nr_periods": pl.Int64,
        "nr_throttled": pl.Int64,
        "throttled_usec": pl.Int64,
    }
    rows = pl.read_csv(whole_lines(path), schema_overrides=types)
    missing = [name for name in COLUMNS if name not in rows.columns]
    return rows.with_columns(pl.lit(None, types[name]).alias(name) for name in missing)
