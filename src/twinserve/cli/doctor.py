"""``twinserve doctor``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from twinserve.runtime.doctor import Finding, Mark, can_run, examine, import_seconds
from twinserve.workload.profiles import PROFILES, load_seconds, profile

SCHEMA_VERSION = 1
SIGNS = {Mark.YES: "[green]yes[/]", Mark.PARTLY: "[yellow]partly[/]", Mark.NO: "no"}
# Each side starts once; a start takes about twice what the imports alone do. Then comes the report.
STARTS, START_PER_IMPORT, REPORT_S = 2, 2.0, 8.0


@click.command(epilog="Example: twinserve doctor --json")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(as_json: bool) -> None:
    """Say what this machine can run, enforce and measure, and how long comparisons take on it.

    Exit code 1 if no runner can run instances here.
    """
    findings = examine()
    seconds = _profile_seconds(import_seconds())
    if as_json:
        click.echo(_json(findings, seconds))
    else:
        _show(findings, seconds)
    if not can_run(findings):
        sys.exit(1)


def _profile_seconds(imports_s: float) -> dict[str, float]:
    around_s = STARTS * START_PER_IMPORT * imports_s + REPORT_S
    return {name: load_seconds(profile(name)) + around_s for name in PROFILES}


def _json(findings: list[Finding], seconds: dict[str, float]) -> str:
    return json.dumps(
        {
            "schema_version": SCHEMA_VERSION,
            "can_run": can_run(findings),
            "findings": [asdict(found) for found in findings],
            "profile_seconds": {name: round(value) for name, value in seconds.items()},
        },
        indent=2,
    )


def _show(findings: list[Finding], seconds: dict[str, float]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("This machine can", "", "", ""):
        table.add_column(heading)
    before = ""
    for found in findings:
        area = "" if found.area == before else found.area.value
        table.add_row(area, found.name, SIGNS[found.mark], found.detail)
        before = found.area
    console = Console()
    console.print(table)
    for name, value in seconds.items():
        click.echo(f"twinserve compare --profile {name}: about {value / 60:.1f} minutes here")
