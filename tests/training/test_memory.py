from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from twinserve.training.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        np.full(16 << 20, 1, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(16)  # until the heap has grown to what a step needs
print(faults(4))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc's malloc")
def test_memory_that_was_freed_is_not_mapped_again() -> None:
    asked_again, kept = (_page_faults(word) for word in ("given back", "kept"))
    assert kept < asked_again / 10


def _page_faults(word: str) -> int:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, check=True
    )
    return int(ended.stdout)
