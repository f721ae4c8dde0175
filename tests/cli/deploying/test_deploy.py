"""``twinserve deploy`` from the command line to local servers that speak what the clouds speak, in
front of a real service."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import yaml

from twinserve.bundle.bundle import write_bundle
from twinserve.bundle.store import open_bundle

GOLDEN = Path(__file__).parents[2] / "data/deploy"
IMAGE = ("--image", "ghcr.io/me/faces:1")
PROJECT = ("--project", "my-project")
MODEL = ("--model", "random-16")


Deploy = Callable[..., Any]

GOOGLE = [("cloud-run", IMAGE, "Service twinserve-container"), ("cloud-functions", (), "Function")]


@pytest.mark.parametrize(("verb", "words", "named"), GOOGLE, ids=lambda x: str(x))
def test_google_there_again_and_gone(
    deploy: Deploy, to_google: Any, verb: str, words: tuple[str, ...], named: str
) -> None:
    command = (verb, *PROJECT, *MODEL, *words)
    first = deploy(*command)
    assert first.code == 0, first.err
    assert first.out.startswith(named)
    assert ": created\n" in first.out
    assert f"URL: {to_google.answers_at}\n" in first.out
    assert "Verified: ready, and all 4 requests (10 images) gave equal pixels.\n" in first.out
    changes = len(to_google.changes())
    again = deploy(*command)
    assert again.out.replace("unchanged", "created") == first.out
    assert len(to_google.changes()) == changes
    undo = next(line for line in again.err.splitlines() if line.startswith("To remove it: "))
    gone = deploy(*shlex.split(undo.partition(": twinserve deploy ")[2]))
    assert gone.code == 0, gone.err
    assert gone.out.startswith("Deleted: the ")
    assert not to_google.things
    assert "nothing was deleted" in deploy(verb, *PROJECT, "--delete").out


def test_the_function_s_source_is_what_build_function_makes(deploy: Deploy, to_google: Any) -> None:
    assert deploy("cloud-functions", *PROJECT, *MODEL).code == 0
    [data] = to_google.uploads.values()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {"main.py", "requirements.txt", "twinserve/service/function.py"} <= set(
            archive.namelist()
        )


def test_a_function_as_a_cloud_run_service_is_told_what_to_run(
    deploy: Deploy, to_google: Any
) -> None:
    done = deploy("cloud-run", "function", *PROJECT, *MODEL, *IMAGE)
    assert done.code == 0, done.err
    [service] = to_google.things.values()
    [container] = service["template"]["containers"]
    assert container["command"] == ["functions-framework"]
    assert container["args"][:2] == ["--target", "generate"]
    assert service["template"]["maxInstanceRequestConcurrency"] == 1


def test_kubernetes_there_again_and_gone(deploy: Deploy, to_kube: Any) -> None:
    command = ("kubernetes", *MODEL, *IMAGE)
    first = deploy(*command)
    assert first.code == 0, first.err
    assert first.out.splitlines() == [
        "Kubernetes twinserve-container: 3 object(s) changed",
        "Verified: ready, and all 4 requests (10 images) gave equal pixels.",
    ]
    assert deploy(*command).out.startswith("Kubernetes twinserve-container: unchanged\n")
    assert all("/namespaces/shop/" in path for path in to_kube.things)
    gone = deploy("kubernetes", "--delete")
    assert len(gone.out.splitlines()) == 3
    assert not to_kube.things


def test_a_public_service_is_verified_by_its_address(
    deploy: Deploy, to_kube: Any, service_url: str
) -> None:
    to_kube.address = service_url.removeprefix("http://")
    done = deploy("kubernetes", *MODEL, *IMAGE, "--public")
    assert done.code == 0, done.err
    assert f"URL: {service_url}\nVerified: " in done.out


def test_knative_there_again_and_gone_by_the_cluster_s_gateway(
    deploy: Deploy, to_kube: Any, service_url: str
) -> None:
    command = ("knative", *MODEL, *IMAGE)
    first = deploy(*command)
    assert first.code == 0, first.err
    assert "URL: http://twinserve-container.shop.svc.cluster.local" in first.out
    assert "Verified" not in first.out
    assert "Not verified: that address answers inside the cluster only; --gateway" in first.err
    again = deploy(*command, "--gateway", service_url)
    assert "Knative twinserve-container: unchanged" in again.out
    assert "Verified: ready" in again.out
    assert deploy("knative", "--delete").out == "Deleted: Service shop/twinserve-container\n"
    assert not to_kube.things


def test_a_service_that_makes_other_images_is_a_failure_that_says_what_is_there(
    deploy: Deploy, to_google: Any
) -> None:
    done = deploy("cloud-run", *PROJECT, "--model", "random-32", *IMAGE)
    assert done.code == 1
    assert len(to_google.things) == 1
    assert "Verifying twinserve-container failed. It serves other images than random-32" in done.err
    assert "By now there is: the service projects/my-project/" in done.err
    assert "To remove it: twinserve deploy cloud-run --name twinserve-container" in done.err
    assert "Verified" not in done.out


def test_a_failed_call_is_one_message_and_exit_1(
    deploy: Deploy, to_google: Any, google_server: ModuleType
) -> None:
    fault = google_server.Fault("POST", "/services$", 403, 99)
    to_google.faults.append(fault)
    done = deploy("cloud-run", *PROJECT, *MODEL, *IMAGE)
    assert done.code == 1
    assert "Error: Deploying the service twinserve-container failed. Google refused" in done.err
    assert "Traceback" not in done.err
    assert "To go on: twinserve deploy cloud-run --project my-project" in done.err


DRY = {
    "cloud-run": (*PROJECT, *IMAGE),
    "knative": IMAGE,
    "kubernetes": IMAGE,
}


@pytest.mark.parametrize("verb", DRY)
def test_a_dry_run_prints_what_would_be_sent_and_what_to_know(deploy: Deploy, verb: str) -> None:
    done = deploy(verb, *DRY[verb], *MODEL, "--dry-run")
    assert done.code == 0, done.err
    assert done.out == (GOLDEN / f"{verb}.dry-run.txt").read_text()
    assert "Note: " in done.err


def test_a_dry_run_goes_where_the_kubeconfig_says(deploy: Deploy, to_kube: Any) -> None:
    done = deploy("kubernetes", *IMAGE, *MODEL, "--dry-run")
    assert "namespace: shop" in done.out
    assert not to_kube.asked


def test_a_dry_run_of_a_function_names_its_source_by_content(deploy: Deploy) -> None:
    done = deploy("cloud-functions", *PROJECT, *MODEL, "--dry-run", "--runtime", "python312")
    said = [line for line in done.out.splitlines() if "SHA-256" in line]
    body = json.loads("\n".join(line for line in done.out.splitlines() if line[:1] != "#"))
    assert body["labels"]["twinserve-content"] == said[0].split("SHA-256 ")[1][:32]
    assert body["buildConfig"]["runtime"] == "python312"
    assert body["serviceConfig"]["availableCpu"] == "1"


@pytest.mark.parametrize("verb", ["cloud-functions", "kubernetes"])
def test_nothing_leaves_the_machine_in_a_dry_run(
    verb: str, traced: ModuleType, tmp_path: Path
) -> None:
    place = PROJECT if verb.startswith("cloud") else ("--registry", "ghcr.io/me")
    command = [sys.executable, "-m", "twinserve", "deploy", verb, *place, *MODEL, "--dry-run"]
    log = tmp_path / "log"
    subprocess.run([*traced.prefix(log), *command], check=True, capture_output=True, cwd=tmp_path)
    assert traced.addresses(log) == set()


def test_files_are_written_for_other_tools(deploy: Deploy, tmp_path: Path) -> None:
    assert deploy("cloud-run", *PROJECT, *IMAGE, *MODEL, "--out", "run").code == 0
    assert yaml.safe_load((tmp_path / "run/service.yaml").read_text())["kind"] == "Service"
    terraform = json.loads((tmp_path / "run/main.tf.json").read_text())
    assert "google_cloud_run_v2_service" in terraform["resource"]
    assert deploy("cloud-functions", *PROJECT, *MODEL, "--out", "fun").code == 0
    written = {path.name for path in (tmp_path / "fun").iterdir()}
    assert written == {"deploy.sh", "main.tf.json", "function.zip", "source"}
    assert (tmp_path / "fun/source/main.py").exists()
    for verb in ("knative", "kubernetes"):
        assert deploy(verb, *IMAGE, *MODEL, "--out", verb).code == 0
        assert (tmp_path / verb / "manifests.yaml").exists()


def test_a_deployment_of_the_file_goes_there_as_it_says(
    deploy: Deploy, to_google: Any, tmp_path: Path
) -> None:
    (tmp_path / "twinserve.toml").write_text(
        '[deployments.small]\nkind = "container"\ncpu = 0.5\nmemory = "512MiB"\n'
        'max_instances = 3\n[deployments.small.environment]\nKEY = "s3cret"\n'
    )
    done = deploy("cloud-run", "small", *PROJECT, *MODEL, *IMAGE)
    assert done.code == 0, done.err
    [(name, service)] = to_google.things.items()
    assert name.endswith("/twinserve-small")
    assert service["template"]["containers"][0]["resources"]["limits"]["cpu"] == "500m"
    assert service["template"]["scaling"] == {"maxInstanceCount": 3}
    assert "s3cret" in json.dumps(service)
    dry = deploy("cloud-run", "small", *PROJECT, *MODEL, *IMAGE, "--dry-run")
    assert "s3cret" not in done.out + done.err + dry.out + dry.err


WRONG = [
    (["cloud-run", *IMAGE], "--project is missing"),
    (["cloud-run", *PROJECT, "--image", "faces"], "--image is 'faces'"),
    (["cloud-run", "nobody", *PROJECT], "There is no deployment 'nobody'; known are container"),
    (["cloud-functions", "container", *PROJECT], "runs functions only"),
    (["knative"], "Name one that is in a registry with --image, or say with --registry"),
    (["kubernetes", "--registry", "me me"], "--image is 'me me/twinserve-container:"),
    (["kubernetes", "--delete", "--name", "A"], "--name is 'A'"),
    (["cloud-run", *PROJECT, *IMAGE, "--out", "/dev/null/x"], "name another --out"),
]


@pytest.mark.parametrize(("words", "said"), WRONG, ids=str)
def test_wrong_usage_names_the_value_and_the_way_out(
    deploy: Deploy, words: list[str], said: str, to_kube: Any
) -> None:
    done = deploy(*words, *MODEL)
    assert done.code == 2
    assert said in done.err
    assert not to_kube.changes()


def test_a_model_for_non_commercial_use_needs_the_terms_accepted(
    deploy: Deploy, to_google: Any, tmp_path: Path
) -> None:
    bundle = open_bundle("random-16")
    facts = msgspec.structs.replace(bundle.facts, commercial_use=False, terms="research only")
    write_bundle(tmp_path / "strict", bundle.graph, facts)
    command = ("cloud-run", *PROJECT, *IMAGE, "--model", str(tmp_path / "strict"))
    for words in ((), ("--out", "x")):
        done = deploy(*command, *words)
        assert done.code == 2
        assert "for non-commercial use only (research only)" in done.err
        assert "--accept-terms" in done.err
    assert not to_google.asked
    assert deploy(*command, "--dry-run").code == 0
    assert deploy(*command, "--accept-terms").code == 0


def test_a_missing_extra_is_one_line(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.run_v2", None)
    done = deploy("cloud-run", *PROJECT, *IMAGE)
    assert done.code == 2
    assert done.err.strip().endswith("pip install 'twinserve[cloud]'")
    assert len(done.err.strip().splitlines()) == 1


def test_without_an_engine_the_other_ways_are_told(
    deploy: Deploy, to_google: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    done = deploy("cloud-run", *PROJECT, *MODEL)
    assert done.code == 1
    assert "Neither podman nor docker is installed" in done.err
    assert "gcloud builds submit --tag us-central1-docker.pkg.dev/my-project/twinserve/" in done.err
    assert "By now there is: nothing that this command made." in done.err
    assert not to_google.changes()
