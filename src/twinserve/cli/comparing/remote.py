"""``--container-url``, ``--function-url``, ``--url``: two services that run elsewhere."""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinserve.cli.comparing.announcing import say_load
from twinserve.cli.comparing.contrast import CONTRAST
from twinserve.cli.comparing.loading import Loading, load_repeat
from twinserve.cli.comparing.local import hardware_here
from twinserve.cli.comparing.rates import RateSearch, search_rates
from twinserve.cli.comparing.recording import Recorder
from twinserve.cli.comparing.stopping import Stop
from twinserve.cli.load_tool import LoadTool
from twinserve.deployment import SIDES, Kind
from twinserve.errors import UsageError
from twinserve.load.equality import LEAST_PSNR_DB
from twinserve.load.limits import MOST_RATE_RPS, MOST_REQUESTS, Budget, check_within
from twinserve.load.remote import (
    RemoteSender,
    Service,
    check_secrecy,
    checked_url,
    one_model,
    tls_context,
)
from twinserve.records.manifest import (
    REMOTE,
    Limits,
    Manifest,
    ModelFacts,
    RemoteService,
    package_versions,
)
from twinserve.records.run import RunDirectory
from twinserve.workload import Workload

if TYPE_CHECKING:
    from twinserve.analysis.rates import Rates

SIDE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,39}")
OPTIONS = (
    click.option("--container-url", metavar="URL", help="A container that runs elsewhere."),
    click.option("--function-url", metavar="URL", help="A function that runs elsewhere."),
    click.option(
        "--url",
        "urls",
        multiple=True,
        metavar="SIDE=URL",
        help="A side by any name that runs elsewhere; two of them, or one and one of the above.",
    ),
    click.option(
        "--token-env",
        "token_env",
        multiple=True,
        metavar="[SIDE=]VARIABLE",
        help="Environment variable that holds a bearer token for the services. Never written down.",
    ),
    click.option(
        "--header-env",
        "header_env",
        multiple=True,
        metavar="[SIDE:]NAME=VARIABLE",
        help="A header whose value an environment variable holds. Never written down.",
    ),
    click.option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Certificate (PEM) of an authority that signed a service's own.",
    ),
    click.option(
        "--max-requests",
        type=click.IntRange(min=1),
        help=f"Of remote services: all requests of the run together.  [default: {MOST_REQUESTS:,}]",
    ),
    click.option(
        "--max-rate",
        type=click.FloatRange(min=0, min_open=True),
        metavar="RATE",
        help=f"Of remote services: requests a second at most.  [default: {MOST_RATE_RPS:g}]",
    ),
)


@dataclass(frozen=True)
class RemoteOptions:
    """As typed."""

    container_url: str | None
    function_url: str | None
    urls: tuple[str, ...]
    token_env: tuple[str, ...]
    header_env: tuple[str, ...]
    ca_file: Path | None
    max_requests: int | None
    max_rate: float | None

    @property
    def are_given(self) -> bool:
        return bool(self.container_url or self.function_url or self.urls)

    @property
    def limits(self) -> Limits:
        return Limits(self.max_requests or MOST_REQUESTS, self.max_rate or MOST_RATE_RPS)

    def check_unused(self) -> None:
        """Returns if nothing was given that only remote services have a use for.

        Raises:
            UsageError: an option has no service to go to.
        """
        given = {
            "--token-env": self.token_env,
            "--header-env": self.header_env,
            "--ca-file": self.ca_file,
            "--max-requests": self.max_requests,
            "--max-rate": self.max_rate,
        }
        for option, value in given.items():
            if value:
                raise UsageError(
                    f"{option} is for services that run elsewhere; name them with --container-url "
                    f"and --function-url."
                )


def remote_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """All of the above, as one argument ``elsewhere`` of type :class:`RemoteOptions`."""

    @wraps(function)
    def with_remote(*args: Any, **given: Any) -> Any:
        names = RemoteOptions.__dataclass_fields__
        options = RemoteOptions(**{name: given.pop(name) for name in names})
        return function(*args, elsewhere=options, **given)

    decorated: Callable[..., Any] = with_remote
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated


@dataclass(frozen=True)
class RemoteSides:
    """Two services, what they serve, and how far we may go with them."""

    services: tuple[Service, Service]
    tls: ssl.SSLContext
    model: ModelFacts
    limits: Limits

    @property
    def names(self) -> tuple[str, str]:
        first, second = self.services
        return first.side, second.side

    @property
    def urls(self) -> dict[str, str]:
        return {service.side: service.url for service in self.services}


def remote_sides(options: RemoteOptions, workload: Workload, model: str | None) -> RemoteSides:
    """The services that the options name, asked what they serve.

    Raises:
        UsageError: the options do not go together, or the limits forbid the workload.
        RuntimeFailure: a service cannot be asked.
    """
    if workload.repeats > 1 or workload.cold:
        raise UsageError(
            "Services that run elsewhere cannot be started anew from here: leave --repeats and the "
            "profile cold out."
        )
    services = _services(options)
    for service in services:
        check_secrecy(service)
    check_within(options.limits, workload)
    tls = tls_context(options.ca_file)
    facts = one_model(services, tls)
    if model and facts.name != model:
        raise UsageError(f"--model is {model}, the services serve {facts.name}; leave it out.")
    return RemoteSides(services, tls, facts, options.limits)


def measure_remotely(
    run: RunDirectory, workload: Workload, remote: RemoteSides, tool: LoadTool, stop: Stop | None
) -> None:
    """Load the services and write everything down but their addresses.

    Raises:
        TwinserveError: the disk gave out, or the limit was reached.
    """
    budget = Budget(remote.limits)
    manifest = _manifest(remote, workload)
    manifest.until = stop.until if stop else None
    click.echo("\n".join(_said(remote)), err=True)
    say_load(workload, run, tool, stop)
    with Recorder(run, manifest, *([stop.listen] if stop else [])) as recorder:
        recorder.begin()

        def note_limits() -> None:
            manifest.limits = budget.limits

        loading = Loading(
            recorder,
            tool,
            RemoteSender(recorder.clock, remote.services, budget, remote.tls),
            LEAST_PSNR_DB,
            stop,
            local=False,
        )
        try:
            done = load_repeat(loading, remote.urls, after_block=note_limits)
        finally:
            note_limits()
        if done and stop:
            manifest.stopped = stop.reason


def search_remotely(run: RunDirectory, remote: RemoteSides, search: RateSearch) -> Rates:
    """Find the highest rate of both services, as far as the limits allow.

    Raises:
        TwinserveError: the disk gave out.
    """
    budget = Budget(remote.limits)
    manifest = _manifest(remote, search.workload)
    manifest.find_rate = search.objective.described()
    click.echo("\n".join([*_said(remote), search.said]), err=True)
    with Recorder(run, manifest) as recorder:
        recorder.begin()
        return search_rates(
            search,
            recorder,
            RemoteSender(recorder.clock, remote.services, budget, remote.tls),
            remote.urls,
            LEAST_PSNR_DB,
        )


def _said(remote: RemoteSides) -> list[str]:
    model, limits = remote.model, remote.limits
    size = f", {model.resolution}x{model.resolution}" if model.resolution else ""
    return [
        f"Model: {model.name}{size}. Terms: {model.terms}.",
        f"Services that run elsewhere: {' and '.join(remote.names)}. At most "
        f"{limits.max_requests:,} requests (--max-requests), {limits.max_rate_rps:g} a second "
        f"(--max-rate); who owns the services pays for them.",
    ]


def _manifest(remote: RemoteSides, workload: Workload) -> Manifest:
    return Manifest(
        started_epoch_ms=time.time() * 1000,
        versions=package_versions(),
        hardware=hardware_here(),
        runner=REMOTE,
        deployments={},
        remote={s.side: RemoteService(s.kind, s.encrypted) for s in remote.services},
        limits=remote.limits,
        cap="",
        model=remote.model,
        workload=workload,
    )


def _services(options: RemoteOptions) -> tuple[Service, Service]:
    """Two services with their headers, those of the two kinds first."""
    found = list(_addresses(options))
    names = [name for name, _, _ in found]
    if len(found) != 2 or names[0] == names[1]:
        raise UsageError(
            f"Two services are compared, by two names; given {'is' if len(found) == 1 else 'are'} "
            f"{', '.join(names)}. Name each by --container-url, --function-url or --url SIDE=URL."
        )
    headers: dict[str, dict[str, str]] = {name: {} for name in names}
    for given in options.token_env:
        side, _, variable = given.rpartition("=")
        for name in _meant("--token-env", given, side, names):
            headers[name]["Authorization"] = f"Bearer {_value('--token-env', variable)}"
    for given in options.header_env:
        header, _, variable = given.rpartition("=")
        side, _, header = header.rpartition(":")
        if not re.fullmatch(r"[A-Za-z0-9-]+", header):
            raise UsageError(
                f"--header-env is {given!r}; write NAME=VARIABLE or SIDE:NAME=VARIABLE."
            )
        for name in _meant("--header-env", given, side, names):
            headers[name][header] = _value("--header-env", variable)
    first, second = (Service(name, url, kind, headers[name]) for name, url, kind in found)
    return first, second


def _addresses(options: RemoteOptions) -> Iterator[tuple[str, str, Kind | None]]:
    for name, url in zip(SIDES, (options.container_url, options.function_url), strict=True):
        if url:
            yield name, checked_url(name, url), Kind(name)
    for given in options.urls:
        name, equals, url = given.partition("=")
        if not equals or not SIDE_NAME.fullmatch(name) or name == CONTRAST:
            raise UsageError(
                f"--url is {given!r}; write SIDE=URL, the side's name of letters, digits, dots, "
                f"dashes and spaces, and not {CONTRAST!r}."
            )
        yield name, checked_url(name, url), Kind(name) if name in SIDES else None


def _meant(option: str, given: str, side: str, names: list[str]) -> list[str]:
    if side and side not in names:
        raise UsageError(f"{option} {given!r} names {side!r}; the sides are {', '.join(names)}.")
    return [side] if side else names


def _value(option: str, variable: str) -> str:
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UsageError(f"{option} names ${variable}, which is not set; export it first.")
    if not value.isprintable() or not value.isascii():
        raise UsageError(f"{option} names ${variable}, whose value cannot stand in a header.")
    return value
