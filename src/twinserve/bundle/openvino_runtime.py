"""OpenVINO without its model converter: the converter's package phones home when it is imported."""

from __future__ import annotations

import sys
from functools import cache
from types import ModuleType


@cache
def openvino() -> ModuleType:
    """The ``openvino`` module, imported once.

    ``openvino/__init__.py`` tries ``from openvino.tools.ovc import convert_model`` and goes on
    without it after an ImportError. That package sends an event through ``openvino_telemetry`` as
    it loads and doubles the import time, so it is marked as not importable first.
    """
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    import openvino as module

    return module  # type: ignore[no-any-return]
