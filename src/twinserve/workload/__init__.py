"""When requests are due and what they ask for: pure values, TOML files, ready-made profiles."""

from twinserve.workload.description import (
    Arrivals,
    Ask,
    Bursts,
    ClosedLoop,
    Constant,
    Day,
    Format,
    OpenLoop,
    Poisson,
    Trace,
    Workload,
)

__all__ = [
    "Arrivals",
    "Ask",
    "Bursts",
    "ClosedLoop",
    "Constant",
    "Day",
    "Format",
    "OpenLoop",
    "Poisson",
    "Trace",
    "Workload",
]
