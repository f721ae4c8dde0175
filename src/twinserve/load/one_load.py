"""A workload as one load of one service, for load generators on other machines: pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from twinserve.errors import UsageError
from twinserve.load.jmeter_plan import in_the_way
from twinserve.workload import Workload

JMX, LOCUST = "jmx", "locust"


def one_load(workload: Workload) -> Workload:
    """All blocks of one side without a gap, since nobody alternates between sides there."""
    return msgspec.structs.replace(
        workload, blocks=1, block_s=workload.blocks * workload.block_s, concurrent=False
    )


def check_exportable(workload: Workload, format: str) -> None:  # noqa: A002 - as the option says
    """Returns if the format can say this workload (a result of :func:`one_load`).

    Raises:
        UsageError: it cannot; the message names what is in the way.
    """
    if workload.is_open and format == LOCUST:
        raise UsageError(
            f"The workload {workload.profile!r} cannot be exported as locust: its requests are due "
            f"whether earlier ones are answered or not, and Locust's users wait for their answers: "
            f"a slow service would get fewer requests and look better than it is. Take a closed "
            f"loop (--arrivals closed --users N), or let twinserve compare send it."
        )
    for what in _obstacles(workload, format):
        raise UsageError(
            f"The workload {workload.profile!r} cannot be exported as {format}: {what}. Take "
            f"another --profile or --workload, or let twinserve compare send it."
        )


def _obstacles(workload: Workload, format: str) -> Iterator[str]:  # noqa: A002
    if workload.repeats > 1:
        yield "the services are started anew for each of its repeats"
    if workload.cold:
        yield "it waits for deployments without an instance"
    if format == JMX:
        yield from in_the_way(workload)
