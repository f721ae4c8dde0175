"""What a target can do of a deployment: the rest is refused, or mapped with a note. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from twinserve.cloud.target import Target
from twinserve.deployment import Deployment, Kind
from twinserve.errors import UsageError
from twinserve.scaling.allowed import violations
from twinserve.scaling.policy import FixedPolicy, TargetsPolicy, WindowsPolicy, policy_named

# Which policy a target's own autoscaler follows; plain Kubernetes has another one.
POLICY_OF_TARGET = {
    Target.CLOUD_RUN: "cloud-run",
    Target.CLOUD_FUNCTIONS: "cloud-functions",
    Target.KNATIVE: "knative",
    Target.KUBERNETES: "always-on",
}
# Above it the quota of a region has to be asked about:
# https://cloud.google.com/run/docs/configuring/max-instances, read 2026-11.
INSTANCES_WITHOUT_ASKING = 100
# https://github.com/knative/serving/blob/main/pkg/apis/autoscaling/register.go, read 2026-11.
RETENTION_MOST_S = 3600
# https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/, read 2026-11.
STABILIZATION_MOST_S = 3600


@dataclass(frozen=True)
class Fitted:
    """A deployment as its target can run it, and what was changed or is not as it says."""

    deployment: Deployment
    notes: tuple[str, ...]


def fitted(deployment: Deployment, target: Target) -> Fitted:
    """Fit the deployment to the target, before anything is sent.

    Raises:
        UsageError: the target cannot run it; value, what is allowed and the source are named.
    """
    _refuse(deployment, target)
    rules = {
        Target.CLOUD_RUN: _google_notes,
        Target.CLOUD_FUNCTIONS: _google_notes,
        Target.KNATIVE: _knative_notes,
        Target.KUBERNETES: _kubernetes_notes,
    }
    notes = tuple(rules[target](deployment, target))
    if is_fixed(deployment):
        count = max(1, deployment.min_instances)
        deployment = replace(deployment, min_instances=count, max_instances=count)
    if target is Target.KUBERNETES:
        deployment = replace(deployment, min_instances=max(1, deployment.min_instances))
    return Fitted(deployment, notes)


def is_fixed(deployment: Deployment) -> bool:
    """Whether its policy keeps a fixed number of instances."""
    return isinstance(policy_named(deployment.policy_name), FixedPolicy)


def retention_s(deployment: Deployment) -> int:
    """How long Knative keeps the last instance after its stable window has seen no request."""
    return round(min(max(0.0, deployment.idle_s - _knative().window_s.value), RETENTION_MOST_S))


def stabilization_s(deployment: Deployment) -> int:
    """How long Kubernetes' autoscaler waits before it removes an instance."""
    return round(min(deployment.idle_s, STABILIZATION_MOST_S))


def _refuse(deployment: Deployment, target: Target) -> None:
    if target is Target.CLOUD_FUNCTIONS and deployment.kind is not Kind.FUNCTION:
        raise UsageError(
            f"{deployment.name} is a {deployment.kind.value}, and Cloud Functions runs functions "
            f"only; name a deployment of kind function, or use `twinserve deploy cloud-run`."
        )
    # Idle time is no setting of these targets, so it is mapped below and refuses nothing.
    asked = replace(deployment, policy=POLICY_OF_TARGET[target], idle_s=0.0)
    for each in violations(asked):
        raise UsageError(
            f"{deployment.name} cannot run on {target.shown}: {each.key} is {each.value}; "
            f"allowed is {each.reason}."
        )


def _google_notes(deployment: Deployment, target: Target) -> Iterator[str]:
    most_s = policy_named(POLICY_OF_TARGET[target]).idle_most_s
    yield (
        f"idle: {target.shown} has no such setting; it keeps an instance without requests for up "
        f"to {most_s.value / 60 if most_s else 0:g} minutes and may end it at any time"
    )
    yield from _policy_notes(deployment, target)
    if deployment.max_instances > INSTANCES_WITHOUT_ASKING:
        yield (
            f"max_instances is {deployment.max_instances}: the region's quota of CPU and memory "
            "must allow so many, else the platform refuses"
        )
    yield from _always_billed(deployment)
    if target is Target.CLOUD_RUN:
        if deployment.cpu < 1:
            yield (
                "cpu is below 1: Cloud Run runs it in its first-generation environment, without "
                "CPU between requests"
            )
        yield from _function_notes(deployment)


def _knative_notes(deployment: Deployment, target: Target) -> Iterator[str]:
    window_s = _knative().window_s.value
    kept_s = window_s + retention_s(deployment)
    if kept_s != deployment.idle_s and deployment.min_instances == 0:
        yield (
            f"idle is {deployment.idle_s:g} s and becomes {kept_s:g} s: Knative waits for its "
            f"window of {window_s:g} s and keeps the last instance at most "
            f"{RETENTION_MOST_S} s longer"
        )
    yield from _policy_notes(deployment, target)
    yield from _function_notes(deployment)


def _kubernetes_notes(deployment: Deployment, _target: Target) -> Iterator[str]:
    fixed = is_fixed(deployment)
    if deployment.min_instances == 0 and not fixed:
        yield (
            "min_instances is 0 and becomes 1: plain Kubernetes does not scale to zero; Knative "
            "does (`twinserve deploy knative`)"
        )
    if not fixed:
        yield from _autoscaler_notes(deployment)
    if deployment.kind is Kind.FUNCTION:
        yield (
            f"concurrency is {deployment.concurrency}: plain Kubernetes holds no requests back, so "
            "functions-framework gets so many threads and the others wait inside the instance"
        )
    else:
        yield (
            f"concurrency is {deployment.concurrency}: plain Kubernetes holds no requests back; "
            "the instance's threads (8, or fewer if concurrency is) take turns and others wait "
            "inside the instance"
        )
    yield from _function_notes(deployment)


def _autoscaler_notes(deployment: Deployment) -> Iterator[str]:
    yield (
        f"policy is {deployment.policy_name}: Kubernetes' autoscaler knows CPU only, and aims at "
        f"{cpu_target_percent()} % of it"
    )
    yield (
        f"idle is {deployment.idle_s:g} s and becomes {stabilization_s(deployment)} s for which "
        "fewer instances must have been enough before one is removed"
    )


def _policy_notes(deployment: Deployment, target: Target) -> Iterator[str]:
    own = POLICY_OF_TARGET[target]
    if is_fixed(deployment):
        count = max(1, deployment.min_instances)
        yield f"policy is {deployment.policy_name} and becomes {count} instance(s), fixed"
    elif deployment.policy_name != own:
        yield (
            f"policy is {deployment.policy_name}: {target.shown} scales by its own rules "
            f"({own}), whatever is asked for"
        )


def _always_billed(deployment: Deployment) -> Iterator[str]:
    if deployment.min_instances and not is_fixed(deployment):
        yield (
            f"min_instances is {deployment.min_instances}: these are billed all the time, also "
            "without requests"
        )


def _function_notes(deployment: Deployment) -> Iterator[str]:
    if deployment.kind is Kind.FUNCTION:
        yield "kind is function: the image is started by functions-framework instead of gunicorn"


def cpu_target_percent() -> int:
    """What plain Kubernetes' autoscaler aims at: Cloud Run's own target, so that both compare."""
    policy = policy_named(POLICY_OF_TARGET[Target.CLOUD_RUN])
    return round(policy.cpu_target.value * 100) if isinstance(policy, TargetsPolicy) else 0


def _knative() -> WindowsPolicy:
    policy = policy_named("knative")
    if not isinstance(policy, WindowsPolicy):
        raise UsageError("policies.toml describes knative by another rule than windows.")
    return policy
