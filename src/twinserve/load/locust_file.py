"""A workload as a locustfile, which Locust's workers run without Twinserve: pure."""

from __future__ import annotations

from importlib.resources import files
from pprint import pformat

from twinserve.load.closed_loop import FAILURE_PAUSE_S
from twinserve.load.sender import TIMEOUT_S
from twinserve.workload import Workload

TOKEN_VARIABLE = "TWINSERVE_TOKEN"  # noqa: S105 - a name, not a secret
# As our own sender and JMeter ask: a connection a request, and the answer as it is.
HEADERS = {
    "Content-Type": "application/json",
    "Connection": "close",
    "Accept-Encoding": "identity",
}


def write_locustfile(url: str, side: str, workload: Workload, with_token: bool = False) -> str:
    """The locustfile of one load (a result of ``one_load``) of the service at ``url``.

    ``side`` labels the rows. ``with_token``: each request carries the bearer token that the
    environment variable :data:`TOKEN_VARIABLE` holds where Locust runs.
    """
    template = files("twinserve.load").joinpath("locustfile.txt").read_text(encoding="utf-8")
    return template.replace("<title>", _title(side, workload)).replace(
        "<values>", "\n".join(_values(url, side, workload, with_token))
    )


def _title(side: str, workload: Workload) -> str:
    return f"The workload {workload.profile!r} for {side}."


def _values(url: str, side: str, workload: Workload, with_token: bool) -> list[str]:
    """The constants at the file's head, a line each."""
    mix = [(ask.images, ask.format, ask.weight, list(ask.bodies)) for ask in workload.mix]
    lines = [
        f"URL = {url!r}",
        f"USERS = {workload.users}",
        f"STARTS_A_S = {workload.users / workload.ramp_s if workload.ramp_s else workload.users!r}",
        f"WARMUP_S = {workload.warmup_s + workload.ramp_s!r}  # left out: other labels",
        f"LOAD_S = {workload.block_s!r}",
        f"THINK_S = {workload.think_s!r}",
        f"SEED = {workload.seed}",
        f"LABEL, WARMUP_LABEL = {f'{side} generate'!r}, {f'{side} warm-up'!r}",
        f"TIMEOUT_S, FAILURE_PAUSE_S = {TIMEOUT_S!r}, {FAILURE_PAUSE_S!r}",
        f"# images, format, weight, bodies\nMIX = {pformat(mix, width=96)}",
        f"HEADERS = {pformat(HEADERS, width=96)}",
    ]
    if with_token:
        lines.append(f'HEADERS["Authorization"] = f"Bearer {{os.environ[{TOKEN_VARIABLE!r}]}}"')
    return lines
