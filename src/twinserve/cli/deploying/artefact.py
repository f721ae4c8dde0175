"""What goes to a target: the image or the function's source, made only where it is needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from twinserve.cli.runner import BASE_VARIABLE, prepared_runner
from twinserve.cloud.journal import Journal
from twinserve.cloud.push import push_image
from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.runtime.artefacts.context import DEFAULT_BASE, write_context
from twinserve.runtime.artefacts.function import FunctionSource, write_function
from twinserve.runtime.artefacts.image import find_engine, tag_of
from twinserve.runtime.oci_engine import opened_engine

HOW_WITHOUT_ENGINE = """\
Neither podman nor docker is installed, so no image can be built and pushed here. Either build it \
where there is one:
  twinserve build container --tag {reference}
  docker push {reference}
or let Google's Cloud Build do it:
  twinserve build container --out build/container
  cp build/container/Containerfile build/container/Dockerfile
  gcloud builds submit --tag {reference} build/container
Then give this command again with --image {reference}"""


def content_tag(models: Sequence[str]) -> str:
    """The tag that only an image of this content has; nothing is built for it."""
    base = os.environ.get(BASE_VARIABLE) or DEFAULT_BASE
    with TemporaryDirectory(prefix="twinserve-") as folder:
        return tag_of(write_context(Path(folder) / "context", models, base)).rpartition(":")[2]


@contextmanager
def function_source(models: Sequence[str]) -> Iterator[tuple[FunctionSource, str]]:
    """The function's source in a temporary folder, and the SHA-256 of its zip."""
    with TemporaryDirectory(prefix="twinserve-") as folder:
        source = write_function(Path(folder), models)
        yield source, hashlib.sha256(source.zip.read_bytes()).hexdigest()


def check_engine(reference: str) -> str:
    """The engine that builds.

    Raises:
        UsageError: there is none; the message says how to do without.
    """
    engine = find_engine()
    if engine is None:
        raise UsageError(HOW_WITHOUT_ENGINE.format(reference=reference))
    return engine


def build_and_push(
    deployment: Deployment,
    reference: str,
    login: Callable[[], tuple[str, str] | None],
    architecture: str,
    journal: Journal,
) -> None:
    """Build the deployment's image unless this engine has it, and push it as ``reference``."""
    engine = check_engine(reference)
    with journal.step("Building the image"):
        local = prepared_runner(engine, [deployment]).images[deployment.name]
    with journal.step(f"Pushing {reference}"), opened_engine(engine) as opened:
        click.echo(f"Pushing {reference}", err=True)
        said: set[str] = set()

        def say(line: str) -> None:
            if line not in said:  # engines repeat each layer's line for every chunk
                said.add(line)
                click.echo(f"  {line}"[:100], err=True)

        push_image(opened.url, local, reference, login(), say, architecture)
    journal.exists(f"the image {reference}")
