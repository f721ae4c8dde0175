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
    size.
    """

    at_ms: float  # epoch
    side: str
    instance: str
    cpu_percent: float
    memory_mib: float
    busy_requests: int


COLUMNS = tuple(field.name for field in fields(ResourceRow))


class ResourceWriter(CsvWriter):
    """Appends readings to a run's ``resources.csv``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, COLUMNS)

    def add(self, row: ResourceRow) -> None:
        self.write(astuple(row))


def read_resources(path: Path) -> pl.DataFrame:
    """Every whole row of a ``resources.csv``, columns as :class:`ResourceRow`."""
    import polars as pl

    types = {"at_ms": pl.Float64, "side": pl.String, "instance": pl.String}
    return pl.read_csv(
        whole_lines(path),
        schema_overrides=types
        | {"cpu_percent": pl.Float64, "memory_mib": pl.Float64, "busy_requests": pl.Int64},
    )
