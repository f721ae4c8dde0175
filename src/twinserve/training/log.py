"""``log.jsonl``: how losses and quality went, a row at a time, against images seen."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twinserve.training.checkpoint import writing


@dataclass(frozen=True)
class Report:
    """How training stands after one step."""

    images: int
    images_seen: int
    images_wanted: int
    minutes: float
    cpu_minutes: float
    part: str
    rate: float
    loss_generator: float
    loss_discriminator: float
    images_per_s: float  # over the last steps
    minutes_left: float


@dataclass(frozen=True)
class QualityReport:
    """How alike made and real pictures are: sliced Wasserstein distances, times 10**3.

    Of so few pictures the distances are larger than of the usual 8,192; they are to be compared
    with those of the same log at the same resolution only.
    """

    images: int
    images_seen: int
    part: str
    pictures: int  # of either set
    swd: tuple[float, ...]  # a pyramid level, finest first
    swd_mean: float


class Log:
    """The log of one training; rows are dictionaries of a report's fields.

    Raises:
        TrainingError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, report: Report | QualityReport) -> None:
        with writing(self.path), self.path.open("a") as file:
            file.write(json.dumps(asdict(report)) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """Every row that can be read, in the order in which they were written."""
        if not self.path.exists():
            return []
        lines = self.path.read_text().splitlines()
        return [json.loads(line) for line in lines if math.isfinite(_images_of(line))]

    def trim(self, images: int) -> None:
        """Drop the rows of steps that a kill undid; they are about to be computed again."""
        if not self.path.exists():
            return
        lines = self.path.read_text().splitlines(keepends=True)
        kept = "".join(line for line in lines if _images_of(line) <= images)
        part = self.path.with_suffix(".part")
        with writing(self.path):
            part.write_text(kept)
            part.replace(self.path)


def _images_of(line: str) -> float:
    try:
        return float(json.loads(line)["images"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # torn by the kill
