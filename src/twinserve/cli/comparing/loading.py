"""One repeat of a comparison: equality, warm-up and blocks, written down as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import uvloop

from twinserve.cli.comparing.recording import Recorder
from twinserve.cli.comparing.stopping import Stop
from twinserve.cli.comparing.watching import NOTHING_HERE, Watch
from twinserve.cli.load_tool import LoadTool
from twinserve.cli.progress import Meter, progress
from twinserve.cli.workload import fitted_to_host, is_fitted_to_host
from twinserve.load.ceiling import measure_ceiling
from twinserve.load.equality import check_equality
from twinserve.load.experiment import Experiment
from twinserve.load.host_watch import HostWatch
from twinserve.load.jmeter import JMeterExperiment
from twinserve.load.jmeter_ceiling import measure_jmeter_ceiling
from twinserve.load.sender import Outcome, Sender
from twinserve.records.manifest import Block, EqualityResult
from twinserve.records.samples import Sample
from twinserve.workload import Workload

T = TypeVar("T")


@dataclass(frozen=True)
class Loading:
    """What all repeats of one comparison share.

    ``sender`` sends the requests, ``least_psnr_db`` is how near images must be that are
    not equal (None: they must be), ``local`` whether the sides run on this machine, so that it
    decides how many users they can serve.
    """

    recorder: Recorder
    tool: LoadTool
    sender: Sender
    least_psnr_db: float | None = None
    stop: Stop | None = None
    local: bool = True

    @property
    def workload(self) -> Workload:
        return self.recorder.manifest.workload


def load_repeat(
    loading: Loading,
    urls: Mapping[str, str],
    repeat: int = 0,
    watch: Watch = NOTHING_HERE,
    after_block: Callable[[], None] = lambda: None,
) -> bool:
    """Run one repeat against ``urls`` (the two sides first), which ``watch`` sees where they run on
    this machine; True when the run may end early.

    Raises:
        TwinserveError: a side, the load generator or the disk gave out.
    """
    workload = loading.workload
    label = "Load" if workload.repeats == 1 else f"Repeat {repeat + 1} of {workload.repeats}"
    total = len(urls) * workload.blocks
    with progress(label, total + 2) as meter:
        one = _Repeat(loading, urls, repeat, watch, after_block, meter)
        return run_plainly(one.run())


def run_plainly(work: Coroutine[Any, Any, T]) -> T:
    """As :func:`asyncio.run`, on uvloop; of errors that tasks raised together the first one alone.

    All users meet a full disk or a limit at once, and each one says the same.
    """
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except BaseExceptionGroup as group:
        raise _first(group) from group


def together(before: EqualityResult | None, now: EqualityResult) -> EqualityResult:
    """The equality of all repeats until now."""
    if before is None:
        return now
    faults = [each for each in (before, now) if each.equal < each.requests]
    return EqualityResult(
        requests=before.requests + now.requests,
        equal=before.equal + now.equal,
        detail="; ".join(each.detail for each in faults) or now.detail,
        contrast=before.contrast or now.contrast,
    )


@dataclass(frozen=True)
class _Repeat:
    loading: Loading
    urls: Mapping[str, str]
    repeat: int
    watch: Watch
    after_block: Callable[[], None]
    meter: Meter

    async def run(self) -> bool:
        recorder = self.loading.recorder
        self.meter.update(0, "starting every side from zero, comparing the answers")
        answered = await self._check_equality()
        if self.loading.local and not self.repeat:
            self._fit_users(answered)
        if not self.repeat:
            await self._measure_ceiling()
        experiment = self.loading.tool.experiment(
            self.urls,
            self.loading.workload,
            recorder.clock,
            self.loading.sender,
            recorder.add,
            self._folder(),
        )
        self.meter.update(1, "warming up")
        with HostWatch(recorder.run.host, recorder.clock, self.watch.pid):
            await self.watch.until_settled(self.meter, 1)
            await experiment.warm_up(self.repeat)
            await self.watch.until_settled(self.meter, 1)
            return await self._blocks(experiment)

    async def _check_equality(self) -> list[Sample]:
        """The first requests of the repeat, which wait for cold instances; by our own sender in
        any case, since JMeter does not look at pixels."""
        recorder = self.loading.recorder
        answered: list[Sample] = []

        def keep(outcome: Outcome) -> None:
            answered.append(outcome.sample)
            recorder.add(outcome.sample)

        found = await check_equality(
            self.loading.sender, self.urls, keep, self.loading.least_psnr_db
        )
        recorder.manifest.equality = together(recorder.manifest.equality, found)
        recorder.save()
        return answered

    def _fit_users(self, answered: list[Sample]) -> None:
        """The original's hundred users, or as many as this machine serves in time."""
        manifest = self.loading.recorder.manifest
        shared = bool(
            self.loading.tool.remote
        )  # by JMeter hosts, evenly: as many as were asked for
        if is_fitted_to_host(manifest.workload) and not shared:
            manifest.workload, said = fitted_to_host(
                manifest.workload, answered, manifest.deployments.values()
            )
            click.echo(said, err=True)

    async def _measure_ceiling(self) -> None:
        """How much this load generator can send at all, by a sender without the limits that remote
        services have; of JMeter hosts it is not known."""
        recorder, tool, users = (
            self.loading.recorder,
            self.loading.tool,
            self.loading.workload.users,
        )
        if tool.jmeter is None:
            sender = Sender(recorder.clock)
            recorder.manifest.ceiling = await measure_ceiling(sender, users, recorder.answer_bytes)
        elif not tool.remote:
            recorder.manifest.ceiling = await measure_jmeter_ceiling(
                tool.jmeter, users, recorder.answer_bytes
            )

    async def _blocks(self, experiment: Experiment | JMeterExperiment) -> bool:
        total = len(self.urls) * self.loading.workload.blocks
        self.meter.update(2, f"block 1 of {total}")
        done = 0
        async with aclosing(experiment.blocks(self.repeat)) as blocks:
            async for block in blocks:
                self.loading.recorder.finished(block)
                self.watch.check()
                self.after_block()
                done += 1
                self.meter.update(2 + done, f"block {min(done + 1, total)} of {total}")
                if self._may_end(block, done):
                    return True
        return False

    def _may_end(self, block: Block, done: int) -> bool:
        """Whether the rule of ``--until`` is met; it looks when all series of a pair have ended."""
        stop = self.loading.stop
        if stop is None:
            return False
        stop.finished(block)
        if done % len(self.urls):
            return False
        first, second, *_ = self.urls
        ended = done == len(self.urls) * self.loading.workload.blocks
        return stop.is_enough(first, second, ended)

    def _folder(self) -> Path:
        """Where a load tool writes its own files: one folder a repeat, where there are several."""
        path = self.loading.recorder.run.path
        if self.loading.workload.repeats == 1 or self.loading.tool.jmeter is None:
            return path
        own = path / f"repeat-{self.repeat + 1}"
        own.mkdir(exist_ok=True)
        return own


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
