"""Flask's request to the core, the core's answer to Flask: all that container and function
share."""

from __future__ import annotations

from flask import Request, Response

from twinserve.errors import BodyTooLarge, TwinserveError
from twinserve.service.core import ServiceCore, problem
from twinserve.service.request import LARGEST_BODY


def respond(core: ServiceCore, request: Request) -> Response:
    """Answer one Flask request."""
    try:
        body = _body(request)
    except TwinserveError as error:
        answer = problem(error)
    else:
        answer = core.answer(
            request.method,
            request.path,
            request.headers.get("Content-Type", ""),
            request.headers.get("Accept", ""),
            body,
        )
    response = Response(answer.body, answer.status, content_type=answer.media_type)
    response.headers.update(answer.headers)
    return response


def _body(request: Request) -> bytes:
    """The body, never more of it in memory than is allowed."""
    if (length := request.content_length or 0) > LARGEST_BODY:
        raise BodyTooLarge(length, LARGEST_BODY)
    body = request.stream.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise BodyTooLarge(len(body), LARGEST_BODY)
    return body
