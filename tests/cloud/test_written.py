"""Dry runs and written files, kept in ``tests/data/deploy`` and compared to the letter.

After a wanted change, write them anew and read what changed::

    TWINSERVE_WRITE_GOLDEN=1 pytest tests/cloud/test_written.py && git diff tests/data/deploy
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud import functions_v2, run_v2

from twinserve.cloud.cloud_functions import function_body
from twinserve.cloud.cloud_run import service_body
from twinserve.cloud.google_api import to_plain
from twinserve.cloud.order import Order
from twinserve.cloud.target import Target
from twinserve.cloud.written import dry_run, files, manifests
from twinserve.runtime.commands import image_command

GOLDEN = Path(__file__).parents[1] / "data/deploy"
WRITE = "TWINSERVE_WRITE_GOLDEN"
MakeOrder = Callable[..., Order]

# A name -> target and what differs from the defaults of the student project.
CASES: dict[str, tuple[Target, dict[str, Any]]] = {target.value: (target, {}) for target in Target}
CASES |= {
    "cloud-run-function-public": (
        Target.CLOUD_RUN,
        {
            "kind": "function",
            "concurrency": 1,
            "policy": "cloud-functions",
            "public": True,
            "command": ("functions-framework", "--target", "generate", "--source", "/app/main.py"),
            "environment": {"MALLOC_ARENA_MAX": "2", "KEY": "s3cret"},
            "service_account": "faces@my-project.iam.gserviceaccount.com",
        },
    ),
    "cloud-run-half-cpu": (
        Target.CLOUD_RUN,
        {"cpu": 0.5, "memory_mib": 1024, "concurrency": 1, "max_instances": 3},
    ),
    "cloud-run-always-on": (Target.CLOUD_RUN, {"policy": "always-on", "min_instances": 2}),
    "cloud-functions-public": (
        Target.CLOUD_FUNCTIONS,
        {"cpu": 2.0, "concurrency": 8, "public": True, "environment": {"KEY": "s3cret"}},
    ),
    "knative-public": (
        Target.KNATIVE,
        {"concurrency": 0, "policy": "knative", "public": True, "min_instances": 1},
    ),
    "kubernetes-function": (
        Target.KUBERNETES,
        {
            "kind": "function",
            "concurrency": 1,
            "idle_s": 60.0,
            "environment": {"KEY": "s3cret"},
            "command": ("functions-framework", "--target", "generate", "--source", "/app/main.py"),
        },
    ),
    "kubernetes-always-on-public": (
        Target.KUBERNETES,
        {"policy": "always-on", "min_instances": 3, "public": True, "service_account": "faces"},
    ),
}


def case(order: MakeOrder, name: str) -> Order:
    target, changes = CASES[name]
    if "kind" in changes:
        changes = changes | {"kind": type(order(target).deployment.kind)(changes["kind"])}
    return order(target, **changes)


@pytest.mark.parametrize("name", CASES)
def test_a_dry_run_is_as_it_was(order: MakeOrder, name: str) -> None:
    wanted = case(order, name)
    compare(f"{name}.dry-run.txt", dry_run(wanted))
    for file_name, text in files(wanted).items():
        compare(f"{name}.{file_name}", text)


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get(WRITE):
        path.write_text(text)
    assert path.read_text() == text, f"{name} changed; if that is meant, see this test's file"


def test_no_golden_file_is_left_over(order: MakeOrder) -> None:
    known = {f"{name}.dry-run.txt" for name in CASES}
    known |= {f"{name}.{each}" for name in CASES for each in files(case(order, name))}
    assert {path.name for path in GOLDEN.iterdir()} == known


@pytest.mark.parametrize("name", CASES)
def test_no_value_of_the_environment_is_written(order: MakeOrder, name: str) -> None:
    wanted = case(order, name)
    texts = [dry_run(wanted), *files(wanted).values()]
    assert not any("s3cret" in text for text in texts)
    if wanted.deployment.environment:
        assert all("KEY" in text for text in texts)


@pytest.mark.parametrize("name", [name for name in CASES if "cloud" in name])
def test_google_s_own_message_types_take_what_is_sent_and_lose_nothing(
    order: MakeOrder, name: str
) -> None:
    wanted = case(order, name)
    if wanted.target is Target.CLOUD_RUN:
        body, kind = service_body(wanted), run_v2.Service
    else:
        source = {"bucket": "b", "object": "o", "generation": "7"}
        body, kind = function_body(wanted, source), functions_v2.Function
    read = to_plain(kind.from_json(json.dumps(body)))
    assert within(body, read)


def within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(within(value, whole[key]) for key, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(within, part, whole))
    return bool(part == whole)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("k")])
def test_manifests_are_valid_by_the_published_schemas(
    order: MakeOrder, name: str, kube_server: Any
) -> None:
    wanted = case(order, name)
    text = files(wanted)["manifests.yaml"]
    written = list(yaml.safe_load_all(text))
    assert written == manifests(wanted.without_values())
    for manifest in [*written, *manifests(wanted)]:
        assert kube_server.invalid(manifest) == ""


def test_the_check_of_manifests_would_notice_a_mistake(order: MakeOrder, kube_server: Any) -> None:
    for target in (Target.KNATIVE, Target.KUBERNETES):
        (manifest, *_) = manifests(order(target))
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        container["readinesProbe"] = container.pop("readinessProbe")
        assert kube_server.invalid(manifest)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("cloud-run")])
def test_what_gcloud_replaces_a_service_with_is_a_knative_service(
    order: MakeOrder, name: str, kube_server: Any
) -> None:
    manifest = yaml.safe_load(files(case(order, name))["service.yaml"])
    assert kube_server.invalid(manifest) == ""


def test_the_script_passes_a_value_with_commas_and_quotes_on_as_it_is(
    order: MakeOrder, tmp_path: Path
) -> None:
    """Run by a real shell, with a gcloud that shows what it was given."""
    script = tmp_path / "deploy.sh"
    script.write_text(files(case(order, "cloud-functions-public"))["deploy.sh"])
    shown = tmp_path / "shown"
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(f'#!/bin/sh\nfor word in "$@"; do echo "$word"; done >{shown}\n')
    gcloud.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "KEY": "a,b 'c' \"d\" $HOME"}
    subprocess.run(["sh", str(script)], check=True, env=environment)
    words = shown.read_text().splitlines()
    assert words[words.index("--set-env-vars") + 1] == f"^~^KEY={environment['KEY']}"
    assert words[words.index("--cpu") + 1] == "2"
    del environment["KEY"]
    done = subprocess.run(["sh", str(script)], check=False, env=environment, capture_output=True)
    assert done.returncode
    assert b"set it first" in done.stderr
    assert shlex.split(script.read_text().splitlines()[-1])[:2] == ["exec", "gcloud"]


def test_a_container_on_plain_kubernetes_gets_no_more_threads_than_requests(
    order: MakeOrder,
) -> None:
    command = tuple(image_command("container"))
    for concurrency, threads in ((2, "2"), (80, "8")):
        wanted = order(Target.KUBERNETES, concurrency=concurrency, command=command)
        spec = manifests(wanted)[0]["spec"]["template"]["spec"]
        words = spec["containers"][0]["args"]
        assert words[words.index("--threads") + 1] == threads


@pytest.mark.parametrize("target", [Target.KNATIVE, Target.KUBERNETES])
def test_instances_may_do_nothing_that_they_need_not(order: MakeOrder, target: Target) -> None:
    pod = manifests(order(target))[0]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "4Gi"}


def test_an_instance_on_plain_kubernetes_has_10_s_after_sigterm(order: MakeOrder) -> None:
    pod = manifests(order(Target.KUBERNETES))[0]["spec"]["template"]["spec"]
    [linger] = [int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])]
    assert pod["terminationGracePeriodSeconds"] - linger == 10
