"""Whether a policy allows a deployment, and if not, why: pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from twinserve.deployment import Deployment, Kind
from twinserve.errors import UsageError
from twinserve.scaling.policy import (
    Fact,
    FixedPolicy,
    Policy,
    WindowsPolicy,
    policies,
    policy_named,
)

CLOSE = 1e-6
ONE_CPU_DIFFERENCE = 0.005


@dataclass(frozen=True)
class Violation:
    """A value that the policy forbids; ``key`` is as ``twinserve.toml`` names it."""

    key: str
    value: object
    allowed: str
    source: str

    @property
    def reason(self) -> str:
        """What is allowed, and who says so."""
        return f"{self.allowed} ({self.source})"


def check_allowed(deployment: Deployment) -> None:
    """Returns if its policy allows the deployment.

    Raises:
        UsageError: there is no such policy, or it forbids a value; its source is in the message.
    """
    for violation in violations(deployment):
        raise UsageError(
            f"{deployment.name}: {violation.key} is {violation.value}; allowed is "
            f"{violation.reason}."
        )


def violations(deployment: Deployment) -> Iterator[Violation]:
    """What the deployment's policy forbids about it, the plainest first."""
    if deployment.policy_name not in policies():
        names = ", ".join(policies())
        yield Violation(
            "policy", deployment.policy_name, f"one of {names}", "scaling/policies.toml"
        )
        return
    policy = policy_named(deployment.policy_name)
    yield from _concurrency(policy, deployment)
    yield from _cpu(policy, deployment)
    yield from _memory(policy, deployment)
    yield from _idle(policy, deployment)


def remarks(deployment: Deployment) -> list[str]:
    """What a user should know about an allowed deployment's policy."""
    policy = policy_named(deployment.policy_name)
    said = []
    if deployment.cpu < 1 and policy.whole_cpu is None and deployment.concurrency != 1:
        said.append("several requests share less than 1 CPU, which Cloud Run would refuse")
    if deployment.kind is Kind.FUNCTION and deployment.concurrency != 1:
        said.append("functions-framework gets several requests at a time, by threads")
    if isinstance(policy, WindowsPolicy):
        said.append("the idle time is the policy's own: window and grace")
    if isinstance(policy, FixedPolicy):
        said.append(
            f"{max(1, deployment.min_instances)} instance(s) from the start on, by min_instances; "
            "no idle time, no other limit"
        )
    return said


def _concurrency(policy: Policy, deployment: Deployment) -> Iterator[Violation]:
    concurrency, most = deployment.concurrency, policy.concurrency_most
    least = 0 if policy.unlimited else 1
    if not least <= concurrency <= most.value:
        allowed = f"{least} to {most.value:g}" if most.value > least else f"{most.value:g}"
        yield _against(policy, "concurrency", concurrency, allowed, most)
    whole = policy.whole_cpu
    if whole and deployment.cpu < whole.value and concurrency != 1:
        allowed = f"1 below {whole.value:g} CPU (cpu is {deployment.cpu:g})"
        yield _against(policy, "concurrency", concurrency, allowed, whole)


def _cpu(policy: Policy, deployment: Deployment) -> Iterator[Violation]:
    cpu, sizes = deployment.cpu, policy.cpu_sizes
    if policy.cpu_of_memory:
        cpus = dict(policy.cpu_of_memory.value)
        wanted = cpus.get(deployment.memory_mib)
        if wanted is not None and abs(wanted - cpu) > ONE_CPU_DIFFERENCE:
            allowed = f"{wanted:g} with memory of {deployment.memory_mib} MiB"
            yield _against(policy, "cpu", cpu, allowed, policy.cpu_of_memory)
    elif sizes and cpu >= 1 and cpu not in sizes.value:
        shown = ", ".join(f"{size:g}" for size in sizes.value)
        yield _against(policy, "cpu", f"{cpu:g}", f"{shown} or less than 1", sizes)


def _memory(policy: Policy, deployment: Deployment) -> Iterator[Violation]:
    memory, cpu = deployment.memory_mib, deployment.cpu
    if policy.cpu_of_memory:
        sizes = [each for each, _ in policy.cpu_of_memory.value]
        if memory not in sizes:
            shown = ", ".join(f"{size:g}" for size in sizes)
            yield _against(policy, "memory", memory, f"{shown} MiB", policy.cpu_of_memory)
        return
    most = policy.memory_most_mib
    if most and memory > most.value:
        yield _against(policy, "memory", memory, f"at most {most.value:g} MiB", most)
        return
    if needs := policy.cpu_for_memory:
        limits = [above for above, least in needs.value if memory > above and cpu < least - CLOSE]
        if limits:
            allowed = f"at most {limits[0]:g} MiB with {cpu:g} CPU"
            yield _against(policy, "memory", memory, allowed, needs)
    if needs := policy.memory_for_cpu:
        leasts = [least for above, least in needs.value if cpu >= above and memory < least]
        if leasts:
            allowed = f"at least {max(leasts):g} MiB with {cpu:g} CPU"
            yield _against(policy, "memory", memory, allowed, needs)


def _idle(policy: Policy, deployment: Deployment) -> Iterator[Violation]:
    most = policy.idle_most_s
    if most and deployment.idle_s > most.value:
        allowed = f"at most {most.value:g} s; min_instances keeps instances for good"
        yield _against(policy, "idle", f"{deployment.idle_s:g} s", allowed, most)


def _against(policy: Policy, key: str, value: object, allowed: str, fact: Fact[Any]) -> Violation:
    source = f"policy {policy.name}, {fact.source.rstrip('.')}, read {fact.read}"
    return Violation(key, value, allowed, source)
