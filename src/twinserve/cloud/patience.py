"""How long calls are waited for and repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FIRST_POLLS = 8  # so many times shorter is the first pause between two looks


@dataclass(frozen=True)
class Patience:
    """Seconds: between two looks at something that is going on, before a call is first repeated,
    at most between two repeats, all repeats of one call together, and until something is ready."""

    poll_s: float = 2.0
    backoff_s: float = 1.0
    backoff_most_s: float = 30.0
    repeat_s: float = 120.0
    ready_s: float = 900.0
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def looks(self, within_s: float | None = None) -> Iterator[float]:
        """Seconds waited so far, again and again with a pause between, until they are over.

        The first pauses are shorter: what is quick need not be waited for.
        """
        begun, most_s = self.now(), self.ready_s if within_s is None else within_s
        pause_s = self.poll_s / FIRST_POLLS
        while (waited_s := self.now() - begun) <= most_s:
            yield waited_s
            self.pause(pause_s)
            pause_s = min(pause_s * 2, self.poll_s)

    def pauses(self) -> Iterator[float]:
        """Before each try of a call, how long to pause: not at all, then ever longer, until the
        time for repeats is used up."""
        yield 0.0
        begun, pause_s = self.now(), self.backoff_s
        while self.now() - begun + pause_s <= self.repeat_s:
            yield pause_s
            pause_s = min(pause_s * 2, self.backoff_most_s)
