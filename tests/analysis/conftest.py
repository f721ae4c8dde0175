"""Synthetic runs with a cause planted in them."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from twinserve.records.run import RunDirectory

Plant = Callable[..., RunDirectory]


@pytest.fixture
def plant(make_run: Callable[..., RunDirectory]) -> Plant:
    """``plant(side={"queue_ms": 0.5}, ..., **options)``: a run of one user whose requests spend
    these shares of their elapsed time so; what is left of ``process_ms`` is the model's."""

    def planted(
        stages: dict[str, dict[str, float]] | None = None, **options: object
    ) -> RunDirectory:
        run = make_run(**({"users": 1, "rows": 60} | options))
        for side, shares in (stages or {}).items():
            rewrite(run, side, shares)
        return run

    return planted


def rewrite(run: RunDirectory, side: str, shares: dict[str, float]) -> None:
    """Write the stages of a side's answered rows anew: each column a share of elapsed time."""
    rows = pl.read_csv(run.samples, infer_schema=False)
    elapsed_ms = (pl.col("done_us").cast(float) - pl.col("due_us").cast(float)) / 1000
    own = (pl.col("side") == side) & (pl.col("success").str.to_lowercase() == "true")
    inside = {k: v for k, v in shares.items() if k in ("instance_queue_ms", "encode_ms")}
    outside = {k: v for k, v in shares.items() if k not in (*inside, "connected_us")}
    process = 0.95 - sum(outside.values()) - shares.get("connected_us", 0.0)
    values = outside | inside
    values |= {
        "queue_ms": outside.get("queue_ms", 0.0) + inside.get("instance_queue_ms", 0.0),
        "instance_queue_ms": inside.get("instance_queue_ms", 0.0),
        "encode_ms": inside.get("encode_ms", 0.0),
        "process_ms": process,
        "inference_ms": process - sum(inside.values()),
    }
    columns = [
        pl.when(own).then((share * elapsed_ms).cast(pl.String)).otherwise(pl.col(name)).alias(name)
        for name, share in values.items()
    ]
    if "connected_us" in shares:
        later = pl.col("sent_us").cast(float) + 1000 * shares["connected_us"] * elapsed_ms
        columns.append(
            pl.when(own)
            .then(later.round().cast(pl.Int64).cast(pl.String))
            .otherwise(pl.col("connected_us"))
            .alias("connected_us")
        )
    rows.with_columns(columns).write_csv(run.samples)
