"""A Cloud Functions function (2nd gen, v2) from an order: the body of the request. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twinserve.cloud.marks import google_labels, with_google_mark
from twinserve.cloud.order import TIMEOUT_S, Order
from twinserve.cloud.sizes import memory_text

ENTRY_POINT = "generate"
CONTENT_LABEL = "twinserve-content"
CONTENT_DIGITS = 32
NO_SOURCE: dict[str, Any] = {}


def function_body(order: Order, storage_source: dict[str, Any] = NO_SOURCE) -> dict[str, Any]:
    """The ``google.cloud.functions.v2.Function`` to create or update, without its name.

    ``storage_source`` is where the zip was uploaded, as ``generate_upload_url`` said; each upload
    has another, so it is no part of what is compared. The label ``twinserve-content`` says what was
    in the zip instead.
    """
    body = with_google_mark(_body(order), _body(order.without_values()))
    if storage_source:
        body["buildConfig"] = body["buildConfig"] | {"source": {"storageSource": storage_source}}
    return body


def _body(order: Order) -> dict[str, Any]:
    return {
        "environment": "GEN_2",
        "labels": google_labels(order) | {CONTENT_LABEL: order.content[:CONTENT_DIGITS]},
        "buildConfig": {"runtime": order.runtime, "entryPoint": ENTRY_POINT},
        "serviceConfig": _service(order),
    }


def _service(order: Order) -> dict[str, Any]:
    deployment = order.deployment
    service: dict[str, Any] = {
        # Always sent: a function that is given 4 GiB and no CPU gets 2.
        "availableCpu": f"{deployment.cpu:g}",
        "availableMemory": memory_text(deployment.memory_mib),
        "timeoutSeconds": TIMEOUT_S,
        "minInstanceCount": deployment.min_instances,
        "maxInstanceCount": deployment.max_instances,
        "maxInstanceRequestConcurrency": deployment.concurrency,
        "ingressSettings": "ALLOW_ALL",
        "allTrafficOnLatestRevision": True,
    }
    if deployment.environment:
        service["environmentVariables"] = dict(deployment.environment)
    if order.service_account:
        service["serviceAccountEmail"] = order.service_account
    return service


def gcloud_words(order: Order) -> list[str]:
    """The ``gcloud`` command that makes the same function of the folder ``source``."""
    deployment = order.deployment
    words = ["gcloud", "functions", "deploy", order.name, "--gen2", "--trigger-http"]
    values = {
        "--project": order.project,
        "--region": order.region,
        "--source": "source",
        "--runtime": order.runtime,
        "--entry-point": ENTRY_POINT,
        "--cpu": f"{deployment.cpu:g}",
        "--memory": f"{memory_text(deployment.memory_mib)}",
        "--concurrency": str(deployment.concurrency),
        "--min-instances": str(deployment.min_instances),
        "--max-instances": str(deployment.max_instances),
        "--timeout": f"{TIMEOUT_S}s",
        "--update-labels": _pairs(function_body(order)["labels"]),
    }
    if order.service_account:
        values["--service-account"] = order.service_account
    if deployment.environment:
        values["--set-env-vars"] = _variables(deployment.environment)
    words += [word for pair in values.items() for word in pair]
    return [*words, "--allow-unauthenticated" if order.public else "--no-allow-unauthenticated"]


def _variables(environment: Iterable[str]) -> str:
    """As the shell puts them in; ``^~^`` tells gcloud that they are parted by ``~``, as a value may
    hold commas."""
    return "^~^" + "~".join(f"{name}=${name}" for name in environment)


def _pairs(values: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())
