"""What a gateway did, as Prometheus reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from twinserve.scaling.billing import Billed

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "twinserve_gateway"
BILLED = {
    "billable_s": ("billable_instance_seconds", "Instance time as it would be billed."),
    "vcpu_s": ("billed_vcpu_seconds", "vCPU-seconds as they would be billed."),
    "gib_s": ("billed_gib_seconds", "GiB-seconds as they would be billed."),
    "ghz_s": ("billed_ghz_seconds", "GHz-seconds (functions, 1st generation)."),
    "idle_s": ("idle_instance_seconds", "Time of minimum instances without a request."),
    "idle_vcpu_s": ("idle_vcpu_seconds", "vCPU-seconds of minimum instances without a request."),
    "idle_gib_s": ("idle_gib_seconds", "GiB-seconds of minimum instances without a request."),
    "idle_ghz_s": ("idle_ghz_seconds", "GHz-seconds of minimum instances without a request."),
}


@dataclass
class Tally:
    """What has happened to the requests since the gateway opened.

    Every one that ``came`` was answered by an instance (``answers`` by status), refused with an
    explicit error (``refusals`` by reason), broken off half-way (``broken``: the connection was
    cut so that the client knows), given up by its client (``left``), or is still here.
    """

    came: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    left: int = 0
    retried: int = 0

    @property
    def here(self) -> int:
        """Requests that wait, are worked on, or whose answer is on its way."""
        ended = self.answers.total() + self.refusals.total() + self.broken + self.left
        return self.came - ended

    def facts(self) -> dict[str, object]:
        """The counts as the status page shows them."""
        plain = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return plain | {
            "here": self.here,
            "answers": dict(self.answers),
            "refusals": dict(self.refusals),
        }


def metrics_text(
    deployment: str,
    tally: Tally,
    queued: int,
    in_flight: int,
    instances: Mapping[str, int],
    billed: Sequence[Billed],
    not_written: Mapping[str, int],
) -> bytes:
    """The whole of ``GET /metrics``; ``instances`` are counts by state, ``not_written`` rows by
    file."""
    registry = CollectorRegistry()
    registry.register(
        _Collected(deployment, tally, queued, in_flight, instances, billed, not_written)
    )
    return generate_latest(registry)


@dataclass(frozen=True, eq=False)
class _Collected(Collector):
    deployment: str
    tally: Tally
    queued: int
    in_flight: int
    instances: Mapping[str, int]
    billed: Sequence[Billed]
    not_written: Mapping[str, int]

    def collect(self) -> Iterator[Metric]:
        tally = self.tally
        yield self._counter("requests", "Requests that came.", tally.came)
        answers = {str(status): count for status, count in sorted(tally.answers.items())}
        yield self._counters("answers", "Answers of instances.", "status", answers)
        yield self._counters("refusals", "Requests refused.", "reason", tally.refusals)
        yield self._counter("retries", "Requests sent to a second instance.", tally.retried)
        yield self._counter("broken_answers", "Answers broken off half-way.", tally.broken)
        yield self._counter("clients_gone", "Requests given up by their client.", tally.left)
        yield self._gauge("queued", "Requests that wait for a place.", self.queued)
        yield self._gauge("in_flight", "Requests that instances work on.", self.in_flight)
        states = GaugeMetricFamily(
            f"{PREFIX}_instances", "Instances by state.", labels=["deployment", "state"]
        )
        for state, count in self.instances.items():
            states.add_metric([self.deployment, state], count)
        yield states
        words = "Rows of the run that the disk did not take."
        yield self._counters("records_not_written", words, "file", self.not_written)
        yield from self._billing()

    def _billing(self) -> Iterator[Metric]:
        requests = max((each.requests for each in self.billed), default=0)
        egress = max((each.egress_bytes for each in self.billed), default=0)
        yield self._counter("billed_requests", "Requests that reached an instance.", requests)
        yield self._counter("egress_bytes", "Bytes of answers' bodies.", egress)
        for name, (metric, words) in BILLED.items():
            counts = {str(each.mode): getattr(each, name) for each in self.billed}
            yield self._counters(metric, words, "mode", counts)

    def _counter(self, name: str, words: str, value: float) -> Metric:
        family = CounterMetricFamily(f"{PREFIX}_{name}", words, labels=["deployment"])
        family.add_metric([self.deployment], value)
        return family

    def _counters(self, name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
        family = CounterMetricFamily(f"{PREFIX}_{name}", words, labels=["deployment", label])
        for key, value in values.items():
            family.add_metric([self.deployment, key], value)
        return family

    def _gauge(self, name: str, words: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"{PREFIX}_{name}", words, labels=["deployment"])
        family.add_metric([self.deployment], value)
        return family
