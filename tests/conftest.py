"""Fixtures that every room's tests may use."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Browser

from twinserve.errors import UsageError
from twinserve.load.jmeter_home import JMeter, find_jmeter
from twinserve.records.run import RunDirectory


@pytest.fixture(scope="session")
def runs() -> ModuleType:
    """The module ``tests/runs.py``: ``write_run`` and the ``Shape`` of a side."""
    return _beside("runs")


@pytest.fixture(scope="session")
def traced() -> ModuleType:
    """The module ``tests/traced.py``: watch which addresses a command connects to."""
    return _beside("traced")


@pytest.fixture
def make_run(runs: ModuleType, tmp_path: Path) -> Callable[..., RunDirectory]:
    """``make_run(**options)`` writes a synthetic run; see ``tests/runs.py`` for the options."""

    def make(path: Path | None = None, **options: Any) -> RunDirectory:
        run: RunDirectory = runs.write_run(path or tmp_path / "run", **options)
        return run

    return make


@pytest.fixture(scope="session")
def jmeter() -> JMeter:
    """The JMeter that is installed; where there is none, the test is skipped and says why."""
    try:
        return find_jmeter()
    except UsageError as error:
        pytest.skip(f"no JMeter: {error}")


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A real Chromium; see ``tests/browser.py`` for when it is missing.

    One a test: Playwright's event loop would be in the way of a later test's ``asyncio.run``.
    """
    with _beside("browser").chromium() as found:
        yield found


@pytest.fixture(scope="session")
def container_image(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An image of the 64x64 model in Podman's store; see ``tests/containers.py`` for when there is
    none. It has ``tag``, ``folder``, ``said`` and ``model``."""
    return _beside("containers").build(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def podman() -> Any:
    """``podman(*words)`` returns what a podman command prints."""
    return _beside("containers").podman


def _beside(name: str) -> ModuleType:
    """A module of this folder, which is not on the import path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module
