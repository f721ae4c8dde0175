"""``twinserve up``."""

from __future__ import annotations

import asyncio
import signal

import click

from twinserve.bundle.store import bundle_facts, default_model, known_bundles
from twinserve.cli.options import duration_option, platform_lines, say_model
from twinserve.cli.runner import prepared_runner, runner_option
from twinserve.deployment import SIDES, fair_defaults
from twinserve.page.server import PageSide, page_at
from twinserve.runtime.platform import LocalPlatform

CHECK_S = 1.0


@click.command(epilog="Example: twinserve up --port 8080 --idle 30s")
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
    "--container-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Of its gateway.  [default: any]",
)
@click.option(
    "--function-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Of its gateway.  [default: any]",
)
@runner_option
@duration_option("--idle", "How long an unused instance lives.  [default: 60s]", 60.0)
def command(
    chosen: tuple[str, ...],
    port: int,
    container_port: int,
    function_port: int,
    runner: str,
    idle: float,
) -> None:
    """Run both deployments and the page that shows them side by side, until Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    name, *more = dict.fromkeys(chosen or (default_model(), *known_bundles()))
    models = [bundle_facts(model) for model in (name, *more)]
    for facts in models:
        say_model(facts)
    ports = dict(zip(SIDES, (container_port, function_port), strict=True))
    deployments = list(fair_defaults(name, idle, tuple(more)).values())
    try:
        choice = prepared_runner(runner, deployments)
        with LocalPlatform(deployments, ports=ports, runner=choice) as platform:
            click.echo("\n".join([*platform.notes, *platform_lines(platform)]), err=True)
            asyncio.run(_serve(platform, port, [facts.name for facts in models]))
    except KeyboardInterrupt:
        click.echo("Stopped; nothing is left running.", err=True)


async def _serve(platform: LocalPlatform, port: int, models: list[str]) -> None:
    sides = {
        side: PageSide.of(deployment, platform.urls[side], models, platform.runner.name)
        for side, deployment in platform.deployments.items()
    }
    async with page_at(sides, port=port) as url:
        click.echo(f"Page:      {url}")
        for side, gateway in platform.urls.items():
            click.echo(f"{side.capitalize() + ':':<10} {gateway}/generate")
        click.echo("Ctrl-C stops everything.", err=True)
        while True:
            platform.check()
            await asyncio.sleep(CHECK_S)
