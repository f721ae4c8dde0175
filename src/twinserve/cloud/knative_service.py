"""A Knative service from an order, as a manifest. Pure."""

from __future__ import annotations

from typing import Any

from twinserve.cloud.fit import is_fixed, retention_s
from twinserve.cloud.marks import kube_labels, with_kube_mark
from twinserve.cloud.order import PORT, TIMEOUT_S, Order
from twinserve.cloud.pods import pod_container

API = "serving.knative.dev/v1"
SCALING = "autoscaling.knative.dev"
# A service with this label answers inside the cluster only.
PRIVATE = {"networking.knative.dev/visibility": "cluster-local"}


def knative_manifests(order: Order) -> list[dict[str, Any]]:
    """The one object that Knative needs, marked."""
    return [with_kube_mark(_service(order), _service(order.without_values()))]


def _service(order: Order) -> dict[str, Any]:
    labels = kube_labels(order)
    return {
        "apiVersion": API,
        "kind": "Service",
        "metadata": {
            "name": order.name,
            "namespace": order.namespace,
            "labels": labels if order.public else labels | PRIVATE,
        },
        "spec": {
            "template": {
                "metadata": {"labels": kube_labels(order), "annotations": _scaling(order)},
                "spec": _revision(order),
            }
        },
    }


def _scaling(order: Order) -> dict[str, str]:
    deployment = order.deployment
    annotations = {
        f"{SCALING}/class": "kpa.autoscaling.knative.dev",
        f"{SCALING}/min-scale": str(deployment.min_instances),
        f"{SCALING}/max-scale": str(deployment.max_instances),
    }
    if not is_fixed(deployment):
        kept = f"{retention_s(deployment)}s"
        annotations[f"{SCALING}/scale-to-zero-pod-retention-period"] = kept
    return annotations


def _revision(order: Order) -> dict[str, Any]:
    spec: dict[str, Any] = {
        # A hard limit, held by the proxy beside each instance; 0 is any number.
        "containerConcurrency": order.deployment.concurrency,
        "timeoutSeconds": TIMEOUT_S,
        "enableServiceLinks": False,
        "containers": [
            # Knative sets PORT itself and allows one port.
            pod_container(order) | {"ports": [{"name": "http1", "containerPort": PORT}]}
        ],
    }
    if order.service_account:
        spec["serviceAccountName"] = order.service_account
    return spec
