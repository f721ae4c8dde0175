"""The gate ``errors``: nearly every request was answered."""

from __future__ import annotations

from twinserve.analysis.comparison import Gate
from twinserve.analysis.gates.outcome import failing, passing, unknowing
from twinserve.analysis.gates.shares import Sides, shares, without_requests
from twinserve.analysis.words import share

# An error is often fast, or as slow as a timeout; a percent of them moves a p95 by a rank in a
# hundred, and the objective of the verdict allows no more.
ERROR_LIMIT = 0.01


def judge(sides: Sides) -> Gate:
    """Fewer than 1 % of the requests of each side failed."""
    if untold := without_requests(sides):
        return unknowing("errors", untold)
    detail = shares(sides, [side.errors for side in sides], "failed")
    if any(side.errors >= ERROR_LIMIT * side.requests for side in sides):
        return failing(
            "errors",
            f"{detail}; fewer than {share(ERROR_LIMIT)} may fail.",
            "Read failureMessage in samples.csv, mend the cause or ask for fewer users.",
        )
    return passing("errors", f"{detail}.")
