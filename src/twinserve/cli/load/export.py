"""``twinserve load export``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from twinserve.cli.workload import WorkloadOptions, chosen_workload, format_long, workload_options
from twinserve.errors import UsageError
from twinserve.load.jmeter_plan import shared_users, whole_seconds, write_plan
from twinserve.load.locust_file import TOKEN_VARIABLE, write_locustfile
from twinserve.load.one_load import JMX, LOCUST, check_exportable, one_load
from twinserve.load.remote import Service, check_secrecy, checked_url
from twinserve.workload import Workload

TOKEN_PROPERTY = "token"  # noqa: S105 - JMeter's -Gtoken=…


@click.command(
    epilog="Example: twinserve load export --format locust --url https://HOST --out load.py"
)
@click.option(
    "--format",
    "kind",
    type=click.Choice([JMX, LOCUST]),
    required=True,
    help="A JMeter test plan, or a locustfile.",
)
@click.option("--url", required=True, metavar="URL", help="The service that is to be loaded.")
@click.option(
    "--side",
    default="service",
    show_default=True,
    metavar="NAME",
    help="What its rows are called: they are labelled 'NAME generate' and 'NAME warm-up'.",
)
@workload_options
@click.option(
    "--hosts",
    type=click.IntRange(1),
    help="With jmx: how many JMeter hosts share the users.  [default: 1]",
)
@click.option(
    "--with-token",
    is_flag=True,
    help="Requests carry a bearer token, which each machine is given when it starts; it is never "
    "written down.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write; a file of that name is replaced.",
)
def command(
    kind: str,
    url: str,
    side: str,
    asked: WorkloadOptions,
    hosts: int | None,
    with_token: bool,
    out: Path,
) -> None:
    """Write a workload for JMeter's or Locust's machines.

    The file holds one load of one service: the warm-up, then the length of all blocks of a side.
    Export it once a service, run both one after the other, and bring the rows of all machines back
    with `twinserve import-jtl`. Sends nothing.
    """
    service = _service(url, side, with_token)
    workload = one_load(chosen_workload(asked, sides=1))
    check_exportable(workload, kind)
    if kind == LOCUST:
        if hosts is not None:
            raise UsageError("--hosts is for jmx: Locust shares the users among its workers.")
        _write(out, write_locustfile(service.url, side, workload, with_token).encode())
    else:
        workload = whole_seconds(workload)
        users = shared_users(workload.users, hosts or 1)
        _write(out, write_plan({side: service.url}, workload, users, _headers(with_token)))
    for line in _said(kind, out, side, workload, hosts or 1, with_token):
        click.echo(line)


def _service(url: str, side: str, with_token: bool) -> Service:
    if not side.strip() or not side.isprintable() or "," in side:
        raise UsageError(f"--side is {side!r}; write a name without commas, such as container.")
    headers = _headers(with_token)
    service = Service(side, checked_url(side, url), headers=headers)
    check_secrecy(service)
    return service


def _headers(with_token: bool) -> dict[str, str]:
    """What JMeter puts the token's value into, when it sends."""
    return {"Authorization": f"Bearer ${{__P({TOKEN_PROPERTY})}}"} if with_token else {}


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); name another with --out."
        ) from error


def _said(
    kind: str, out: Path, side: str, workload: Workload, hosts: int, with_token: bool
) -> Iterator[str]:
    """What was written, and the commands that run it."""
    warmup_s = workload.warmup_s + workload.ramp_s
    yield (
        f"Wrote {out}: {workload.users} users for {format_long(workload.block_s)}, after "
        f"{format_long(warmup_s)} of warm-up. Who owns the service pays for what it is sent."
    )
    yield from (
        _locust_said(out, with_token) if kind == LOCUST else _jmeter_said(out, hosts, with_token)
    )
    yield (
        "Bring the rows back by `twinserve import-jtl`, of each side with --label "
        f"{shlex.quote(f'{side} generate')} and one --side {shlex.quote(f'{side}=FILE')} a file."
    )


def _locust_said(out: Path, with_token: bool) -> Iterator[str]:
    token = f"{TOKEN_VARIABLE}=… " if with_token else ""
    yield f"Run it here:     {token}locust -f {out} --headless"
    yield f"On more workers: locust -f {out} --headless --master --expect-workers N"
    yield f"  on each:       {token}locust -f {out} --worker --master-host MASTER"


def _jmeter_said(out: Path, hosts: int, with_token: bool) -> Iterator[str]:
    """A token goes by a file, since anybody on the machine can read a command line."""
    remote = " -R HOST1,HOST2" if hosts > 1 else ""
    option = "-G" if hosts > 1 else "-q"
    yield f"Run it: jmeter -n -t {out} -l rows.csv{remote}" + (
        f" {option} token.properties" if with_token else ""
    )
    if with_token:
        yield f"token.properties is a file of one line, {TOKEN_PROPERTY}=…, that only you can read."
