"""Services that run elsewhere: asked what they serve, sent to within limits, and never named.

Addresses, headers and tokens stay in memory: rows and messages name the side in their place.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from twinserve.deployment import Kind
from twinserve.errors import RuntimeFailure, UsageError
from twinserve.load.limits import Budget
from twinserve.load.sender import Clock, Outcome, Sender, Target
from twinserve.records.manifest import ModelFacts
from twinserve.records.samples import Sample

ASK_WITHIN_S = 120.0  # a cold start may be on the way
MOST_BYTES = 1 << 20
HIDDEN = "(not written down)"
UNKNOWN_MODEL = ModelFacts("unknown model", "", 0, "Not known", False)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Service:
    """One side that runs elsewhere; ``headers`` go with each of its requests."""

    side: str
    url: str = field(repr=False)  # no user, query or fragment, no slash at the end
    kind: Kind | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def encrypted(self) -> bool:
        return self.url.startswith("https:")

    @property
    def shown_url(self) -> str:
        """As rows hold it: the side's name in the place of the host's."""
        return f"{'https' if self.encrypted else 'http'}://{self.side}/generate"

    def hidden(self, text: str) -> str:
        """A message without the service's address and without what its headers hold."""
        parts = urlsplit(self.url)
        secrets = [word for value in self.headers.values() for word in (value, *value.split())]
        for secret in sorted((s for s in secrets if len(s) > 3), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        for address in (parts.netloc, parts.hostname or ""):
            text = text.replace(address, self.side) if address else text
        return text


def checked_url(side: str, url: str) -> str:
    """The URL of a service without a slash at its end.

    Raises:
        UsageError: it cannot be asked, or holds what belongs into the environment.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"The URL of {side} cannot be read: {error}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError(f"The URL of {side} is {url!r}; it must begin with https://HOST.")
    if parts.username or parts.password:
        raise UsageError(
            f"The URL of {side} holds a user or a password; put what identifies you into an "
            f"environment variable and name that with --header-env or --token-env."
        )
    if parts.query or parts.fragment:
        raise UsageError(
            f"The URL of {side} has a query or a fragment; leave it out. What is secret goes by "
            f"--header-env."
        )
    return url.rstrip("/")


def check_secrecy(service: Service) -> None:
    """Returns if the service's headers may be sent.

    Raises:
        UsageError: they would go over a network unencrypted.
    """
    host = urlsplit(service.url).hostname
    if service.headers and not service.encrypted and host not in LOOPBACK:
        raise UsageError(
            f"The URL of {service.side} begins with http://, so its headers could be read on the "
            f"way; use https://."
        )


def tls_context(authority: Path | None = None) -> ssl.SSLContext:
    """Certificates are checked against those that the system trusts, and ``authority`` (PEM).

    Raises:
        UsageError: the file holds no certificate.
    """
    context = ssl.create_default_context()
    if authority is not None:
        try:
            context.load_verify_locations(authority)
        except (ssl.SSLError, OSError) as error:
            raise UsageError(
                f"--ca-file {authority} holds no certificate in PEM form ({error})."
            ) from None
    return context


def one_model(services: Sequence[Service], tls: ssl.SSLContext) -> ModelFacts:
    """What both services say that they serve.

    Raises:
        RuntimeFailure: one of them cannot be asked; the message says what to do.
        UsageError: they serve different models.
    """
    first, second = (served_model(service, tls) for service in services)
    if UNKNOWN_MODEL in (first, second):
        return UNKNOWN_MODEL
    if first.content_hash != second.content_hash:
        raise UsageError(
            f"{services[0].side} serves {first.name} ({first.content_hash[:12]}), "
            f"{services[1].side} serves {second.name} ({second.content_hash[:12]}); both sides of "
            f"a comparison run one model."
        )
    return first


def served_model(service: Service, tls: ssl.SSLContext) -> ModelFacts:
    """The model that answers a service's requests, by its ``GET /models``; unknown where it has
    no such page.

    Raises:
        RuntimeFailure: it cannot be reached, does not let us in, or says what cannot be read.
    """
    status, body = _get(service, "/models", tls)
    if status in (404, 405):
        return UNKNOWN_MODEL
    if status in (401, 403):
        raise RuntimeFailure(
            f"{service.side} answered {status}: it does not let us in. Give a token with "
            f"--token-env, or a header with --header-env."
        )
    if status in range(300, 400):
        raise RuntimeFailure(
            f"{service.side} answered {status}, which leads elsewhere; give the URL that it leads "
            f"to."
        )
    if status != 200:
        raise RuntimeFailure(f"{service.side} answered {status} when asked what it serves.")
    try:
        listed = msgspec.json.decode(body, type=_Models)
        return next(facts for facts in listed.models if facts.name == listed.default)
    except (msgspec.DecodeError, StopIteration):
        return UNKNOWN_MODEL


class _Models(msgspec.Struct):
    """What ``GET /models`` answers, as far as it is used."""

    models: list[ModelFacts]
    default: str


def _get(service: Service, path: str, tls: ssl.SSLContext) -> tuple[int, bytes]:
    parts = urlsplit(service.url)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=ASK_WITHIN_S, context=tls)
        if service.encrypted
        else http.client.HTTPConnection(host, port, timeout=ASK_WITHIN_S)
    )
    try:
        connection.request("GET", f"{parts.path}{path}", headers=dict(service.headers))
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise RuntimeFailure(f"{service.side} {_why(service, error)}") from None
    finally:
        connection.close()


def _why(service: Service, error: Exception) -> str:
    """Why a service cannot be asked, and the way out."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"has a certificate that is not trusted ({service.hidden(error.verify_message)}). "
            f"Mend it, or name the certificate of who signed it with --ca-file."
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"makes no encrypted connection ({service.hidden(error.reason or str(error))}); does "
            f"its URL begin with http://?"
        )
    if isinstance(error, socket.gaierror):
        return "cannot be found: there is no such host. Look for a typing error in its URL."
    if isinstance(error, TimeoutError):
        return f"did not answer within {ASK_WITHIN_S:.0f} s."
    return f"cannot be reached ({service.hidden(str(error) or type(error).__name__)})."


class RemoteSender(Sender):
    """Sends as :class:`Sender` does, with each service's headers, within a budget; its rows name
    the sides in the place of hosts."""

    def __init__(
        self, clock: Clock, services: Sequence[Service], budget: Budget, tls: ssl.SSLContext
    ) -> None:
        super().__init__(clock, tls=tls)
        self._services = {service.side: service for service in services}
        self._budget = budget

    async def send(self, target: Target, *asked: Any, **how: Any) -> Outcome:
        """As :meth:`Sender.send`, once the budget allows it.

        Raises:
            LimitReached: the budget is used up.
        """
        wait_s = self._budget.wait_s(time.monotonic())
        if wait_s:
            await asyncio.sleep(wait_s)
        service = self._services[target.side]
        outcome = await super().send(replace(target, headers=service.headers), *asked, **how)
        return Outcome(_without_address(outcome.sample, service), outcome.body)


def _without_address(sample: Sample, service: Service) -> Sample:
    return replace(
        sample,
        url=service.shown_url,
        reason=service.hidden(sample.reason),
        failure=service.hidden(sample.failure),
    )
