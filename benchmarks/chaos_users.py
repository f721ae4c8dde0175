"""Users of a deployment, and the account of what each of their requests came to.

Every request has a connection of its own. None is left out of the account: it was answered with the
right picture, refused with an error that says why, cut off (the connection was refused or broken,
which the client notices), given up by its client, or lost: nothing came, or nothing right.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

SILENCE_S = 60.0
PAUSE_S = 0.1  # after anything but an answer
SEEDS = 8
MANY = 64  # pictures of a large answer
HEAD = (
    b"POST /generate HTTP/1.1\r\nHost: twinserve\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n"
)


class Outcome(StrEnum):
    ANSWERED = "answered"
    REFUSED = "refused"
    CUT_OFF = "cut off"
    LEFT = "left"
    LOST = "lost"


@dataclass
class Account:
    """What became of every request; ``why`` tells refusals by status, and each that was lost."""

    sent: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)

    def note(self, outcome: Outcome, why: str = "") -> None:
        self.outcomes[outcome] += 1
        if why:
            self.why[why] += 1

    def add(self, other: Account) -> None:
        self.sent += other.sent
        self.outcomes += other.outcomes
        self.why += other.why


@dataclass(frozen=True)
class Answer:
    """A whole answer; ``complete`` is False where it ended before its own length."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool


class Users:
    """A crowd that asks one address for pictures.

    A picture is right when it has the bytes of the first answer for its seed: generation is
    repeatable, so an answer may come from any instance.
    """

    def __init__(self, url: str, silence_s: float = SILENCE_S, seed: int = 7) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 0
        self._silence_s = silence_s
        self._random = random.Random(seed)  # noqa: S311 - moments, not secrets
        self._pictures: dict[bytes, bytes] = {}
        self._end = asyncio.Event()
        self.plain = Account()
        self.odd = Account()

    async def run(self, count: int, *odd: Callable[[], Awaitable[None]]) -> None:
        """``count`` users, of whom as many do as ``odd`` says, until :meth:`stop`; returns when
        each has the end of its last request."""
        plain = [self._keep_on(self.ask) for _ in range(count - len(odd))]
        await asyncio.gather(*plain, *(self._keep_on(each) for each in odd))

    def stop(self) -> None:
        self._end.set()

    async def answered(self, more: int) -> None:
        """Returns when so many more requests of plain users have been answered."""
        wanted = self.plain.outcomes[Outcome.ANSWERED] + more
        while self.plain.outcomes[Outcome.ANSWERED] < wanted:
            await asyncio.sleep(0.01)

    async def _keep_on(self, ask: Callable[[], Awaitable[None]]) -> None:
        while not self._end.is_set():
            await ask()

    # What a user may do

    async def ask(self) -> None:
        """As users do: send, read, look at the picture."""
        await self._timed(self.plain, self._asked(self._request()))

    async def drip(self) -> None:
        """Send the request in pieces over more than a second."""
        request = self._request()
        await self._timed(self.odd, self._asked(request, pieces=12, pause_s=0.1))

    async def sip(self) -> None:
        """Ask for much, and read it a little at a time."""
        await self._timed(self.odd, self._asked(self._large(), sip=True))

    async def starve(self) -> None:
        """Begin a request, and never end it."""
        await self._timed(self.odd, self._asked(self._request()[:-5]))

    async def ignore(self) -> None:
        """Ask for more than fits into buffers, take nothing, and wait for the connection's end."""
        await self._timed(self.odd, self._ignored())

    async def leave(self) -> None:
        """Go away at any moment, half of the time with a reset."""
        reader, writer = await self._opened()
        self.odd.sent += 1
        request = self._request()
        moment = self._random.random()
        with suppress(ConnectionError):
            writer.write(request[: len(request) // 2] if moment < 0.2 else request)
            await asyncio.sleep(moment * 0.5)
            if moment > 0.8:
                await reader.read(100)
        if moment * 10 % 1 < 0.5:
            _reset_at_close(writer)
        writer.close()
        self.odd.note(Outcome.LEFT)

    # How it is done

    async def _timed(self, account: Account, asking: Awaitable[tuple[Outcome, str]]) -> None:
        account.sent += 1
        try:
            async with asyncio.timeout(self._silence_s):
                outcome, why = await asking
        except TimeoutError:
            outcome, why = Outcome.LOST, f"silence for {self._silence_s:g} s"
        except ConnectionRefusedError:
            outcome, why = Outcome.CUT_OFF, "connection refused"
        except (ConnectionError, EOFError):
            outcome, why = Outcome.CUT_OFF, "connection broken"
        account.note(outcome, why)
        if outcome is not Outcome.ANSWERED:
            await asyncio.sleep(PAUSE_S)

    async def _asked(
        self, request: bytes, *, pieces: int = 1, pause_s: float = 0.0, sip: bool = False
    ) -> tuple[Outcome, str]:
        reader, writer = await self._opened(small=sip)
        try:
            size = -(-len(request) // pieces)
            for begin in range(0, len(request), size):
                writer.write(request[begin : begin + size])
                await writer.drain()
                await asyncio.sleep(pause_s)
            return self._judged(request, await _answer(reader, sip=sip))
        finally:
            writer.transport.abort()

    async def _ignored(self) -> tuple[Outcome, str]:
        """The kernel tells of the connection's end also to who does not read."""
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(client, (self._host, self._port))
            await loop.sock_sendall(client, self._large())
            while not client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                await asyncio.sleep(0.05)
        return Outcome.CUT_OFF, "took nothing"

    def _judged(self, request: bytes, answer: Answer) -> tuple[Outcome, str]:
        if not answer.complete:
            return Outcome.CUT_OFF, "half an answer"
        if answer.status != 200:
            explained = _explains_itself(answer)
            said = f"{answer.status}{'' if explained else ' without a reason'}"
            return (Outcome.REFUSED if explained else Outcome.LOST), said
        asked = request.partition(b"\r\n\r\n")[2]
        if b"num_images" in asked:
            right = len(json.loads(answer.body)["images"]) == MANY
        else:
            right = self._pictures.setdefault(asked, answer.body) == answer.body
        return (Outcome.ANSWERED, "") if right else (Outcome.LOST, "a wrong picture")

    def _request(self) -> bytes:
        body = b'{"seed": %d}' % self._random.randrange(SEEDS)
        return HEAD % (b"image/png", len(body)) + body

    def _large(self) -> bytes:
        body = b'{"seed": 1, "num_images": %d, "layout": "both"}' % MANY
        return HEAD % (b"application/json", len(body)) + body

    async def _opened(
        self, *, small: bool = False
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        client = socket.socket()
        client.setblocking(False)
        if small:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(client, (self._host, self._port))
        except BaseException:
            client.close()
            raise
        return await asyncio.open_connection(sock=client, limit=1 << 16)


async def _answer(reader: asyncio.StreamReader, *, sip: bool) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = bytearray()
    while piece := await reader.read(1024 if sip and len(body) < 65536 else 1 << 16):
        body += piece
        if sip and len(body) < 65536:
            await asyncio.sleep(0.02)
    length = int(headers.get("content-length", -1))
    return Answer(int(first.split()[1]), headers, bytes(body), len(body) == length)


def _explains_itself(answer: Answer) -> bool:
    """Whether an error says why, and one that may be tried again when."""
    if answer.headers.get("content-type") != "application/problem+json":
        return False
    again = answer.status not in (429, 503) or answer.headers.get("retry-after", "").isdecimal()
    return again and bool(json.loads(answer.body).get("detail"))


def _reset_at_close(writer: asyncio.StreamWriter) -> None:
    """SO_LINGER with 0 s: a reset instead of an orderly end."""
    client = writer.get_extra_info("socket")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
