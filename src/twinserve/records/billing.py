"""``billing.csv``: what the platforms would bill of each side, as it grows through the run.

A row a second, side and mode, as long as something changes. Every number counts from the run's
begin, so that the difference of two rows is what came in between.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from twinserve.records.lines import CsvWriter, whole_lines

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class BillingRow:
    """One reading of one side's meter in one mode; the measures are those of
    :class:`twinserve.scaling.billing.Billed`."""

    at_ms: float  # epoch
    side: str
    mode: str
    instances: int
    requests: int
    billable_s: float
    vcpu_s: float
    gib_s: float
    ghz_s: float
    idle_s: float
    idle_vcpu_s: float
    idle_gib_s: float
    idle_ghz_s: float
    egress_bytes: int


COLUMNS = tuple(field.name for field in fields(BillingRow))


class BillingWriter(CsvWriter):
    """Appends readings to a run's ``billing.csv``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, COLUMNS)
        self._last: dict[tuple[str, str], tuple[object, ...]] = {}

    def add(self, row: BillingRow) -> None:
        """Write the row down, unless nothing has changed since the side's last one."""
        values = astuple(row)
        key, counted = (row.side, row.mode), values[1:]
        if self._last.get(key) != counted:
            self._last[key] = counted
            self.write(round(v, 6) if isinstance(v, float) else v for v in values)


def read_billing(path: Path) -> pl.DataFrame:
    """Every whole row of a ``billing.csv``, columns as :class:`BillingRow`.

    Raises:
        RecordError: the file is missing, as in runs of before there was a meter, or empty.
    """
    import polars as pl

    whole = ("instances", "requests", "egress_bytes")
    texts = ("side", "mode")
    types: dict[str, type[pl.DataType]] = dict.fromkeys(COLUMNS, pl.Float64)
    types |= dict.fromkeys(whole, pl.Int64) | dict.fromkeys(texts, pl.String)
    return pl.read_csv(whole_lines(path), schema_overrides=types)
