"""Where the time of each answered request went: stages whose sum is its elapsed time.

From the moment a request is due: it may leave late; it connects; it waits for a place, or for an
instance to start, in the gateway; in the instance it waits for a turn at the model, the model
works, pictures are encoded, the answer is put together. What is left of its elapsed time nobody
measured by itself: the network, the gateway's passing on, the instance's server with its threads.

A row's ``queue_ms`` adds up the gateway's wait and the instance's; the latter is a part of
``process_ms`` and is counted once. Runs of before it was written down apart: where an instance
takes one request at a time the wait is the gateway's, else the instance's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from twinserve.analysis.causes.values import Stage, Stages
from twinserve.analysis.estimate import Estimate
from twinserve.analysis.estimators import mean_of
from twinserve.analysis.pair import why_no_mean
from twinserve.analysis.rows import Floats, SideRows
from twinserve.analysis.statistics import difference_of_means
from twinserve.analysis.words import share
from twinserve.deployment import Deployment
from twinserve.records.manifest import Manifest
from twinserve.records.samples import Phase

if TYPE_CHECKING:
    import polars as pl

TITLES = {
    "late": "sent late",
    "connect": "connecting",
    "queue": "waiting for a place",
    "cold": "waiting for a start",
    "turn": "waiting for the model",
    "inference": "the model",
    "encode": "encoding",
    "service": "rest of the service",
    "process": "the service",
    "rest": "server, gateway, network",
}
LATE = "late"
INSIDE = ("turn", "inference", "encode", "service", "process")  # of ``process_ms``
UNTOLD_SHARE = 0.01  # of the answered requests, without a word from the service


@dataclass(frozen=True)
class StageRows:
    """The stages of one series' answered requests: one dictionary of arrays (ms) a unit, in the
    order in which the units ran. ``received`` and ``receiving_ms`` are of the same requests: bytes,
    and the time from the first byte to the last, which is a part of a stage."""

    name: str
    units: Sequence[Mapping[str, Floats]]
    names: tuple[str, ...]
    received: Sequence[Floats] = field(default_factory=list)
    receiving_ms: Sequence[Floats] = field(default_factory=list)

    def values(self, names: Iterable[str] | None = None) -> list[Floats]:
        """The sum of the named stages, of all of them by default: an array a unit."""
        wanted = [name for name in (self.names if names is None else names) if name in self.names]
        return [
            np.sum([unit[name] for name in wanted], axis=0)
            if wanted
            else np.zeros(next(iter(unit.values())).size)
            for unit in self.units
        ]

    def mean(self, *names: str) -> float:
        """Mean ms a request of the named stages together."""
        return mean_of(self.values(names)).estimate


def stages_of(samples: pl.DataFrame, manifest: Manifest, side: SideRows) -> StageRows | str:
    """The stages of a series; a text says why there are none.

    ``samples`` are all rows of the run, as :func:`twinserve.records.samples.read_samples` gives
    them.
    """
    import polars as pl

    blocks = {b.index: b.repeat if side.repeats > 1 else b.index for b in side.blocks}
    rows = samples.filter(
        pl.col("side") == side.name,
        pl.col("phase") == Phase.BLOCK.value,
        pl.col("block").is_in(list(blocks)),
        pl.col("success").cast(pl.String) == "true",
    )
    if not rows.height:
        return f"the {side.name} has no answered request in a finished block"
    silent = rows["process_ms"].null_count() / rows.height
    if silent > UNTOLD_SHARE:
        return (
            f"{share(silent)} of the {side.name}'s answers do not say where their time went "
            f"(Server-Timing)"
        )
    table = _table(rows, _deployment(manifest, side.name))
    kept = [name for name in TITLES if name in table.columns and _is_there(name, table)]
    return _by_unit(side.name, table, rows, blocks, kept)


def decompose(
    first: StageRows,
    second: StageRows,
    sides: tuple[SideRows, SideRows],
    confidence: float,
    beside: StageRows | None = None,
) -> Stages:
    """The means of every stage on both sides, and how far they differ; ``beside`` is the matched
    contrast, whose means are told as well."""
    series = [first, second, *([beside] if beside else [])]
    names = [name for name in TITLES if any(name in each.names for each in series)]

    def stage(name: str, title: str, parts: Sequence[str] | None) -> Stage:
        difference = difference_of(first.values(parts), second.values(parts), sides, confidence)
        means = {each.name: mean_of(each.values(parts)).estimate for each in series}
        return Stage(name=name, title=title, means=means, difference=difference, share=None)

    whole = stage("elapsed", "elapsed", None)
    parts = [stage(name, TITLES[name], [name]) for name in names]
    return Stages(
        stages=[
            Stage(
                name=part.name,
                title=part.title,
                means=part.means,
                difference=part.difference,
                share=share_of(part.difference, whole.difference),
            )
            for part in parts
        ],
        whole=whole,
        confidence=confidence,
    )


def difference_of(
    first: Sequence[Floats],
    second: Sequence[Floats],
    sides: tuple[SideRows, SideRows],
    confidence: float,
) -> Estimate:
    """Mean of the second minus mean of the first, with its interval from block to block."""
    found = difference_of_means(first, second, confidence)
    untold = any(why_no_mean(side, rows) for side, rows in zip(sides, (first, second), strict=True))
    return Estimate(found.estimate, None, None) if untold else found


def share_of(part: Estimate, whole: Estimate) -> float | None:
    """The share of a difference that a part of it makes up; None where there may be none."""
    return part.estimate / whole.estimate if whole.is_clear else None


def _deployment(manifest: Manifest, name: str) -> Deployment | None:
    if manifest.contrast is not None and manifest.contrast.name == name:
        return manifest.contrast
    return manifest.deployments.get(name)


def _table(rows: pl.DataFrame, deployment: Deployment | None) -> pl.DataFrame:
    """One column a stage. Whatever is not measured is in ``rest``, so that the sum is exact."""
    import polars as pl

    def ms(name: str) -> pl.Expr:
        return pl.col(name).fill_null(0.0)

    if rows["instance_queue_ms"].null_count() < rows.height:
        turn = ms("instance_queue_ms")
    else:
        alone = deployment is not None and deployment.concurrency == 1
        turn = pl.lit(0.0) if alone else pl.min_horizontal(ms("queue_ms"), ms("process_ms"))
    stages = {
        "late": (pl.col("sent_us") - pl.col("due_us")) / 1000,
        "connect": ms("connect_ms"),
        "queue": ms("queue_ms") - turn,
        "cold": ms("cold_ms"),
        "turn": turn,
        **_inside(rows, turn, ms("process_ms"), ms("inference_ms"), ms("encode_ms")),
    }
    table = rows.select("block", "elapsed_ms", **stages)
    return table.with_columns(rest=pl.col("elapsed_ms") - pl.sum_horizontal(list(stages)))


def _inside(
    rows: pl.DataFrame, turn: pl.Expr, process: pl.Expr, inference: pl.Expr, encode: pl.Expr
) -> dict[str, pl.Expr]:
    """What the service itself measured, without the wait for the model."""
    if rows["inference_ms"].null_count() == rows.height:
        return {"process": process - turn}
    return {
        "inference": inference,
        "encode": encode,
        "service": process - turn - inference - encode,
    }


def _is_there(name: str, table: pl.DataFrame) -> bool:
    """Only an open loop sends late; every other stage is told, even where it takes no time."""
    return name != LATE or bool((table[name] != 0).any())


def _by_unit(
    name: str,
    table: pl.DataFrame,
    rows: pl.DataFrame,
    blocks: Mapping[int, int],
    kept: Sequence[str],
) -> StageRows:
    unit = np.array([blocks[block] for block in table["block"].to_list()])
    columns = {stage: table[stage].to_numpy() for stage in kept}
    received = rows["bytes"].fill_null(0).cast(float).to_numpy()
    receiving = (rows["elapsed_ms"] - rows["latency_ms"]).fill_null(0.0).to_numpy()
    places = [np.flatnonzero(unit == number) for number in sorted(set(blocks.values()))]
    places = [place for place in places if place.size]
    return StageRows(
        name=name,
        units=[{stage: values[place] for stage, values in columns.items()} for place in places],
        names=tuple(kept),
        received=[received[place] for place in places],
        receiving_ms=[receiving[place] for place in places],
    )
