"""Where a run was measured, what it did, and what it did not measure, in words."""

from __future__ import annotations

from datetime import UTC, datetime

from twinserve.deployment import Deployment, Kind
from twinserve.records.manifest import Manifest, RunState
from twinserve.report import remote
from twinserve.report.numbers import format_count, format_list, format_number
from twinserve.scaling.policy import TargetsPolicy, policies
from twinserve.workload import Workload
from twinserve.workload.words import arrivals_words, mix_words

NOT_MEASURED = (
    ("The network of a cloud", "both sides were called on this machine, over its own loopback."),
    ("TLS", "connections were plain HTTP; setting up an encrypted one takes longer."),
    (
        "A platform's cold start",
        "here a start is a process start; a cloud also places, pulls and unpacks an image.",
    ),
    ("Cost", "no price book is applied yet; the choice rests on times and errors alone."),
    (
        "Throttling",
        "no platform held the instances to their CPU and memory, and none is recorded here.",
    ),
)
FILES = (
    ("report.html", "this report; it needs no other file and no network"),
    ("comparison.json", "every number of this report, for programs"),
    ("run.json", "the manifest: versions, hardware, deployments, workload, blocks"),
    ("samples.csv", "a row a request: JMeter's columns first (JTL), exact times after"),
    ("resources.csv", "CPU and memory of every instance, a row a second"),
    ("billing.csv", "what the platforms would bill of each side, as it grew"),
    ("instances.jsonl", "when instances started, became ready and stopped"),
    ("figures/", "the five figures as SVG and PNG"),
)


def warning(manifest: Manifest) -> str:
    """Why the run is not whole; empty when it is."""
    if manifest.state is RunState.COMPLETE:
        return ""
    happened = {
        RunState.INTERRUPTED: "This run was interrupted",
        RunState.FAILED: "This run failed",
        RunState.RUNNING: "This run has no end: its writer was killed, or it is still going on",
    }[manifest.state]
    detail = f" ({manifest.detail.rstrip('.')})" if manifest.detail else ""
    return (
        f"{happened}{detail}. {len(manifest.side_blocks)} of {manifest.planned_blocks} blocks were "
        "finished; "
        "only those are in this report."
    )


def side_label(side: str, manifest: Manifest) -> str:
    """A side's name for people: a container that runs as a process says so."""
    deployment = manifest.deployments.get(side)
    if deployment is None:
        return side
    if deployment.kind is Kind.CONTAINER and manifest.runner == "process":
        return f"{side} (run as a process here)"
    return side


def measured_facts(manifest: Manifest) -> list[tuple[str, str]]:
    """Terms and what to say about them, in reading order."""
    here = remote.place_facts(manifest) if manifest.remote else _here(manifest)
    return [
        *here,
        ("Model", _model(manifest)),
        ("Terms of the model", _terms(manifest)),
        ("Workload", workload_words(manifest)),
        ("When", _when(manifest)),
        ("Versions", _versions(manifest)),
    ]


def _here(manifest: Manifest) -> list[tuple[str, str]]:
    """This machine, and the deployments that ran on it."""
    hardware = manifest.hardware
    contrast = manifest.contrast
    return [
        (
            "Machine",
            f"{hardware.cpu_model}, {format_count(hardware.cores, 'core')}, "
            f"{format_number(hardware.memory_mib / 1024)} GiB memory; {hardware.system}. "
            "Deployments, gateways and load generator shared it.",
        ),
        *(
            (f"Side: {side}", _words(found, side_label(side, manifest)))
            for side, found in manifest.deployments.items()
        ),
        *([("Matched contrast", _words(contrast, contrast.name))] if contrast else []),
        ("Instances", manifest.cap),
    ]


def files(manifest: Manifest) -> list[tuple[str, str]]:
    """The files of a run and what each is."""
    missing = remote.FILES if manifest.remote else ()
    return [(name, text) for name, text in FILES if name not in missing]


def workload_words(manifest: Manifest) -> str:
    """Arrivals, requests, blocks and seconds in two or three sentences."""
    load = manifest.workload
    order = "both sides of a pair at the same time" if load.concurrent else "in adjacent pairs"
    repeats = f" {load.repeats} repeats, both sides started anew." if load.repeats > 1 else ""
    return (
        f"{_arrivals(load)}, {mix_words(load.mix)}, a new connection for each request. "
        f"{format_count(load.blocks, 'block')} of {load.block_s:.3g} s a side, {order} whose order "
        f"was drawn with seed {load.seed}; {load.warmup_s:.3g} s of warm-up a side before, not "
        f"counted.{repeats} Profile: {load.profile}.{_sender(manifest)}"
    )


def _arrivals(load: Workload) -> str:
    if load.is_open:
        return f"{arrivals_words(load.arrivals)}, each timed from when it was due"
    pause = f"{load.think_s:g} s later," if load.think_s else "at once"
    return (
        f"{format_count(load.users, 'user')} at a time, each sending the next request {pause} when "
        f"its answer is there (a closed loop)"
    )


def _sender(manifest: Manifest) -> str:
    jmeter = manifest.versions.get("jmeter")
    return f" Sent by Apache JMeter {jmeter}." if jmeter else ""


def not_measured(manifest: Manifest) -> list[tuple[str, str]]:
    """What a reader might think was measured, and was not."""
    if manifest.remote:
        return list(remote.NOT_MEASURED)
    if manifest.runner == "process":
        return list(NOT_MEASURED)
    return [(term, text) for term, text in NOT_MEASURED if term != "Throttling"]


def _words(found: Deployment, what: str) -> str:
    how = {
        Kind.CONTAINER: "Flask under gunicorn",
        Kind.FUNCTION: "an HTTP function under functions-framework",
    }[found.kind]
    return (
        f"{what[0].upper()}{what[1:]}: {how}, {found.cpu:g} CPU, {found.memory_mib / 1024:g} GiB, "
        f"{_at_a_time(found.concurrency)} at a time an instance, "
        f"{found.min_instances:,} to {format_count(found.max_instances, 'instance')}, "
        f"{_policy(found)}."
    )


def _at_a_time(concurrency: int) -> str:
    return format_count(concurrency, "request") if concurrency else "any number of requests"


def _policy(deployment: Deployment) -> str:
    """When instances stop, and by whose rules; older runs name none."""
    policy = policies().get(deployment.policy)
    idle = f"stopped after {deployment.idle_s:g} s without requests"
    if policy is None:
        return idle
    by_rule = f"by the rules of {policy.name}"
    return f"{idle}, {by_rule}" if isinstance(policy, TargetsPolicy) else f"scaled {by_rule}"


def _model(manifest: Manifest) -> str:
    model = manifest.model
    if not model.content_hash:
        return "Not known: the services do not say what they serve. Their answers were compared."
    return (
        f"{model.name}, {model.resolution} by {model.resolution} pixels, "
        f"content hash {model.content_hash[:12]}. Both sides ran the same bundle."
    )


def _terms(manifest: Manifest) -> str:
    use = "allowed" if manifest.model.commercial_use else "not allowed"
    return f"{manifest.model.terms.rstrip('.')}. Commercial use: {use}."


def _when(manifest: Manifest) -> str:
    begin = f"Began {_utc(manifest.started_epoch_ms)}"
    if manifest.finished_epoch_ms is None:
        return f"{begin}; no end was written down. State: {manifest.state.value}."
    took = (manifest.finished_epoch_ms - manifest.started_epoch_ms) / 1000
    return f"{begin}, took {format_number(took)} s. State: {manifest.state.value}."


def _versions(manifest: Manifest) -> str:
    named = [f"{name} {found}" for name, found in manifest.versions.items()]
    return f"{format_list([*named, f'Python {manifest.hardware.python}'])}."


def _utc(epoch_ms: float) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
