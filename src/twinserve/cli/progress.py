"""Progress: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0


class Meter(Protocol):
    """What shows progress: ``done`` of the total, and a few words on what is happening."""

    def update(self, done: float, words: str) -> None: ...


@contextmanager
def progress(label: str, total: float) -> Iterator[Meter]:
    """Show progress on the error stream, so that pipes stay clean."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(label, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[words]}", style="dim"),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task(label, total=total, words="")
        yield _Bar(bars, task)


class _Bar:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def update(self, done: float, words: str) -> None:
        self._bars.update(self._task, completed=done, words=words)


class _Lines:
    def __init__(self, label: str, total: float) -> None:
        self._label = label
        self._total = total
        self._said_at = float("-inf")

    def update(self, done: float, words: str) -> None:
        now = time.monotonic()
        if now - self._said_at >= LINE_EVERY_S or done >= self._total:
            self._said_at = now
            click.echo(f"{self._label}: {done / self._total:4.0%}  {words}", err=True)
