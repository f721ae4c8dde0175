"""How the event loop is compiled: to machine code, once a machine and version of these files.

The code is kept in the user's cache under the hash of all files that go into it. (numba's own check
looks at one file at a time, and would keep a loop whose inlined rules have changed.)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import numba  # type: ignore[import-untyped, unused-ignore]

from twinserve.scaling import billing, window

COMPILED = ("compiled", "state", "heap", "load", "meter", "rules", "events")
F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """The same function as machine code; equal numbers on every call, no reordered arithmetic."""
    settings = vars(numba.config)
    before, settings["CACHE_DIR"] = settings["CACHE_DIR"], str(_folder())
    try:
        return cast(F, numba.njit(cache=True, error_model="numpy", nogil=True)(function))
    finally:
        settings["CACHE_DIR"] = before


@cache
def _folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    ours = [Path(__file__).with_name(f"{name}.py") for name in COMPILED]
    sources = [*ours, Path(str(window.__file__)), Path(str(billing.__file__))]
    joined = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    return Path(root) / "twinserve" / "simulation" / joined.hexdigest()[:16]
