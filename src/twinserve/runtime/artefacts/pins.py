"""Which packages serving needs, at the very versions that are installed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from twinserve.errors import RuntimeFailure

# All that twinserve.service imports; functions-framework because both sides carry the same bytes.
SERVING = (
    "flask",
    "functions-framework",
    "gunicorn",
    "msgspec",
    "numpy",
    "openvino",
    "pillow",
    "prometheus-client",
)
# Sends usage data when it is loaded. OpenVINO's run time works without it, so no image holds it.
NEVER = ("openvino-telemetry",)
# Markers are read as the image's system answers them, whatever this one is.
TARGET = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}


def pinned_requirements(roots: Sequence[str] = SERVING) -> tuple[str, ...]:
    """``name==version`` of the packages and of all that they need, sorted by name.

    Raises:
        RuntimeFailure: one of them is not installed here, so its version is unknown.
    """
    found: dict[str, str] = {}
    waiting: list[str] = [canonicalize_name(root) for root in roots]
    while waiting:
        name = waiting.pop()
        if name in found or name in NEVER:
            continue
        found[name], needs = _installed(name)
        waiting.extend(needs)
    return tuple(f"{name}=={found[name]}" for name in sorted(found))


def _installed(name: str) -> tuple[str, list[str]]:
    try:
        here = distribution(name)
    except PackageNotFoundError:
        raise RuntimeFailure(
            f"{name} is not installed here, so its version cannot be pinned: pip install {name}"
        ) from None
    return here.version, list(_needs(here.requires or []))


def _needs(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(TARGET):
            yield canonicalize_name(requirement.name)
