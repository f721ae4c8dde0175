"""What differs between the two artefacts, and what is the same, file by file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from twinserve.runtime.artefacts.app import file_hashes
from twinserve.runtime.artefacts.context import PINS, write_context
from twinserve.runtime.artefacts.function import write_function
from twinserve.runtime.commands import image_command

SCHEMA_VERSION = 1
# What no comparison of files can show; each is how the platform itself builds or runs it.
BY_PLATFORM = {
    "built by": ("the Containerfile, in one image", "Cloud Functions' Python buildpack"),
    "base image": ("named in the Containerfile", "the buildpack's own run image"),
    "left out of packages": ("what slim.py names", "nothing"),
    "openvino-telemetry": (
        "not installed",
        "installed by the buildpack, as OpenVINO asks for it; Twinserve keeps it from loading",
    ),
}


@dataclass(frozen=True)
class Differences:
    """``same`` and ``different`` name files of the shared app; the two ``only_`` one side's own."""

    schema_version: int
    commands: dict[str, list[str]]
    pins_equal: bool
    same: int
    different: list[str]
    only_container: list[str]
    only_function: list[str]
    by_platform: dict[str, tuple[str, str]]


def compare_artefacts(models: tuple[str, ...]) -> Differences:
    """Write both into a temporary folder and compare every file.

    Raises:
        BundleError: a model cannot be read.
    """
    with TemporaryDirectory(prefix="twinserve-") as name:
        context = write_context(Path(name) / "container", models)
        function = write_function(Path(name) / "function", models)
        app = file_hashes(context.folder / "app")
        source = file_hashes(function.folder)
        pins = [(folder / PINS).read_text() for folder in (context.folder, function.folder)]
    source.pop(PINS)  # in the image it lies beside the app, not in it
    return _compared(app, source, pins[0] == pins[1])


def write_differences(folder: Path, differences: Differences) -> None:
    """``differences.json``, and the same in words as ``differences.txt``."""
    data = msgspec.json.format(msgspec.json.encode(differences), indent=2)
    (folder / "differences.json").write_bytes(data + b"\n")
    (folder / "differences.txt").write_text("\n".join(format_differences(differences)) + "\n")


def format_differences(differences: Differences) -> Iterator[str]:
    """The lines of ``differences.txt``."""
    pins = "the same" if differences.pins_equal else "NOT THE SAME"
    yield f"Same on both sides: {differences.same} files of code and models, byte by byte."
    yield f"Pinned packages: {pins}."
    yield from (f"Different bytes: {name}" for name in differences.different)
    yield from (f"Only in the container: {name}" for name in differences.only_container)
    yield from (f"Only in the function: {name}" for name in differences.only_function)
    yield ""
    yield "Served by:"
    yield from (f"  {kind}: {' '.join(words)}" for kind, words in differences.commands.items())
    yield ""
    yield "With `--runner podman` or `docker` both sides run the container's image, so only that"
    yield "command differs. On Cloud Functions the buildpack builds the function's own:"
    for what, (container, function) in differences.by_platform.items():
        yield f"  {what}: container: {container}; function: {function}"


def _compared(app: Mapping[str, str], source: Mapping[str, str], pins_equal: bool) -> Differences:
    both = app.keys() & source.keys()
    return Differences(
        schema_version=SCHEMA_VERSION,
        commands={kind: image_command(kind) for kind in ("container", "function")},
        pins_equal=pins_equal,
        same=sum(app[name] == source[name] for name in both),
        different=sorted(name for name in both if app[name] != source[name]),
        only_container=sorted(app.keys() - source.keys()),
        only_function=sorted(source.keys() - app.keys()),
        by_platform=BY_PLATFORM,
    )
