"""The same work on many things, on several CPUs: results in order, a few at a time in memory.

Meant for work that PyTorch, NumPy or OpenVINO do outside Python's lock, each on one thread: threads
that share a small product wait for each other more than they compute, most of all on a busy
machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_order(work: Callable[[Item], Made], items: Iterable[Item], threads: int) -> Iterator[Made]:
    """``work`` of each item, on ``threads`` threads; at most one result a thread waits to be taken.

    Items are drawn in order, by the calling thread.
    """
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[Made]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
