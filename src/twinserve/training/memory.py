"""Memory that a step has freed stays with the process for the next one."""

from __future__ import annotations

import ctypes

# malloc.h of glibc
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep what is freed. Returns whether there was such a malloc.

    By default it maps every large tensor afresh and gives it back at once, so that each step pays
    for zeroing and mapping the same pages again: a third of the time at 128x128 on two cores.
    mallopt(3): no allocation by mmap, and -1 disables trimming. Other C libraries do without.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))
