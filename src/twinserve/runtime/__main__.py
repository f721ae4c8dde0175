"""``python -m twinserve.runtime``: see :mod:`twinserve.runtime.supervisor`."""

from __future__ import annotations

import asyncio
import sys

from twinserve.errors import TwinserveError
from twinserve.runtime.supervisor import read_configuration, supervise


def main() -> int:
    """Supervise until told to end; returns the exit code."""
    try:
        asyncio.run(supervise(read_configuration(), _say))
    except TwinserveError as error:
        sys.stderr.write(f"twinserve: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"twinserve: {error}\n")
        return 1
    return 0


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
