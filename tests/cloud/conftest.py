"""Local servers that speak what the clouds speak, and a real service for them to show."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from werkzeug.serving import make_server

from twinserve.cli import main
from twinserve.cloud.fit import fitted
from twinserve.cloud.journal import Journal
from twinserve.cloud.order import Order
from twinserve.cloud.patience import Patience
from twinserve.cloud.target import Target
from twinserve.deployment import fair_defaults
from twinserve.service.container import create_app

MODEL = "random-16"


def beside(name: str) -> ModuleType:
    """A module of this folder, which is not on the import path."""
    found = sys.modules.get(name)
    if found is not None:
        return found
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


beside("faulty")  # the servers import it


@pytest.fixture(scope="session")
def google_server() -> ModuleType:
    """The module ``tests/cloud/google_server.py``."""
    return beside("google_server")


@pytest.fixture(scope="session")
def kube_server() -> ModuleType:
    """The module ``tests/cloud/kube_server.py``."""
    return beside("kube_server")


@pytest.fixture(scope="session")
def registry_server() -> ModuleType:
    """The module ``tests/cloud/registry_server.py``."""
    return beside("registry_server")


@pytest.fixture(scope="session")
def service_url() -> Iterator[str]:
    """Where the real container's application answers, with random weights of 16x16."""
    with mock.patch.dict(os.environ, {"TWINSERVE_MODEL": MODEL}):
        app = create_app()
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def google(google_server: ModuleType, service_url: str) -> Iterator[Any]:
    """Google's surface; what is deployed there answers at ``service_url``."""
    with google_server.serving(google_server.GoogleServer(answers_at=service_url)) as google:
        yield google


@pytest.fixture
def kube(kube_server: ModuleType, service_url: str) -> Iterator[Any]:
    """A cluster's API; its instances answer at ``service_url``."""
    with kube_server.serving(kube_server.KubeServer(answers_at=service_url)) as kube:
        yield kube


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Deploy = Callable[..., Done]


@pytest.fixture
def deploy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Deploy:
    """``deploy(*words)`` runs ``twinserve deploy …`` as a shell would, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["twinserve", "deploy", *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture
def to_google(google: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Google's clients go to the local server."""
    for name, value in google.overrides().items():
        monkeypatch.setenv(name, value)
    return google


@pytest.fixture
def to_kube(kube: Any, deploy: Deploy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The kubeconfig leads to the local server, namespace ``shop``."""
    assert deploy  # which hides the machine's own kubeconfig: first that, then this
    monkeypatch.setenv("KUBECONFIG", str(kube.kubeconfig(tmp_path / "kubeconfig", "shop")))
    return kube


@pytest.fixture
def patience() -> Patience:
    """A hundred times less than a person has."""
    return Patience(poll_s=0.01, backoff_s=0.01, backoff_most_s=0.05, repeat_s=0.3, ready_s=5.0)


@pytest.fixture
def said() -> list[str]:
    """What the journal of a test said."""
    return []


@pytest.fixture
def journal(said: list[str]) -> Journal:
    return Journal(said.append, lambda words, *_: said.append(words), "AGAIN", "UNDO")


@pytest.fixture
def order() -> Callable[..., Order]:
    """``order(target, **changes of the deployment or the order)``, fitted."""

    def make(target: Target, **changes: Any) -> Order:
        deployment = fair_defaults(MODEL, 900.0)[target.kind.value]
        own = {field.name for field in fields(deployment)} - {"name"}
        deployment = replace(deployment, **{k: v for k, v in changes.items() if k in own})
        values: dict[str, Any] = {"project": "my-project", "region": "us-central1"}
        if not target.is_google:
            values = {"namespace": "default"}
        if target is Target.CLOUD_FUNCTIONS:
            values |= {"runtime": "python311", "content": "ab" * 32}
        else:
            values["image"] = "ghcr.io/me/faces:1"
        values |= {k: v for k, v in changes.items() if k not in own}
        values.setdefault("name", f"twinserve-{deployment.name}")
        return Order(target=target, deployment=fitted(deployment, target).deployment, **values)

    return make
