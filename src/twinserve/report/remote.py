"""Where a run of services that run elsewhere was measured, and what nobody here knows of them."""

from __future__ import annotations

from twinserve.deployment import Kind
from twinserve.records.manifest import Manifest, RemoteService
from twinserve.report.numbers import format_number

KINDS = {Kind.CONTAINER: "a container", Kind.FUNCTION: "a function", None: "a service"}
NOT_MEASURED = (
    (
        "CPU and memory of the services",
        "they run elsewhere; their platform knows, and nothing here reads it.",
    ),
    (
        "Cold starts",
        "services that run elsewhere do not tell which requests waited for an instance to start; "
        "first requests and the warm-up are not compared.",
    ),
    (
        "The network by itself",
        "the way from this machine to the services is in every time; another place asks at other "
        "times.",
    ),
    ("Settings", "CPU, memory, concurrency and number of instances are not known here."),
    ("Cost", "no price book is applied to services whose settings are not known."),
)
NO_CLOUD = "These would add to what a user elsewhere sees, or explain it."
FILES = ("resources.csv", "billing.csv", "instances.jsonl", "host.csv")  # that there are not


def place_facts(manifest: Manifest) -> list[tuple[str, str]]:
    """The machine that asked, the two services, and the limits that they were asked within."""
    hardware = manifest.hardware
    asked_from = (
        f"{hardware.cpu_model}, {hardware.cores} cores, "
        f"{format_number(hardware.memory_mib / 1024)} GiB memory; {hardware.system}. Only the load "
        f"generator ran on it."
    )
    return [
        ("Asked from", asked_from),
        *((f"Side: {side}", _service(each)) for side, each in manifest.remote.items()),
        *_limits(manifest),
    ]


def _service(service: RemoteService) -> str:
    how = (
        "over an encrypted connection (TLS), which is set up anew for each request"
        if service.encrypted
        else "over a plain connection"
    )
    return f"{KINDS[service.kind].capitalize()} that runs elsewhere, asked {how}."


def _limits(manifest: Manifest) -> list[tuple[str, str]]:
    limits = manifest.limits
    if limits is None:
        return []
    held = f" {limits.held_back:,} requests were held back by it." if limits.held_back else ""
    return [
        (
            "Limits",
            f"At most {limits.max_requests:,} requests in all and {limits.max_rate_rps:g} a "
            f"second.{held}",
        )
    ]
