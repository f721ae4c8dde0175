"""Why a gateway gives no answer of an instance, and how that is said over HTTP.

::

    RuntimeFailure             HTTP 503   (twinserve.errors)
    +-- StartFailed            HTTP 503   no instance, and the last start failed
    +-- Draining               HTTP 503   the gateway is being stopped
    +-- Overloaded             HTTP 429   waited too long behind full instances
    +-- InstanceLost           HTTP 502   the instance ended or broke off, twice
    +-- NoAnswerInTime         HTTP 504   the instance did not begin its answer in time
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


class StartFailed(Refusal):
    title = "No instance could be started"

    def __init__(self, reason: str, again_s: float) -> None:
        self.headers = {"Retry-After": str(max(1, ceil(again_s)))}
        super().__init__(reason)


class Draining(Refusal):
    title = "Shutting down"

    def __init__(self, deployment: str) -> None:
        self.headers = {"Connection": "close"}
        super().__init__(f"{deployment} is being stopped and takes no more requests.")


class Overloaded(Refusal):
    http_status = 429
    title = "Too many requests"

    def __init__(self, deployment: str, instances: int, limit_s: float) -> None:
        self.headers = {"Retry-After": str(ceil(limit_s))}
        super().__init__(
            f"{deployment} has no free place on its {instances} ready instance(s), and this "
            f"request waited {limit_s:.1f} s, the most it may; send fewer at a time or allow more "
            f"instances."
        )


class InstanceLost(Refusal):
    http_status = 502
    title = "Instance lost"

    def __init__(self, instance: str, reason: str) -> None:
        self.headers = {INSTANCE_HEADER: instance}
        super().__init__(
            f"{instance} did not finish its answer ({reason}), and this request had been sent a "
            f"second time already; the log of the instance says more."
        )


class NoAnswerInTime(Refusal):
    http_status = 504
    title = "No answer in time"

    def __init__(self, instance: str, limit_s: float) -> None:
        self.headers = {INSTANCE_HEADER: instance}
        super().__init__(f"{instance} did not begin its answer within {limit_s:g} s.")


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
