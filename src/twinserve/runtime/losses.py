"""What could not be written down: serving goes on without it, and that is said once a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Losses:
    """Counts rows that the disk did not take; ``say`` gets one sentence a file."""

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        self._say = say
        self._count: Counter[str] = Counter()

    @contextmanager
    def counted(self, file: str) -> Iterator[None]:
        """Around the writing of one row of ``file``: a disk that is full costs the row alone."""
        try:
            yield
        except OSError as error:
            self._count[file] += 1
            if self._count[file] == 1:
                why = error.strerror or str(error)
                self._say(
                    f"{file} cannot be written ({why}); requests are served all the same, but rows "
                    f"will be missing."
                )

    def facts(self) -> dict[str, int]:
        """Rows by file."""
        return dict(self._count)
