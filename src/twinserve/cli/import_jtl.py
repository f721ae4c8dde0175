"""``twinserve import-jtl``."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from twinserve.cli.options import check_lab, duration_option
from twinserve.cli.progress import progress
from twinserve.cli.purpose import purpose_options
from twinserve.cli.thresholds import Wanted, conclude, threshold_options
from twinserve.cli.verdict import analyse, format_verdict
from twinserve.errors import UsageError
from twinserve.records.manifest import package_versions
from twinserve.records.run import RunDirectory

if TYPE_CHECKING:
    from twinserve.analysis.purpose import Purpose

DEFAULT_ALLOWANCE = "15%"
BYTES_A_ROW = 150  # of JMeter's own rows; only progress depends on it


class Share(click.ParamType[float]):
    """A share, written as ``15%`` or ``0.15``."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(%?)", str(value).strip())
        share = float(found[1]) / (100 if found[2] else 1) if found else -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share from 0 to 100 %; write 15% or 0.15.", param, ctx)
        return share


LOG = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="Example: twinserve import-jtl --container container.csv --function function.csv"
)
@click.option(
    "--container",
    type=LOG,
    multiple=True,
    help="JMeter log of the container; again for each further machine that sent the load.",
)
@click.option("--function", type=LOG, multiple=True, help="The same of the function.")
@click.option(
    "--side",
    "named",
    multiple=True,
    metavar="NAME=FILE",
    help="A side with a name of its own, instead of the two above; again for each further file.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the run.  [default: runs/<time>]",
)
@click.option(
    "--allowance",
    type=Share(),
    default=DEFAULT_ALLOWANCE,
    show_default=True,
    help="By how much something may have shifted between the two logs; widens every interval.",
)
@click.option("--users", type=click.IntRange(1), help="How many users each plan meant to have.")
@duration_option("--think", "How long each of them paused between requests.  [default: 0s]", 0.0)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Requests a second that were meant."
)
@duration_option("--warmup", "Leave out what began so early in each log.  [default: 0s]", 0.0)
@click.option(
    "--label", "labels", multiple=True, help="Take requests with this label only; again for more."
)
@click.option(
    "--column",
    "renamed",
    multiple=True,
    metavar="NAME=THEIRS",
    help="A renamed column, by JMeter's name: --column elapsed=took_ms",
)
@click.option(
    "--columns", metavar="A,B,...", help="The columns, in order, of files without a header line."
)
@click.option(
    "--timestamp-format", default="", metavar="FORMAT", help="Of dates: 'dd.MM.yyyy HH:mm:ss'."
)
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="NAME",
    help="Of dates that name none, e.g. Europe/Rome.",
)
@click.option(
    "--stamps",
    type=click.Choice(["start", "end"]),
    help="What timeStamp is of a request.  [default: found out from the rows]",
)
@purpose_options
@threshold_options
def command(
    container: tuple[Path, ...],
    function: tuple[Path, ...],
    named: tuple[str, ...],
    out: Path | None,
    allowance: float,
    users: int | None,
    think: float,
    rate: float | None,
    warmup: float,
    labels: tuple[str, ...],
    renamed: tuple[str, ...],
    columns: str | None,
    timestamp_format: str,
    timezone: str,
    stamps: str | None,
    purpose: Purpose | None,
    wanted: Wanted,
) -> None:
    """Compare two JMeter logs (JTL, CSV or XML): checks, intervals and a report.

    Makes a run directory of them. A log names no deployment, no machine and no blocks, so nothing
    of the kind is written down; two logs are two occasions, so the verdict is never firm.
    """
    check_lab()
    from twinserve.records.jtl import open_jtl
    from twinserve.records.jtl_joined import joined
    from twinserve.records.jtl_row import JtlOptions, Stamps
    from twinserve.records.logs import Intended, LogsManifest, import_samples, write_logs

    sides = _sides(container, function, named)
    wanted.check_sides(list(sides))
    options = JtlOptions(
        columns=tuple(name.strip() for name in columns.split(",")) if columns else (),
        renamed=_renamed(renamed),
        timestamp_format=timestamp_format,
        zone=_zone(timezone),
        stamps=Stamps(stamps) if stamps else None,
    )
    logs = {
        side: joined([open_jtl(path, options) for path in paths]) for side, paths in sides.items()
    }
    run = RunDirectory.create(out or Path("runs") / time.strftime("%Y-%m-%d-%H%M%S"))
    with _shown(sides) as on_rows:
        started_ms, files = import_samples(
            run.samples, logs, labels=frozenset(labels), warmup_s=warmup, on_rows=on_rows
        )
    write_logs(
        run.manifest,
        LogsManifest(
            started_epoch_ms=started_ms,
            versions=package_versions(),
            logs=files,
            allowance=allowance,
            intended=Intended(users, think, rate),
            warmup_s=warmup,
            timezone=timezone,
        ),
    )
    for side, log in files.items():
        click.echo(f"{side}: {log.rows:,} requests from {log.file} ({log.format})", err=True)
    comparison = analyse(run, purpose)
    for line in format_verdict(comparison, run):
        wanted.say(line)
    conclude(wanted, comparison, run)


@contextmanager
def _shown(sides: Mapping[str, Sequence[Path]]) -> Iterator[Callable[[str, int], None]]:
    """A bar over both logs; how many rows they have is guessed from their sizes."""
    guessed = [sum(p.stat().st_size for p in paths) / BYTES_A_ROW for paths in sides.values()]
    before = dict(zip(sides, (0.0, guessed[0]), strict=True))
    with progress("Import", max(sum(guessed), 1.0)) as meter:
        yield lambda side, rows: meter.update(
            min(before[side] + rows, 0.99 * sum(guessed)), f"{side}: {rows:,} rows"
        )


def _sides(
    container: Sequence[Path], function: Sequence[Path], named: Sequence[str]
) -> dict[str, list[Path]]:
    """The files of the two sides by name, in the order given: the container first."""
    found = {
        name: list(paths) for name, paths in (("container", container), ("function", function))
        if paths
    }  # fmt: skip
    for text in named:
        name, _, file = text.partition("=")
        path = Path(file)
        if not name.strip() or not path.is_file():
            raise UsageError(f"--side is {text!r}; write NAME=FILE with a file that exists.")
        found.setdefault(name, []).append(path)
    if len(found) != 2:
        raise UsageError(
            f"{len(found)} of two logs were named; give --container A --function B, or "
            "--side NAME=FILE twice."
        )
    for one, other in combinations([path for paths in found.values() for path in paths], 2):
        if one.samefile(other):
            raise UsageError(
                f"{one} is named twice; a log cannot be compared with itself, nor counted twice."
            )
    return found


def _renamed(texts: Sequence[str]) -> Mapping[str, str]:
    from twinserve.records.jtl_columns import ORDER

    known = {name.lower(): name for name in ORDER}
    renamed = {}
    for text in texts:
        ours, _, theirs = text.partition("=")
        if ours.lower() not in known or not theirs:
            raise UsageError(
                f"--column is {text!r}; write NAME=THEIRS with one of JMeter's names: "
                f"{', '.join(ORDER)}."
            )
        renamed[known[ours.lower()]] = theirs
    return renamed


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"--timezone is {name!r}; write a name of the time zone database such as Europe/Rome."
        ) from None
