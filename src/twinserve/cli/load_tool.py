"""Which load generator a comparison uses: our own, or the JMeter that is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from twinserve.errors import UsageError
from twinserve.load.experiment import Experiment
from twinserve.load.jmeter import JMeterExperiment
from twinserve.load.jmeter_home import JMeter, find_jmeter
from twinserve.load.jmeter_plan import check_can_run, shared_users, whole_seconds
from twinserve.load.sender import Clock, Sender
from twinserve.records.samples import Sample
from twinserve.workload import Workload
from twinserve.workload.profiles import ORIGINAL

OWN, JMETER = "twinserve", "jmeter"
LOOPBACK = ("127.", "localhost", "::1", "[::1]")


@dataclass(frozen=True)
class LoadTool:
    """A load generator, ready to be used; without ``jmeter`` it is our own.

    ``stands_in`` says that JMeter was to send this workload, and is not installed.
    """

    jmeter: JMeter | None = None
    remote: tuple[str, ...] = ()
    stands_in: bool = False

    @property
    def versions(self) -> dict[str, str]:
        """What the manifest adds to its versions."""
        return {JMETER: self.jmeter.version} if self.jmeter else {}

    @property
    def described(self) -> str:
        if self.stands_in:
            return ", by Twinserve itself, since no JMeter is installed"
        hosts = f" on {', '.join(self.remote)}" if self.remote else ""
        return f", by Apache JMeter {self.jmeter.version}{hosts}" if self.jmeter else ""

    def fitted(self, workload: Workload) -> Workload:
        """The workload as this tool can run it.

        Raises:
            UsageError: it cannot be said in a plan, or its users cannot be shared by the hosts.
        """
        if self.jmeter is None:
            return workload
        check_can_run(workload)
        shared_users(workload.users, len(self.remote))
        return whole_seconds(workload)

    def experiment(
        self,
        urls: Mapping[str, str],
        workload: Workload,
        clock: Clock,
        sender: Sender,
        on_sample: Callable[[Sample], None],
        folder: Path,
    ) -> Experiment | JMeterExperiment:
        """The experiment that loads ``urls``.

        Raises:
            UsageError: a remote host cannot reach a deployment on this machine.
        """
        if self.jmeter is None:
            return Experiment(urls, workload, clock, sender, on_sample)
        self._check_reach(urls)
        return JMeterExperiment(urls, workload, clock, on_sample, self.jmeter, folder, self.remote)

    def _check_reach(self, urls: Mapping[str, str]) -> None:
        far = [host for host in self.remote if not host.startswith(LOOPBACK)]
        near = [url for url in urls.values() if (urlsplit(url).hostname or "").startswith(LOOPBACK)]
        if far and near:
            raise UsageError(
                f"--remote names {far[0]}, which cannot reach {near[0]} on this machine; leave "
                "--remote out, or name JMeter servers on this machine."
            )


def chosen_load_tool(
    name: str | None, jmeter: str | None, remote: str | None, workload: Workload | None = None
) -> LoadTool:
    """The load generator as the options name it; without a name it is our own, but for the profile
    original, which JMeter runs where it is installed.

    Raises:
        UsageError: JMeter or its Java is missing, or an option does not go with the tool.
    """
    wanted = name is None and workload is not None and workload.profile == ORIGINAL
    if wanted and (jmeter or remote or _is_installed()):
        name = JMETER
    if name in (OWN, None):
        given = [option for option, value in (("--jmeter", jmeter), ("--remote", remote)) if value]
        if given:
            raise UsageError(f"{given[0]} is for JMeter; add --load-tool jmeter.")
        return LoadTool(stands_in=wanted)
    hosts = tuple(host.strip() for host in (remote or "").split(",") if host.strip())
    return LoadTool(find_jmeter(jmeter), hosts)


def _is_installed() -> bool:
    try:
        find_jmeter(None)
    except UsageError:
        return False
    return True


def load_tool_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--load-tool``, ``--jmeter`` and ``--remote``."""
    for option in reversed(
        (
            click.option(
                "--load-tool",
                type=click.Choice([OWN, JMETER]),
                help=f"What sends the requests.  [default: {OWN}; for --profile {ORIGINAL} "
                f"{JMETER} where it is installed]",
            ),
            click.option(
                "--jmeter",
                metavar="PATH",
                help="JMeter's folder or program.  [default: JMETER_HOME, else jmeter on the PATH]",
            ),
            click.option(
                "-R",
                "--remote",
                metavar="HOSTS",
                help="JMeter servers that share the users, by commas: host1,host2:1099",
            ),
        )
    ):
        function = option(function)
    return function
