"""``twinserve up``."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from twinserve.bundle.bundle import BundleFacts
from twinserve.bundle.store import bundle_facts, default_model, known_bundles
from twinserve.cli.options import duration_option, platform_lines, say_model
from twinserve.cli.runner import prepared_runner, runner_option
from twinserve.cli.sides import config_option, known_deployments, sides_option, two_sides
from twinserve.deployment import Deployment, fair_defaults
from twinserve.page.server import PageSide, page_at
from twinserve.runtime.platform import LocalPlatform
from twinserve.scaling.allowed import check_allowed

CHECK_S = 1.0
IDLE_S = 60.0  # so that scaling to zero can be seen


class TwoPorts(click.ParamType[tuple[int, int]]):
    """Two port numbers, by a comma."""

    name = "ports"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        numbers = [int(part) for part in str(value).split(",") if part.strip().isdecimal()]
        if len(numbers) != 2 or max(numbers) > 65535:
            self.fail(f"{value!r} is not two ports; write 8081,8082.", param, ctx)
        return numbers[0], numbers[1]


@click.command(epilog="Example: twinserve up --port 8080 --idle 30s")
@sides_option
@config_option
@click.option(
    "--model",
    "chosen",
    multiple=True,
    metavar="NAME",
    help="Name or folder of a bundle; again for more, the first is the default.  "
    "[default: every bundle found, see `twinserve models`]",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Of the page."
)
@click.option(
    "--gateway-ports",
    type=TwoPorts(),
    metavar="PORT,PORT",
    help="Of the two gateways, in the order of --sides.  [default: any]",
)
@runner_option
@duration_option("--idle", "How long an unused instance lives.  [default: 60s]")
def command(
    sides: str,
    config: Path | None,
    chosen: tuple[str, ...],
    port: int,
    gateway_ports: tuple[int, int] | None,
    runner: str,
    idle: float | None,
) -> None:
    """Run both deployments and the page that shows them side by side, until Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    deployments = _deployments(sides, config, chosen, idle)
    models = {each.name: _facts(each) for each in deployments}
    for facts in {facts.name: facts for each in models.values() for facts in each}.values():
        say_model(facts)
    ports = dict(zip(models, gateway_ports or (0, 0), strict=True))
    try:
        choice = prepared_runner(runner, deployments)
        with LocalPlatform(deployments, ports=ports, runner=choice) as platform:
            click.echo("\n".join([*platform.notes, *platform_lines(platform)]), err=True)
            names = {side: [facts.name for facts in found] for side, found in models.items()}
            asyncio.run(_serve(platform, port, names))
    except KeyboardInterrupt:
        click.echo("Stopped; nothing is left running.", err=True)


def _deployments(
    sides: str, config: Path | None, chosen: tuple[str, ...], idle_s: float | None
) -> Sequence[Deployment]:
    """The two sides: an option goes before the file, the file before what is found."""
    name, *more = dict.fromkeys(chosen or (default_model(), *known_bundles()))
    defaults = fair_defaults(name, IDLE_S if idle_s is None else idle_s, tuple(more))
    options: dict[str, Any] = {"model": name, "more_models": tuple(more)} if chosen else {}
    options |= {} if idle_s is None else {"idle_s": idle_s}
    found = two_sides(sides, known_deployments(config, defaults))
    deployments = [replace(each, **options) for each in found]
    for deployment in deployments:
        check_allowed(deployment)
    return deployments


def _facts(deployment: Deployment) -> list[BundleFacts]:
    return [bundle_facts(model) for model in (deployment.model, *deployment.more_models)]


async def _serve(platform: LocalPlatform, port: int, models: dict[str, list[str]]) -> None:
    sides = {
        side: PageSide.of(deployment, platform.urls[side], models[side], platform.runner.name)
        for side, deployment in platform.deployments.items()
    }
    async with page_at(sides, port=port) as url:
        width = max(len("container:"), *(len(side) + 1 for side in sides))
        click.echo(f"{'Page:':<{width}} {url}")
        for side, gateway in platform.urls.items():
            click.echo(f"{side.capitalize() + ':':<{width}} {gateway}/generate")
        click.echo("Ctrl-C stops everything.", err=True)
        while True:
            platform.check()
            for line in platform.news():
                click.echo(line, err=True)
            await asyncio.sleep(CHECK_S)
