"""Every error that Twinserve raises on purpose.

::

    TwinserveError                 exit 1, HTTP 500
    +-- UsageError                 exit 2, HTTP 400   an option or argument cannot be used
    +-- RequestError               exit 1, HTTP 400   a request to a deployment cannot be used
    |   +-- MethodNotAllowed       exit 1, HTTP 405
    |   +-- NotFound               exit 1, HTTP 404
    |   +-- BodyTooLarge           exit 1, HTTP 413
    |   +-- UnsupportedMedia       exit 1, HTTP 415
    |   +-- InvalidField           exit 1, HTTP 422   names field, value and what is allowed
    +-- BundleError                exit 1, HTTP 500   a bundle cannot be read or run
    +-- CheckpointError            exit 1, HTTP 500   a model file from elsewhere cannot be used
    +-- RecordError                exit 1, HTTP 500   a run directory cannot be read
    +-- TrainingError              exit 1, HTTP 500   training cannot start or go on
    +-- RuntimeFailure             exit 1, HTTP 503   an instance or gateway cannot do its work
    +-- CloudError                 exit 1, HTTP 502   a cloud or cluster refuses or is away

A class builds its own message: what happened, with which value, and what to do. Only the Flask,
functions-framework and command-line edges translate these into statuses and exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence


class TwinserveError(Exception):
    """Root of the tree; ``str(error)`` is one sentence fit for a person."""

    http_status = 500
    exit_code = 1
    title = "Internal error"


class UsageError(TwinserveError):
    http_status = 400
    exit_code = 2
    title = "Wrong usage"


class RequestError(TwinserveError):
    http_status = 400
    title = "Bad request"


class MethodNotAllowed(RequestError):
    http_status = 405
    title = "Method not allowed"

    def __init__(self, method: str, path: str, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(f"{method} is not answered on {path}; use {' or '.join(allowed)}.")


class NotFound(RequestError):
    http_status = 404
    title = "Not found"

    def __init__(self, path: str, known: Sequence[str]) -> None:
        super().__init__(f"There is nothing at {path}; known paths are {', '.join(known)}.")


class BodyTooLarge(RequestError):
    http_status = 413
    title = "Body too large"

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(f"The body has {length:,} bytes; at most {limit:,} are read.")


class UnsupportedMedia(RequestError):
    http_status = 415
    title = "Unsupported media type"

    def __init__(self, media_type: str) -> None:
        super().__init__(f"The body is {media_type!r}; send application/json.")


class InvalidField(RequestError):
    """One field of the request has a value that is not allowed."""

    http_status = 422
    title = "Invalid field"

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field} is {_shown(value)}; allowed is {allowed}.")


class BundleError(TwinserveError):
    title = "Bundle cannot be used"


class CheckpointError(TwinserveError):
    title = "Unusable model file"


class RecordError(TwinserveError):
    title = "Run directory cannot be read"


class TrainingError(TwinserveError):
    title = "Training cannot go on"


class RuntimeFailure(TwinserveError):
    http_status = 503
    title = "Deployment cannot answer"


class CloudError(TwinserveError):
    http_status = 502
    title = "Cloud or cluster cannot do it"


def _shown(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
