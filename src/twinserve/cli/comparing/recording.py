"""Everything that a comparison writes while it runs: the manifest, which grows, and the rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from twinserve.errors import RecordError, TwinserveError
from twinserve.load.limits import LimitReached
from twinserve.load.sender import Clock
from twinserve.records.lines import not_written
from twinserve.records.manifest import Block, Manifest, RunState, write_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Sample, SampleWriter


class Recorder:
    """Writes one run down; as a context manager it notes how the run ended.

    ``listen`` gets every row as well. A disk that is full ends the run with a sentence of what to
    do; what was written until then stays readable.
    """

    def __init__(
        self,
        run: RunDirectory,
        manifest: Manifest,
        listen: Callable[[Sample], None] = lambda _: None,
    ) -> None:
        self.run = run
        self.manifest = manifest
        self._listen = listen
        self._samples: SampleWriter | None = None
        self.clock = Clock.start()
        self.answer_bytes = 0  # of the smallest answer

    def begin(self) -> None:
        """The clock starts; a second call changes nothing.

        Raises:
            RecordError: the directory cannot be written.
        """
        if self._samples is None:
            self.clock = Clock.start()
            self.manifest.started_epoch_ms = self.clock.started_epoch_ms
            self.save()
            try:
                self._samples = SampleWriter(self.run.samples)
            except OSError as error:
                raise not_written(self.run.path, error) from error

    def add(self, sample: Sample) -> None:
        """Write one row.

        Raises:
            RecordError: it does not fit on the disk.
        """
        assert self._samples is not None, "begin() comes first"  # noqa: S101 - our own order
        try:
            self._samples.add(sample)
        except OSError as error:
            raise not_written(self.run.path, error) from error
        if sample.success:
            self.answer_bytes = min(
                self.answer_bytes or sample.received_bytes, sample.received_bytes
            )
        self._listen(sample)

    def finished(self, block: Block) -> None:
        """Note a block that has ended; only such blocks are compared."""
        self.manifest.blocks.append(block)
        self.save()

    def save(self) -> None:
        """Write the manifest as it is now.

        Raises:
            RecordError: it does not fit on the disk; the one before stays.
        """
        try:
            write_manifest(self.run.manifest, self.manifest)
        except OSError as error:
            raise not_written(self.run.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._samples is not None:
            self._samples.close()
            state, detail = _state_of(error)
            self._end(state, detail.replace(str(self.run.path), "the run's directory"))

    def _end(self, state: RunState, detail: str) -> None:
        self.manifest.state, self.manifest.detail = state, detail
        self.manifest.finished_epoch_ms = time.time() * 1000
        try:
            self.save()
        except RecordError:
            if state is RunState.COMPLETE:  # else the reason why it ended is told already
                raise


def _state_of(error: BaseException | None) -> tuple[RunState, str]:
    if error is None:
        return RunState.COMPLETE, ""
    if isinstance(error, LimitReached):
        return RunState.INTERRUPTED, f"{str(error)[0].lower()}{str(error)[1:]}"
    if isinstance(error, TwinserveError):
        return RunState.FAILED, str(error)
    if isinstance(error, KeyboardInterrupt):
        return RunState.INTERRUPTED, "interrupted by the user"
    return RunState.FAILED, type(error).__name__
