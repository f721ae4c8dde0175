"""The measures of a report: their names, units and definitions in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measure: ``key`` as in ``comparison.json``, ``stem`` begins its figure's file names."""

    key: str
    stem: str
    title: str
    unit: str
    definition: str

    @property
    def is_time(self) -> bool:
        return self.unit == "ms"

    @property
    def is_resource(self) -> bool:
        return not self.is_time

    @property
    def rows(self) -> str:
        """What was measured many times."""
        return "requests" if self.is_time else "readings"


# The first three are JMeter's definitions (Apache JMeter user's manual, glossary).
ELAPSED = Measure(
    "elapsed_ms",
    "elapsed",
    "Response time (elapsed)",
    "ms",
    "From just before the request is sent until just after the last byte of the answer "
    "has arrived, connecting included.",
)
LATENCY = Measure(
    "latency_ms",
    "latency",
    "Latency",
    "ms",
    "From just before the request is sent until the first byte of the answer has arrived: "
    "it includes connecting and the service's processing.",
)
CONNECT = Measure(
    "connect_ms",
    "connect",
    "Connect time",
    "ms",
    "The time to set up the connection, with TLS where there is any; "
    "response time and latency include it.",
)
PROCESS = Measure(
    "process_ms",
    "process",
    "Process time",
    "ms",
    "What the service itself measured for a request, without connecting, waiting in the gateway "
    "and transfer.",
)
CPU = Measure(
    "cpu_percent",
    "cpu",
    "CPU",
    "%",
    "Processor time of the side's instances, read once a second while the side is under load: "
    "100 % is one core kept busy.",
)
MEMORY = Measure(
    "memory_mib",
    "memory",
    "Memory",
    "MiB",
    "Memory of the side's instances, read once a second while the side is under load "
    "(proportional set size where the system tells it, else resident set size).",
)

TABLE = (ELAPSED, LATENCY, CONNECT, PROCESS, CPU, MEMORY)
FIGURES = (ELAPSED, LATENCY, CONNECT, CPU, MEMORY)
