"""The container of a pod, as Knative and plain Kubernetes both take it. Pure."""

from __future__ import annotations

from typing import Any

from twinserve.cloud.order import PORT, Order
from twinserve.cloud.sizes import cpu_text, memory_text

USER = 65532  # the image's own, nobody in particular
CONTAINER = "serve"
SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "allowPrivilegeEscalation": False,
    # /dev/shm, which is memory, is all that the image writes to.
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod_container(order: Order) -> dict[str, Any]:
    """Image, command, variables, sizes, limits on what it may do, and the probe of its life."""
    deployment = order.deployment
    sizes = {"cpu": cpu_text(deployment.cpu), "memory": memory_text(deployment.memory_mib)}
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": order.image,
        # Limits alone would let the scheduler promise the same CPU twice.
        "resources": {"requests": sizes, "limits": dict(sizes)},
        "securityContext": SECURITY,
        "readinessProbe": probe("/readyz", period_s=5, timeout_s=5, failures=3),
        "livenessProbe": probe("/healthz", period_s=10, timeout_s=5, failures=3),
    }
    if order.command:
        container |= {"command": [order.command[0]], "args": list(order.command[1:])}
    if deployment.environment:
        container["env"] = env_list(deployment.environment)
    return container


def env_list(environment: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in environment.items()]


def probe(path: str, period_s: int, timeout_s: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": period_s,
        "timeoutSeconds": timeout_s,
        "failureThreshold": failures,
    }
