"""An order as texts: what a dry run prints, and the files that other tools take. Pure.

No value of the deployment's environment is in them, since it may be a secret.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from twinserve.cloud.cloud_functions import function_body, gcloud_words
from twinserve.cloud.cloud_run import gcloud_manifest, service_body
from twinserve.cloud.knative_service import knative_manifests
from twinserve.cloud.kubernetes_objects import kubernetes_manifests
from twinserve.cloud.order import Order
from twinserve.cloud.target import Target
from twinserve.cloud.terraform import function_terraform, service_terraform

PUBLIC = {"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]}


def manifests(order: Order) -> list[dict[str, Any]]:
    """The objects that are applied to a cluster."""
    if order.target is Target.KNATIVE:
        return knative_manifests(order)
    return kubernetes_manifests(order)


def dry_run(order: Order) -> str:
    """What would be sent, and to which address, in the order of the calls."""
    order = order.without_values()
    if order.target is Target.CLOUD_RUN:
        return _cloud_run(order)
    if order.target is Target.CLOUD_FUNCTIONS:
        return _cloud_functions(order)
    return "---\n".join(f"# {_apply_path(each)}\n{yaml_text(each)}" for each in manifests(order))


def files(order: Order) -> dict[str, str]:
    """Files by name, that ``gcloud``, ``kubectl`` and Terraform take as they are."""
    order = order.without_values()
    if order.target is Target.CLOUD_RUN:
        terraform = service_terraform(order)
        return {
            "service.yaml": _left_out(order) + yaml_text(gcloud_manifest(order)),
            "main.tf.json": json_text(terraform),
        }
    if order.target is Target.CLOUD_FUNCTIONS:
        terraform = function_terraform(order)
        return {"deploy.sh": _script(order), "main.tf.json": json_text(terraform)}
    text = "---\n".join(yaml_text(each) for each in manifests(order))
    return {"manifests.yaml": _left_out(order) + text}


def yaml_text(value: Mapping[str, Any]) -> str:
    text: str = import_module("yaml").safe_dump(value, sort_keys=False, width=1000)
    return text


def json_text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"


def _left_out(order: Order) -> str:
    names = ", ".join(order.deployment.environment)
    if not names:
        return ""
    return (
        f"# Put in before you apply it; the values may be secret, so they are not here: {names}\n"
    )


def _cloud_run(order: Order) -> str:
    parent = f"projects/{order.project}/locations/{order.region}"
    name = f"{parent}/services/{order.name}"
    said = [
        f"# POST https://run.googleapis.com/v2/{parent}/services?serviceId={order.name}\n"
        f"# or, where it is there and differs: PATCH https://run.googleapis.com/v2/{name}",
        json_text(service_body(order)),
    ]
    return "\n".join([*said, *_access(order, name)])


def _cloud_functions(order: Order) -> str:
    parent = f"projects/{order.project}/locations/{order.region}"
    host = "https://cloudfunctions.googleapis.com/v2"
    source = {"bucket": "(as the first call says)", "object": "(as the first call says)"}
    said = [
        f"# POST {host}/{parent}/functions:generateUploadUrl\n"
        f"# PUT of a zip with SHA-256 {order.content} to the address that it says\n"
        f"# POST {host}/{parent}/functions?functionId={order.name}\n"
        f"# or, where it is there and differs: PATCH {host}/{parent}/functions/{order.name}",
        json_text(function_body(order, source)),
    ]
    return "\n".join([*said, *_access(order, f"{parent}/services/{order.name}")])


def _access(order: Order, service: str) -> Sequence[str]:
    if not order.public:
        return [
            f"# No call: {order.name} stays private; who may call it needs roles/run.invoker.\n"
        ]
    return [
        f"# POST https://run.googleapis.com/v2/{service}:setIamPolicy, added to what is there:",
        json_text({"policy": PUBLIC}),
    ]


def _apply_path(manifest: Mapping[str, Any]) -> str:
    kind, meta = manifest["kind"], manifest["metadata"]
    return f"PATCH (server-side apply) {manifest['apiVersion']} {kind} {meta['name']}"


def _script(order: Order) -> str:
    """A shell script; variables of the environment are taken from the shell that runs it."""
    names = order.deployment.environment
    needed = "".join(f': "${{{name}:?set it first}}"\n' for name in names)
    words = [shlex.quote(word) for word in gcloud_words(order)]
    if names:
        place = words.index("--set-env-vars") + 1
        words[place] = f'"{gcloud_words(order)[place]}"'
    return f"#!/bin/sh\nset -eu\n{needed}exec {' '.join(words)}\n"
