"""Send one request over a connection of its own and write down what happened, failures included."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Self

import aiohttp
import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from twinserve.records.samples import Phase, Sample

TIMEOUT_S = 120.0


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
    """Where one request goes, and why."""

    side: str
    url: str  # of the gateway, no path
    phase: Phase
    block: int = -1
    user: int = 0
    users: int = 1


@dataclass(frozen=True)
class Outcome:
    """A finished request: its row, and the answer's body."""

    sample: Sample
    body: bytes


class Sender:
    """An HTTP client that opens a new connection for each request, as a new visitor does.

    Use it as an asynchronous context manager.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self._connected)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            trace_configs=[trace],
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(
        self, target: Target, images: int, seed: int, due_us: int | None = None
    ) -> Outcome:
        """POST /generate and read the answer to its last byte; a failed request does not raise."""
        body = msgspec.json.encode({"num_images": images, "seed": seed})
        url = f"{target.url}/generate"
        sent_us = self._clock.now_us()
        answer = await self._answer(url, body)
        done_us = self._clock.now_us()
        timing = server_timing(answer.headers.getall("Server-Timing", []))
        sample = Sample(
            side=target.side,
            phase=target.phase,
            block=target.block,
            user=target.user,
            users=target.users,
            url=url,
            images=images,
            seed=seed,
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
            instance=answer.headers.get("X-Twinserve-Instance", ""),
        )
        return Outcome(sample, answer.body)

    async def _answer(self, url: str, body: bytes) -> _Answer:
        answer = _Answer()
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(
                url, data=body, headers=headers, trace_request_ctx=answer
            ) as response:
                answer.first_byte_us = self._clock.now_us()
                answer.status, answer.reason = response.status, response.reason or ""
                answer.headers = response.headers
                answer.body = await response.read()
                if response.status >= 400:
                    answer.failure = _shown_problem(answer.body)
        except TimeoutError:
            answer.failure = f"no answer within {TIMEOUT_S:.0f} s"
        except (aiohttp.ClientError, OSError) as error:
            answer.failure = f"{type(error).__name__}: {error}"
        return answer

    async def _connected(
        self,
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        _params: aiohttp.TraceConnectionCreateEndParams,
    ) -> None:
        context.trace_request_ctx.connected_us = self._clock.now_us()


class _Answer:
    """What has come back so far; stays readable when the connection breaks half-way."""

    def __init__(self) -> None:
        self.connected_us: int | None = None
        self.status = 0
        self.reason = ""
        self.failure = ""
        self.body = b""
        self.first_byte_us: int | None = None
        self.headers = CIMultiDictProxy(CIMultiDict[str]())


def server_timing(lines: list[str]) -> dict[str, float]:
    """Durations in ms by name; entries of one name add up (service and gateway both queue)."""
    found: dict[str, float] = {}
    for entry in ",".join(lines).split(","):
        name, _, parameters = entry.strip().partition(";")
        for parameter in parameters.split(";"):
            key, _, value = parameter.strip().partition("=")
            if key == "dur":
                try:
                    found[name] = found.get(name, 0.0) + float(value)
                except ValueError:
                    continue
    return found


def _shown_problem(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["detail"])[:300]
    except (msgspec.DecodeError, KeyError, TypeError):
        return body[:300].decode(errors="replace")
