"""The report of two imported logs: the same page as of a run, around what two logs can tell."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from twinserve.analysis.comparison import Comparison
from twinserve.analysis.logs import batch_starts
from twinserve.records.logs import LogFile, LogsManifest
from twinserve.records.samples import Phase
from twinserve.report.measures import FIGURES, Measure
from twinserve.report.numbers import format_count, format_list, format_number
from twinserve.report.series import Band, FigureData, drawn_in
from twinserve.report.setting import Setting
from twinserve.report.tables import shows_dash

COUNTED = (
    "All requests of the logs count but those that were left out on purpose (see below); times are "
    "those of answered requests."
)
READING = (
    "How to read the figures: each log begins at 0, on the clock of its own first request. A dot "
    "is a request. A log has no blocks, so it is cut into equal parts, one after the other: a bar "
    "is the median of a part. At the right, a box holds the middle half of a side's values, the "
    "line 90 % of them, and the bar is the median."
)
UNKNOWN = (
    ("The deployments", "which CPU, memory, concurrency and instances each side had."),
    ("The model", "whether both sides ran the same one, and gave the same answers."),
    ("The machines", "where the load came from, and whether that machine kept up."),
    ("Cold starts", "which requests waited for an instance to start."),
    ("CPU and memory", "what the instances used."),
    ("Cost", "a price needs the deployments."),
)
FILES = (
    ("report.html", "this report; it needs no other file and no network"),
    ("comparison.json", "every number of this report, for programs"),
    ("run.json", "what was found in the two logs, what was assumed and what is unknown"),
    ("samples.csv", "both logs' requests: JMeter's columns first (JTL), the side after"),
    ("figures/", "the figures as SVG and PNG"),
)


def setting_of_logs(manifest: LogsManifest, comparison: Comparison) -> Setting:
    """What the page says around the numbers of two logs."""
    first, second = manifest.sides
    return Setting(
        title=f"{first} or {second}: two JMeter logs",
        over=f"two JMeter logs, {first} and {second}",
        version=manifest.versions.get("twinserve", ""),
        warning="",
        labels={side: side for side in manifest.sides},
        counted=COUNTED,
        dash_note=_dash_note(comparison),
        reading=READING,
        facts=_facts(manifest),
        not_measured=list(UNKNOWN),
        no_cloud="The logs do not tell these; each could change what the numbers mean.",
        files=FILES,
        where="logs",
    )


def log_figures(manifest: LogsManifest, samples: pl.DataFrame) -> dict[str, FigureData]:
    """A figure for every time that one of the logs has, by its stem."""
    times = [measure for measure in FIGURES if measure.is_time]
    found = {measure.stem: _figure(measure, manifest, samples) for measure in times}
    return {stem: data for stem, data in found.items() if any(s.total for s in data.series)}


def _figure(measure: Measure, manifest: LogsManifest, samples: pl.DataFrame) -> FigureData:
    sides = [_side_rows(measure, side, samples) for side in manifest.sides]
    bands = tuple(
        band
        for side, rows in zip(manifest.sides, sides, strict=True)
        for band in _bands(side, rows)
    )
    data = drawn_in(measure, manifest.sides, pl.concat(sides), bands)
    return FigureData(
        data.measure, data.series, data.bands, data.boxes, data.top,
        axis="time since each log began", shaded=False,
    )  # fmt: skip


def _side_rows(measure: Measure, side: str, samples: pl.DataFrame) -> pl.DataFrame:
    """Answered requests of one log: ``side, at_s, value, block, cold``; a block is a part."""
    rows = samples.filter(pl.col("phase") == Phase.LOG.value, pl.col("side") == side)
    rows = rows.sort("sent_us", maintain_order=True)
    begin_us = rows["sent_us"].min() or 0
    parts = pl.Series("block", [0] * rows.height, dtype=pl.Int64)
    for start in batch_starts(rows.height)[1:]:
        parts = parts + (pl.int_range(rows.height, eager=True) >= start).cast(pl.Int64)
    return (
        rows.with_columns(parts.alias("part"))
        .filter(
            pl.col("success").cast(pl.String) == "true",
            pl.col(measure.key).is_not_null(),
        )
        .select(
            "side",
            at_s=(pl.col("sent_us") - begin_us) / 1e6,
            value=pl.col(measure.key),
            block=pl.col("part"),
            cold=pl.lit(False),
        )
    )


def _bands(side: str, rows: pl.DataFrame) -> list[Band]:
    found = rows.group_by("block", maintain_order=True).agg(
        start=pl.col("at_s").min(), end=pl.col("at_s").max(), median=pl.col("value").median()
    )
    return [Band(side, start, end, median) for _, start, end, median in found.iter_rows()]


def _dash_note(comparison: Comparison) -> str:
    if not shows_dash(comparison):
        return ""
    return (
        "too few requests, or requests that depend on each other so much that they are worth too "
        "few; the reasons at the top name the numbers. Cold starts are in no log."
    )


def _facts(manifest: LogsManifest) -> list[tuple[str, str]]:
    return [
        *((f"Log: {side}", _log(log)) for side, log in manifest.logs.items()),
        ("Load that was meant", _intended(manifest)),
        ("Allowance", _allowance(manifest)),
        ("Time zone", f"{manifest.timezone}, for dates that name none."),
        ("Versions", f"{format_list([f'{k} {v}' for k, v in manifest.versions.items()])}."),
    ]


def _log(log: LogFile) -> str:
    began, ended = (_utc(ms) for ms in (log.first_epoch_ms, log.last_epoch_ms))
    threads = f" of {format_count(log.threads, 'thread')}" if log.threads else ""
    failed = f" Failed with: {format_list(list(log.codes)[:5])}." if log.codes else ""
    return " ".join(
        [
            f"{log.file} ({log.format}, SHA-256 {log.sha256[:12]}): "
            f"{format_count(log.rows, 'request')}{threads}, {began} to {ended}.{failed}",
            *log.notes,
            *log.assumed,
        ]
    )


def _intended(manifest: LogsManifest) -> str:
    told = manifest.intended
    if told.rate_rps is not None:
        return f"{format_number(told.rate_rps)} requests a second, as the importer said."
    if told.users is not None:
        return (
            f"{format_count(told.users, 'user')} with {told.think_s:g} s between requests, as the "
            "importer said."
        )
    return "Not told."


def _allowance(manifest: LogsManifest) -> str:
    return (
        f"{100 * manifest.allowance:g} %: by so much every interval is widened, for what may have "
        "shifted between the occasions of the two logs (the host, the network, the time of day)."
    )


def _utc(epoch_ms: float) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
