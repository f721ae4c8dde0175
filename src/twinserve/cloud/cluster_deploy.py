"""Make a cluster have what is ordered, wait until it serves, and take it away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from twinserve.cloud.cluster import Cluster, Ref
from twinserve.cloud.existing import differences, format_differences
from twinserve.cloud.journal import Journal
from twinserve.cloud.knative_service import API as KNATIVE
from twinserve.cloud.marks import KUBE_NAME, is_ours
from twinserve.cloud.order import Order
from twinserve.cloud.target import Target
from twinserve.cloud.written import manifests
from twinserve.errors import CloudError

# In the order in which they are taken away: first what would start instances again.
KINDS = {
    Target.KNATIVE: ((KNATIVE, "Service"),),
    Target.KUBERNETES: (
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("v1", "Service"),
        ("apps/v1", "Deployment"),
    ),
}


@dataclass(frozen=True)
class Applied:
    """How many objects were changed, and the address, empty where there is none from outside."""

    changed: int
    url: str


def deploy_cluster(
    order: Order, cluster: Cluster, prepared: Callable[[], None], journal: Journal
) -> Applied:
    """Apply what differs, remove what is ours and no longer wanted, wait until it serves.

    ``prepared`` is called before the first object is applied; it pushes the image.

    Raises:
        CloudError: a step failed; the message says what exists by then.
    """
    wanted = manifests(order)
    with journal.step(f"Looking at what there is of {order.name}"):
        found = {ref: cluster.get(ref) for ref in _refs(order)}
        for ref, there in found.items():
            _check_ours(order, ref, there)
    if any(_differs(each, found[Ref.of(each)]) for each in wanted):
        prepared()
    changed = sum(_applied(each, found[Ref.of(each)], cluster, journal) for each in wanted)
    left = found.keys() - {Ref.of(each) for each in wanted}
    changed += sum(_removed(ref, found[ref], cluster, journal) for ref in left)
    with journal.step(f"Waiting until {order.name} serves"):
        url = _serving(order, cluster, journal)
    return Applied(changed, url)


def delete_cluster(order: Order, cluster: Cluster, journal: Journal) -> list[str]:
    """Delete every object of this name that is ours; returns them in words.

    Raises:
        CloudError: one of that name is not ours, or a step failed.
    """
    gone = []
    with journal.step(f"Deleting {order.name}"):
        found = {ref: cluster.get(ref) for ref in _refs(order)}
        for ref, there in found.items():
            _check_ours(order, ref, there)
        for ref, there in found.items():
            if there is not None:
                cluster.delete(ref)
                journal.say(f"Deleted {ref.words}.")
                gone.append(ref.words)
    return gone


def _refs(order: Order) -> list[Ref]:
    return [Ref(api, kind, order.name, order.namespace) for api, kind in KINDS[order.target]]


def _check_ours(order: Order, ref: Ref, found: Mapping[str, Any] | None) -> None:
    if found is not None and not is_ours(found["metadata"].get("labels"), order.target):
        raise CloudError(
            f"There is a {ref.words} that `twinserve deploy {order.target.value}` did not make, so "
            "it is left alone; choose another --name."
        )


def _differs(manifest: Mapping[str, Any], found: Mapping[str, Any] | None) -> bool:
    return found is None or any(differences(manifest, found))


def _applied(
    manifest: Mapping[str, Any], found: Mapping[str, Any] | None, cluster: Cluster, journal: Journal
) -> bool:
    ref = Ref.of(manifest)
    if not _differs(manifest, found):
        return False
    if found is not None:
        paths = list(differences(manifest, found))
        journal.say(f"{ref.words} is there and differs: {format_differences(paths)}.")
    with journal.step(f"Applying {ref.words}"):
        cluster.apply(manifest)
    journal.exists(f"{ref.words} ({'updated' if found is not None else 'created'})")
    return True


def _removed(ref: Ref, found: Mapping[str, Any] | None, cluster: Cluster, journal: Journal) -> bool:
    if found is None:
        return False
    with journal.step(f"Removing {ref.words}, which is no longer wanted"):
        cluster.delete(ref)
    journal.say(f"Removed {ref.words}, which is no longer wanted.")
    return True


def _serving(order: Order, cluster: Cluster, journal: Journal) -> str:
    """Wait; returns the address."""
    state = _knative_state if order.target is Target.KNATIVE else _rollout_state
    waits_for, most_s = "", cluster.patience.ready_s
    for waited_s in cluster.patience.looks():
        url, waits_for = state(order, cluster)
        if not waits_for:
            return url
        journal.waited(waits_for, waited_s, most_s)
    pods = "; ".join(_waiting_pods(order, cluster))
    why = f" Its instances: {pods}." if pods else ""
    raise CloudError(f"It does not serve after {most_s:g} s: {waits_for}.{why}")


def _knative_state(order: Order, cluster: Cluster) -> tuple[str, str]:
    """The address, and what is still waited for."""
    found = cluster.get(_refs(order)[0])
    status = (found or {}).get("status") or {}
    ready = _condition(status, "Ready")
    generation = (found or {}).get("metadata", {}).get("generation", 0)
    if status.get("observedGeneration", 0) < generation or ready.get("status") == "Unknown":
        return "", str(ready.get("message") or "Knative has not looked at it yet")
    if ready.get("status") == "False":
        raise CloudError(f"Knative says ({ready.get('reason')}): {ready.get('message')}")
    return str(status.get("url", "")), "" if ready.get("status") == "True" else "no news yet"


def _rollout_state(order: Order, cluster: Cluster) -> tuple[str, str]:
    deployment = cluster.get(Ref("apps/v1", "Deployment", order.name, order.namespace)) or {}
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment.get("metadata", {}).get("generation", 0):
        return "", "Kubernetes has not looked at it yet"
    progress = _condition(status, "Progressing")
    if progress.get("reason") == "ProgressDeadlineExceeded":
        pods = "; ".join(_waiting_pods(order, cluster))
        raise CloudError(f"Kubernetes gave up: {progress.get('message')} {pods}".strip())
    wanted = deployment.get("spec", {}).get("replicas", 1)
    ready, new = status.get("availableReplicas", 0), status.get("updatedReplicas", 0)
    if min(ready, new) < wanted or status.get("replicas", 0) > new:
        return "", f"{min(ready, new)} of {wanted} instance(s) ready"
    return _public_address(order, cluster) if order.public else ("", "")


def _public_address(order: Order, cluster: Cluster) -> tuple[str, str]:
    found = cluster.get(Ref("v1", "Service", order.name, order.namespace)) or {}
    balancer = (found.get("status") or {}).get("loadBalancer") or {}
    for each in balancer.get("ingress") or []:
        if host := each.get("ip") or each.get("hostname"):
            port = next((p["port"] for p in found["spec"]["ports"]), 80)
            return f"http://{host}" + ("" if port == 80 else f":{port}"), ""
    return "", "the cluster has given its load balancer no address (does it have any?)"


def _condition(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = [each for each in status.get("conditions") or [] if each.get("type") == name]
    return found[0] if found else {}


def _waiting_pods(order: Order, cluster: Cluster) -> Iterator[str]:
    """Why instances are not ready, as the cluster says it."""
    said = set()
    for pod in cluster.pods(order.namespace, f"{KUBE_NAME}={order.name}"):
        status = pod.get("status") or {}
        for each in status.get("containerStatuses") or []:
            waiting = (each.get("state") or {}).get("waiting") or {}
            if waiting:
                said.add(f"{waiting.get('reason')}: {waiting.get('message', '')}".rstrip(": "))
        scheduled = _condition(status, "PodScheduled")
        if scheduled.get("status") == "False":
            said.add(f"{scheduled.get('reason')}: {scheduled.get('message')}")
    yield from sorted(said)
