"""What the causes are judged by: everything that a run measured, gathered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twinserve.analysis.causes.stages import StageRows, difference_of, share_of
from twinserve.analysis.causes.values import Cause, Finding, Stages
from twinserve.analysis.comparison import Contrast, Gate
from twinserve.analysis.estimate import Estimate
from twinserve.analysis.rows import SideRows
from twinserve.analysis.words import share, times_as
from twinserve.deployment import Deployment
from twinserve.records.manifest import Manifest

if TYPE_CHECKING:
    import polars as pl

WORTH_A_NAME = 0.10  # of a side's time, or of the difference of the means
WORTH_A_WORD = 0.05  # of the faster side's time: below it nobody feels a difference


@dataclass(frozen=True)
class Part:
    """Some stages together: mean ms and share of the time by side, and what they add to the
    difference of the means."""

    means: dict[str, float]
    shares: dict[str, float]
    difference: Estimate
    of_difference: float | None
    scale_ms: float  # the smaller mean elapsed time of the two sides

    @property
    def is_worth_a_name(self) -> bool:
        """Whether it takes a good part of a side's time, or of the difference."""
        return max(self.shares.values()) >= WORTH_A_NAME or self.makes_a_difference

    @property
    def makes_a_difference(self) -> bool:
        large = abs(self.of_difference or 0.0) >= WORTH_A_NAME
        felt = abs(self.difference.estimate) >= WORTH_A_WORD * self.scale_ms
        return large and felt and self.difference.is_clear


@dataclass(frozen=True)
class Evidence:
    """A run as the causes see it.

    ``rows`` are the stages of both sides, None where the run does not tell them; ``readings`` is
    ``resources.csv`` of the seconds in which a side was under load, with the column ``side``;
    ``by_jmeter`` whether JMeter sent the load, which resolves times to a millisecond.
    """

    manifest: Manifest
    sides: tuple[SideRows, SideRows]
    rows: tuple[StageRows, StageRows] | None
    stages: Stages | None
    contrast: Contrast | None
    readings: pl.DataFrame
    gates: Sequence[Gate]
    confidence: float

    @property
    def names(self) -> tuple[str, str]:
        first, second = self.sides
        return first.name, second.name

    def deployment(self, name: str) -> Deployment | None:
        """The side's deployment as it ran; None for a service elsewhere."""
        return self.manifest.deployments.get(name)

    def part(self, *stages: str) -> Part | None:
        """The named stages together; None where the run does not tell them."""
        if self.rows is None or self.stages is None:
            return None
        first, second = self.rows
        whole = self.stages.whole
        means = {each.name: each.mean(*stages) for each in self.rows}
        difference = difference_of(
            first.values(stages), second.values(stages), self.sides, self.confidence
        )
        return Part(
            means=means,
            shares={name: ms / max(whole.means[name], 1e-9) for name, ms in means.items()},
            difference=difference,
            of_difference=share_of(difference, whole.difference),
            scale_ms=min(whole.means[name] for name in self.names),
        )


def cause_of(name: str, part: Part, sentence: str, *, named: bool | None = None) -> Cause:
    """The cause that some stages are; ``named`` decides in place of their size."""
    found = part.is_worth_a_name if named is None else named
    return Cause(
        name=name,
        finding=Finding.NAMED if found else Finding.ABSENT,
        sentence=f"{sentence}{_of_difference(part)}." if found else f"{sentence}.",
        shares=part.shares,
        difference=part.difference,
        of_difference=part.of_difference,
    )


def unknown(name: str, why: str) -> Cause:
    """A cause that this run cannot tell of."""
    return Cause(name=name, finding=Finding.UNKNOWN, sentence=why)


def _of_difference(part: Part) -> str:
    """What it adds to the difference of the means, where it is clear that it adds something."""
    size = part.of_difference
    if size is None or not part.makes_a_difference:
        return ""
    if size < 0:
        return "; it works against the difference of the means"
    if size > 1:
        return f"; alone it would make {times_as(size)} the difference that the means have"
    return f"; it makes up {share(size)} of the difference of the means"
