"""What is simulated: how long requests and starts take, and under which deployment and policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.scaling.policy import AnyPolicy, policy_named

Floats = NDArray[np.float64]
TICK_S = 0.1  # of the gateway, where no time is compressed
EXPONENTIAL_POINTS = 1 << 15


@dataclass(frozen=True)
class Level:
    """How long a request works where it finds up to ``most`` at a time on its instance, itself
    included."""

    most: int
    work_s: Floats


@dataclass(frozen=True)
class Behaviour:
    """One deployment's times, as a run measured them; every array is a sample to draw from.

    An instance works on ``lanes`` requests at the same time (0: on all that it has), others wait
    in it in the order of their coming. ``first_s`` is the work of the first request on a fresh
    instance, ``outside_s`` what a request takes beyond its instance, ``cpu_a_lane`` the CPUs that
    a working lane keeps busy.
    """

    levels: Sequence[Level]
    starts_s: Floats
    first_s: Floats = field(default_factory=lambda: np.empty(0))
    lanes: int = 0
    outside_s: float = 0.0
    stop_s: float = 0.0
    cpu_a_lane: float = 0.0
    egress_bytes: float = 0.0
    images: float = 1.0

    def elsewhere(self, cpu_factor: float, platform_start_s: float) -> Behaviour:
        """The same on a CPU that takes ``cpu_factor`` times as long, behind a platform that adds
        so much to each start."""
        return replace(
            self,
            levels=[replace(level, work_s=level.work_s * cpu_factor) for level in self.levels],
            first_s=self.first_s * cpu_factor,
            starts_s=self.starts_s * cpu_factor + platform_start_s,
            stop_s=self.stop_s * cpu_factor,
        )

    @property
    def work_s(self) -> float:
        """Mean work of a request that is alone on its instance."""
        return float(self.levels[0].work_s.mean())


@dataclass(frozen=True)
class Model:
    """A deployment under its policy, with what was measured of it.

    ``newest_first`` gives requests to the newest of equal instances, as one published simulator
    does; the live gateway gives them to the oldest.
    """

    deployment: Deployment
    behaviour: Behaviour
    policy: AnyPolicy = None  # type: ignore[assignment] # that of the deployment
    tick_s: float = TICK_S
    newest_first: bool = False

    def __post_init__(self) -> None:
        if self.policy is None:
            object.__setattr__(self, "policy", policy_named(self.deployment.policy_name))
        behaviour = self.behaviour
        tables = [level.work_s for level in behaviour.levels]
        for values in (*tables, behaviour.starts_s, behaviour.first_s):
            if values.size and not (np.isfinite(values).all() and (values >= 0).all()):
                raise UsageError(
                    f"{self.deployment.name}: a measured time is {values.min():g} s; times to "
                    f"simulate from are finite and not below 0."
                )
        if not tables or not all(table.size for table in tables) or not behaviour.starts_s.size:
            raise UsageError(f"{self.deployment.name}: there is no measured time to simulate from.")

    def compressed(self, time_scale: float) -> Model:
        """As the live gateway runs with that ``time_scale``: the policy's times and the idle time
        pass so many times as fast, requests and starts do not."""
        return replace(
            self,
            deployment=replace(self.deployment, idle_s=self.deployment.idle_s / time_scale),
            policy=self.policy.compressed(time_scale),
            tick_s=TICK_S / max(1.0, time_scale / 20),
        )


def constant(value_s: float) -> Floats:
    """Always the same time."""
    return np.array([value_s])


def exponential(mean_s: float, points: int = EXPONENTIAL_POINTS) -> Floats:
    """A sample that is exponential to six digits: quantiles at even steps, scaled to the mean."""
    values = -np.log1p(-(np.arange(points) + 0.5) / points)
    scaled: Floats = values * (mean_s / values.mean())
    return scaled
