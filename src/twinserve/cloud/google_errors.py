"""What went wrong in a call to Google, in words that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from twinserve.errors import CloudError

REPEATED = (429, 500, 502, 503, 504)
LOGIN = "log in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
SHOWN = 500


class NotThere(CloudError):
    """There is no thing of that name."""


class Clash(CloudError):
    """Another change came first, or the thing is there already."""


@contextmanager
def in_words(doing: str, right: str) -> Iterator[None]:
    """Turn the libraries' errors into ours; ``right`` is the permission that ``doing`` takes."""
    try:
        yield
    except CloudError:
        raise
    except Exception as error:
        raise _ours(_cause(error), doing, right) from error


def may_be_repeated(error: BaseException) -> bool:
    """Too many requests, a server that is down, a connection that broke."""
    code = getattr(error, "code", None)
    return _is_connection(error) or (isinstance(code, int) and int(code) in REPEATED)


def _cause(error: Exception) -> Exception:
    """What was repeated in vain, rather than that it was."""
    inner = getattr(error, "cause", None)
    return inner if isinstance(inner, Exception) else error


def _ours(error: Exception, doing: str, right: str) -> Exception:
    code = getattr(error, "code", None)
    said = _said(error)
    if _is_login(error) or code == 401:
        return CloudError(f"Google does not take your login, or there is none ({said}); {LOGIN}.")
    if _is_connection(error):
        return CloudError(f"Google cannot be reached to {doing} ({said}); is there a network?")
    if isinstance(error, TimeoutError):
        return CloudError(f"To {doing} takes longer than expected: {error}.")
    if code is None and not _is_google(error):
        return error  # not of a call: a mistake of ours, which must not look like Google's
    kind = {404: NotThere, 409: Clash}.get(code or 0, CloudError)
    return kind(_refused(code, said, doing, right))


def _refused(code: Any, said: str, doing: str, right: str) -> str:
    text = f"Google refused to {doing} ({code}: {said})." if code else f"Could not {doing}: {said}."
    if code == 403 and ("SERVICE_DISABLED" in said or "has not been used in project" in said):
        return f"{text} Enable that API once: gcloud services enable NAME.googleapis.com"
    if code == 403:
        return f"{text} It takes the permission {right}; docs/deploy.md lists the roles."
    if code == 409:
        return (
            f"{text} Another change of it is going on, or something of that name is there already; "
            "wait until it is through, or choose another --name."
        )
    if code == 429:
        return f"{text} It was repeated in vain; wait some minutes, or ask for more quota."
    return text


def _said(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).strip().rstrip(".")
    reason = getattr(error, "reason", None)
    text = f"{reason}: {text}" if isinstance(reason, str) and reason not in text else text
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _is_connection(error: BaseException) -> bool:
    requests = import_module("requests.exceptions")
    transport = import_module("google.auth.exceptions")
    broken = (requests.ConnectionError, requests.Timeout, requests.ChunkedEncodingError)
    return isinstance(error, (*broken, transport.TransportError, ConnectionError))


def _is_login(error: Exception) -> bool:
    auth = import_module("google.auth.exceptions")
    return isinstance(error, auth.GoogleAuthError) and not isinstance(error, auth.TransportError)


def _is_google(error: Exception) -> bool:
    return isinstance(error, import_module("google.api_core.exceptions").GoogleAPIError)
