"""Clients that take their answers slowly, or not at all."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from aiohttp import ClientSession as Session

from twinserve.runtime.gateway import Gateway
from twinserve.runtime.patience import Patience


def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(through_gateway: Any) -> None:
    async def work(_: Session, gateway: Gateway) -> Any:
        with socket.create_connection(gateway._runner.addresses[0]) as client:
            client.sendall(b"GET /chunked?400 HTTP/1.1\r\nHost: x\r\n\r\n")  # 28 MB
            while not (gateway.status()["requests"]["broken"]):
                await asyncio.sleep(0.01)
        while gateway.status()["in_flight"]:  # it was still at work
            await asyncio.sleep(0.01)
        return gateway.status()["requests"], gateway.status()["in_flight"]

    requests, in_flight = through_gateway(work, patience=Patience(taken_s=0.3))
    assert (requests["broken"], requests["left"], requests["here"], in_flight) == (1, 0, 0, 0)


def test_a_client_that_takes_its_answer_slowly_gets_it_whole(through_gateway: Any) -> None:
    async def work(_: Session, gateway: Gateway) -> int:
        host, port = gateway._runner.addresses[0]
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 16)
        writer.write(b"GET /chunked?150 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        taken = 0
        while piece := await reader.read(1 << 20):
            taken += len(piece)
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        return taken

    assert through_gateway(work, patience=Patience(taken_s=0.3)) > 150 * 70_000


def test_a_slow_reader_does_not_keep_the_instance(through_gateway: Any) -> None:
    """3 MB wait in the gateway; the instance, which takes one request at a time, is free."""

    async def work(session: Session, gateway: Gateway) -> int:
        host, port = gateway._runner.addresses[0]
        reader, writer = await asyncio.open_connection(host, port, limit=1000)
        writer.write(b"GET /chunked?43 HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.read(100)
        async with session.get("/") as answer:
            status = answer.status
        writer.close()
        return status

    assert through_gateway(work, concurrency=1) == 200
