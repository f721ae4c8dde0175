"""How a real deployment's times differ from those of a run here: CPU factor and platform start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinserve.analysis.cost.elsewhere import ASSUMED, Band, Elsewhere
from twinserve.analysis.simulation.model import Floats
from twinserve.analysis.statistics import ratio_of_means
from twinserve.errors import UsageError

BATCHES = 7
FEWEST = 20  # answered requests there
CLEARLY_COLD = 3.0  # times the slowest warm one


def translated(
    there_ms: Floats, here_ms: Floats, first_s: float, warm_s: Floats, start_s: float, url: str
) -> tuple[Elsewhere, list[str]]:
    """The bands that follow from process times there and here, and what there is to say of them.

    ``first_s`` is the very first request's elapsed time there, ``warm_s`` those of the others,
    ``start_s`` the mean start here. The factor is the ratio of the mean process times, from batch
    to batch; a first request that was clearly cold tells the added start, with the factor's band.

    Raises:
        UsageError: too few answers told their process time.
    """
    if there_ms.size < FEWEST or here_ms.size < FEWEST:
        raise UsageError(
            f"{there_ms.size} answers of {url} told their process time (Server-Timing), and "
            f"{here_ms.size} of the run; {FEWEST} are needed of each."
        )
    ratio = ratio_of_means(_batches(there_ms), _batches(here_ms))
    if ratio is None or ratio.low is None or ratio.high is None:
        raise UsageError(f"{url} answered in no time at all, which gives no CPU factor.")
    cpu = Band(_short(ratio.low), _short(ratio.estimate), _short(ratio.high), measured=True)
    said = [
        f"CPU factor {cpu.likely:g} ({cpu.low:g} to {cpu.high:g}), from {there_ms.size} answers"
    ]
    start = _platform_start(first_s, warm_s, start_s, cpu)
    if start is None:
        start = ASSUMED.platform_start_s
        said.append(
            f"the first request took {first_s:.2f} s, so an instance was there: the platform start "
            f"stays assumed at {start.low:g} to {start.high:g} s. Try again when the deployment "
            f"has had no request for its idle time (15 minutes at Cloud Run)"
        )
    else:
        said.append(f"platform start {start.likely:g} s ({start.low:g} to {start.high:g} s)")
    found = Elsewhere(cpu_factor=cpu, platform_start_s=start, url=url, requests=int(there_ms.size))
    return found, said


def _platform_start(first_s: float, warm_s: Floats, start_s: float, cpu: Band) -> Band | None:
    """What of the first request is neither its own work nor our start; None: it was not cold."""
    if first_s < CLEARLY_COLD * float(warm_s.max()):
        return None
    start = first_s - float(np.median(warm_s))
    low, likely, high = (
        _short(max(0.0, start - factor * start_s)) for factor in (cpu.high, cpu.likely, cpu.low)
    )
    return Band(low, likely, high, measured=True)


def _batches(values: Floats) -> Sequence[Floats]:
    return np.array_split(values, BATCHES)


def _short(value: float) -> float:
    return float(f"{value:.3g}")
