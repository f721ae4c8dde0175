"""A Cloud Run service (v2) from an order: the body of the request, as JSON names it. Pure."""

from __future__ import annotations

from typing import Any

from twinserve.cloud.fit import is_fixed
from twinserve.cloud.marks import google_labels, with_google_mark
from twinserve.cloud.order import PORT, TIMEOUT_S, Order
from twinserve.cloud.sizes import cpu_text, memory_text

# Asked once a second for the 4 minutes that a container may take to listen.
STARTUP = {
    "httpGet": {"path": "/readyz", "port": PORT},
    "initialDelaySeconds": 0,
    "timeoutSeconds": 1,
    "periodSeconds": 1,
    "failureThreshold": 240,
}


def service_body(order: Order) -> dict[str, Any]:
    """The ``google.cloud.run.v2.Service`` to create or update, without its name.

    CPU, concurrency and both numbers of instances are always sent: what is left out gets a default
    that depends on who asks (console, gcloud, Terraform).
    """
    return with_google_mark(_body(order), _body(order.without_values()))


def _body(order: Order) -> dict[str, Any]:
    deployment = order.deployment
    template: dict[str, Any] = {
        "scaling": {
            "minInstanceCount": deployment.min_instances,
            "maxInstanceCount": deployment.max_instances,
        },
        "timeout": f"{TIMEOUT_S}s",
        "maxInstanceRequestConcurrency": deployment.concurrency,
        "containers": [_container(order)],
    }
    if deployment.cpu < 1:
        template["executionEnvironment"] = "EXECUTION_ENVIRONMENT_GEN1"
    if order.service_account:
        template["serviceAccount"] = order.service_account
    return {
        "labels": google_labels(order),
        "ingress": "INGRESS_TRAFFIC_ALL",
        **_scaling(order),
        "template": template,
    }


def _scaling(order: Order) -> dict[str, Any]:
    """A fixed number; automatic is what a service is without a word, and what it becomes again."""
    if not is_fixed(order.deployment):
        return {}
    count = order.deployment.min_instances
    return {"scaling": {"scalingMode": "MANUAL", "manualInstanceCount": count}}


def _container(order: Order) -> dict[str, Any]:
    deployment = order.deployment
    container: dict[str, Any] = {
        "image": order.image,
        "ports": [{"name": "http1", "containerPort": PORT}],
        "resources": {
            "limits": {
                "cpu": cpu_text(deployment.cpu),
                "memory": memory_text(deployment.memory_mib),
            },
            # CPU only while there is a request, as it is billed; always on has it always.
            "cpuIdle": not is_fixed(deployment),
            "startupCpuBoost": True,
        },
        # No liveness probe: each one is billed, and between requests there is no CPU to answer.
        "startupProbe": STARTUP,
    }
    if order.command:
        container |= {"command": [order.command[0]], "args": list(order.command[1:])}
    if deployment.environment:
        container["env"] = [
            {"name": name, "value": value} for name, value in deployment.environment.items()
        ]
    return container


def gcloud_manifest(order: Order) -> dict[str, Any]:
    """The same service as ``gcloud run services replace`` takes it (Knative's form, v1)."""
    body = service_body(order)
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": order.name,
            "labels": body["labels"] | {"cloud.googleapis.com/location": order.region},
            "annotations": _service_annotations(order),
        },
        "spec": {
            "template": {
                "metadata": {"annotations": _revision_annotations(order)},
                "spec": _revision_spec(order, body["template"]),
            }
        },
    }


def _service_annotations(order: Order) -> dict[str, str]:
    annotations = {"run.googleapis.com/ingress": "all"}
    if is_fixed(order.deployment):
        annotations |= {
            "run.googleapis.com/scalingMode": "manual",
            "run.googleapis.com/manualInstanceCount": str(order.deployment.min_instances),
        }
    return annotations


def _revision_annotations(order: Order) -> dict[str, str]:
    deployment = order.deployment
    annotations = {
        "autoscaling.knative.dev/minScale": str(deployment.min_instances),
        "autoscaling.knative.dev/maxScale": str(deployment.max_instances),
        "run.googleapis.com/cpu-throttling": str(not is_fixed(deployment)).lower(),
        "run.googleapis.com/startup-cpu-boost": "true",
    }
    if deployment.cpu < 1:
        annotations["run.googleapis.com/execution-environment"] = "gen1"
    return annotations


def _revision_spec(order: Order, template: dict[str, Any]) -> dict[str, Any]:
    container = template["containers"][0]
    resources = {"limits": container["resources"]["limits"]}
    spec: dict[str, Any] = {
        "containerConcurrency": order.deployment.concurrency,
        "timeoutSeconds": TIMEOUT_S,
        "containers": [container | {"resources": resources}],
    }
    if order.service_account:
        spec["serviceAccountName"] = order.service_account
    return spec
