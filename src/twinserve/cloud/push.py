"""Push an image through an engine's API (Docker's, or Podman's, which answers the same)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib import import_module
from typing import Any

from twinserve.errors import CloudError

PUSH_S = 600
GOOGLE_RUNS = "amd64"


def push_image(
    engine_url: str,
    local: str,
    reference: str,
    login: tuple[str, str] | None,
    say: Callable[[str], None],
    architecture: str = "",
) -> None:
    """Give the image ``local`` the name ``reference`` and push it to that registry.

    ``login`` is (user, password); None leaves it to the engine's own (``podman login``,
    ``docker login``). ``architecture`` is what the place can run; empty is any.

    Raises:
        CloudError: it is of another architecture, the registry refused, or nothing answers.
    """
    docker = import_module("docker")
    repository, _, tag = reference.rpartition(":")
    try:
        _knock(engine_url)
        client = docker.APIClient(engine_url, timeout=PUSH_S)
        try:
            _check_architecture(client.inspect_image(local), architecture, local)
            client.tag(local, repository, tag)
            _pushed(client, repository, tag, login, say)
        finally:
            client.close()
    except (docker.errors.DockerException, OSError) as error:
        said = getattr(error, "explanation", None) or error
        raise CloudError(f"{reference} could not be pushed: {said}") from error


def _knock(url: str) -> None:
    """Raises ``OSError`` where nobody listens; the SDK, left to find out, leaks its socket."""
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(url.removeprefix("unix://"))


def _check_architecture(facts: dict[str, Any], wanted: str, local: str) -> None:
    found = facts.get("Architecture", "")
    if wanted and found != wanted:
        raise CloudError(
            f"The image {local} is for {found}, and the place runs {wanted} only; build it on such "
            "a machine, or with `twinserve build container --no-wheels --build-option "
            f"--platform=linux/{wanted} --tag …`, push it, and name it with --image."
        )


def _pushed(
    client: Any,
    repository: str,
    tag: str,
    login: tuple[str, str] | None,
    say: Callable[[str], None],
) -> None:
    auth = {"username": login[0], "password": login[1]} if login else None
    for line in client.push(repository, tag, stream=True, decode=True, auth_config=auth):
        if error := line.get("error"):
            raise CloudError(
                f"The registry refused {repository}:{tag}: {str(error).strip()}. Are you logged in "
                "there, and may you write?"
            )
        if status := line.get("status"):
            say(f"{status} {line.get('id') or ''}".strip())
