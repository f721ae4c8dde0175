"""Waiting until a deployment has no instance, so that the next request meets it cold."""

from __future__ import annotations

import asyncio
import http.client
import time
from urllib.parse import urlsplit

import msgspec

from twinserve.errors import RuntimeFailure

STATUS_PATH = "/_gateway/status"  # starts no instance (docs/policies.md)
POLL_S = 0.05
WITHIN_S = 60.0


class _Status(msgspec.Struct):
    """What a gateway tells, as far as it is used."""

    instances: list[msgspec.Raw]


async def until_cold(side: str, url: str) -> None:
    """Return when the gateway at ``url`` has no instance any more, none that is stopping either.

    Raises:
        RuntimeFailure: it keeps one, or is no gateway that could tell.
    """
    end_s = time.monotonic() + WITHIN_S
    while count := await asyncio.to_thread(_instances, side, url):
        if time.monotonic() > end_s:
            raise RuntimeFailure(
                f"{side} still has {count} {'instance' if count == 1 else 'instances'} after "
                f"{WITHIN_S:g} s without a request; for a cold workload give it min_instances = 0, "
                f"a short idle time and a policy that scales to zero."
            )
        await asyncio.sleep(POLL_S)


def _instances(side: str, url: str) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=WITHIN_S)
    try:
        connection.request("GET", STATUS_PATH)
        answer = connection.getresponse()
        return len(msgspec.json.decode(answer.read(), type=_Status).instances)
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise RuntimeFailure(
            f"{side} does not tell whether it has instances ({type(error).__name__}); a cold "
            f"workload is for deployments that Twinserve runs itself."
        ) from error
    finally:
        connection.close()
