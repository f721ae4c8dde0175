"""Fixtures of the tests of the load generator."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def loopback() -> ModuleType:
    """The module ``loopback.py`` beside: servers whose behaviour is known, and experiments."""
    path = Path(__file__).with_name("loopback.py")
    spec = importlib.util.spec_from_file_location("load_loopback", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
