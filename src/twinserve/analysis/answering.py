"""The whole answer of a run: compared for a purpose, priced, and what to change first."""

from __future__ import annotations

from twinserve.analysis.advising import with_advice
from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import Comparison
from twinserve.analysis.cost.money import price_run
from twinserve.analysis.purpose import NO_PURPOSE, Purpose
from twinserve.records.run import RunDirectory


def answer(run: RunDirectory, purpose: Purpose = NO_PURPOSE) -> Comparison:
    """Everything that a run says.

    Raises:
        RecordError: the manifest, the samples or a calibration is missing or damaged.
    """
    costs = price_run(run, purpose.requests_per_month)
    return with_advice(run, compare_run(run, purpose, costs))
