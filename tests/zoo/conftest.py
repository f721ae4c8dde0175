"""The module ``tests/zoo/handmade.py``, which is not on the import path, and where files go."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def handmade() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "handmade", Path(__file__).with_name("handmade.py")
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "checkpoint.pth"
        path.write_bytes(data)
        return path

    return write
