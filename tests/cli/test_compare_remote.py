"""Services that run elsewhere: the real ones, one of them behind TLS and a token."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from twinserve.analysis.comparison import read_comparison
from twinserve.analysis.rates import read_rates
from twinserve.records.manifest import RunState, read_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples

TOKEN = "open-sesame-4711"  # noqa: S105 - of this test's own service
GUARDED = f"""
from twinserve.service.container import create_app
inner = create_app()
def app(environ, start_response):
    if environ.get("HTTP_AUTHORIZATION") != "Bearer {TOKEN}":
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"no"]
    return inner(environ, start_response)
"""


@dataclass(frozen=True)
class Elsewhere:
    """Where the two services are, and the certificate of the first."""

    container: str
    function: str
    certificate: Path

    @property
    def words(self) -> list[str]:
        urls = ["--container-url", self.container, "--function-url", self.function]
        return [*urls, "--ca-file", str(self.certificate), "--token-env", "container=MY_TOKEN"]


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "guarded.py").write_text(GUARDED)
    (folder / "main.py").write_text("from twinserve.service.function import generate\n")
    certificate = self_signed(folder)
    tls = ("--certfile", "cert.pem", "--keyfile", "key.pem")
    gunicorn = ("-m", "gunicorn", "--threads", "4", *tls)
    framework = ("-m", "functions_framework", "--target", "generate", "--source", "main.py")
    first, second = free_port(), free_port()
    commands = (
        [*gunicorn, "--bind", f"127.0.0.1:{first}", "guarded:app"],
        [*framework, "--host", "127.0.0.1", "--port", str(second)],
    )
    running = [start(command, folder / str(n)) for n, command in enumerate(commands)]
    try:
        found = Elsewhere(f"https://localhost:{first}", f"http://127.0.0.1:{second}", certificate)
        until_listening(first, second)
        yield found
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


def self_signed(folder: Path) -> Path:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem"


def start(words: list[str], private: Path) -> "subprocess.Popen[bytes]":
    private.mkdir()
    environment = os.environ | {"TWINSERVE_MODEL": "random-16", "XDG_RUNTIME_DIR": str(private)}
    with (private / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=private.parent,
            env=environment | {"PYTHONPATH": str(private.parent)},
            stdout=log,
            stderr=log,
        )


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def until_listening(*ports: int) -> None:
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)


def compare(words: list[str], out: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "twinserve", "compare", *words, "--out", str(out)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"MY_TOKEN": TOKEN},
    )


def test_two_services_elsewhere_are_compared_and_neither_address_nor_token_is_written(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    done = compare([*elsewhere.words, "--duration", "10", "--users", "2"], tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "At most 5,000 requests (--max-requests), 50 a second" in done.stderr
    run = RunDirectory(tmp_path / "run")
    manifest = read_manifest(run.manifest)
    assert (manifest.runner, manifest.sides) == ("remote", ("container", "function"))
    assert (manifest.model.name, manifest.deployments) == ("random-16", {})
    assert [each.encrypted for each in manifest.remote.values()] == [True, False]
    assert manifest.equality is not None
    assert manifest.equality.equal == manifest.equality.requests
    comparison = read_comparison(run.comparison)
    assert "two services that ran elsewhere" in comparison.verdict.scope
    told = {gate.name: gate for gate in comparison.gates}
    assert told["cold"].status.value == "unknown"
    assert "against a server that does nothing" in told["saturation"].detail
    assert "Other processes used" in told["host"].detail
    assert "CPU for its instances" not in told["host"].detail  # they have cores of their own
    assert comparison.deployments["container"].errors == 0
    assert read_samples(run.samples)["URL"].unique().sort().to_list() == [
        "http://function/generate",
        "https://container/generate",
    ]
    addresses = [url.partition("//")[2] for url in (elsewhere.container, elsewhere.function)]
    for path in (path for path in run.path.rglob("*") if path.is_file()):
        for secret in (TOKEN, *addresses):
            assert secret.encode() not in path.read_bytes(), path
    assert TOKEN not in done.stdout + done.stderr


def test_the_limit_of_requests_ends_the_run_and_what_was_measured_is_told(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    words = [*elsewhere.words, "--duration", "10", "--users", "2", "--max-requests", "40"]
    done = compare(words, tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "The limit of 40 requests was reached (raise it with --max-requests)" in done.stderr
    run = RunDirectory(tmp_path / "run")
    assert read_manifest(run.manifest).state is RunState.INTERRUPTED
    assert read_samples(run.samples).height <= 40
    assert read_comparison(run.comparison).verdict.choice == "undetermined"


def test_a_search_for_rates_ends_at_the_rate_that_the_owner_allows(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    words = ["--find-rate", "p95<5s", "--duration", "4", "--max-rate", "30"]
    done = compare([*elsewhere.words, *words], tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "keeps p95 < 5.00 s at 30 requests a second" in done.stdout
    for side in read_rates(tmp_path / "run" / "rates.json").sides.values():
        assert (side.highest_met_rps, side.lowest_missed_rps) == (30.0, None)
        assert "30 requests a second is where the search ends" in side.why


@pytest.mark.parametrize(
    ("left_out", "why"),
    [
        ("--ca-file", "container has a certificate that is not trusted (self-signed certificate)"),
        ("--token-env", "container answered 403: it does not let us in. Give a token with"),
    ],
)
def test_a_service_that_cannot_be_asked_is_one_line_that_says_what_to_do(
    elsewhere: Elsewhere, tmp_path: Path, left_out: str, why: str
) -> None:
    words = elsewhere.words
    at = words.index(left_out)
    done = compare([*words[:at], *words[at + 2 :]], tmp_path / "run")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {why}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
