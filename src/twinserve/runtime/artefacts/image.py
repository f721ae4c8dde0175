"""Build an image with Podman or Docker, and weigh it."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from twinserve.errors import RuntimeFailure
from twinserve.runtime.artefacts.context import Context

ENGINES = ("podman", "docker")
NAME = "localhost/twinserve"
SBOM = PurePosixPath("/usr/share/twinserve/sbom.cdx.json")
LAST_LINES = 12
CHUNK = 1 << 20
GZIP_LEVEL = 6  # what registries' clients use
GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True)
class Weight:
    """An image's layers together: as a registry keeps and sends them, and unpacked."""

    compressed_bytes: int
    unpacked_bytes: int


def find_engine(wanted: str | None = None) -> str | None:
    """The engine's command: the wanted one if it is installed, else the first of both."""
    found = [engine for engine in ((wanted,) if wanted else ENGINES) if shutil.which(engine)]
    return found[0] if found else None


def tag_of(context: Context) -> str:
    """A name that only equal content gets."""
    content = json.dumps([context.base, context.hashes])
    return f"{NAME}:{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def has_image(engine: str, tag: str) -> bool:
    return not _run([engine, "image", "inspect", tag]).returncode


def build_image(
    engine: str,
    context: Context,
    tag: str,
    options: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Build; ``say`` gets each line of the engine's output.

    Raises:
        RuntimeFailure: the build failed; its last lines are in the message.
    """
    # Docker's own format, because OCI's has no place for a health check.
    form = ["--format", "docker"] if engine == "podman" else []
    command = [engine, "build", *form, "--file", str(context.containerfile), "--tag", tag]
    arguments = ["--build-arg", f"BASE={context.base}", *options, str(context.folder)]
    lines: list[str] = []
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as building:
        assert building.stdout is not None  # noqa: S101 - opened as a pipe above
        for line in building.stdout:
            lines = [*lines[-LAST_LINES:], line.rstrip()]
            say(line.rstrip())
    if building.returncode:
        raise RuntimeFailure(f"{engine} could not build the image:\n" + "\n".join(lines))


def read_file(engine: str, tag: str, path: str) -> bytes:
    """One file of an image.

    Raises:
        RuntimeFailure: it is not there.
    """
    options = ["--rm", "--network", "none", "--no-healthcheck", "--entrypoint", "cat"]
    command = [engine, "run", *options, tag, path]
    done = _run(command)
    if done.returncode:
        raise RuntimeFailure(f"{path} cannot be read from {tag}: {done.stderr.decode().strip()}")
    return done.stdout


def weigh(engine: str, tag: str) -> Weight:
    """What the image's layers weigh, by saving it and looking at every byte.

    Raises:
        RuntimeFailure: the engine cannot save it.
    """
    with subprocess.Popen(
        [engine, "save", tag], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as saving:
        assert saving.stdout is not None  # noqa: S101 - opened as a pipe above
        with tarfile.open(fileobj=saving.stdout, mode="r|") as archive:
            weights, layers = _weigh_members(archive)
    if saving.returncode or not layers:
        raise RuntimeFailure(f"{engine} cannot save {tag}, so it cannot be weighed.")
    parts = [weights[layer] for layer in layers]
    return Weight(sum(part[0] for part in parts), sum(part[1] for part in parts))


def _weigh_members(archive: tarfile.TarFile) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """Compressed and unpacked size of each file of the archive, and which of them are layers."""
    weights: dict[str, tuple[int, int]] = {}
    layers: list[str] = []
    for member in archive:
        content = archive.extractfile(member) if member.isfile() else None
        if content is None:
            continue
        if member.name == "manifest.json":
            layers = json.loads(content.read())[0]["Layers"]
        else:
            weights[member.name] = _weigh_layer(content)
    return weights, layers


def _weigh_layer(content: IO[bytes]) -> tuple[int, int]:
    first = content.read(CHUNK)
    if first.startswith(b"\x1f\x8b"):
        return _weigh_gzip(first, content)
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP)
    packed = unpacked = 0
    chunk = first
    while chunk:
        packed += len(packer.compress(chunk))
        unpacked += len(chunk)
        chunk = content.read(CHUNK)
    return packed + len(packer.flush()), unpacked


def _weigh_gzip(first: bytes, content: IO[bytes]) -> tuple[int, int]:
    data = first + content.read()
    return len(data), len(gzip.decompress(data))


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False)
