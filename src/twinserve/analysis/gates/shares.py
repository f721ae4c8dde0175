"""How many of each side's requests something happened to, in words."""

from __future__ import annotations

from collections.abc import Sequence

from twinserve.analysis.rows import SideRows
from twinserve.analysis.words import count, listed, share

Sides = Sequence[SideRows]


def shares(sides: Sides, touched: Sequence[int], what: str) -> str:
    """``container: 3 of 1,000 requests failed (0.3 %); function: ...``"""
    return "; ".join(
        _share(side, number, what) for side, number in zip(sides, touched, strict=True)
    )


def without_requests(sides: Sides) -> str:
    """A sentence that names the sides without a request; empty where there is none."""
    named = listed([side.name for side in sides if not side.requests])
    return f"{named} had no request in a block." if named else ""


def _share(side: SideRows, number: int, what: str) -> str:
    of = count(side.requests, "request")
    return f"{side.name}: {number:,} of {of} {what} ({share(number / side.requests)})"
