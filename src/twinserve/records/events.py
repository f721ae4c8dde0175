"""``instances.jsonl``: what happened to each instance, one JSON object a line."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from twinserve.records.lines import LineFile, whole_lines


class EventKind(StrEnum):
    """``START``: asked for; ``READY``: answers; ``IDLE``: has no request left; ``STOP``: ended by
    the gateway; ``KILLED``: ended by something else; ``FAILED``: never became ready."""

    START = "start"
    READY = "ready"
    IDLE = "idle"
    STOP = "stop"
    KILLED = "killed"
    FAILED = "failed"


class StartStages(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the time of one start went, in ms and in order; None where nobody could tell.

    ``spawn_ms``: from the wish for an instance to its first process. ``runtime_ms``: interpreter,
    server and imports. ``load_ms``: the model read and compiled. ``inference_ms``: its first image.
    What is left of the whole start is the server's beginning to listen and the gateway noticing.
    """

    spawn_ms: float | None = None
    runtime_ms: float | None = None
    load_ms: float | None = None
    inference_ms: float | None = None


class InstanceEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event; ``detail`` says why in words, ``start_ms`` (on READY) how long the start took and
    ``stages`` where that time went."""

    at_ms: float  # epoch
    side: str
    instance: str
    event: EventKind
    detail: str = ""
    start_ms: float | None = None
    stages: StartStages | None = None


class EventWriter:
    """Appends events to a run's ``instances.jsonl``, each one flushed at once."""

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)

    def add(self, event: InstanceEvent) -> None:
        self._file.append(msgspec.json.encode(event) + b"\n")

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> list[InstanceEvent]:
    """Every whole line of an ``instances.jsonl``; a run without instances of ours has none."""
    if not path.exists() or not path.stat().st_size:
        return []
    return msgspec.json.Decoder(InstanceEvent).decode_lines(whole_lines(path))
