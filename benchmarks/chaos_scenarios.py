"""The scenarios of chaos, and how one is played: users ask, something dies, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import chaos_faults as faults
from chaos_means import engine_service, small_disk
from chaos_place import MEMORY_MIB, PATIENCE, Failed, Place, Skipped
from chaos_users import Account, Outcome, Users

from twinserve.runtime.patience import Patience

Odd = Callable[[Users], Sequence[Callable[[], Awaitable[None]]]]


@dataclass(frozen=True)
class Scenario:
    """``fault`` is done while users ask, of whom some are ``odd``; ``around`` is there before the
    platform starts. ``gateway_dies``: then, and only then, may a connection break. ``patience`` is
    the gateway's own where its minutes need not be waited for."""

    name: str
    fault: Callable[[Place, Users], Awaitable[str]]
    odd: Odd = lambda _: ()
    around: Callable[[Place], AbstractContextManager[None]] = lambda _: nullcontext()
    memory_mib: int = MEMORY_MIB
    patience: Patience = PATIENCE
    gateway_dies: bool = False


@dataclass(frozen=True)
class Row:
    """What one scenario came to; ``problems`` are reasons why the promise does not hold."""

    scenario: str
    runner: str
    account: Account = field(default_factory=Account)
    seen: str = ""
    skipped: str = ""
    problems: tuple[str, ...] = ()

    def count(self, outcome: Outcome) -> int:
        return self.account.outcomes[outcome]


def _slow(users: Users) -> list[Callable[[], Awaitable[None]]]:
    return [*(users.drip,) * 3, *(users.sip,) * 3, *(users.starve,) * 2, *(users.ignore,) * 2]


def _leaving(users: Users) -> list[Callable[[], Awaitable[None]]]:
    return [users.leave] * faults.ODD_USERS


SCENARIOS = {
    each.name: each
    for each in (
        Scenario("kill", faults.kill),
        Scenario("out-of-memory", faults.out_of_memory, memory_mib=256),
        Scenario("hang", faults.hang, patience=Patience(answer_s=5)),
        Scenario(
            "slow-client",
            faults.slow_clients,
            odd=_slow,
            patience=Patience(request_s=2, taken_s=2),
        ),
        Scenario("disconnect", faults.clients_that_leave, odd=_leaving),
        Scenario("restart", faults.restart, gateway_dies=True),
        Scenario("socket-gone", faults.socket_gone, around=engine_service),
        Scenario("disk-full", faults.disk_full, around=lambda place: small_disk(place.folder)),
    )
}


async def play(scenario: Scenario, place: Place, users_count: int, silence_s: float) -> Row:
    """Play one scenario at a place that has not been opened."""
    place.memory_mib, place.patience = scenario.memory_mib, scenario.patience
    runner = place.choice.name
    try:
        with scenario.around(place), place:
            return await _played(scenario, place, users_count, silence_s)
    except Skipped as reason:
        return Row(scenario.name, runner, skipped=str(reason))


async def _played(scenario: Scenario, place: Place, users_count: int, silence_s: float) -> Row:
    await place.ready(2)
    users = Users(place.url, silence_s)
    crowd = asyncio.create_task(users.run(users_count, *scenario.odd(users)))
    fault = asyncio.create_task(scenario.fault(place, users))
    await asyncio.wait({crowd, fault}, timeout=place.give_up_s, return_when="FIRST_COMPLETED")
    users.stop()
    fault.cancel()
    await crowd
    problems, seen = [], ""
    try:
        seen = await fault
    except Failed as failure:
        problems.append(str(failure))
    except asyncio.CancelledError:
        problems.append(f"no end after {place.give_up_s:g} s")
    account = Account()
    for each in (users.plain, users.odd):
        account.add(each)
    problems += _problems(scenario, users, await place.settled())
    return Row(scenario.name, place.choice.name, account, seen, problems=tuple(problems))


def _problems(scenario: Scenario, users: Users, status: Any) -> list[str]:
    """Where the promise does not hold, or the gateway's own account is another one."""
    found = []
    plain, odd = users.plain, users.odd
    for account in (plain, odd):
        if lost := account.outcomes[Outcome.LOST]:
            found.append(f"{lost} lost: {dict(account.why)}")
        if account.sent != account.outcomes.total():
            found.append(f"{account.sent} sent, but {account.outcomes.total()} accounted for")
    if (cut := plain.outcomes[Outcome.CUT_OFF]) and not scenario.gateway_dies:
        found.append(f"{cut} requests of plain users were cut off: {dict(plain.why)}")
    requests = status["requests"]
    if not scenario.gateway_dies:
        answered = plain.outcomes[Outcome.ANSWERED] + odd.outcomes[Outcome.ANSWERED]
        if requests["answers"].get("200", 0) < answered:
            found.append(f"{answered} answered, of which the gateway knows {requests['answers']}")
        if not odd.sent and requests["came"] != plain.sent:
            found.append(f"{plain.sent} sent, of which the gateway saw {requests['came']}")
    return found
