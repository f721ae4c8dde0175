"""The gate ``equality``: both sides gave the same answers to the same requests."""

from __future__ import annotations

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates.outcome import failing, passing, unknowing
from twinserve.records.manifest import EqualityResult


def judge(result: EqualityResult | None) -> Gate:
    """Every one of the first requests got equal answers."""
    if result is None or not result.requests:
        return unknowing("equality", "The run ended before both sides were asked the same.")
    if result.equal < result.requests:
        return failing(
            "equality",
            f"Only {result.equal} of {result.requests} requests got equal answers from both sides "
            f"({result.detail}).",
            "Let both sides run the same bundle with the same arithmetic, then compare again.",
        )
    return passing("equality", f"{result.equal} of {result.requests} requests got equal answers.")
