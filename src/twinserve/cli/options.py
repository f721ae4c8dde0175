"""Options and wording that several verbs share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import click

from twinserve.bundle.bundle import BundleFacts
from twinserve.deployment import Deployment
from twinserve.errors import UsageError
from twinserve.runtime.platform import LocalPlatform
from twinserve.scaling.policy import policy_named

LAB = ("altair", "jinja2", "numba", "polars", "scipy", "vl_convert")


def model_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--model",
        metavar="NAME",
        help="Name or folder of a bundle; see `twinserve models`.  [default: the first one found]",
    )(function)


def say_model(facts: BundleFacts) -> None:
    """Name the model and its terms, on the error stream so that pipes stay clean."""
    side = facts.resolution
    click.echo(f"Model: {facts.name}, {side}x{side}. Terms: {facts.terms}.", err=True)
    if facts.name.startswith("random-"):
        click.echo(
            "No trained bundle is installed, so the pictures are noise; install the faces with:\n"
            "  pip install ./packages/faces   (non-commercial research only)",
            err=True,
        )


def platform_lines(platform: LocalPlatform) -> list[str]:
    """How many instances of each deployment this machine carries, which limits hold on it, and by
    which rules they scale."""
    rules = [_rules(each) for each in platform.deployments.values()]
    return [*platform.cap.values(), *platform.limits.values(), *rules]


def _rules(deployment: Deployment) -> str:
    policy = policy_named(deployment.policy_name)
    said = f"{deployment.name}: scales by the policy {policy.name}"
    if policy.cpu_outside_requests is None:
        return f"{said}."
    return f"{said}, but keeps its CPU between requests and gets no more of it while it starts."


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Imports that an extra brings: where they fail, say which extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise _missing(error.name, extra) from error


def check_lab() -> None:
    """Returns if all of the extra ``lab`` is there: nobody should learn that after minutes of load.

    Raises:
        UsageError: a package of it is missing.
    """
    for name in LAB:
        if find_spec(name) is None:
            raise _missing(name, "lab")


def _missing(name: str | None, extra: str) -> UsageError:
    return UsageError(
        f"This needs {name}, which the extra {extra!r} brings: pip install 'twinserve[{extra}]'"
    )


class Duration(click.ParamType[float]):
    """Seconds, written as ``90``, ``90s``, ``10m`` or ``1h``."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value).strip())
        if not found:
            self.fail(f"{value!r} is not a duration; write 90s, 10m or 1h.", param, ctx)
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def duration_option(
    name: str, text: str, default: float | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(name, type=Duration(), default=default, help=text)


def format_duration(seconds: float) -> str:
    """As it would be written on the command line: ``90s``, ``15m``, ``1h``."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
