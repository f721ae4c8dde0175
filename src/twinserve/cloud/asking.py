"""Ask a service that runs elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from twinserve.errors import CloudError

ANSWER_S = 300.0  # a cold start may come first


class Ask(Protocol):
    """Sends one request; returns status and body. A connection that fails raises ``OSError``."""

    def __call__(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]: ...


def ask_url(url: str, token: Callable[[], str] | None = None, gateway: str = "") -> Ask:
    """Ask at ``url``, with a bearer token where one is given.

    ``gateway`` is where a cluster's front door is reached, when the name in ``url`` is known inside
    the cluster only: requests go there and carry that name.
    """
    base, headers = url.rstrip("/"), {"Content-Type": "application/json"}
    if gateway:
        headers["Host"] = urlsplit(url).netloc
        base = gateway.rstrip("/")

    def ask(method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        sent = headers | ({"Authorization": f"Bearer {token()}"} if token else {})
        request = urllib.request.Request(base + path, body, sent, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                return int(answer.status), bytes(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    return ask


def identity_token(audience: str) -> Callable[[], str] | None:
    """A way to get a token that a private service of Google takes; None where ``audience`` is not
    https, since a token must not be sent in the open.

    Raises (when called):
        CloudError: neither the application default credentials nor gcloud give one.
    """
    if urlsplit(audience).scheme != "https":
        return None
    plain = urlunsplit(urlsplit(audience)._replace(path="", query="", fragment=""))
    return cache(lambda: _default_token(plain) or _gcloud_token())  # it is valid for an hour


def _default_token(audience: str) -> str:
    """That of a service account; a person's login cannot have one."""
    transport = import_module("google.auth.transport.requests")
    auth_errors = import_module("google.auth.exceptions").GoogleAuthError
    try:
        fetch = import_module("google.oauth2.id_token").fetch_id_token
        return str(fetch(transport.Request(), audience))
    except (auth_errors, ValueError):
        return ""


def _gcloud_token() -> str:
    words = ["gcloud", "auth", "print-identity-token"]
    if shutil.which(words[0]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    raise CloudError(
        "The service is private, and neither your credentials nor gcloud give a token to call it; "
        "log in with `gcloud auth login`, or use --no-verify and check it by hand."
    )
