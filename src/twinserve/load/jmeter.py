"""The installed JMeter as the load generator: its plan out, its rows in while it runs."""

from __future__ import annotations

import asyncio
import csv
import ctypes
import io
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from twinserve.errors import RuntimeFailure
from twinserve.load.jmeter_home import JMeter
from twinserve.load.jmeter_plan import (
    VARIABLES,
    Group,
    groups,
    host_of,
    place_of,
    shared_users,
    write_plan,
)
from twinserve.load.sender import INSTANCE_QUEUE, Clock, server_timing
from twinserve.records.jtl_csv import header_reader
from twinserve.records.jtl_row import JtlRow
from twinserve.records.manifest import Block
from twinserve.records.samples import Phase, Sample
from twinserve.workload import Workload

POLL_S = 0.2
STOP_WITHIN_S = 8.0  # a running request may be finished
END_WITHIN_S = 4.0  # then its process is ended
LOCAL = "127.0.0.1"
# All of them are set, since a user's own jmeter.properties may say otherwise.
SAVED = {
    "output_format": "csv",
    "print_field_names": "true",
    "timestamp_format": "ms",
    "default_delimiter": ",",
    "autoflush": "true",  # rows are read while JMeter runs, and survive its end
} | dict.fromkeys(
    (
        "label", "response_code", "response_message", "thread_name", "data_type", "successful",
        "assertion_results_failure_message", "bytes", "sent_bytes", "thread_counts", "url",
        "latency", "idle_time", "connect_time", "time",
    ),
    "true",
) | dict.fromkeys(("sample_count", "filename", "hostname", "encoding"), "false")  # fmt: skip
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


class JMeterExperiment:
    """One comparison's load by JMeter; the same verbs as :class:`~twinserve.load.experiment.
    Experiment`.

    Writes ``plan.jmx``, ``jmeter.jtl``, ``jmeter.log`` and ``jmeter.out`` into ``folder``. The
    workload's durations must be whole seconds. ``remote`` names JMeter hosts that share the users.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        workload: Workload,
        clock: Clock,
        on_sample: Callable[[Sample], None],
        jmeter: JMeter,
        folder: Path,
        remote: Sequence[str] = (),
    ) -> None:
        self._urls = dict(urls)
        self._workload = workload
        self._clock = clock
        self._on_sample = on_sample
        self._jmeter = jmeter
        self._folder = folder
        self._remote = tuple(remote)
        self._users = shared_users(workload.users, len(self._remote))
        self._hosts: dict[str, int] = {}
        self._spans: dict[int, tuple[int, int]] = {}  # block -> first sending, last answer
        self._newest: dict[str, int] = {}  # host -> its newest block of which a row was seen
        self._process: asyncio.subprocess.Process | None = None
        self._rows = _Rows(folder / "jmeter.jtl")
        self._stop_port = 0

    async def warm_up(self, repeat: int = 0) -> None:
        """Start JMeter, and wait until the first block's first row is there."""
        await self._start(repeat)
        try:
            while self._reached < 0 and await self._runs():
                await self._read()
        except BaseException:
            await self.stop()
            raise

    async def blocks(self, repeat: int = 0) -> AsyncGenerator[Block, None]:
        """Every block as it ends: when a later one's first row is there, or JMeter has ended."""
        drawn = groups(list(self._urls), self._workload, repeat)
        planned = [group for group in drawn if group.phase is Phase.BLOCK]
        try:
            for group in planned:
                while self._reached <= group.block and await self._runs():
                    await self._read()
                if group.block in self._spans:
                    yield self._block(group, repeat)
            self._check_end(planned)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End JMeter if it runs, remote engines too, and keep the rows that it has written."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            _tell_to_stop(self._stop_port)
            if not await _ends(process, STOP_WITHIN_S):
                process.send_signal(signal.SIGTERM)
                if not await _ends(process, END_WITHIN_S):
                    process.kill()
                    await process.wait()
        self._take()

    async def _start(self, repeat: int) -> None:
        plan = self._folder / "plan.jmx"
        plan.write_bytes(write_plan(self._urls, self._workload, self._users, repeat=repeat))
        self._stop_port = _free_port()
        with (self._folder / "jmeter.out").open("wb") as out:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(plan),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop it in order
                preexec_fn=_end_with_parent,
            )

    def _command(self, plan: Path) -> list[str]:
        variables = f"sample_variables={','.join(VARIABLES)}"
        settings = {f"jmeter.save.saveservice.{name}": value for name, value in SAVED.items()} | {
            "sampleresult.timestamp.start": "true",
            "jmeterengine.nongui.port": str(self._stop_port),
            "jmeterengine.nongui.maxport": str(self._stop_port),
            "mode": "Standard",  # remote rows come one by one, not in batches
            "summariser.name": "",
        }
        return [
            *self._jmeter.command,
            *("-n", "-t", str(plan), "-l", str(self._rows.path)),
            *("-j", str(self._folder / "jmeter.log"), f"-J{variables}"),
            *(f"-J{name}={value}" for name, value in settings.items()),
            *(("-R", ",".join(self._remote), f"-G{variables}") if self._remote else ()),
        ]

    @property
    def _reached(self) -> int:
        """The newest block of which every host has sent a row."""
        if len(self._newest) < len(self._remote):
            return -1
        return min(self._newest.values(), default=-1)

    async def _runs(self) -> bool:
        """Whether JMeter still runs; once it has ended, its last rows are taken."""
        if self._process is not None and self._process.returncode is None:
            return True
        self._take()
        return False

    async def _read(self) -> None:
        await asyncio.sleep(POLL_S)
        self._take()

    def _take(self) -> None:
        for row in self._rows.new():
            self._keep_row(row)

    def _keep_row(self, row: JtlRow) -> None:
        host = host_of(row.thread)
        self._hosts.setdefault(host, len(self._hosts))
        place = place_of(row.thread, self._users, self._hosts)
        if place is None or place.side not in self._urls:
            return
        sample = _sample(row, place.side, place.phase, place.block, place.user,
                         self._workload, self._clock.started_epoch_ms)  # fmt: skip
        if place.phase is Phase.BLOCK:
            self._newest[host] = max(self._newest.get(host, -1), place.block)
            begin_us, end_us = self._spans.get(place.block, (sample.sent_us, sample.done_us))
            self._spans[place.block] = min(begin_us, sample.sent_us), max(end_us, sample.done_us)
        self._on_sample(sample)

    def _block(self, group: Group, repeat: int) -> Block:
        begin_us, end_us = self._spans[group.block]
        return Block(group.block, group.pair, group.side, begin_us, end_us, repeat)

    def _check_end(self, planned: Sequence[Group]) -> None:
        """Raises RuntimeFailure where JMeter ended before the last block."""
        if planned[-1].block in self._spans:
            return
        code = self._process.returncode if self._process else None
        raise RuntimeFailure(
            f"JMeter ended after {len(self._spans)} of {len(planned)} blocks (exit {code}): "
            f"{self._last_words()}; see {self._folder / 'jmeter.log'}."
        )

    def _last_words(self) -> str:
        said = (self._folder / "jmeter.out").read_text(errors="replace").strip().splitlines()
        telling = [line for line in said if "rror" in line or "xception" in line]
        return (telling or said or ["it said nothing"])[-1][:300]


class _Rows:
    """Rows of a growing log; a row that is still being written is left for later."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._begun = b""
        self._read: Callable[[list[str]], JtlRow] | None = None

    def new(self) -> list[JtlRow]:
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        data = self._begun + data
        end = data.rfind(b"\n") + 1
        while end and data.count(b'"', 0, end) % 2:  # inside a message of several lines
            end = data.rfind(b"\n", 0, end - 1) + 1
        self._begun = data[end:]
        lines = csv.reader(io.StringIO(data[:end].decode(errors="replace"), newline=""))
        return [row for fields in lines if fields for row in self._row(fields)]

    def _row(self, fields: list[str]) -> list[JtlRow]:
        if self._read is None:  # the header line
            self._read = header_reader(self.path, fields, VARIABLES)
            return []
        return [self._read(fields)]


def _sample(
    row: JtlRow,
    side: str,
    phase: Phase,
    block: int,
    user: int,
    workload: Workload,
    started_epoch_ms: float,
) -> Sample:
    sent_us = round(1000 * (row.at_ms - started_epoch_ms))
    seed, timing_1, timing_2, instance = row.extra
    timing = server_timing([timing_1, timing_2])
    failure = row.failure or row.message or row.code
    return Sample(
        side=side,
        phase=phase,
        block=block,
        user=user,
        users=workload.users,
        url=row.url,
        images=workload.mix[0].images,
        seed=int(seed) if seed.isdecimal() else 0,
        started_epoch_ms=started_epoch_ms,
        due_us=sent_us,
        sent_us=sent_us,
        connected_us=_after(sent_us, row.connect_ms) if row.got_answer else None,
        first_byte_us=_after(sent_us, row.latency_ms) if row.got_answer else None,
        done_us=sent_us + round(1000 * row.elapsed_ms),
        status=int(row.code) if row.code.isdecimal() else 0,
        reason=row.message,
        failure="" if row.answered else failure,
        received_bytes=row.received_bytes or 0,
        sent_bytes=row.sent_bytes or 0,
        process_ms=timing.get("process"),
        queue_ms=timing.get("queue"),
        cold_ms=timing.get("cold"),
        instance_queue_ms=timing.get(INSTANCE_QUEUE),
        inference_ms=timing.get("inference"),
        encode_ms=timing.get("encode"),
        instance=instance,
    )


def _after(sent_us: int, ms: float | None) -> int | None:
    return None if ms is None else sent_us + round(1000 * ms)


def _tell_to_stop(port: int) -> None:
    """JMeter's own way to end a test: a word to its port, which stops remote engines as well."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"StopTestNow", (LOCAL, port))


async def _ends(process: asyncio.subprocess.Process, within_s: float) -> bool:
    try:
        await asyncio.wait_for(process.wait(), within_s)
    except TimeoutError:
        return False
    return True


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind((LOCAL, 0))
        port: int = found.getsockname()[1]
        return port


def _end_with_parent() -> None:
    """In the child: have the kernel end it should we be killed (Linux)."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
