"""What a run is valid for, and what a reader must know about how it ended: sentences, pure."""

from __future__ import annotations

from twinserve.analysis.words import count
from twinserve.records.manifest import REMOTE, Manifest, RunState
from twinserve.workload.words import load_words

LOCAL_RUNNERS = {
    "process": "as plain processes",
    "podman": "in Podman containers",
    "docker": "in Docker containers",
}
ENDED = {
    RunState.RUNNING: "was cut off",
    RunState.INTERRUPTED: "was interrupted",
    RunState.FAILED: "failed",
}


def scope(manifest: Manifest) -> str:
    """What the verdict holds for: model, load, machine or services, and once or several times."""
    model = manifest.model
    at_once = ", both sides loaded at the same time" if manifest.workload.concurrent else ""
    return (
        f"Valid for {model.name} ({model.resolution}x{model.resolution}), "
        f"{load_words(manifest.workload)}{at_once}, {_place(manifest)}{_how_often(manifest)}"
    )


def is_local(manifest: Manifest) -> bool:
    """Whether both sides ran on the machine of the load generator."""
    return manifest.runner in LOCAL_RUNNERS


def remarks(manifest: Manifest) -> list[str]:
    """What a reader must know about a run that did not go as planned, and of a single one."""
    return [*_ending(manifest), *_held_back(manifest), *_single(manifest)]


def _place(manifest: Manifest) -> str:
    if not is_local(manifest):
        return "two services that ran elsewhere, asked from one machine over the network between."
    hardware = manifest.hardware
    return (
        f"this machine ({hardware.cpu_model}, {count(hardware.cores, 'core')}, "
        f"{hardware.memory_mib:,} MiB, {hardware.system}) and instances run "
        f"{LOCAL_RUNNERS[manifest.runner]}. Not a figure for any cloud."
    )


def _how_often(manifest: Manifest) -> str:
    repeats = manifest.workload.repeats
    if repeats == 1:
        return " One run."
    return f" {count(repeats, 'repeat')}, both sides started anew for each."


def _ending(manifest: Manifest) -> list[str]:
    finished = f"{len(manifest.side_blocks)} of {manifest.planned_blocks} blocks were finished"
    if manifest.state is RunState.COMPLETE:
        return _stopping(manifest, finished)
    why = f" ({manifest.detail.rstrip('.')})" if manifest.detail else ""
    return [f"The run {ENDED[manifest.state]}{why}: {finished}."]


def _stopping(manifest: Manifest, finished: str) -> list[str]:
    until = manifest.until
    if until is None:
        return []
    looks = (
        f"every interval is a {100 * until.look_confidence:g} % one, so that up to "
        f"{count(len(until.looks), 'look')} keep the error rate of one"
    )
    if manifest.stopped:
        return [f"{manifest.stopped}: {finished}; {looks}."]
    return [f"The interval never became as tight as --until asked for; {looks}."]


def _held_back(manifest: Manifest) -> list[str]:
    limits = manifest.limits
    if limits is None or not limits.held_back:
        return []
    return [
        f"The limit of {limits.max_rate_rps:g} requests a second (--max-rate) held back "
        f"{count(limits.held_back, 'request')}: the load was that rate, not what the users or "
        f"arrivals asked for."
    ]


def _single(manifest: Manifest) -> list[str]:
    if manifest.workload.repeats > 1:
        return []
    if manifest.runner == REMOTE:
        return [
            "One run: what these instances and this hour happen to be like is not in the interval."
        ]
    return [
        "One run: the luck of these instances (which memory and CPU they got at their start) is "
        "not in the interval; --repeats starts them anew."
    ]
