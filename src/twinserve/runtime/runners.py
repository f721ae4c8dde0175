"""Open a runner: the engine answers, what crashed runs left behind is removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from twinserve.errors import RuntimeFailure
from twinserve.runtime.instances import InstanceLog, ProcessRunner
from twinserve.runtime.leftovers import format_leftovers, remove_processes
from twinserve.runtime.oci_engine import opened_engine
from twinserve.runtime.oci_runner import OciRunner
from twinserve.runtime.runner import Runner, RunnerChoice


@dataclass(frozen=True)
class OpenRunner:
    """A runner ready to run, and what there is to say of its opening."""

    runner: Runner
    notes: list[str]


@contextmanager
def opened_runner(
    choice: RunnerChoice, log: InstanceLog, say: Callable[[str], None] = lambda _: None
) -> Iterator[OpenRunner]:
    """The chosen runner for as long as the ``with`` block lasts; ``say`` gets what turns out later.

    Raises:
        RuntimeFailure: its engine is not installed, or does not answer.
    """
    processes = remove_processes()
    if not choice.in_containers:
        yield OpenRunner(ProcessRunner(log), format_leftovers(processes, 0))
        return
    with opened_engine(choice.name) as engine:
        containers = engine.remove_leftovers()
        runner = OciRunner(engine, choice.images, log, say=say)
        try:
            yield OpenRunner(runner, format_leftovers(processes, containers))
        finally:
            with suppress(RuntimeFailure):  # what it would not remove when its time had come
                engine.remove_owned()
