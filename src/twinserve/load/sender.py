"""Send one request over a connection of its own and write down what happened, failures included."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Self

import msgspec

from twinserve.load.exchange import Address, Answer, exchange, request_bytes
from twinserve.records.samples import Phase, Sample
from twinserve.workload import Format

TIMEOUT_S = 120.0
INSTANCE_QUEUE = "instance-queue"
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}

address_of = lru_cache(64)(Address.of)


@dataclass(frozen=True)
class Clock:
    """The run's clock: microseconds since it began, on the monotonic clock."""

    started_epoch_ms: float
    started_s: float

    @classmethod
    def start(cls) -> Self:
        return cls(time.time() * 1000, time.monotonic())

    def now_us(self) -> int:
        return round((time.monotonic() - self.started_s) * 1e6)


@dataclass(frozen=True)
class Target:
    """Where one request goes, and why; ``headers`` go with it."""

    side: str
    url: str  # of the gateway, no path
    phase: Phase
    block: int = -1
    user: int = 0
    users: int = 1
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Outcome:
    """A finished request: its row, and the answer's body."""

    sample: Sample
    body: bytes


class Sender:
    """An HTTP client that opens a new connection for each request, as a new visitor does.

    ``tls`` is how certificates of ``https`` services are checked; without it as the system does.
    """

    def __init__(self, clock: Clock, tls: ssl.SSLContext | None = None) -> None:
        self._clock = clock
        self._given_tls = tls

    async def send(
        self,
        target: Target,
        images: int,
        seed: int,
        due_us: int | None = None,
        *,
        format: Format = "json",  # noqa: A002 - as the service calls it
        body: bytes | None = None,
    ) -> Outcome:
        """POST /generate and read the answer to its last byte; a failed request does not raise.

        ``due_us`` is when an open loop wanted it sent; ``body`` goes as it stands in place of
        ``images`` and ``seed``.
        """
        if body is None:
            body = msgspec.json.encode({"num_images": images, "seed": seed})
        url = f"{target.url}/generate"
        sent_us = self._clock.now_us()
        answer = await self._answer(url, body, _headers(target, format))
        done_us = self._clock.now_us()
        timing = server_timing(answer.headers.get("server-timing", []))
        sample = Sample(
            side=target.side,
            phase=target.phase,
            block=target.block,
            user=target.user,
            users=target.users,
            url=url,
            images=images,
            seed=seed,
            format=format,
            started_epoch_ms=self._clock.started_epoch_ms,
            due_us=sent_us if due_us is None else due_us,
            sent_us=sent_us,
            connected_us=answer.connected_us,
            first_byte_us=answer.first_byte_us,
            done_us=done_us,
            status=answer.status,
            reason=answer.reason,
            failure=answer.failure,
            received_bytes=len(answer.body),
            sent_bytes=len(body),
            process_ms=timing.get("process"),
            queue_ms=timing.get("queue"),
            cold_ms=timing.get("cold"),
            instance_queue_ms=timing.get(INSTANCE_QUEUE),
            inference_ms=timing.get("inference"),
            encode_ms=timing.get("encode"),
            instance=", ".join(answer.headers.get("x-twinserve-instance", [])),
        )
        return Outcome(sample, answer.body)

    async def _answer(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        address, answer = address_of(url), Answer()
        tls = self._tls if address.tls else None
        request = request_bytes(address, body, headers)
        await exchange(address, request, answer, self._clock.now_us, TIMEOUT_S, tls)
        if answer.status >= 400 and not answer.failure:
            answer.failure = _shown_problem(answer.body)
        return answer

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()


def server_timing(lines: list[str]) -> dict[str, float]:
    """Durations in ms by name; entries of one name add up (service and gateway both queue).

    The queue that comes right behind ``process`` is the service's, a part of it: it is under
    :data:`INSTANCE_QUEUE` as well.
    """
    found: dict[str, float] = {}
    before = ""
    for entry in ",".join(lines).split(","):
        name, _, parameters = entry.strip().partition(";")
        for parameter in parameters.split(";"):
            key, _, value = parameter.strip().partition("=")
            if key == "dur":
                try:
                    found[name] = found.get(name, 0.0) + float(value)
                except ValueError:
                    continue
                if (before, name) == ("process", "queue"):
                    found[INSTANCE_QUEUE] = float(value)
        before = name
    return found


def _headers(target: Target, asked: Format) -> dict[str, str]:
    accept = {"Accept": MEDIA_TYPES[asked]} if asked in MEDIA_TYPES else {}
    return {"Content-Type": "application/json"} | accept | dict(target.headers)


def _shown_problem(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["detail"])[:300]
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:300].decode(errors="replace")
