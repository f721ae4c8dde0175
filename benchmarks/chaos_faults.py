"""What can go wrong, done for real: each fault is a coroutine that works on a place as users ask.

It returns, in a sentence, what was seen of the fault; :class:`Failed` says that it did not show, or
that the platform did not get over it.
"""

from __future__ import annotations

import asyncio
import signal
from urllib.parse import urlsplit

import psutil
from chaos_means import (
    eating,
    full_disk,
    limited_memory,
    out_of_memory_kills,
    rows_of,
)
from chaos_place import Failed, Place, busiest, processes, until
from chaos_users import Outcome, Users

CALM = 30  # answers before a fault, and after it
ODD_USERS = 10


async def kill(place: Place, users: Users) -> str:
    """SIGKILL to the first process of a busy instance, then to the worker of another one."""
    seen = []
    for victim in ("first process", "worker"):
        await users.answered(CALM)
        instance = busiest(await place.ready(2))
        leader, worker, *_ = processes(instance)
        (leader if victim == "first process" else worker).kill()
        await place.gone(instance["name"])
        seen.append(f"{victim} of {instance['name']} ({place.killed(instance['name'])})")
    await place.ready(2)
    await users.answered(CALM)
    again = (await place.status())["requests"]["retried"]
    return f"killed: {', '.join(seen)}; {again} requests were sent again, elsewhere"


async def out_of_memory(place: Place, users: Users) -> str:
    """Fill the memory that a busy instance may have, until the kernel ends its worker."""
    await users.answered(CALM)
    instance = busiest(await place.ready(2))
    leader, worker, *_ = processes(instance)
    before = out_of_memory_kills()
    with limited_memory(place, [leader, worker]) as group, eating(group, worker.pid):
        await place.gone(instance["name"])
    if out_of_memory_kills() == before:
        raise Failed("the kernel counted no out-of-memory kill")
    await place.ready(2)
    await users.answered(CALM)
    return f"the kernel ended the worker of {instance['name']}: {place.killed(instance['name'])}"


async def hang(place: Place, users: Users) -> str:
    """SIGSTOP to every process of a busy instance: it keeps its connections and says nothing."""
    await users.answered(CALM)
    instance = busiest(await place.ready(2))
    for process in processes(instance):
        process.send_signal(signal.SIGSTOP)
    await place.gone(instance["name"])
    await place.ready(2)
    await users.answered(CALM)
    [stop] = [e.detail for e in place.events(instance["name"]) if e.event == "stop"]
    return f"{instance['name']} stood still and was replaced: {stop}"


async def slow_clients(place: Place, users: Users) -> str:
    """The odd users are the fault: slow to send or never done, slow to read or not reading."""
    odd = users.odd
    await until(lambda: odd.outcomes[Outcome.CUT_OFF] >= 2 and odd.outcomes[Outcome.REFUSED] >= 2)
    await until(lambda: odd.outcomes[Outcome.ANSWERED] >= ODD_USERS)
    await users.answered(CALM)
    broken = (await place.status())["requests"]["broken"]
    if not broken:
        raise Failed("the gateway cut nobody off")
    return (
        f"{ODD_USERS} of the users are slow: {odd.outcomes[Outcome.ANSWERED]} of their requests "
        f"were answered, {odd.why['408']} never came to their end (408), {broken} answers were "
        f"not taken (cut off)"
    )


async def clients_that_leave(place: Place, users: Users) -> str:
    """The odd users are the fault: they go away at any moment, half of them with a reset."""
    await until(lambda: users.odd.outcomes[Outcome.LEFT] >= 5 * ODD_USERS)
    await users.answered(CALM)
    left = (await place.status())["requests"]["left"]
    if not left:
        raise Failed("the gateway noticed no client that left")
    return f"{ODD_USERS} of the users leave at any moment; the gateway noticed {left}"


async def restart(place: Place, users: Users) -> str:
    """SIGKILL to gateway and supervisor while instances live, and a new start on the same port."""
    await users.answered(CALM)
    old = [process for each in await place.ready(2) for process in processes(each)]
    supervisor = psutil.Process(place.platform.pid)
    supervisor.kill()
    await until(lambda: not _lives(supervisor))
    await asyncio.to_thread(place.open, urlsplit(place.url).port)
    left = [process.pid for process in old if _lives(process)]
    if left:
        raise Failed(f"instances of the killed gateway live on: {left}")
    await place.ready(2)
    await users.answered(CALM)
    said = " ".join(place.platform.notes) or "Its instances had ended with it."
    return f"gateway killed with 2 instances alive and started again on its port. {said}"


async def socket_gone(place: Place, users: Users) -> str:
    """End the engine's service and take its socket away; then both instances, one by one."""
    await users.answered(CALM)
    service = place.engine
    service.end()
    first = busiest(await place.ready(2))
    processes(first)[0].kill()
    await place.gone(first["name"])
    await users.answered(CALM)
    [second] = await place.ready(1)
    processes(second)[0].kill()
    before = users.plain.why["503"]
    await until(lambda: users.plain.why["503"] >= before + CALM)
    failure = (await place.status())["last_failure"]
    if service.url not in failure:
        raise Failed(f"the refusals do not name the socket: {failure}")
    service.begin()
    await place.ready(2)
    await users.answered(CALM)
    return (
        "served by the instance that lived; with none left 503, naming the socket; served "
        "again once it was back"
    )


async def disk_full(place: Place, users: Users) -> str:
    """Fill the file system of the run directory, and end an instance meanwhile."""
    await users.answered(CALM)
    files = ("resources.csv", "billing.csv")
    with full_disk(place.folder):
        instance = busiest(await place.ready(2))
        processes(instance)[0].kill()
        await until(lambda: _all_missed(place, files))
        await place.ready(2)
        await users.answered(CALM)
    before = {file: rows_of(place.folder / file) for file in files}
    await until(lambda: all(rows_of(place.folder / f) > n for f, n in before.items()))
    lost = (await place.status())["not_written"]
    news = place.platform.news()
    if len(news) != len(lost):
        raise Failed(f"not said once a file: {news}")
    counts = ", ".join(f"{file} {count}" for file, count in lost.items())
    return f"rows that could not be written: {counts}; said once a file; all others are readable"


async def _all_missed(place: Place, files: tuple[str, ...]) -> bool:
    return set((await place.status())["not_written"]) >= set(files)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
