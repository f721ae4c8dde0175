"""``twinserve deploy`` with an image that a real engine pushes (skipped with a reason where none
works)."""

from __future__ import annotations

import json
import platform
import subprocess
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from twinserve.cli.deploying import flow
from twinserve.cli.deploying.artefact import content_tag
from twinserve.runtime.artefacts.image import find_engine

PROJECT = ("--project", "my-project")
MODEL = ("--model", "random-16")
Deploy = Callable[..., Any]


@pytest.fixture
def adc(google: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Application default credentials: a service account whose tokens the local server gives."""
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    account = {
        "type": "service_account",
        "client_email": "test@my-project.iam.gserviceaccount.com",
        "private_key": pem.decode(),
        "private_key_id": "1",
        "project_id": "my-project",
        "token_uri": f"{google.url}/token",
    }
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))


@pytest.fixture
def registry(
    registry_server: ModuleType,
    google_server: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """A registry on loopback that wants Google's token. Images are named for it: Google's own name
    would lead to Google."""
    login = ("oauth2accesstoken", google_server.TOKEN)
    with registry_server.serving(registry_server.RegistryServer(login)) as registry:
        conf = tmp_path / "registries.conf"
        conf.write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
        monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
        monkeypatch.setattr(flow, "image_name", lambda order: f"{registry.host}/me/{order.name}")
        yield registry


@pytest.fixture
def prebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Any) -> Iterator[str]:
    """A tiny image under the name that the model's would have, so that none is built."""
    if find_engine("podman") is None or find_spec("docker") is None:
        pytest.skip("podman or the extra 'containers' is not installed")
    if platform.machine() != "x86_64":
        pytest.skip("Cloud Run takes amd64 only, and this machine is another")
    monkeypatch.setenv("TWINSERVE_BASE_IMAGE", f"localhost/nothing-{uuid.uuid4().hex}")
    tag = content_tag(["random-16"])
    archive = tmp_path / "root.tar"
    subprocess.run(["tar", "-cf", str(archive), "-C", str(tmp_path), "."], check=False)
    names = [f"localhost/twinserve:{tag}"]
    names += [f"{registry.host}/me/twinserve-container:{tag}"]
    done = subprocess.run(
        ["podman", "import", str(archive), names[0]], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"podman cannot import an image: {done.stderr.decode()[-200:]}")
    yield tag
    subprocess.run(["podman", "rmi", "--force", *names], capture_output=True, check=False)


def test_an_image_is_pushed_to_a_repository_of_ours_and_goes_with_the_service(
    deploy: Deploy, to_google: Any, adc: None, registry: Any, prebuilt: str
) -> None:
    assert adc is None
    done = deploy("cloud-run", *PROJECT, *MODEL)
    assert done.code == 0, done.err
    assert f"me/twinserve-container:{prebuilt}" in registry.manifests
    repository = "projects/my-project/locations/us-central1/repositories/twinserve"
    assert to_google.things[repository]["labels"] == {"managed-by": "twinserve"}
    assert "t0ken" not in done.out + done.err
    package = f"{repository}/packages/twinserve-container"
    for name in (package, f"{package}/tags/{prebuilt}"):  # as the real registry would have it
        to_google.things[name] = {"name": name}
    gone = deploy("cloud-run", *PROJECT, "--delete")
    assert len(gone.out.splitlines()) == 3, gone.out
    assert not to_google.things


def test_a_push_that_is_refused_leaves_no_service_and_says_what_there_is(
    deploy: Deploy, to_google: Any, adc: None, registry: Any, prebuilt: str
) -> None:
    assert adc is None
    registry.login = ("nobody", "nothing")
    done = deploy("cloud-run", *PROJECT, *MODEL)
    assert done.code == 1
    assert f"twinserve-container:{prebuilt} failed. " in done.err
    assert "By now there is: the repository projects/my-project/" in done.err
    assert not any("/services/" in name for name in to_google.things)
    assert "t0ken" not in done.out + done.err


def test_a_cluster_s_image_is_built_and_pushed_where_it_is_told(
    deploy: Deploy, to_kube: Any, registry: Any, prebuilt: str
) -> None:
    registry.login = None
    command = ("kubernetes", *MODEL, "--registry", f"{registry.host}/me")
    assert deploy(*command).code == 0
    assert list(registry.manifests) == [f"me/twinserve-container:{prebuilt}"]
    deployment = to_kube.things["/apis/apps/v1/namespaces/shop/deployments/twinserve-container"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{registry.host}/me/twinserve-container:{prebuilt}"
    registry.manifests.clear()
    assert "unchanged" in deploy(*command).out
    assert not registry.manifests
