"""What a workload is: plain values, as they stand in a TOML file and in ``run.json``."""

from __future__ import annotations

from typing import Literal

import msgspec

Format = Literal["json", "png", "jpeg", "webp"]

# A made-up working day: quiet until six, busy from nine, a second peak in the evening. Weights of
# the 24 hours; only their ratios count.
WORKING_DAY = (
    0.4, 0.3, 0.2, 0.2, 0.2, 0.3, 0.5, 0.8, 1.2, 1.5, 1.6, 1.6,
    1.4, 1.5, 1.6, 1.6, 1.5, 1.4, 1.3, 1.3, 1.4, 1.2, 0.9, 0.6,
)  # fmt: skip


class ClosedLoop(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="closed",
):
    """Users who ask, wait for the answer, think ``think_s`` and ask again.

    They start one after the other over ``ramp_s`` before each block; what is sent meanwhile is
    warm-up.
    """

    users: int
    think_s: float = 0.0
    ramp_s: float = 0.0


class Constant(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="constant",
):
    """One request every ``1 / rate_rps`` seconds, whether earlier ones are answered or not."""

    rate_rps: float


class Poisson(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="poisson",
):
    """Requests that know nothing of each other: exponential gaps of mean ``1 / rate_rps``."""

    rate_rps: float


class Bursts(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="bursts",
):
    """Poisson at ``rate_rps``, but at ``burst_rps`` in the first ``lasts_s`` of each
    ``every_s``."""

    rate_rps: float  # between bursts; 0 is silence
    burst_rps: float
    every_s: float
    lasts_s: float


class Trace(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="trace",
):
    """Requests at the times that a file lists: ``times_s``, seconds from 0, ascending."""

    file: str  # its name, for people
    times_s: tuple[float, ...] = ()


class Day(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="day",
):
    """Poisson at a rate that follows the hours of a day, and the days of a week where given.

    ``rate_rps`` is the mean over all days. A ``day_s`` below 86,400 plays a day in less time.
    """

    rate_rps: float
    day_s: float = 86_400.0
    hours: tuple[float, ...] = WORKING_DAY  # 24 weights, from midnight
    week: tuple[float, ...] = ()  # 7 weights from Monday, or none


OpenLoop = Constant | Poisson | Bursts | Trace | Day
Arrivals = ClosedLoop | Constant | Poisson | Bursts | Trace | Day


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of request in the mix, drawn ``weight`` times as often as one of weight 1.

    ``samples`` names a file of JSON lines and ``bodies`` holds them: such a request sends one of
    them as it stands, in place of images and a seed.
    """

    images: int = 1
    format: Format = "json"  # "png", "jpeg", "webp": the picture itself, by the Accept header
    weight: float = 1.0
    samples: str = ""
    bodies: tuple[str, ...] = ()


class Workload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When requests are due, what they ask for, and in how many blocks of which length."""

    profile: str
    arrivals: Arrivals
    mix: tuple[Ask, ...] = (Ask(),)
    blocks: int  # a side and repeat
    block_s: float
    warmup_s: float
    seed: int
    repeats: int = 1  # how often both sides are started anew
    concurrent: bool = False  # the sides of a pair are loaded at the same time
    cold: bool = False  # each request waits until the deployment has no instance

    @property
    def is_open(self) -> bool:
        """Whether requests are due at times of their own, answered or not."""
        return not isinstance(self.arrivals, ClosedLoop)

    @property
    def users(self) -> int:
        """The users of a closed loop; 0 in an open one."""
        return self.arrivals.users if isinstance(self.arrivals, ClosedLoop) else 0

    @property
    def think_s(self) -> float:
        return self.arrivals.think_s if isinstance(self.arrivals, ClosedLoop) else 0.0

    @property
    def ramp_s(self) -> float:
        return self.arrivals.ramp_s if isinstance(self.arrivals, ClosedLoop) else 0.0

    @property
    def rate_rps(self) -> float | None:
        """The mean rate at which requests are due; None in a closed loop, where nobody knows."""
        return None if isinstance(self.arrivals, ClosedLoop) else mean_rate_rps(self.arrivals)

    @property
    def images(self) -> float:
        """The mean number of images a request."""
        total = sum(ask.weight for ask in self.mix)
        return sum(ask.weight * ask.images for ask in self.mix) / total


def mean_rate_rps(arrivals: OpenLoop) -> float:
    """How many requests a second are due in the long run; of a trace, from 0 to its last time."""
    if isinstance(arrivals, Trace):
        return len(arrivals.times_s) / arrivals.times_s[-1] if arrivals.times_s else 0.0
    if isinstance(arrivals, Bursts):
        share = arrivals.lasts_s / arrivals.every_s
        return arrivals.burst_rps * share + arrivals.rate_rps * (1 - share)
    return arrivals.rate_rps
