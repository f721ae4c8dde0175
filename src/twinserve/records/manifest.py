"""``run.json``: what was run, on what, with which versions; written before the first request.

It holds no host name, user name, home path, header or environment.
"""

from __future__ import annotations

import platform
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from twinserve import __version__
from twinserve.deployment import Deployment
from twinserve.errors import RecordError
from twinserve.records.lines import replace_file

SCHEMA_VERSION = 1
VERSIONED = (
    "twinserve",
    "openvino",
    "gunicorn",
    "flask",
    "functions-framework",
    "aiohttp",
    "numpy",
)


class RunState(StrEnum):
    """How the run ended; ``RUNNING`` in a file whose writer is gone means that it was killed."""

    RUNNING = "running"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Hardware(msgspec.Struct, frozen=True):
    """The machine, in words that name nobody."""

    cpu_model: str
    cores: int
    memory_mib: int
    system: str
    python: str


class Workload(msgspec.Struct, frozen=True):
    """When requests are due and what they ask for: a closed loop of users in blocks."""

    profile: str
    users: int
    think_s: float
    blocks: int  # a side
    block_s: float
    warmup_s: float
    images: int
    seed: int


class ModelFacts(msgspec.Struct, frozen=True):
    """The bundle that both sides ran."""

    name: str
    content_hash: str
    resolution: int
    terms: str
    commercial_use: bool


class EqualityResult(msgspec.Struct, frozen=True):
    """What the equality gate saw: the same requests to both sides, compared pixel by pixel."""

    requests: int
    equal: int
    detail: str


class Block(msgspec.Struct, frozen=True):
    """One block as it ran: times in microseconds since the run began."""

    index: int  # place in the run, 0 first
    pair: int
    side: str
    start_us: int
    end_us: int


class Manifest(msgspec.Struct, kw_only=True):
    """Everything about a run that is not a row."""

    schema_version: int = SCHEMA_VERSION
    state: RunState = RunState.RUNNING
    detail: str = ""  # why the run is not complete
    started_epoch_ms: float
    finished_epoch_ms: float | None = None
    versions: dict[str, str]
    hardware: Hardware
    runner: str  # "process"
    deployments: dict[str, Deployment]  # side -> deployment as it ran, after the cap
    cap: str  # how many instances this machine carries, and why
    model: ModelFacts
    workload: Workload
    equality: EqualityResult | None = None
    blocks: list[Block] = msgspec.field(default_factory=list)

    @property
    def sides(self) -> tuple[str, str]:
        first, second = self.deployments
        return first, second


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a ``run.json``; a reader finds the old one or the new one."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read_manifest(path: Path) -> Manifest:
    """Read a ``run.json``.

    Raises:
        RecordError: it is missing, damaged, or of a newer schema than this version knows.
    """
    try:
        data = path.read_bytes()
        head = msgspec.json.decode(data, type=_Schema)
        schema = head.schema_version
        if head.kind == "logs":
            raise RecordError(
                f"{path} tells of two imported logs, which name no deployment and no machine; "
                f"only `twinserve report` reads it."
            )
        if schema > SCHEMA_VERSION:
            raise RecordError(
                f"{path} has schema {schema}, this version reads up to {SCHEMA_VERSION}; "
                f"upgrade twinserve."
            )
        return msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError:
        raise RecordError(f"{path.parent} has no run.json; it is not a run directory.") from None
    except msgspec.DecodeError as error:
        raise RecordError(f"{path} is damaged: {error}.") from error


def this_hardware(cores: int, memory_mib: int) -> Hardware:
    return Hardware(
        cpu_model=_cpu_model(),
        cores=cores,
        memory_mib=memory_mib,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def package_versions() -> dict[str, str]:
    found = {"twinserve": __version__}
    for name in VERSIONED[1:]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class _Schema(msgspec.Struct):
    schema_version: int
    kind: str = "run"  # or "logs": twinserve.records.logs


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
