"""Which CPUs an instance runs on, and which of its limits a plain process cannot enforce."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import ceil

from twinserve.deployment import Deployment
from twinserve.runtime.runner import NAMES, PROCESS
from twinserve.scaling.policy import policy_named

CAN_PIN = hasattr(os, "sched_setaffinity")


def cpus_of(place: int, cpu: float, usable: Sequence[int]) -> tuple[int, ...]:
    """The CPUs of the instance at ``place`` (0 first): whole ones of its own, highest first.

    The lowest CPUs are left for gateways and load generator as long as there are enough; past the
    last one it begins again at the top, and instances share.
    """
    count = min(ceil(cpu), len(usable))
    highest_first = sorted(usable, reverse=True)
    first = place * count
    return tuple(highest_first[(first + offset) % len(usable)] for offset in range(count))


def limits_sentence(deployment: Deployment, runner: str = PROCESS, can_pin: bool = CAN_PIN) -> str:
    """Which of the deployment's limits hold for its instances here."""
    if runner != PROCESS:
        return (
            f"{deployment.name}: each instance is a {NAMES[runner]} container, held to "
            f"{deployment.cpu:g} CPU by quota and to {deployment.memory_mib} MiB."
        )
    memory = f"its limit of {deployment.memory_mib} MiB is not enforced on a plain process"
    if not can_pin:
        return (
            f"{deployment.name}: this system has no CPU affinity, so its limit of "
            f"{deployment.cpu:g} CPU is not enforced; {memory}."
        )
    cores = ceil(deployment.cpu)
    whole = f"{cores} whole CPU{'s' if cores > 1 else ''}"
    rounded = "" if cores == deployment.cpu else f" instead of {deployment.cpu:g}"
    always = _always(deployment)
    return f"{deployment.name}: each instance is pinned to {whole}{rounded}{always}; {memory}."


def _always(deployment: Deployment) -> str:
    policy = policy_named(deployment.policy_name)
    if policy.boost is None and policy.cpu_outside_requests is None:
        return ""
    return f", no more at its start and no less between requests, as {policy.name} has it"
