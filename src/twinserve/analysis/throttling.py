"""Instances that their CPU quota held back: what was read once a second, added up and named.

Linux hands a quota out in periods of 100 ms. Threads that outnumber the CPUs of the quota use it up
before the period ends, and then all of them stand still until the next one (kernel documentation,
scheduler/sched-bwc).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

# Below this a few unlucky periods while an instance starts would be called throttling.
LEAST_SHARE = 0.05
LEAST_PERIODS = 20


@dataclass(frozen=True)
class Throttled:
    """One instance whose quota was used up in ``share`` of the periods in which it ran."""

    side: str
    instance: str
    share: float
    throttled_s: float
    threads: int
    cpu_limit: float

    @property
    def sentence(self) -> str:
        return (
            f"{self.instance} was throttled: its {self.threads} threads had {self.cpu_limit:g} CPU "
            f"and used that up early in {self.share:.0%} of the periods, after which all stood "
            f"still, {self.throttled_s:.1f} s of waiting in all. Give it more CPU, or as many busy "
            f"threads as it has CPUs."
        )


def throttled_instances(resources: pl.DataFrame) -> list[Throttled]:
    """Those of a run's ``resources.csv`` that were held back, the worst first.

    Readings without a quota (plain processes, older runs) say nothing, and name nobody. Nor do
    those of instances without a request: a policy may leave them next to no CPU. The quota is the
    usual one: an instance may have more of it while it starts.
    """
    read = resources.filter(
        pl.col("nr_periods").is_not_null(),
        pl.col("cpu_limit").is_not_null(),
        pl.col("busy_requests") > 0,
    )
    found = read.group_by("side", "instance", maintain_order=True).agg(
        pl.col("nr_periods", "nr_throttled", "throttled_usec").sum(),
        pl.col("threads").max(),
        pl.col("cpu_limit").median(),
    )
    rows = [
        Throttled(
            side=row["side"],
            instance=row["instance"],
            share=row["nr_throttled"] / row["nr_periods"],
            throttled_s=row["throttled_usec"] / 1e6,
            threads=row["threads"] or 0,
            cpu_limit=row["cpu_limit"],
        )
        for row in found.iter_rows(named=True)
        if row["nr_periods"] >= LEAST_PERIODS
    ]
    held = [row for row in rows if row.share >= LEAST_SHARE and row.threads > row.cpu_limit]
    return sorted(held, key=lambda row: -row.share)
