"""One record a minute: what each side did in every minute of its own load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from twinserve.records.manifest import Block, Manifest
from twinserve.records.samples import Phase

if TYPE_CHECKING:
    import polars as pl

MINUTE_S = 60.0
FEWEST_MINUTES = 2  # below that, the tables of the whole run say as much


@dataclass(frozen=True)
class MinuteRow:
    """One minute of a side's load, failed requests counted; times are of answered ones, in ms."""

    side: str
    minute: int  # 1 first
    requests: int
    errors: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None


def minute_rows(manifest: Manifest, samples: pl.DataFrame) -> list[MinuteRow]:
    """The minutes of each series, in its own time: its blocks one after the other without gaps.

    A request belongs to the minute in which it was due. None for a run of less than two minutes a
    side; a last minute that is not whole is there as it is.
    """
    import polars as pl

    load_s = _longest_s(manifest)
    if load_s < FEWEST_MINUTES * MINUTE_S:
        return []
    measured = samples.filter(pl.col("phase") == Phase.BLOCK.value)
    within_s = (pl.col("due_us") - pl.col("start_us")) / 1e6
    answered = pl.col("elapsed_ms").filter(_answered())
    found = (
        measured.join(_begins(manifest), on="block")
        .with_columns(
            minute=(
                pl.col("offset_s") + within_s.clip(0, _last_moment_s(manifest.workload.block_s))
            )
            // MINUTE_S
        )
        .group_by("side", "minute")
        .agg(
            requests=pl.len(),
            errors=(~_answered()).sum(),
            mean_ms=answered.mean(),
            p50_ms=answered.quantile(0.50, "linear"),
            p95_ms=answered.quantile(0.95, "linear"),
        )
    )
    rows = [MinuteRow(**row | {"minute": int(row["minute"]) + 1}) for row in found.to_dicts()]
    order = _names(manifest)
    return sorted(rows, key=lambda row: (order.index(row.side), row.minute))


def _longest_s(manifest: Manifest) -> float:
    return max(
        (len(_of(name, manifest)) * manifest.workload.block_s for name in _names(manifest)),
        default=0.0,
    )


def _begins(manifest: Manifest) -> pl.DataFrame:
    """Each finished block: when it began in the run, and in its side's own time."""
    import polars as pl

    rows = [
        (block.index, block.start_us, place * manifest.workload.block_s)
        for name in _names(manifest)
        for place, block in enumerate(_of(name, manifest))
    ]
    types = {"block": pl.Int64, "start_us": pl.Int64, "offset_s": pl.Float64}
    return pl.DataFrame(rows, schema=types, orient="row")


def _of(name: str, manifest: Manifest) -> list[Block]:
    return sorted((b for b in manifest.blocks if b.side == name), key=lambda block: block.index)


def _names(manifest: Manifest) -> list[str]:
    """The sides, then whatever was loaded beside them."""
    return list(dict.fromkeys([*manifest.sides, *(block.side for block in manifest.blocks)]))


def _last_moment_s(block_s: float) -> float:
    """A request that JMeter sends as a block ends is still of that block's minute."""
    return block_s - 1e-6


def _answered() -> pl.Expr:
    import polars as pl

    return pl.col("success").cast(pl.String).str.to_lowercase() == "true"
