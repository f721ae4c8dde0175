"""When each request had a place on which instance, as its row tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinserve.analysis.rows import Floats

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Served:
    """Answered requests in the order in which they got their place; times in s since the run began.

    ``outside_s`` is what a request took beyond its instance (connecting), ``instance`` a number an
    instance.
    """

    arrived_s: Floats
    placed_s: Floats
    done_s: Floats
    outside_s: Floats
    instance: NDArray[np.int64]
    bytes: Floats
    process_s: Floats  # as the service tells it; NaN where it does not

    @property
    def names_instances(self) -> bool:
        return bool(self.size) and bool(self.instance.min() > 0)

    @property
    def size(self) -> int:
        return int(self.placed_s.size)

    def where(self, keep: NDArray[np.bool_]) -> Served:
        """Only those."""
        return Served(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def served(rows: pl.DataFrame, concurrency: int) -> Served:
    """The answered ones of a side's ``rows`` (:func:`twinserve.records.samples.read_samples`).

    ``queue`` adds up the gateway's wait and the instance's own; the latter belongs to its work.
    Older rows do not tell it: there, where an instance takes one request at a time, all of it is
    the gateway's, and where it takes several the instance's.
    """
    import polars as pl

    own = rows.filter(pl.col("success").cast(pl.String) == "true")
    queue_ms = pl.col("queue_ms").fill_null(0.0)
    own_queue_ms = queue_ms if concurrency != 1 else pl.lit(0.0)
    if "instance_queue_ms" in rows.columns:
        own_queue_ms = pl.coalesce("instance_queue_ms", own_queue_ms)
    wait_ms = pl.col("cold_ms").fill_null(0.0) + pl.max_horizontal(0.0, queue_ms - own_queue_ms)
    connect_ms = pl.col("connect_ms").fill_null(0.0)
    table = own.select(
        arrived=(pl.col("sent_us") + 1000 * connect_ms) / 1e6,
        placed=pl.min_horizontal("done_us", pl.col("sent_us") + 1000 * (connect_ms + wait_ms))
        / 1e6,
        done=pl.col("done_us") / 1e6,
        outside=connect_ms / 1000,
        instance=pl.col("instance").rank("dense").fill_null(0),
        bytes=pl.col("bytes").fill_null(0),
        process=pl.col("process_ms").cast(pl.Float64).fill_null(float("nan")) / 1000,
    ).sort("placed", maintain_order=True)
    return Served(
        arrived_s=table["arrived"].to_numpy(),
        placed_s=table["placed"].to_numpy(),
        done_s=table["done"].to_numpy(),
        outside_s=table["outside"].to_numpy(),
        instance=table["instance"].cast(int).to_numpy(),
        bytes=table["bytes"].cast(float).to_numpy(),
        process_s=table["process"].to_numpy(),
    )
