"""What went wrong in a call to a cluster, in words that say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from twinserve.errors import CloudError

REPEATED = (429, 500, 502, 503, 504)
SHOWN = 500


class NotThere(CloudError):
    """There is no object of that name."""


@contextmanager
def in_words(doing: str) -> Iterator[None]:
    """Turn the libraries' errors into ours."""
    try:
        yield
    except CloudError:
        raise
    except Exception as error:
        raise said_by(error, doing) from error


def may_be_repeated(error: BaseException) -> bool:
    """Too many requests, a server that is down, a connection that broke: applying, reading and
    deleting again is harmless."""
    return _status(error) in REPEATED or _is_connection(error)


def said_by(error: BaseException | None, doing: str) -> Exception:
    """The error as one of ours; one that is no call's stays itself, as it is a mistake of ours."""
    status = _status(error)
    if error is None or (status is None and not _is_outside(error)):
        return error if isinstance(error, Exception) else CloudError(f"Could not {doing}.")
    if status is None:
        return CloudError(_unreachable(error, doing))
    said, known = _said(error)
    if status == 404 and known:
        return NotThere(said)
    return CloudError(_refused(status, said, doing))


def _refused(status: int, said: str, doing: str) -> str:
    text = f"The cluster refused to {doing} ({status}: {said})."
    if status == 401:
        return f"{text} It does not take your login; `kubectl auth whoami` says who you are."
    if status == 403:
        return f"{text} docs/deploy.md has the role that it takes."
    if status == 404:
        return f"{text} It does not know this kind of object; is Knative Serving installed?"
    if status == 409:
        return f"{text} Somebody else changes it; wait, and give the same command again."
    if status == 429:
        return f"{text} It was repeated in vain; wait some minutes."
    return text


def _unreachable(error: BaseException, doing: str) -> str:
    if _is_connection(error):
        return (
            f"The cluster cannot be reached to {doing} ({_innermost(error)}); "
            "does `kubectl get --raw /readyz` answer?"
        )
    said = str(error).rstrip(".")
    return f"Could not {doing}: {said}. Does `kubectl config current-context` name a cluster?"


def _said(error: BaseException) -> tuple[str, bool]:
    """What the server said, and whether it knows that kind of object at all."""
    body = getattr(error, "body", None) or ""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body)
    try:
        status = json.loads(text)
        return str(status.get("message") or status.get("reason"))[:SHOWN], True
    except (ValueError, AttributeError):
        return (text.strip() or str(getattr(error, "reason", "")))[:SHOWN], False


def _status(error: BaseException | None) -> int | None:
    api = import_module("kubernetes.client.exceptions").ApiException
    return int(error.status) if isinstance(error, api) and error.status else None


def _is_connection(error: BaseException) -> bool:
    urllib3 = import_module("urllib3.exceptions")
    return isinstance(error, urllib3.HTTPError | ConnectionError | TimeoutError)


def _is_outside(error: BaseException) -> bool:
    config = import_module("kubernetes.config.config_exception").ConfigException
    return _is_connection(error) or isinstance(error, config | OSError)


def _innermost(error: BaseException) -> str:
    while (inner := getattr(error, "reason", None)) is not None and isinstance(inner, Exception):
        error = inner
    return str(error).partition(": ")[2] or str(error)
