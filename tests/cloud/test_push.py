"""A real engine pushes to a registry on loopback (skipped with a reason where none works)."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from twinserve.cloud.push import push_image
from twinserve.errors import CloudError
from twinserve.runtime.artefacts.image import find_engine
from twinserve.runtime.oci_engine import opened_engine

LOGIN = ("oauth2accesstoken", "s3cret-token")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tiny image in Podman's store."""
    if find_engine("podman") is None or find_spec("docker") is None:
        pytest.skip("podman or the extra 'containers' is not installed")
    archive = tmp_path_factory.mktemp("image") / "root.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("hello")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    name = f"localhost/twinserve-test-{uuid.uuid4().hex[:8]}:1"
    done = subprocess.run(
        ["podman", "import", str(archive), name], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"podman cannot import an image: {done.stderr.decode()[-200:]}")
    yield name
    subprocess.run(["podman", "rmi", "--force", name], capture_output=True, check=False)


@pytest.fixture(scope="module")
def engine(
    image: str, registry_server: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, str]]:
    """A registry that Podman may speak to without TLS, and where Podman answers."""
    assert image
    with (
        pytest.MonkeyPatch.context() as patch,
        registry_server.serving(registry_server.RegistryServer()) as registry,
    ):
        conf = tmp_path_factory.mktemp("podman") / "registries.conf"
        conf.write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
        patch.setenv("CONTAINERS_REGISTRIES_CONF", str(conf))
        with opened_engine("podman") as opened:
            yield registry, opened.url


@pytest.fixture
def registry(engine: tuple[Any, str]) -> Any:
    """The registry, empty and open."""
    found = engine[0]
    found.login, found.manifests, found.blobs = None, {}, {}
    return found


@pytest.fixture
def push(engine: tuple[Any, str]) -> Callable[..., list[str]]:
    """``push(image, reference, login, architecture)`` returns what was said."""

    def pushed(image: str, reference: str, login: Any = None, architecture: str = "") -> list[str]:
        said: list[str] = []
        try:
            push_image(engine[1], image, reference, login, said.append, architecture)
        finally:
            subprocess.run(["podman", "rmi", reference], capture_output=True, check=False)
        return said

    return pushed


Push = Callable[..., list[str]]


def test_an_image_arrives_whole_under_its_new_name(
    image: str, registry: Any, registry_server: ModuleType, push: Push
) -> None:
    assert push(image, f"{registry.host}/me/twinserve/faces:abc")
    assert len(registry_server.layers(registry, "me/twinserve/faces:abc")) == 1


def test_the_login_is_passed_on_and_told_nobody(image: str, registry: Any, push: Push) -> None:
    registry.login = LOGIN
    said = push(image, f"{registry.host}/me/faces:abc", LOGIN)
    assert "me/faces:abc" in registry.manifests
    assert not any("s3cret" in line for line in said)


def test_a_registry_that_refuses_is_told_with_the_image(
    image: str, registry: Any, push: Push
) -> None:
    registry.login = LOGIN
    with pytest.raises(CloudError, match="me/faces:abc") as caught:
        push(image, f"{registry.host}/me/faces:abc", ("me", "wr0ng-password"))
    assert "wr0ng" not in str(caught.value)
    assert not registry.manifests


def test_an_image_of_another_architecture_is_not_pushed(
    image: str, registry: Any, push: Push
) -> None:
    with pytest.raises(CloudError, match=r"and the place runs s390x only; build it on such"):
        push(image, f"{registry.host}/me/faces:abc", None, "s390x")
    assert not registry.manifests


def test_an_image_that_is_not_there_is_named(image: str, registry: Any, push: Push) -> None:
    assert image
    with pytest.raises(CloudError, match="could not be pushed"):
        push("localhost/nobody:1", f"{registry.host}/me/faces:abc")


def test_an_engine_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("docker")
    with pytest.raises(CloudError, match=r"ghcr.io/me/faces:1 could not be pushed"):
        push_image(f"unix://{tmp_path}/none.sock", "x", "ghcr.io/me/faces:1", None, print)
