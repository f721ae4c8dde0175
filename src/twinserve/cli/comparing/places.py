"""Where the two sides of a comparison are: on this machine, or elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from twinserve.bundle.store import bundle_facts, default_model
from twinserve.cli.comparing.contrast import chosen_contrast
from twinserve.cli.comparing.local import LocalSides
from twinserve.cli.comparing.remote import RemoteOptions, RemoteSides, remote_sides
from twinserve.cli.load_tool import LoadTool
from twinserve.cli.runner import AUTO
from twinserve.cli.sides import USUAL_SIDES, known_deployments, of_one_model, two_sides
from twinserve.cli.workload import cooled
from twinserve.deployment import fair_defaults
from twinserve.errors import UsageError
from twinserve.workload import Workload

IDLE_S = 900.0  # as the clouds do; a side must not lose its instance while the other one is loaded


@dataclass(frozen=True)
class LocalOptions:
    """What says which deployments to run here, as typed."""

    sides: str
    config: Path | None
    model: str | None
    runner: str
    contrast: bool | None

    def check_unused(self) -> None:
        """Returns if nothing was given that services elsewhere have no use for.

        Raises:
            UsageError: an option has no deployment to go to.
        """
        given = {
            "--sides": self.sides != USUAL_SIDES,
            "--config": self.config is not None,
            "--runner": self.runner != AUTO,
            "--contrast": bool(self.contrast),
        }
        for option, is_given in given.items():
            if is_given:
                raise UsageError(
                    f"{option} is for deployments that are run here, and the URLs name services "
                    f"that run elsewhere; leave it out."
                )


def chosen_places(
    here: LocalOptions, elsewhere: RemoteOptions, workload: Workload, tool: LoadTool
) -> LocalSides | RemoteSides:
    """The two sides, ready to be loaded.

    Raises:
        UsageError: the options do not go together.
        RuntimeFailure: a service elsewhere cannot be asked.
    """
    if not elsewhere.are_given:
        elsewhere.check_unused()
        return _local_sides(here, workload)
    here.check_unused()
    if tool.jmeter is not None:
        raise UsageError(
            "JMeter knows no limit on rate and total, and its plan would hold the headers; leave "
            "--load-tool jmeter out for services that run elsewhere."
        )
    return remote_sides(elsewhere, workload, here.model)


def _local_sides(here: LocalOptions, workload: Workload) -> LocalSides:
    """The two deployments and their contrast: an option goes before the file, the file before what
    is found."""
    found = known_deployments(here.config, fair_defaults(here.model or default_model(), IDLE_S))
    first, second = of_one_model(two_sides(here.sides, found), here.model)
    if workload.cold:
        first, second = cooled(first), cooled(second)
    third = chosen_contrast(here.contrast, first, second, workload)
    if third.said:
        click.echo(third.said, err=True)
    return LocalSides((first, second), third.deployment, bundle_facts(first.model), here.runner)
