"""Whether what exists is what would be sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi)?")
UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9} | {
    name: 1024.0**power for name, power in (("Ki", 1), ("Mi", 2), ("Gi", 3))
}
LISTED_DIFFERENCES = 3


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where ``found`` is not as ``wanted`` says, as paths; what a platform adds is no difference.

    Quantities are compared by what they say: platforms write 4096Mi as 4Gi.
    """
    if isinstance(wanted, Mapping):
        there = found if isinstance(found, Mapping) else {}
        for key, value in wanted.items():
            yield from differences(value, there.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(wanted, list):
        there_list = found if isinstance(found, list) else []
        if len(wanted) != len(there_list):
            yield path
            return
        for k, (mine, theirs) in enumerate(zip(wanted, there_list, strict=True)):
            yield from differences(mine, theirs, f"{path}[{k}]")
    elif not _equal(wanted, found):
        yield path


def format_differences(paths: list[str]) -> str:
    """The first few of them in words."""
    shown = ", ".join(paths[:LISTED_DIFFERENCES])
    more = len(paths) - LISTED_DIFFERENCES
    return f"{shown} and {more} more" if more > 0 else shown


def _equal(wanted: object, found: object) -> bool:
    if wanted == found or (found is None and wanted in ("", 0, False)):
        return True
    a, b = _quantity(wanted), _quantity(found)
    return a is not None and a == b


def _quantity(value: object) -> float | None:
    read = QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return float(read[1]) * UNITS[read[2] or ""] if read else None
