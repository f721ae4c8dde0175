"""Why a gateway gives no answer of an instance, and how that is said over HTTP.

::

    RuntimeFailure             HTTP 503   (twinserve.errors)
    +-- StartFailed            HTTP 503   no instance, and the last start failed
    +-- Draining               HTTP 503   the gateway is being stopped
    +-- QueueFull              HTTP 429   as many wait as may (503 under some policies)
    +-- Overloaded             HTTP 429   waited too long behind full instances (503, 504)
    +-- SlowBody               HTTP 408   the request did not come in time
    +-- InstanceLost           HTTP 502   the instance ended or broke off, twice
    +-- NoAnswerInTime         HTTP 504   the instance did not begin its answer in time
    +-- DeadlinePassed         HTTP 504   the client's own time limit came first
    +-- AnswerTooLarge         HTTP 500   more than the platform lets through

Those that may be sent again carry ``Retry-After``.
"""

from __future__ import annotations

from math import ceil

import msgspec
from aiohttp import web

from twinserve.errors import RuntimeFailure, TwinserveError

INSTANCE_HEADER = "X-Twinserve-Instance"


class Refusal(RuntimeFailure):
    """A request that the gateway itself answers; ``headers`` go with it."""

    headers: dict[str, str] = {}  # noqa: RUF012 - replaced in instances, never changed
    reason = "other"  # as the gateway's metrics name it


class StartFailed(Refusal):
    reason = "start failed"
    title = "No instance could be started"

    def __init__(self, reason: str, again_s: float) -> None:
        self.headers = {"Retry-After": str(max(1, ceil(again_s)))}
        super().__init__(reason)


class Draining(Refusal):
    reason = "draining"
    title = "Shutting down"

    def __init__(self, deployment: str, within_s: float) -> None:
        self.headers = {"Connection": "close", "Retry-After": str(ceil(within_s))}
        super().__init__(f"{deployment} is being stopped and takes no more requests.")


class QueueFull(Refusal):
    reason = "queue full"
    title = "Too many requests"

    def __init__(self, deployment: str, what: str, http_status: int = 429) -> None:
        self.http_status = http_status
        self.headers = {"Retry-After": "1"}
        super().__init__(f"{deployment} has {what} waiting, the most it may; send it again later.")


class Overloaded(Refusal):
    reason = "waited too long"
    title = "Too many requests"

    def __init__(
        self, deployment: str, instances: int, limit_s: float, http_status: int = 429
    ) -> None:
        self.http_status = http_status
        self.headers = {"Retry-After": str(ceil(limit_s))}
        super().__init__(
            f"{deployment} has no free place on its {instances} ready instance(s), and this "
            f"request waited {limit_s:.1f} s, the most it may; send fewer at a time or allow more "
            f"instances."
        )


class SlowBody(Refusal):
    reason = "slow body"
    http_status = 408
    title = "Request timeout"

    def __init__(self, limit_s: float) -> None:
        self.headers = {"Connection": "close"}
        super().__init__(f"The request's body was not there within {limit_s:g} s.")


class InstanceLost(Refusal):
    reason = "instance lost"
    http_status = 502
    title = "Instance lost"

    def __init__(self, instance: str, reason: str) -> None:
        self.headers = {INSTANCE_HEADER: instance}
        super().__init__(
            f"{instance} did not finish its answer ({reason}), and this request had been sent a "
            f"second time already; the log of the instance says more."
        )


class NoAnswerInTime(Refusal):
    reason = "no answer in time"
    http_status = 504
    title = "No answer in time"

    def __init__(self, instance: str, limit_s: float) -> None:
        self.headers = {INSTANCE_HEADER: instance}
        super().__init__(f"{instance} did not begin its answer within {limit_s:g} s.")


class DeadlinePassed(Refusal):
    reason = "deadline passed"
    http_status = 504
    title = "Deadline passed"

    def __init__(self, limit_s: float, instance: str | None) -> None:
        self.headers = {INSTANCE_HEADER: instance} if instance else {}
        where = f"{instance} had not answered it" if instance else "it had not left the queue"
        super().__init__(
            f"The client waits {limit_s:g} s at most (Prefer: wait), and {where} by then."
        )


class AnswerTooLarge(Refusal):
    reason = "answer too large"
    http_status = 500
    title = "Answer too large"

    def __init__(self, instance: str, length: int, limit: int, policy: str) -> None:
        self.headers = {INSTANCE_HEADER: instance}
        super().__init__(
            f"{instance} answered with {length:,} bytes; {policy} lets at most {limit:,} through "
            f"that are not streamed."
        )


def problem(error: TwinserveError) -> web.Response:
    """The error as ``application/problem+json``."""
    body = {
        "type": "about:blank",
        "title": error.title,
        "status": error.http_status,
        "detail": str(error),
    }
    return web.Response(
        status=error.http_status,
        body=msgspec.json.encode(body),
        headers=error.headers if isinstance(error, Refusal) else {},
        content_type="application/problem+json",
    )
