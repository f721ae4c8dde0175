"""``host.csv``: what the machine under the load generator did, one row a second.

A value that the system does not tell is empty: macOS knows no steal time, a machine without control
groups no throttling.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from twinserve.errors import RecordError
from twinserve.records.lines import CsvWriter, whole_lines

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class HostRow:
    """What happened in the ``period_s`` before ``at_ms``; every ``*_percent`` is of one core
    (200 = two cores), except ``pressure_percent``.

    ``busy_percent`` counts every process on the ``cores`` CPUs that the load generator may use,
    ``steal_percent`` what the hypervisor gave to other machines. Of those, ``generator_percent`` is
    the load generator (JMeter, where it sends) and ``platform_percent`` gateways and instances, as
    far as they are our child processes: containers are not. ``lag_*_ms`` is how late the
    generator's event loop noticed what was due. ``nr_throttled`` and ``throttled_usec`` are of the
    control groups that hold the generator. ``pressure_percent`` is Linux's pressure stall
    information: the share of the time in which some process was ready and had no CPU.
    ``heat_throttles`` counts how often the CPUs slowed down because they were hot.
    """

    at_ms: float  # epoch
    period_s: float
    cores: int
    busy_percent: float | None
    steal_percent: float | None
    generator_percent: float
    platform_percent: float
    lag_mean_ms: float | None
    lag_max_ms: float | None
    swap_in_mib: float | None
    swap_out_mib: float | None
    nr_throttled: int | None
    throttled_usec: int | None
    pressure_percent: float | None
    heat_throttles: int | None


COLUMNS = tuple(field.name for field in fields(HostRow))
WHOLE = ("cores", "nr_throttled", "throttled_usec", "heat_throttles")


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """The most that the load generator could send here: against a server that does nothing.

    ``users`` asked without pause for ``seconds``; each answer had ``answer_bytes``.
    """

    requests_per_s: float
    users: int
    seconds: float
    answer_bytes: int


class HostWriter(CsvWriter):
    """Appends rows to a run's ``host.csv``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, COLUMNS)

    def add(self, row: HostRow) -> None:
        self.write(astuple(row))


def read_host(path: Path) -> pl.DataFrame:
    """Every whole row of a ``host.csv``, columns as :class:`HostRow`.

    Raises:
        RecordError: the file is missing or holds not even a header line.
    """
    import polars as pl

    types = _types()
    rows = pl.read_csv(whole_lines(path), schema_overrides=types)
    missing = [name for name in COLUMNS if name not in rows.columns]
    return rows.with_columns(pl.lit(None, types[name]).alias(name) for name in missing)


def host_if_any(path: Path) -> pl.DataFrame:
    """The same, without a row where a run has no ``host.csv``: older ones, and remote hosts'."""
    import polars as pl

    try:
        return read_host(path)
    except RecordError:
        return pl.DataFrame(schema=_types())


def _types() -> dict[str, type[pl.DataType]]:
    import polars as pl

    return {name: pl.Int64 if name in WHOLE else pl.Float64 for name in COLUMNS}
