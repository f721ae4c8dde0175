"""The files an image is built from: Containerfile, pins, ``app``, and wheels if wanted."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinserve import __version__
from twinserve.bundle.bundle import BundleFacts
from twinserve.errors import RuntimeFailure
from twinserve.runtime.artefacts.app import file_hashes, make_readable, template, write_app
from twinserve.runtime.artefacts.pins import pinned_requirements
from twinserve.runtime.commands import image_command

SBOM_PINS = "sbom-requirements.txt"
PINS = "requirements.txt"
CONTAINERFILE = "Containerfile"
# Slim: neither compilers nor documentation, as the functions' own base images have it.
DEFAULT_BASE = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
HEALTH = (
    "import http.client, os, sys; "
    "c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); "
    "c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"
)
LAST_LINES = 5


@dataclass(frozen=True)
class Context:
    """A folder that ``podman build`` or ``docker build`` takes, and the models in it."""

    folder: Path
    base: str
    facts: tuple[BundleFacts, ...]

    @property
    def containerfile(self) -> Path:
        return self.folder / CONTAINERFILE

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file that decides what the image holds; wheels follow from the pins."""
        decide = ("app/", PINS, "slim.py", SBOM_PINS, CONTAINERFILE)
        found = file_hashes(self.folder)
        return {name: value for name, value in found.items() if name.startswith(decide)}


def write_context(folder: Path, models: Sequence[str], base: str = DEFAULT_BASE) -> Context:
    """Fill ``folder``, which must be empty or missing.

    Raises:
        BundleError: a model cannot be read.
        RuntimeFailure: a package's version is unknown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = write_app(folder / "app", models)
    (folder / PINS).write_text("\n".join(pinned_requirements()) + "\n")
    for name in ("slim.py", SBOM_PINS):
        (folder / name).write_text(template(name))
    (folder / "wheels").mkdir()
    (folder / "wheels" / "README").write_text("Wheels in this folder are used, and no network.\n")
    (folder / CONTAINERFILE).write_text(_containerfile(folder / "app", facts, base))
    make_readable(folder)
    return Context(folder, base, facts)


def fetch_wheels(context: Context) -> None:
    """Fetch the packages now, with this machine's pip and its settings (mirrors, certificates), so
    that the image build itself needs no network.

    Raises:
        RuntimeFailure: pip cannot fetch one.
    """
    for pins in (PINS, SBOM_PINS):
        _fetch(context.folder / pins, context.folder / "wheels")
    make_readable(context.folder)


def _containerfile(app: Path, facts: Sequence[BundleFacts], base: str) -> str:
    first, *more = [
        f"/app/models/{name}" if (app / "models" / name).exists() else name
        for name in (found.name for found in facts)
    ]
    values = {
        "BASE": base,
        "LABELS": " \\\n      ".join(f"{key}={json.dumps(value)}" for key, value in _labels(facts)),
        "MODEL": first,
        "MORE_MODELS": ":".join(more),
        "HEALTH": json.dumps(["python", "-c", HEALTH]),
        "COMMAND": json.dumps(image_command("container")),
        "FUNCTION": " ".join(image_command("function")),
    }
    text = template(CONTAINERFILE)
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _labels(facts: Sequence[BundleFacts]) -> list[tuple[str, str]]:
    first = facts[0]
    return [
        ("org.opencontainers.image.title", "twinserve"),
        ("org.opencontainers.image.description", f"Images from {first.name}, by HTTP"),
        ("org.opencontainers.image.version", __version__),
        ("org.opencontainers.image.licenses", "Apache-2.0"),
        ("twinserve.models", " ".join(found.name for found in facts)),
        ("twinserve.terms", "; ".join(f"{found.name}: {found.terms}" for found in facts)),
        ("twinserve.content", " ".join(found.content_hash for found in facts)),
        ("twinserve.sbom", "/usr/share/twinserve/sbom.cdx.json"),
    ]


def _fetch(pins: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    options = ["--only-binary", ":all:", "--requirement", str(pins), "--dest", str(folder)]
    done = subprocess.run([*command, *options, *_platform()], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise RuntimeFailure(
            f"pip could not fetch what {pins.name} names, so build without wheels "
            f"(--no-wheels) where the build itself has a network. pip said:\n" + "\n".join(said)
        )


def _platform() -> list[str]:
    """Images run Linux: elsewhere pip is told so."""
    if sys.platform == "linux":
        return []
    machine = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    tags = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
    return [word for tag in tags for word in ("--platform", f"{tag}_{machine}")]
