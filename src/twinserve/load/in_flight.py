"""How many requests of an open loop may wait for their answers at a time."""

from __future__ import annotations

import heapq
from contextlib import suppress

# A gateway keeps 1,000 waiting and refuses the rest, so that twice as many mean that nothing comes
# back any more.
MOST_IN_FLIGHT = 2000
OTHER_FILES = 256  # of this process: logs, the event loop, the gateways' pipes


def most_in_flight() -> int:
    """The documented limit, or less where the system lets a process open fewer connections; the
    soft limit of open files is raised to what is needed."""
    try:
        import resource
    except ImportError:  # no POSIX
        return MOST_IN_FLIGHT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_IN_FLIGHT + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    if soft == resource.RLIM_INFINITY:
        return MOST_IN_FLIGHT
    return max(1, min(MOST_IN_FLIGHT, soft - OTHER_FILES))


class InFlight:
    """Numbers the requests that are on their way, the lowest free number first, so that each number
    stands for one "user" whose requests do not overlap, as a JMeter thread does."""

    def __init__(self) -> None:
        self.count = 0
        self._free: list[int] = []
        self._next = 0

    def take(self) -> int:
        self.count += 1
        if self._free:
            return heapq.heappop(self._free)
        self._next += 1
        return self._next - 1

    def give_back(self, number: int) -> None:
        self.count -= 1
        heapq.heappush(self._free, number)
