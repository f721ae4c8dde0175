"""Artefacts as a user builds and runs them: the function in an environment of its own, the image in
a real engine (skipped with a reason where none works; see ``tests/containers.py``)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinserve.bundle.engine import Engine
from twinserve.bundle.images import decode
from twinserve.bundle.store import open_bundle

GIVE_UP_S = 120.0  # no assertion: only so that a broken server does not hang the tests


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twinserve", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=dict(os.environ) | environment,
        check=False,
    )


def picture(url: str, seed: int = 7) -> Any:
    """The pixels that a server answers with, once it answers."""
    body = json.dumps({"seed": seed}).encode()
    request = urllib.request.Request(  # noqa: S310
        f"{url}/generate",
        body,
        {"Content-Type": "application/json", "Accept": "image/png"},
    )
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=GIVE_UP_S) as answer:  # noqa: S310
                return decode(answer.read())
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def test_the_function_runs_in_a_clean_environment_made_from_its_own_requirements(
    tmp_path: Path,
) -> None:
    done = run("build", "function", "--model", "random-16", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "function.zip" in done.stdout
    source = tmp_path / "build/function/source"
    python = str(tmp_path / "venv/bin/python")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"]
    installed = subprocess.run(install, cwd=source, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    with served(python, source) as url:
        assert np.array_equal(picture(url), Engine(open_bundle("random-16")).image(7, 0))


@contextmanager
def served(python: str, source: Path) -> Iterator[str]:
    """functions-framework as Cloud Functions' buildpack starts it, with nothing of ours around."""
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    server = subprocess.Popen(
        [python, "-m", "functions_framework", "--target", "generate", "--port", str(port)],
        cwd=source,
        env={**kept, "XDG_RUNTIME_DIR": str(source.parent)},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def test_the_files_for_an_image_are_written_without_an_engine(tmp_path: Path) -> None:
    done = run(
        "build", "container", "--model", "random-16", "--out", "files", cwd=tmp_path, PATH=""
    )
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (tmp_path / "files").iterdir()}
    assert {"Containerfile", "app", "requirements.txt", "differences.txt"} <= written
    assert "Image:" not in done.stdout
    again = run("build", "container", "--model", "random-16", "--out", "files", cwd=tmp_path)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["container", "--tag", "x:1"], 2, "Neither podman nor docker is installed"),
        (["container", "--engine", "podman"], 2, "podman is not installed"),
        (["container", "--out", "taken"], 2, "taken holds something else than a build"),
        (["function", "--out", "taken"], 2, "taken holds something else than a build"),
        (["function", "--out", "/dev/null/x"], 2, "name another --out"),
        (["function", "--model", "nobody"], 1, "'nobody'; known are"),
    ],
)
def test_wrong_usage_names_the_value_and_the_way_out(
    words: list[str], code: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/own.txt").touch()
    done = run("build", *words, cwd=tmp_path, PATH="")
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "taken/own.txt").exists()


def test_a_runner_that_is_not_installed_is_named(tmp_path: Path) -> None:
    for words in (["compare", "--runner", "podman"], ["up", "--runner", "docker", "--port", "0"]):
        done = run(*words, "--model", "random-16", cwd=tmp_path, PATH="")
        assert done.returncode == 2
        assert "is not installed; install it, or use --runner process" in done.stderr


def test_a_runner_of_the_environment_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = run("up", "--port", "0", cwd=tmp_path, TWINSERVE_RUNNER="cloud")
    assert done.returncode == 2
    assert "$TWINSERVE_RUNNER is 'cloud'; it can be process, podman, docker" in done.stderr


def test_the_image_is_small_and_says_so(container_image: Any) -> None:
    assert container_image.megabytes("compressed") <= 180
    assert container_image.megabytes("unpacked") <= 450
    assert (container_image.folder / "differences.txt").exists()


def test_the_image_lists_what_is_inside(container_image: Any) -> None:
    listed = json.loads((container_image.folder / "sbom.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"
    names = {component["name"].lower() for component in listed["components"]}
    assert {"openvino", "flask", "functions-framework", "numpy"} <= names
    assert not {"torch", "openvino-telemetry", "pip", "cyclonedx-bom"} & names


def test_the_image_runs_anywhere_read_only_as_nobody_and_is_healthy(
    container_image: Any, podman: Any
) -> None:
    name, port = f"twinserve-test-{os.getpid()}", free_port()
    limits = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges")
    publish = ("--publish", f"127.0.0.1:{port}:8080")
    podman("run", "--detach", "--name", name, *limits, *publish, container_image.tag)
    try:
        local = Engine(open_bundle(container_image.model)).image(7, 0)
        assert np.array_equal(picture(f"http://127.0.0.1:{port}"), local)
        podman("healthcheck", "run", name)
        facts = json.loads(podman("inspect", container_image.tag))[0]
        assert facts["Config"]["User"] == "65532:65532"
        labels = facts["Config"]["Labels"]
        assert labels["org.opencontainers.image.title"] == "twinserve"
        assert labels["twinserve.models"] == container_image.model
    finally:
        podman("rm", "--force", name)


def test_both_sides_are_compared_in_real_containers(container_image: Any, tmp_path: Path) -> None:
    words = ("--model", container_image.model, "--duration", "12s", "--out", "run")
    done = run("compare", "--runner", "podman", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"Image: {container_image.tag}" in done.stderr
    assert "Building" not in done.stderr
    assert "held to 1 CPU by quota" in done.stderr
    assert done.stdout.startswith("Verdict (")
    assert json.loads((tmp_path / "run/run.json").read_text())["runner"] == "podman"
    comparison = json.loads((tmp_path / "run/comparison.json").read_text())
    assert {"choice", "strength", "rule", "scope", "reasons"} <= comparison["verdict"].keys()
    gates = {gate["name"]: gate["status"] for gate in comparison["gates"]}
    assert gates["equality"] == "pass"
    assert "Cold starts taken apart" in (tmp_path / "run/report.html").read_text()
