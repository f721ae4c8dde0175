"""Ready-made workloads, and how a user's own numbers change them: pure."""

from __future__ import annotations

import msgspec

from twinserve.errors import UsageError
from twinserve.records.manifest import Workload

# Ten blocks a side is the least that carries a verdict on p95 (docs/statistics.md).
LEAST_BLOCKS = 10
LEAST_BLOCK_S = 0.5

PROFILES = {
    "quick": Workload(
        profile="quick",
        users=4,
        think_s=0.0,
        blocks=10,
        block_s=3.5,
        warmup_s=2.0,
        images=1,
        seed=0,
    ),
    "long": Workload(
        profile="long",
        users=4,
        think_s=0.0,
        blocks=20,
        block_s=15.0,
        warmup_s=5.0,
        images=1,
        seed=0,
    ),
}


def workload_of(
    profile: str,
    users: int | None = None,
    duration_s: float | None = None,
    images: int | None = None,
    seed: int | None = None,
) -> Workload:
    """A profile with some of its numbers replaced; ``duration_s`` is the load of both sides
    together.

    Raises:
        UsageError: the duration is too short for the profile's blocks.
    """
    workload = PROFILES[profile]
    given = {"users": users, "images": images, "seed": seed}
    changes: dict[str, object] = {key: value for key, value in given.items() if value is not None}
    if duration_s is not None:
        block_s = duration_s / (2 * workload.blocks)
        if block_s < LEAST_BLOCK_S:
            least_s = 2 * workload.blocks * LEAST_BLOCK_S
            raise UsageError(
                f"--duration is {duration_s:g} s; {workload.blocks} blocks a side need at least "
                f"{least_s:g} s."
            )
        changes["block_s"] = block_s
    return msgspec.structs.replace(workload, **changes)


def load_seconds(workload: Workload) -> float:
    """How long the load takes, both sides' warm-up and blocks together."""
    return 2 * (workload.warmup_s + workload.blocks * workload.block_s)
