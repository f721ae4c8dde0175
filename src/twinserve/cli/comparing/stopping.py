"""``--until``: end a run early once its interval is tight enough, at looks fixed before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from twinserve.errors import UsageError
from twinserve.records.manifest import Block, Until
from twinserve.records.samples import Phase, Sample
from twinserve.workload import Workload

if TYPE_CHECKING:
    from twinserve.analysis.sequential import Plan


class Share(click.ParamType[float]):
    """A share of what is measured, written as ``5%`` or ``0.05``."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is not a share; write 5% or 0.05.", param, ctx)
        if not 0 < number < 1:
            self.fail(f"{value!r} must be above 0% and below 100%, such as 5%.", param, ctx)
        return number


def until_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--until",
        type=Share(),
        metavar="SHARE",
        help="Stop early once the interval of the difference of p95 is no wider than this to "
        "either side, e.g. 5%; looks are fixed before and the interval is widened for them.",
    )(function)


def chosen_stop(target: float | None, workload: Workload) -> Stop | None:
    """The rule by which the run may end early; None where it may not.

    Raises:
        UsageError: the run is too short for any interval.
    """
    if target is None:
        return None
    from twinserve.analysis.sequential import planned

    units = workload.repeats if workload.repeats > 1 else workload.blocks
    unit = "repeats" if workload.repeats > 1 else "blocks a side"
    try:
        return Stop(planned(target, units), by_repeat=workload.repeats > 1)
    except UsageError as error:
        raise UsageError(f"{error} (This plan has {units} {unit}.)") from error


class Stop:
    """Keeps the times of both sides while they come in, and says when they are enough."""

    def __init__(self, plan: Plan, by_repeat: bool = False) -> None:
        self._plan = plan
        self._by_repeat = by_repeat
        self._times: dict[int, list[float]] = defaultdict(list)  # of blocks that run, in ms
        self._units: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))

    @property
    def until(self) -> Until:
        """As the manifest keeps it."""
        return Until(self._plan.target, list(self._plan.looks), self._plan.look_confidence)

    @property
    def said(self) -> str:
        unit = "repeats" if self._by_repeat else "blocks a side"
        looks = ", ".join(str(look) for look in self._plan.looks)
        return (
            f"May stop early: looks after {looks} {unit}, until the interval of the difference of "
            f"p95 is within {100 * self._plan.target:g} % to either side; each look takes a "
            f"{100 * self._plan.look_confidence:g} % interval, so that all together keep "
            f"{100 * self._plan.confidence:g} %."
        )

    def listen(self, sample: Sample) -> None:
        if sample.phase is Phase.BLOCK and sample.success:
            self._times[sample.block].append(sample.elapsed_ms)

    def finished(self, block: Block) -> None:
        """A block has ended: its rows count from now on."""
        unit = block.repeat if self._by_repeat else block.pair
        self._units[block.side][unit] += self._times.pop(block.index, [])

    def is_enough(self, first: str, second: str, ended_repeat: bool) -> bool:
        """Whether the run may end here; with repeats only when one has ended."""
        import numpy as np

        if self._by_repeat and not ended_repeat:
            return False
        a, b = (
            [np.array(times) for _, times in sorted(self._units[side].items())]
            for side in (first, second)
        )
        return self._plan.should_stop(a, b)

    @property
    def reason(self) -> str:
        return (
            f"Stopped early, as planned: the interval of the difference of p95 is within "
            f"{100 * self._plan.target:g} % to either side"
        )
