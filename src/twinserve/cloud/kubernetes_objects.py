"""Plain Kubernetes objects from an order: Deployment, Service, HorizontalPodAutoscaler. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twinserve.cloud.fit import cpu_target_percent, is_fixed, stabilization_s
from twinserve.cloud.marks import KUBE_NAME, kube_labels, with_kube_mark
from twinserve.cloud.order import PORT, Order
from twinserve.cloud.pods import USER, env_list, pod_container, probe
from twinserve.deployment import Kind

ROLLOUT_S = 600
# After SIGTERM an instance may be chosen for some seconds more, so it goes on answering that long;
# then it gets the 10 s that Cloud Run gives.
LINGER_S, GRACE_S = 5, 10
THREADS = "--threads"


def kubernetes_manifests(order: Order) -> list[dict[str, Any]]:
    """All objects, marked, in the order in which they are applied."""
    shown = _objects(order.without_values())
    return [with_kube_mark(*pair) for pair in zip(_objects(order), shown, strict=True)]


def _objects(order: Order) -> list[dict[str, Any]]:
    objects = [_deployment(order), _service(order)]
    return objects if is_fixed(order.deployment) else [*objects, _autoscaler(order)]


def _metadata(order: Order) -> dict[str, Any]:
    return {
        "name": order.name,
        "namespace": order.namespace,
        "labels": kube_labels(order),
    }


def _deployment(order: Order) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {KUBE_NAME: order.name}},
        "progressDeadlineSeconds": ROLLOUT_S,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        },
        "template": {"metadata": {"labels": kube_labels(order)}, "spec": _pod(order)},
    }
    if is_fixed(order.deployment):  # else the number is the autoscaler's, not ours to set again
        spec["replicas"] = order.deployment.min_instances
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(order),
        "spec": spec,
    }


def _pod(order: Order) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER},
        "terminationGracePeriodSeconds": LINGER_S + GRACE_S,
        "containers": [_container(order)],
    }
    if order.service_account:
        spec["serviceAccountName"] = order.service_account
    return spec


def _container(order: Order) -> dict[str, Any]:
    container = pod_container(_with_threads(order))
    platform = {"PORT": str(PORT), "K_SERVICE": order.name}
    if order.deployment.kind is Kind.FUNCTION:
        platform["THREADS"] = str(order.deployment.concurrency)  # functions-framework's own
    return container | {
        "env": env_list(platform) + container.get("env", []),
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": probe("/readyz", period_s=1, timeout_s=1, failures=240),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LINGER_S)]}}},
    }


def _with_threads(order: Order) -> Order:
    """A container of fewer requests at a time than gunicorn has threads gets fewer threads."""
    words, most = list(order.command), order.deployment.concurrency
    if order.deployment.kind is Kind.FUNCTION or THREADS not in words:
        return order
    place = words.index(THREADS) + 1
    words[place] = str(min(int(words[place]), most))
    return replace(order, command=tuple(words))


def _service(order: Order) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(order),
        "spec": {
            "type": "LoadBalancer" if order.public else "ClusterIP",
            "selector": {KUBE_NAME: order.name},
            "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def _autoscaler(order: Order) -> dict[str, Any]:
    deployment = order.deployment
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(order),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": order.name},
            "minReplicas": deployment.min_instances,
            "maxReplicas": deployment.max_instances,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {
                            "type": "Utilization",
                            "averageUtilization": cpu_target_percent(),
                        },
                    },
                }
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": stabilization_s(deployment)}},
        },
    }
