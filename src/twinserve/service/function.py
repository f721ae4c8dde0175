"""The function: an HTTP function for functions-framework.

Run it as Cloud Functions does::

    functions-framework --source function.py --target generate
"""

from __future__ import annotations

import threading

from flask import Request, Response

from twinserve.service.core import ServiceCore, open_core
from twinserve.service.flask_edge import respond

_loading = threading.Lock()
_core: ServiceCore | None = None


def generate(request: Request) -> Response:
    """Answer one request; ``/`` generates as well, since a function's URL has no path."""
    return respond(_loaded_core(), request)


def _loaded_core() -> ServiceCore:
    """The core, loaded by the first request: after the server has forked, and once."""
    global _core
    with _loading:
        if _core is None:
            _core = open_core(("/generate", "/"))
        return _core
