"""The fixtures of ``tests/cloud``, which is not on the import path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def _servers() -> ModuleType:
    path = Path(__file__).parents[2] / "cloud/conftest.py"
    spec = importlib.util.spec_from_file_location("cloud_fixtures", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


servers = _servers()
google_server, kube_server = servers.google_server, servers.kube_server
registry_server, service_url = servers.registry_server, servers.service_url
google, kube = servers.google, servers.kube
deploy, to_google, to_kube = servers.deploy, servers.to_google, servers.to_kube
