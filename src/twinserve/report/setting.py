"""What the page says around the numbers of a run; those of logs: :mod:`twinserve.report.logs`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinserve.analysis.comparison import Comparison
from twinserve.records.manifest import Manifest
from twinserve.report import place, remote, tables
from twinserve.report.minutes import MinuteCells
from twinserve.report.starts import StartRow

COUNTED = (
    "Only finished blocks count: warm-up and equality requests are not in these tables (cold "
    "starts, the starts of instances, are counted over the whole run), and times are those of "
    "answered requests."
)
READING = (
    "How to read the figures: a shaded stretch is a block, the time in which one side was under "
    "load, in that side's colour. A dot is a request, the bar in a block its median. For CPU and "
    "memory, whose readings are added up over a side's instances, a strong line means under load "
    "and a faint one idle. At the right, a box holds the middle half of a side's values, the line "
    "90 % of them, and the bar is the median."
)
NO_CLOUD = "Nothing here stands for a cloud's figures; these would add to or change them."


@dataclass(frozen=True)
class Setting:
    """The words around the numbers."""

    title: str
    over: str
    version: str
    warning: str
    labels: dict[str, str]  # side -> its name for people
    counted: str  # which requests the tables count
    dash_note: str
    reading: str  # how to read the figures
    facts: Sequence[tuple[str, str]]
    not_measured: Sequence[tuple[str, str]]
    no_cloud: str
    files: Sequence[tuple[str, str]]
    starts: Sequence[StartRow] = ()
    minutes: Sequence[MinuteCells] = ()
    where: str = "local"  # in a word or two, where the sides ran


def setting_of(
    manifest: Manifest,
    comparison: Comparison,
    starts: Sequence[StartRow] = (),
    minutes: Sequence[MinuteCells] = (),
) -> Setting:
    """The setting of a run."""
    labels = {side: place.side_label(side, manifest) for side in comparison.sides}
    first, second = comparison.sides
    return Setting(
        title=f"{first} or {second}: {manifest.model.name}",
        over=f"{manifest.model.name} as {labels[first]} and as {labels[second]}",
        version=manifest.versions.get("twinserve", ""),
        warning=place.warning(manifest),
        labels=labels,
        counted=COUNTED,
        dash_note=tables.dash_note(comparison, manifest),
        reading=READING,
        facts=place.measured_facts(manifest),
        not_measured=place.not_measured(manifest),
        no_cloud=remote.NO_CLOUD if manifest.remote else NO_CLOUD,
        files=place.files(manifest),
        starts=starts,
        minutes=minutes,
        where="elsewhere" if manifest.remote else "local",
    )
