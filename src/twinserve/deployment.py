"""What a deployment is: one way of running a bundle, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from twinserve.errors import UsageError

CONTAINER = "container"
FUNCTION = "function"
SIDES = (CONTAINER, FUNCTION)


class Kind(StrEnum):
    """How requests reach the model: a container's own server, or a function that a framework
    calls."""

    CONTAINER = "container"
    FUNCTION = "function"


@dataclass(frozen=True)
class Deployment:
    """One way of running a bundle.

    ``concurrency`` is the number of requests that one instance may have at a time, ``idle_s`` how
    long an instance without requests lives.
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

    def __post_init__(self) -> None:
        for field, lowest in LOWEST.items():
            value = getattr(self, field)
            if value < lowest:
                raise UsageError(f"{self.name}: {field} is {value}; it must be at least {lowest}.")
        if self.min_instances > self.max_instances:
            raise UsageError(
                f"{self.name}: min_instances is {self.min_instances}, more than max_instances "
                f"{self.max_instances}; lower the one or raise the other."
            )

    def with_at_most(self, instances: int) -> Deployment:
        """The same deployment with its instances capped."""
        return replace(
            self,
            max_instances=min(self.max_instances, instances),
            min_instances=min(self.min_instances, instances),
        )


LOWEST = {
    "cpu": 0.1,
    "memory_mib": 128,
    "concurrency": 1,
    "min_instances": 0,
    "max_instances": 1,
    "idle_s": 0.0,
}


def fair_defaults(
    model: str, idle_s: float = 60.0, more_models: tuple[str, ...] = ()
) -> dict[str, Deployment]:
    """The two sides as the platforms set them: equal but for serving stack and concurrency.

    Cloud Run gives a container 80 requests at a time, a function (2nd gen) 1.
    """
    container = Deployment(
        CONTAINER, Kind.CONTAINER, model, concurrency=80, idle_s=idle_s, more_models=more_models
    )
    return {
        CONTAINER: container,
        FUNCTION: replace(container, name=FUNCTION, kind=Kind.FUNCTION, concurrency=1),
    }
