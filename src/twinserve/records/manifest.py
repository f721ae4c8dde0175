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
from twinserve.deployment import Deployment, Kind
from twinserve.errors import RecordError
from twinserve.records.host import Ceiling
from twinserve.records.lines import replace_file
from twinserve.workload import Ask, ClosedLoop, Workload

SCHEMA_VERSION = 2  # 1 had a closed loop's users, think_s and images in the workload itself
REMOTE = "remote"  # the runner of services that run elsewhere
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
    contrast: str = ""  # what the matched contrast answered otherwise; empty where nothing


class RemoteService(msgspec.Struct, frozen=True):
    """A side that runs elsewhere, as far as it tells; its address is not written down."""

    kind: Kind | None  # as the user named it: --container-url, --function-url; None: not said
    encrypted: bool  # by TLS


class Limits(msgspec.Struct, frozen=True):
    """What protected the bill of remote services: all requests of the run together."""

    max_requests: int
    max_rate_rps: float
    held_back: int = 0  # requests that were sent later than they wanted to be, by the rate


class Until(msgspec.Struct, frozen=True):
    """The rule by which a run may end early: fixed before it, and paid for with wider intervals."""

    target: float  # half the interval's width, as a share of the second side's value
    looks: list[int]  # after so many blocks a side, or repeats where there are several
    look_confidence: float  # of every interval of such a run


class Block(msgspec.Struct, frozen=True):
    """One block as it ran: times in microseconds since the run began.

    ``pair`` numbers the groups of adjacent blocks over all repeats. ``unsent`` requests of an open
    loop were due in it and never sent, since it was stopped; ``note`` says why.
    """

    index: int  # place in the run, 0 first
    pair: int
    side: str
    start_us: int
    end_us: int
    repeat: int = 0  # the sides are started anew before each
    unsent: int = 0
    note: str = ""


class Manifest(msgspec.Struct, kw_only=True):
    """Everything about a run that is not a row."""

    schema_version: int = SCHEMA_VERSION
    state: RunState = RunState.RUNNING
    detail: str = ""  # why the run is not complete
    started_epoch_ms: float
    finished_epoch_ms: float | None = None
    versions: dict[str, str]
    hardware: Hardware
    runner: str  # "process", "podman", "docker" or REMOTE
    deployments: dict[str, Deployment]  # side -> deployment as it ran, after the cap
    contrast: Deployment | None = None  # the matched contrast, loaded beside the two sides
    remote: dict[str, RemoteService] = msgspec.field(default_factory=dict)  # in place of the above
    limits: Limits | None = None  # of remote services
    ceiling: Ceiling | None = None  # of the load generator, on this machine
    until: Until | None = None
    find_rate: str = ""  # the objective of a search for the highest rate, in place of blocks
    stopped: str = ""  # why a complete run has fewer blocks than were planned
    cap: str  # how many instances this machine carries, and why
    model: ModelFacts
    workload: Workload
    equality: EqualityResult | None = None
    blocks: list[Block] = msgspec.field(default_factory=list)

    @property
    def sides(self) -> tuple[str, str]:
        first, second = self.deployments or self.remote
        return first, second

    @property
    def side_blocks(self) -> list[Block]:
        """The finished blocks of the two sides, without those of the contrast."""
        return [block for block in self.blocks if block.side in self.sides]

    @property
    def planned_blocks(self) -> int:
        """Blocks that the plan has for the two sides together."""
        return 2 * self.workload.blocks * self.workload.repeats


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
        return _decode(data, schema)
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


class _FirstWorkload(msgspec.Struct, frozen=True):
    """A workload as schema 1 wrote it: always a closed loop, always one kind of request."""

    profile: str
    users: int
    think_s: float
    blocks: int
    block_s: float
    warmup_s: float
    images: int
    seed: int

    def now(self) -> Workload:
        return Workload(
            profile=self.profile,
            arrivals=ClosedLoop(users=self.users, think_s=self.think_s),
            mix=(Ask(images=self.images),),
            blocks=self.blocks,
            block_s=self.block_s,
            warmup_s=self.warmup_s,
            seed=self.seed,
        )


def _decode(data: bytes, schema: int) -> Manifest:
    if schema > 1:
        return msgspec.json.decode(data, type=Manifest)
    fields = msgspec.json.decode(data)
    old = msgspec.convert(fields.get("workload"), _FirstWorkload)
    return msgspec.convert(fields | {"workload": msgspec.to_builtins(old.now())}, Manifest)


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
