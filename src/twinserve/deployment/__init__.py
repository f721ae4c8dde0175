"""What a deployment is: one way of running a bundle, as plain values.

:mod:`twinserve.deployment.file` reads them from ``twinserve.toml``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from twinserve.errors import UsageError

CONTAINER = "container"
FUNCTION = "function"
SIDES = (CONTAINER, FUNCTION)
HIDDEN = "(not written down)"


class Kind(StrEnum):
    """How requests reach the model: a container's own server, or a function that a framework
    calls."""

    CONTAINER = "container"
    FUNCTION = "function"


# The policy of a deployment that names none: what its kind runs under on Google's cloud.
POLICY_OF_KIND = {Kind.CONTAINER: "cloud-run", Kind.FUNCTION: "cloud-functions"}
# Cloud Run's console sets 80 for a container, and 1 for a function (2nd gen).
CONCURRENCY_OF_KIND = {Kind.CONTAINER: 80, Kind.FUNCTION: 1}


@dataclass(frozen=True)
class Deployment:
    """One way of running a bundle.

    ``concurrency`` is the number of requests that one instance may have at a time (0: any number,
    which only some policies allow), ``idle_s`` how long an instance without requests lives.
    ``policy`` names the rules by which instances start and stop (:mod:`twinserve.scaling`); empty
    is that of the kind. ``environment`` goes to every instance, on top of what the platform sets.
    """

    name: str
    kind: Kind
    model: str
    cpu: float = 1.0
    memory_mib: int = 4096
    concurrency: int = 80
    min_instances: int = 0
    max_instances: int = 100
    idle_s: float = 60.0
    more_models: tuple[str, ...] = ()  # served as well, each loaded when first asked for
    policy: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, lowest in LOWEST.items():
            value = getattr(self, name)
            if not value >= lowest:
                raise UsageError(f"{self.name}: {name} is {value}; it must be at least {lowest}.")
        if self.min_instances > self.max_instances:
            raise UsageError(
                f"{self.name}: min_instances is {self.min_instances}, more than max_instances "
                f"{self.max_instances}; lower the one or raise the other."
            )

    @property
    def policy_name(self) -> str:
        """The policy that it runs under, its own or its kind's."""
        return self.policy or POLICY_OF_KIND[self.kind]

    @property
    def places(self) -> float:
        """Requests that one instance takes at a time; infinite where concurrency is 0."""
        return self.concurrency or math.inf

    def with_at_most(self, instances: int) -> Deployment:
        """The same deployment with its instances capped."""
        return replace(
            self,
            max_instances=min(self.max_instances, instances),
            min_instances=min(self.min_instances, instances),
        )

    def without_values(self) -> Deployment:
        """The same deployment to be written down or shown: of its environment the names only,
        since a value may be a secret."""
        return replace(self, environment=dict.fromkeys(self.environment, HIDDEN))


LOWEST = {
    "cpu": 0.08,
    "memory_mib": 128,
    "concurrency": 0,
    "min_instances": 0,
    "max_instances": 1,
    "idle_s": 0.0,
}


def usual_concurrency(kind: Kind, cpu: float) -> int:
    """What the platform sets where nobody says otherwise: below 1 CPU it allows no more than 1."""
    return CONCURRENCY_OF_KIND[kind] if cpu >= 1 else 1


def fair_defaults(
    model: str, idle_s: float = 60.0, more_models: tuple[str, ...] = ()
) -> dict[str, Deployment]:
    """The two sides as the platforms set them: equal but for serving stack and concurrency."""
    return {
        kind.value: Deployment(
            kind.value,
            kind,
            model,
            concurrency=CONCURRENCY_OF_KIND[kind],
            idle_s=idle_s,
            more_models=more_models,
            policy=POLICY_OF_KIND[kind],
        )
        for kind in Kind
    }
