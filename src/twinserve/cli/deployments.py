"""``twinserve deployments``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from twinserve.cli.options import format_duration
from twinserve.cli.sides import config_option, known_deployments
from twinserve.deployment import Deployment, fair_defaults
from twinserve.deployment.file import Deployments
from twinserve.runtime.capacity import host_capacity, instance_cap
from twinserve.scaling.allowed import remarks
from twinserve.scaling.policy import policy_named

SCHEMA_VERSION = 1
NO_MODEL = "the first one found"
NO_FILE = "There is no twinserve.toml here; docs/deployments.md shows how to write one."
IDLE_S = 900.0  # as `compare` keeps them


@click.command(epilog="Example: twinserve deployments --config twinserve.toml")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Plain values, for programs.")
def command(config: Path | None, as_json: bool) -> None:
    """List the deployments that may be compared: the two defaults, and those of a file."""
    found = known_deployments(config, fair_defaults(NO_MODEL, IDLE_S))
    if as_json:
        click.echo(json.dumps(deployments_json(found), indent=2))
        return
    Console().print(deployments_table(found))
    for line in format_notes(found):
        click.echo(line)


def deployments_json(found: Deployments) -> dict[str, Any]:
    """Everything as plain values; of an environment the names only."""
    rows = [
        asdict(deployment.without_values())
        | {
            "model": None if deployment.model == NO_MODEL else deployment.model,
            "policy": deployment.policy_name,
            "notes": notes(deployment),
        }
        for deployment in found.known.values()
    ]
    return {"schema_version": SCHEMA_VERSION, "file": _path(found), "deployments": rows}


def deployments_table(found: Deployments) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("Name", "Kind", "CPU", "Memory", "At a time", "Instances", "Idle"):
        right = heading not in ("Name", "Kind")
        table.add_column(heading, no_wrap=True, justify="right" if right else "left")
    table.add_column("Policy", overflow="fold")
    for each in found.known.values():
        table.add_row(*_cells(each))
    return table


def format_notes(found: Deployments) -> Iterator[str]:
    """What there is to say of each deployment, and what their policies are."""
    for name, deployment in found.known.items():
        yield from (f"{name}: {note}." for note in notes(deployment))
    named = dict.fromkeys(deployment.policy_name for deployment in found.known.values())
    yield from (f"{policy_named(name).title} ({name})." for name in named)
    yield f"Read from {found.path}." if found.path else NO_FILE


def notes(deployment: Deployment) -> list[str]:
    """What a user should know before choosing it."""
    cap = instance_cap(host_capacity(), deployment).instances
    said = [] if deployment.model == NO_MODEL else [f"runs {deployment.model}"]
    said += remarks(deployment)
    if deployment.cpu < 1 and deployment.concurrency == 1:
        said.append("one request at a time, as below 1 CPU it must be")
    if cap < deployment.max_instances:
        said.append(f"this machine carries {cap} of its {deployment.max_instances} instances")
    if deployment.environment:
        said.append(f"sets {', '.join(deployment.environment)}")
    return said


def _cells(each: Deployment) -> tuple[str, ...]:
    return (
        each.name,
        each.kind.value,
        f"{each.cpu:g}",
        _memory(each.memory_mib),
        f"{each.concurrency}" if each.concurrency else "any",
        f"{each.min_instances}-{each.max_instances}",
        format_duration(each.idle_s),
        each.policy_name,
    )


def _memory(mib: int) -> str:
    return f"{mib // 1024}GiB" if mib % 1024 == 0 else f"{mib}MiB"


def _path(found: Deployments) -> str | None:
    return None if found.path is None else str(found.path)
