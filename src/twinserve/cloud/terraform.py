"""The same things as Terraform's Google provider names them, as ``main.tf.json``. Pure."""

from __future__ import annotations

import re
from typing import Any

from twinserve.cloud.cloud_functions import function_body
from twinserve.cloud.cloud_run import service_body
from twinserve.cloud.order import Order

PROVIDER = {"google": {"source": "hashicorp/google", "version": ">= 7.0"}}
WORD = re.compile(r"(?<=[a-z0-9])([A-Z])")
# What is below these keys are names of the user's or the platform's own.
NAMES_BELOW = ("labels", "limits", "environmentVariables")
INVOKER = {"role": "roles/run.invoker", "member": "allUsers"}
ZIP = "function.zip"


def service_terraform(order: Order) -> dict[str, Any]:
    """A ``google_cloud_run_v2_service``, public if the order is; a variable for each value of the
    deployment's environment."""
    body = snake_case(service_body(_with_variables(order)))
    body["template"]["containers"][0] = _blocks(body["template"]["containers"][0])
    service = {
        "project": order.project,
        "location": order.region,
        "name": order.name,
        "deletion_protection": False,
    } | body
    resources: dict[str, Any] = {"google_cloud_run_v2_service": {"service": service}}
    if order.public:
        resources["google_cloud_run_v2_service_iam_member"] = {
            "public": _place(order)
            | {"name": "${google_cloud_run_v2_service.service.name}"}
            | INVOKER
        }
    return _document(order, resources, "${google_cloud_run_v2_service.service.uri}")


def function_terraform(order: Order) -> dict[str, Any]:
    """A ``google_cloudfunctions2_function``, with the bucket and object that hold its source."""
    body = snake_case(function_body(_with_variables(order)))
    del body["environment"]  # the resource is of the 2nd generation by itself
    body["build_config"]["source"] = {
        "storage_source": {
            "bucket": "${google_storage_bucket.source.name}",
            "object": "${google_storage_bucket_object.source.name}",
        }
    }
    resources: dict[str, Any] = {
        "google_storage_bucket": {"source": _bucket(order, body["labels"])},
        "google_storage_bucket_object": {
            "source": {
                "name": f"{order.name}-{order.content[:16]}.zip",
                "bucket": "${google_storage_bucket.source.name}",
                "source": f"${{path.module}}/{ZIP}",
            }
        },
        "google_cloudfunctions2_function": {
            "function": _place(order) | {"name": order.name} | body,
        },
    }
    if order.public:
        resources["google_cloud_run_service_iam_member"] = {
            "public": _place(order)
            | {"service": "${google_cloudfunctions2_function.function.name}"}
            | INVOKER
        }
    return _document(order, resources, "${google_cloudfunctions2_function.function.url}")


def snake_case(value: Any) -> Any:
    """JSON names as Terraform's: ``maxInstanceCount`` becomes ``max_instance_count``."""
    if isinstance(value, dict):
        return {
            WORD.sub(r"_\1", key).lower(): each if key in NAMES_BELOW else snake_case(each)
            for key, each in value.items()
        }
    return [snake_case(each) for each in value] if isinstance(value, list) else value


def _blocks(container: dict[str, Any]) -> dict[str, Any]:
    """The provider knows one port for each container."""
    return container | {"ports": container["ports"][0]}


def _place(order: Order) -> dict[str, str]:
    return {"project": order.project, "location": order.region}


def _bucket(order: Order, labels: dict[str, str]) -> dict[str, Any]:
    name = f"{order.project.replace(':', '-').replace('.', '-')}-{order.name}"
    return {
        "project": order.project,
        "location": order.region,
        "name": name[:63].rstrip("-"),
        "uniform_bucket_level_access": True,
        "public_access_prevention": "enforced",
        "force_destroy": True,
        "labels": {key: labels[key] for key in ("managed-by", "twinserve-target")},
    }


def _with_variables(order: Order) -> Order:
    names = order.deployment.environment
    return order.with_environment({name: f"${{var.{name}}}" for name in names})


def _document(order: Order, resources: dict[str, Any], url: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "terraform": {"required_providers": PROVIDER},
        "resource": resources,
        "output": {"url": {"value": url}},
    }
    if order.deployment.environment:
        document["variable"] = {
            name: {"type": "string", "sensitive": True} for name in order.deployment.environment
        }
    return document
