"""Ready-made workloads, and how a user's own numbers change them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import msgspec

from twinserve.errors import UsageError
from twinserve.workload.description import (
    Arrivals,
    Bursts,
    ClosedLoop,
    Constant,
    Day,
    Poisson,
    Trace,
    Workload,
)
from twinserve.workload.file import read_workload
from twinserve.workload.limits import LEAST_BLOCK_S, impossible

ORIGINAL = "original"
# Each is a file of `ready/`, which serves as an example as well.
PROFILES = ("quick", "long", ORIGINAL, "cold", "burst")
# Ten blocks a side is the least that carries a verdict on p95 (docs/method.md).
LEAST_BLOCKS = 10

Kind = Literal["closed", "constant", "poisson"]


def profile_path(name: str) -> Path:
    """The file of a ready-made workload."""
    return Path(str(files("twinserve.workload") / "ready" / f"{name}.toml"))


@cache
def profile(name: str) -> Workload:
    return read_workload(profile_path(name))


def workload_of(
    profile_name: str,
    users: int | None = None,
    duration_s: float | None = None,
    images: int | None = None,
    seed: int | None = None,
) -> Workload:
    """A profile with some of its numbers replaced; see :func:`changed`."""
    return changed(
        profile(profile_name), users=users, duration_s=duration_s, images=images, seed=seed
    )


def changed(
    workload: Workload,
    *,
    kind: Kind | None = None,
    users: int | None = None,
    rate_rps: float | None = None,
    duration_s: float | None = None,
    images: int | None = None,
    seed: int | None = None,
    sides: int = 2,
) -> Workload:
    """A workload with some of its numbers replaced.

    A rate alone turns a closed loop into Poisson arrivals; ``duration_s`` is the load of all
    ``sides`` and repeats together, the warm-up not counted.

    Raises:
        UsageError: the numbers do not go together, or with the workload.
    """
    changes: dict[str, Any] = {"arrivals": _arrivals(workload.arrivals, kind, users, rate_rps)}
    if images is not None:
        changes["mix"] = (msgspec.structs.replace(_only_ask(workload), images=images),)
    if seed is not None:
        changes["seed"] = seed
    if duration_s is not None:
        changes["block_s"] = _block_s(workload, duration_s, sides)
    asked = msgspec.structs.replace(workload, **changes)
    if found := impossible(asked):
        raise UsageError(f"These numbers do not fit {asked.profile!r}: {found.key} {found.said}")
    return asked


def load_seconds(workload: Workload, sides: int = 2) -> float:
    """How long the load takes: warm-up, ramps and blocks of all sides and repeats together."""
    together = 1 if workload.concurrent else sides
    ramps_s = workload.ramp_s * (workload.blocks + bool(workload.warmup_s))
    a_side_s = workload.warmup_s + ramps_s + workload.blocks * workload.block_s
    return workload.repeats * together * a_side_s


def fit_users(workload: Workload, request_s: float, at_a_time: float) -> tuple[Workload, str]:
    """As many of a closed loop's users as this machine serves in time, and a sentence on it.

    ``request_s`` is the measured time of one request alone, ``at_a_time`` how many the machine
    works on at a time. With N users a request takes N * request_s / at_a_time (the response time
    law of a saturated closed loop without think time; Denning and Buzen 1978); that is kept at
    half of the 10 s after which a full platform refuses.
    """
    wanted = workload.users
    wait_s = wanted * request_s / at_a_time
    users = max(2, min(wanted, int(WAIT_S * at_a_time / request_s)))
    measured = (
        f"a request alone takes {1000 * request_s:.0f} ms and this machine works on "
        f"{at_a_time:g} at a time"
    )
    if users >= wanted:
        return workload, f"All {wanted} users are run: {measured}, so they wait {wait_s:.1f} s."
    arrivals = msgspec.structs.replace(workload.arrivals, users=users)
    said = (
        f"{users} users stand for the {wanted} of the profile: {measured}, so {wanted} would wait "
        f"{wait_s:.0f} s each, and a full platform refuses after 10 s."
    )
    return msgspec.structs.replace(workload, arrivals=arrivals), said


WAIT_S = 5.0


def _arrivals(
    arrivals: Arrivals, kind: Kind | None, users: int | None, rate_rps: float | None
) -> Arrivals:
    if users is not None and rate_rps is not None:
        raise UsageError(
            f"--users {users} and --rate {rate_rps:g} exclude each other: users wait for their "
            f"answers (a closed loop), a rate does not (an open loop). Leave one out."
        )
    if rate_rps is not None or kind in ("constant", "poisson"):
        return _open(arrivals, kind, rate_rps, users)
    if users is None:
        return arrivals if kind is None or isinstance(arrivals, ClosedLoop) else _no_users()
    if isinstance(arrivals, ClosedLoop):
        return msgspec.structs.replace(arrivals, users=users)
    if kind == "closed":
        return ClosedLoop(users=users)
    raise UsageError(
        f"--users is {users}, and this workload is an open loop, which has none; give --rate, or "
        f"--arrivals closed."
    )


def _no_users() -> Arrivals:
    raise UsageError("--arrivals closed needs --users: this workload is an open loop.")


def _open(
    arrivals: Arrivals, kind: Kind | None, rate_rps: float | None, users: int | None
) -> Arrivals:
    if users is not None:
        raise UsageError(f"--arrivals {kind} has no users; give --rate in place of --users.")
    if kind == "closed":
        raise UsageError("--arrivals closed has no rate; give --users in place of --rate.")
    if rate_rps is None:
        if isinstance(arrivals, ClosedLoop | Trace | Bursts):
            raise UsageError(f"--arrivals {kind} needs --rate, e.g. --rate 5.")
        rate_rps = arrivals.rate_rps
    if kind is None and isinstance(arrivals, Constant | Day):
        return msgspec.structs.replace(arrivals, rate_rps=rate_rps)
    if kind is None and isinstance(arrivals, Bursts | Trace):
        raise UsageError(
            "--rate does not say what becomes of the bursts or the trace; change the workload's "
            "file, or give --arrivals poisson."
        )
    return Constant(rate_rps=rate_rps) if kind == "constant" else Poisson(rate_rps=rate_rps)


def _only_ask(workload: Workload) -> Any:
    if len(workload.mix) > 1 or workload.mix[0].samples:
        raise UsageError(
            "--images is for a workload with one kind of request and no samples of its own; change "
            "the mix in its file."
        )
    return workload.mix[0]


def _block_s(workload: Workload, duration_s: float, sides: int) -> float:
    blocks = workload.blocks * workload.repeats
    together = 1 if workload.concurrent else sides
    block_s = duration_s / (together * blocks)
    if block_s < LEAST_BLOCK_S:
        least_s = together * blocks * LEAST_BLOCK_S
        raise UsageError(
            f"--duration is {duration_s:g} s; {blocks} blocks a side need at least {least_s:g} s."
        )
    return block_s
