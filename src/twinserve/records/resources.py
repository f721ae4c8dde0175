"""``resources.csv``: CPU and memory of every instance, one row a second and instance."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from twinserve.errors import RecordError
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

    types = _types()
    rows = pl.read_csv(whole_lines(path), schema_overrides=types)
    missing = [name for name in COLUMNS if name not in rows.columns]
    return rows.with_columns(pl.lit(None, types[name]).alias(name) for name in missing)


def readings_if_any(path: Path) -> pl.DataFrame:
    """The same, without a row where a run was cut off before its first reading: readings are worth
    having and not needed."""
    import polars as pl

    try:
        return read_resources(path)
    except RecordError:
        return pl.DataFrame(schema=_types())


def _types() -> dict[str, type[pl.DataType]]:
    import polars as pl

    numbers = ("at_ms", "cpu_percent", "memory_mib", "cpu_limit", "memory_limit_mib")
    types: dict[str, type[pl.DataType]] = dict.fromkeys(COLUMNS, pl.Int64)
    types |= dict.fromkeys(numbers, pl.Float64) | dict.fromkeys(("side", "instance"), pl.String)
    return types
