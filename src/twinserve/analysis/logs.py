"""From two imported JMeter logs to their comparison.

A log has no blocks, so it is cut into equal consecutive batches. Two logs are two occasions: what
shifted between them shows in neither, so every interval is widened and no verdict is firm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from twinserve.analysis import log_gates, verdict
from twinserve.analysis.comparison import Comparison, Difference
from twinserve.analysis.cost.monthly import Costs
from twinserve.analysis.purpose import NO_PURPOSE, Purpose, priced_of
from twinserve.analysis.rows import TIMES, BlockRows, SideRows, floats
from twinserve.analysis.statistics import CONFIDENCE
from twinserve.analysis.summary import (
    DECIDING,
    candidate,
    deciding_difference,
    differences,
    precision_of,
    side_summary,
)
from twinserve.analysis.trend import effective_size
from twinserve.analysis.words import count, listed, share, time, times_as
from twinserve.records.logs import LogsManifest, read_logs
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Phase, read_samples

if TYPE_CHECKING:
    import polars as pl

FEW_BATCHES, MANY_BATCHES = 5, 10
MANY_ROWS = 1000  # from which a log is cut into MANY_BATCHES
LEAST_WORTH = 20  # independent rows, below which nothing is told of a log
TENTH = 0.1
WORTH_A_WORD = 1.1  # by how much the factor must change along the logs


def compare_logs(
    run: RunDirectory, purpose: Purpose = NO_PURPOSE, costs: Costs | None = None
) -> Comparison:
    """Compare the two logs of a run directory.

    Raises:
        RecordError: the manifest or ``samples.csv`` is missing or damaged.
    """
    manifest = read_logs(run.manifest)
    first, second = read_log_sides(run, manifest)
    checked = log_gates.check(manifest, (first, second))
    found = differences(first, second, manifest.allowance)
    candidates = [candidate(side, manifest.allowance) for side in (first, second)]
    return Comparison(
        sides=manifest.sides,
        allowance=manifest.allowance,
        deployments={side.name: side_summary(side, manifest.allowance) for side in (first, second)},
        precision=precision_of(first, second, found),
        differences=found,
        gates=checked.gates,
        cost=costs,
        purpose=purpose.stated,
        verdict=verdict.decide(
            verdict.Evidence(
                first=candidates[0],
                second=candidates[1],
                objective=purpose.objective,
                priced=priced_of(candidates, costs),
                by_cost=purpose.by_cost,
                difference=deciding_difference(first, second, manifest.allowance),
                gates=checked.gates,
                scope=_scope(manifest),
                local=False,
                findings=_findings(first, second, found.get(DECIDING)),
                remarks=_remarks(manifest),
                subject="These two logs",
                allowance=manifest.allowance,
                meanings=checked.meanings,
            )
        ),
    )


def read_log_sides(run: RunDirectory, manifest: LogsManifest) -> tuple[SideRows, SideRows]:
    """Both logs, each cut into 5 batches of equal length, from 1,000 rows into 10.

    Raises:
        RecordError: there is no ``samples.csv``, or not even its header line.
    """
    import polars as pl

    samples = read_samples(run.samples).filter(pl.col("phase") == Phase.LOG.value)
    samples = samples.with_columns(answered=pl.col("success").cast(pl.String) == "true")
    first, second = (
        _side(name, samples.filter(pl.col("side") == name).sort("sent_us", maintain_order=True))
        for name in manifest.sides
    )
    return first, second


def batch_starts(rows: int) -> list[int]:
    """The place of the first row of each batch."""
    batches = min(FEW_BATCHES if rows < MANY_ROWS else MANY_BATCHES, rows)
    return [batch * rows // batches for batch in range(batches)]


def _side(name: str, rows: pl.DataFrame) -> SideRows:
    starts = batch_starts(rows.height)
    ends = [*starts[1:], rows.height]
    begins_us = [int(rows["sent_us"][place]) for place in starts]
    last_us = int(rows["done_us"].max() or 0) if rows.height else 0  # type: ignore[arg-type]
    batches = [
        _batch(index, rows[start:end], begin_us, end_us)
        for index, (start, end, begin_us, end_us) in enumerate(
            zip(starts, ends, begins_us, [*begins_us[1:], last_us], strict=True)
        )
    ]
    return SideRows(name, batches, None, FEW_BATCHES, _untold(batches))


def _batch(index: int, rows: pl.DataFrame, begin_us: int, end_us: int) -> BlockRows:
    answered = rows.filter("answered")
    nothing: dict[str, np.ndarray] = {"cpu_percent": np.empty(0), "memory_mib": np.empty(0)}
    return BlockRows(
        index=index,
        start_us=begin_us,
        end_us=end_us,
        user=rows["user"].fill_null(-1).to_numpy(),
        sent_us=rows["sent_us"].to_numpy(),
        done_us=rows["done_us"].to_numpy(),
        failed=rows.height - answered.height,
        cold=0,
        measures={name: floats(answered[name]) for name in TIMES} | nothing,
    )


def _untold(batches: Sequence[BlockRows]) -> str | None:
    """METHOD's rule for logs: nothing is told of one that is worth fewer than 20 rows."""
    values = np.concatenate([*(batch.measures[DECIDING] for batch in batches), np.empty(0)])
    worth = effective_size(values) if values.size else 0
    if worth >= LEAST_WORTH:
        return None
    return (
        f"its {count(values.size, 'answered request')} depend on each other so much that they are "
        f"worth {worth:.0f} independent ones, and an interval takes {LEAST_WORTH}"
    )


def _findings(first: SideRows, second: SideRows, difference: Difference | None) -> list[str]:
    """How far apart the means are, and whether that holds from the beginning to the end."""
    if difference is None or difference.ratio_of_means is None:
        return []
    ratio = difference.ratio_of_means
    means = [float(side.pooled(DECIDING).mean()) for side in (first, second)]
    text = (
        f"The means differ {_factor(ratio.estimate)} ({first.name} {time(means[0])}, "
        f"{second.name} {time(means[1])}"
    )
    if ratio.low is None or ratio.high is None:
        text += "; no interval)"
    else:
        low, high = sorted(
            (_above_one(ratio.low, ratio.estimate), _above_one(ratio.high, ratio.estimate))
        )
        text += f"; {share(CONFIDENCE)} interval {low:.2g} to {high:.2g} times)"
    begin, end = _along(first, second)
    if max(begin, end) < WORTH_A_WORD * min(begin, end):
        return [f"{text}."]
    return [
        f"{text}, but no single factor describes these logs: it is {_factor(begin)} in their first "
        f"tenth and {_factor(end)} in their last one."
    ]


def _along(first: SideRows, second: SideRows) -> tuple[float, float]:
    """The ratio of the means of the first tenths of both logs, and of the last ones."""
    a, b = (side.pooled(DECIDING) for side in (first, second))
    parts = [(max(1, round(TENTH * values.size)), values) for values in (a, b)]
    (begin_a, begin_b), (end_a, end_b) = (
        [float(values[:n].mean()) for n, values in parts],
        [float(values[-n:].mean()) for n, values in parts],
    )
    return begin_a / max(begin_b, 1e-9), end_a / max(end_b, 1e-9)


def _factor(ratio: float) -> str:
    """A ratio as a factor above 1, whichever side is the larger one."""
    return times_as(_above_one(ratio, ratio))


def _above_one(value: float, ratio: float) -> float:
    return 1 / value if 0 < ratio < 1 and value > 0 else value


def _scope(manifest: LogsManifest) -> str:
    files = listed([f"{side} from {log.file}" for side, log in manifest.logs.items()])
    return (
        f"Valid for these two logs alone ({files}): which deployments, machines, model and load "
        "they tell of, nobody has written down."
    )


def _remarks(manifest: LogsManifest) -> list[str]:
    """What a reader must know about each log, and how the two lie in time."""
    overlap_s = manifest.overlap_s
    together = (
        f"Both logs went on at the same time for {_duration(overlap_s)}."
        if overlap_s
        else "The two logs were taken one after the other, not at the same time."
    )
    notes = [f"{side}: {note}" for side, log in manifest.logs.items() for note in log.notes]
    return [together, *notes]


def _duration(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"
