"""What this machine can run, enforce and measure: looked at, not assumed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twinserve.errors import RuntimeFailure
from twinserve.runtime.capacity import host_capacity, usable_cpus
from twinserve.runtime.cgroup import ROOT, Cgroup
from twinserve.runtime.oci_engine import EXTRA, Engine, EngineGone, sockets
from twinserve.runtime.pinning import CAN_PIN
from twinserve.runtime.runner import DOCKER, NAMES, PODMAN

ANSWERS_WITHIN_S = 20.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox", "safari")
SERVING = ("flask", "gunicorn", "functions_framework", "openvino", "numpy", "PIL")
QUOTA = "CPU quota"
ROLLUP = Path("/proc/self/smaps_rollup")
SERVERS_IMPORTS = "import flask, openvino"


class Area(StrEnum):
    RUN = "run"
    ENFORCE = "enforce"
    MEASURE = "measure"


class Mark(StrEnum):
    """``PARTLY``: it is there and does less than it could, the detail says what."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``detail`` says what was found and, if need be, what to do."""

    area: Area
    name: str
    mark: Mark
    detail: str


def examine() -> list[Finding]:
    """Everything, in reading order; takes a few seconds where an engine is slow to answer."""
    engines = {name: _engine(name) for name in (PODMAN, DOCKER)}
    return [
        *_what_runs(),
        *(finding for finding, _ in engines.values()),
        *_what_helps(),
        *_what_is_enforced({name: facts for name, (_, facts) in engines.items()}),
        *_what_is_measured(),
    ]


def can_run(findings: list[Finding]) -> bool:
    """Whether any runner can run instances here."""
    runners = ("process", PODMAN, DOCKER)
    return any(found.name in runners and found.mark is not Mark.NO for found in findings)


def engine_finding(name: str) -> Finding:
    """Whether an engine runs containers here."""
    return _engine(name)[0]


def import_seconds() -> float:
    """How long a fresh interpreter takes for what the servers import: the floor of a cold start."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", SERVERS_IMPORTS], check=False, capture_output=True)
    return time.perf_counter() - began


def _what_runs() -> Iterator[Finding]:
    capacity = host_capacity()
    cpus = f"{capacity.cores} of {os.cpu_count()} cores, {capacity.memory_mib:,} MiB may be used"
    few = capacity.cores < 2
    yield Finding(
        Area.RUN,
        "machine",
        Mark.PARTLY if few else Mark.YES,
        f"{cpus}; load generator and instance share one core, so times are too long"
        if few
        else cpus,
    )
    yield Finding(Area.RUN, "python", Mark.YES, f"{platform.python_version()}, {sys.executable}")
    missing = [name for name in SERVING if find_spec(name) is None]
    yield Finding(
        Area.RUN,
        "process",
        Mark.NO if missing else Mark.YES,
        f"missing: {', '.join(missing)}; install twinserve again"
        if missing
        else "instances as plain processes: the default runner",
    )


def _engine(name: str) -> tuple[Finding, dict[str, Any]]:
    """Whether it runs containers, and what it says of itself where it answers."""
    facts: dict[str, Any] = {}
    if shutil.which(name) is None and not _listening(name):
        return Finding(Area.RUN, name, Mark.NO, "not installed"), facts
    if find_spec("docker") is None:
        detail = f"installed; `--runner {name}` needs pip install 'twinserve[{EXTRA}]'"
        return Finding(Area.RUN, name, Mark.NO, detail), facts
    facts, problem = _info(name)
    if problem:
        return Finding(Area.RUN, name, Mark.NO, problem), facts
    warning = _warning(name, facts)
    said = f"{_version(name)}; `--runner {name}` runs instances as containers"
    detail = f"{_version(name)}; {warning}" if warning else said
    return Finding(Area.RUN, name, Mark.PARTLY if warning else Mark.YES, detail), facts


def _listening(name: str) -> str | None:
    for url in sockets(name):
        if not url.startswith("unix://") or Path(url.removeprefix("unix://")).is_socket():
            return url
    return None


def _info(name: str) -> tuple[dict[str, Any], str]:
    """By its socket where there is one, else by its command; and what is wrong."""
    url = _listening(name)
    if url is not None and name == DOCKER:
        try:
            engine = Engine(name, url, ANSWERS_WITHIN_S)
            engine.close()
        except (EngineGone, RuntimeFailure) as error:
            return {}, str(error)
    try:
        done = subprocess.run(
            [name, "info", "--format", "{{json .}}"],
            capture_output=True,
            timeout=ANSWERS_WITHIN_S,
            check=False,
        )
        facts = json.loads(done.stdout or b"{}")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return {}, f"installed, but it does not answer: {error}"
    if done.returncode or facts.get("ServerErrors"):
        said = facts.get("ServerErrors") or [done.stderr.decode(errors="replace").strip()]
        return (
            {},
            f"installed, but it does not answer: {said[0].splitlines()[-1] if said[0] else ''}",
        )
    return facts, ""


def _version(name: str) -> str:
    done = subprocess.run([name, "--version"], capture_output=True, check=False, text=True)
    return done.stdout.strip() or NAMES[name]


def _warning(name: str, facts: dict[str, Any]) -> str:
    """crun refuses machines that mount both versions of control groups; runc does not."""
    runtime = str(((facts.get("host") or {}).get("ociRuntime") or {}).get("name") or "")
    if name == PODMAN and runtime == "crun" and cgroup_version() == "1 and 2 mixed":
        return 'crun refuses control groups 1 and 2 mixed; set runtime = "runc" in containers.conf'
    return ""


def _what_helps() -> Iterator[Finding]:
    yield _package("torch", "trains models and imports checkpoints", "train")
    yield _package("scipy", "compares and reports", "lab")
    browsers = [name for name in BROWSERS if shutil.which(name)]
    yield Finding(
        Area.RUN,
        "browser",
        Mark.YES if browsers else Mark.NO,
        ", ".join(browsers) or "none found; pages and reports can be opened on another machine",
    )
    yield _jmeter(shutil.which("java"), shutil.which("jmeter") or os.environ.get("JMETER_HOME"))


def _jmeter(java: str | None, jmeter: str | None) -> Finding:
    if java and jmeter:
        return Finding(Area.RUN, "jmeter", Mark.YES, f"{jmeter}, {java}")
    missing = " and ".join(name for name, it in (("Java", java), ("JMeter", jmeter)) if not it)
    return Finding(
        Area.RUN, "jmeter", Mark.NO, f"no {missing} found; only loading with JMeter needs it"
    )


def _package(name: str, what: str, extra: str) -> Finding:
    try:
        return Finding(Area.RUN, name, Mark.YES, f"{version(name)}: {what}")
    except PackageNotFoundError:
        detail = f"not installed; {what}: pip install 'twinserve[{extra}]'"
        return Finding(Area.RUN, name, Mark.NO, detail)


def _what_is_enforced(engines: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    cpus = ", ".join(map(str, usable_cpus()))
    yield Finding(
        Area.ENFORCE,
        "CPU pinning",
        Mark.YES if CAN_PIN else Mark.NO,
        f"processes are pinned to CPUs of {cpus}"
        if CAN_PIN
        else "this system has no CPU affinity: processes share all CPUs",
    )
    answering = [name for name, facts in engines.items() if facts]
    for what in (QUOTA, "memory limit"):
        by = [name for name in answering if _enforces(name, engines[name], what)]
        detail = f"by {', '.join(by)}; never on plain processes" if by else "no engine enforces it"
        yield Finding(Area.ENFORCE, what, Mark.YES if by else Mark.NO, detail)
    yield _cpu_by_the_moment([each for each in answering if _enforces(each, engines[each], QUOTA)])


def _cpu_by_the_moment(engines: list[str]) -> Finding:
    """More CPU at the start and next to none between requests, as some policies have it."""
    name = "CPU by the moment"
    if not engines:
        detail = "no engine: plain processes get no start-up boost and keep their CPU"
        return Finding(Area.ENFORCE, name, Mark.NO, detail)
    by = ", ".join(engines)
    own = Cgroup.of(os.getpid())
    if own is not None and own.is_ours:
        detail = f"by {by}: start-up boost, and next to no CPU between requests"
        return Finding(Area.ENFORCE, name, Mark.YES, detail)
    detail = f"by {by}: start-up boost; the CPU between requests only where control groups are ours"
    return Finding(Area.ENFORCE, name, Mark.PARTLY, detail)


def _enforces(name: str, facts: dict[str, Any], what: str) -> bool:
    if name == DOCKER:
        return bool(facts.get({"CPU quota": "CpuCfsQuota", "memory limit": "MemoryLimit"}[what]))
    host = facts.get("host") or {}
    if host.get("cgroupVersion") == "v1":  # rootless Podman has no limits there
        return not (host.get("security") or {}).get("rootless")
    needed = {"CPU quota": "cpu", "memory limit": "memory"}[what]
    return needed in (host.get("cgroupControllers") or [])


def _what_is_measured() -> Iterator[Finding]:
    found = cgroup_version()
    yield Finding(
        Area.MEASURE,
        "control groups",
        Mark.YES if found else Mark.NO,
        f"version {found}" if found else "none: figures come from processes or the engine",
    )
    group = Cgroup.of(os.getpid())
    reading = group.read() if group else None
    readable = reading is not None and reading.nr_throttled is not None
    yield Finding(
        Area.MEASURE,
        "throttling",
        Mark.YES if readable else Mark.PARTLY,
        "nr_throttled and throttled_usec of each container"
        if readable
        else "not in this process's own control group; a container's is read where it runs",
    )
    yield Finding(
        Area.MEASURE,
        "memory of a process",
        Mark.YES if ROLLUP.exists() else Mark.PARTLY,
        "proportional set size: shared pages are counted once"
        if ROLLUP.exists()
        else "resident set size: pages that processes share are counted for each",
    )


def cgroup_version(root: Path = ROOT) -> str:
    """``1``, ``2``, ``1 and 2 mixed``; empty without control groups."""
    if (root / "cgroup.controllers").exists():
        return "2"
    if not root.is_dir() or not any(root.iterdir()):
        return ""
    return "1 and 2 mixed" if (root / "unified/cgroup.controllers").exists() else "1"
