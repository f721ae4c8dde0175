"""Waking up on time: an event loop rounds its waits up to whole milliseconds, a load generator must
not."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from contextlib import suppress
from typing import Self

CLOCK_MONOTONIC = 1
TFD_NONBLOCK = os.O_NONBLOCK
TFD_TIMER_ABSTIME = 1
# A processor that has gone to sleep takes about so long to come back: the timer rings so much
# before the moment, and the rest is passed by letting others run.
EARLY_S = 0.0003
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class _Spec(ctypes.Structure):
    """``struct itimerspec``: no interval, one moment."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Timer:
    """Sleeps until a moment of the monotonic clock: by a ``timerfd`` where there is one (Linux),
    else by the loop, up to 1 ms late. One sleeper at a time; use it as a context manager."""

    def __enter__(self) -> Self:
        self._fd = _libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK) if _libc else -1
        self._rings: asyncio.Future[None] | None = None
        if self._fd >= 0:
            asyncio.get_running_loop().add_reader(self._fd, self._ring)
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)

    async def until(self, moment_s: float) -> None:
        """Return at ``moment_s`` of :func:`time.monotonic`; a moment that is past lets others run
        and returns."""
        left_s = moment_s - time.monotonic()
        if left_s <= 0:
            await asyncio.sleep(0)
        elif self._set(moment_s - EARLY_S):
            self._rings = asyncio.get_running_loop().create_future()
            await self._rings
            while time.monotonic() < moment_s:
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(left_s)

    def _set(self, moment_s: float) -> bool:
        if _libc is None or self._fd < 0:
            return False
        seconds, rest_s = divmod(moment_s, 1)
        spec = _Spec(0, 0, int(seconds), max(int(rest_s * 1e9), 1))
        return not _libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, ctypes.byref(spec), None)

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it was set anew before we were called
            os.read(self._fd, 8)
        if self._rings is not None and not self._rings.done():
            self._rings.set_result(None)
