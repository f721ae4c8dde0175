"""Real containers for tests: Podman and an image of the 64x64 model, built once a session.

Where that cannot be had the tests are skipped and say why; with ``TWINSERVE_TEST_ENGINE`` set (CI
sets it once an engine works) they fail instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from twinserve.bundle.store import bundle_facts, known_bundles

ENGINE = "podman"
MUST_RUN = "TWINSERVE_TEST_ENGINE"


@dataclass(frozen=True)
class BuiltImage:
    """What ``twinserve build container`` made: its tag, its files, what it said."""

    tag: str
    folder: Path
    said: str
    model: str

    def megabytes(self, what: str) -> float:
        found = re.search(rf"([\d.]+) MB {what}", self.said)
        assert found, self.said
        return float(found[1])


def model_64() -> str:
    """The trained 64x64 model where it is installed, else random weights of that size."""
    found = [bundle_facts(name) for name in known_bundles()]
    return next((facts.name for facts in found if facts.resolution == 64), "random-64")


def build(folder: Path) -> BuiltImage:
    """Build the image as a user does."""
    if shutil.which(ENGINE) is None:
        _cannot("podman is not installed")
    if find_spec("docker") is None:
        _cannot("the extra 'containers' is not installed")
    model = model_64()
    command = [sys.executable, "-m", "twinserve", "build", "container", "--engine", ENGINE]
    done = subprocess.run(
        [*command, "--model", model],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        _cannot(f"no image could be built: {done.stderr.strip().splitlines()[-1]}")
    tag = re.search(r"^Image: (\S+)$", done.stdout, re.MULTILINE)
    assert tag, done.stdout
    return BuiltImage(tag[1], folder / "build/container", done.stdout, model)


def podman(*words: str) -> str:
    """What a podman command prints."""
    done = subprocess.run([ENGINE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _cannot(reason: str) -> NoReturn:
    if os.environ.get(MUST_RUN):
        pytest.fail(f"{reason}, and {MUST_RUN} is set")
    pytest.skip(reason)
