"""``twinserve load export`` as a user runs it, and its rows on their way back into one run."""

from __future__ import annotations

import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest

from twinserve.cli import twinserve
from twinserve.errors import TwinserveError
from twinserve.load.jmeter_home import JMeter
from twinserve.records.logs import read_logs

ONE_HOST = Path(__file__).parents[1] / "data" / "jtl" / "function.csv"
LABEL = ONE_HOST.read_text().splitlines()[1].split(",")[2]
SHORT = """
blocks = 2
block = "1s"
warmup = "1s"

[arrivals]
kind = "closed"
users = 4
"""
WORDS = ("load", "export", "--url", "http://127.0.0.1:8081")


@pytest.fixture
def url() -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Authorization"] == "Bearer a-token"
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_plan_of_one_service_shares_its_users_among_the_hosts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "load.jmx"
    words = (
        "--format",
        "jmx",
        "--hosts",
        "2",
        "--duration",
        "10",
        "--users",
        "4",
        "--out",
        str(out),
    )
    twinserve([*WORDS, *words, "--with-token"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "4 users for 10 s, after 2 s of warm-up" in said
    assert f"jmeter -n -t {out} -l rows.csv -R HOST1,HOST2 -G token.properties" in said
    root = ET.fromstring(out.read_bytes())  # noqa: S314
    texts = [(p.get("name"), p.text) for p in root.iter()]
    assert [t for n, t in texts if n == "ThreadGroup.num_threads"] == ["2", "2"]
    assert [t for n, t in texts if n == "ThreadGroup.duration"] == ["2", "10"]
    assert ("Header.value", "Bearer ${__P(token)}") in texts
    names = [s.get("testname") for s in root.iter("HTTPSamplerProxy")]
    assert names == ["service warm-up", "service generate"]


def test_a_locustfile_is_written_with_the_commands_that_run_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "load.py"
    twinserve([*WORDS, "--format", "locust", "--out", str(out)], standalone_mode=False)
    assert f"locust -f {out} --headless --master --expect-workers N" in capsys.readouterr().out
    assert "USERS = 4\n" in out.read_text()


def test_rows_of_several_jmeter_hosts_become_one_run(
    jmeter: JMeter, url: str, tmp_path: Path
) -> None:
    (tmp_path / "short.toml").write_text(SHORT)
    words = ("--format", "jmx", "--hosts", "2", "--workload", str(tmp_path / "short.toml"))
    words += ("--side", "container", "--with-token", "--out", str(tmp_path / "load.jmx"))
    twinserve(["load", "export", "--url", url, *words], standalone_mode=False)
    (tmp_path / "token.properties").write_text("token=a-token\n")
    hosts = [
        subprocess.Popen(
            [*jmeter.command, "-n", "-t", "load.jmx", "-l", f"{host}.csv", "-j", f"{host}.log",
             "-q", "token.properties"],
            cwd=tmp_path, stdout=subprocess.DEVNULL,
        )
        for host in (1, 2)
    ]  # fmt: skip
    assert [host.wait(timeout=200) for host in hosts] == [0, 0]
    files = ("--container", "1.csv", "--container", "2.csv", "--function", str(ONE_HOST))
    labels = ("--label", "container generate", "--label", LABEL)
    done = subprocess.run(
        [sys.executable, "-m", "twinserve", "import-jtl", *files, *labels, "--out", "run"],
        cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "from 1.csv, 2.csv (CSV)" in done.stderr
    log = read_logs(tmp_path / "run" / "run.json").logs["container"]
    texts = [(tmp_path / f"{host}.csv").read_text() for host in (1, 2)]
    assert log.rows == sum(text.count(",container generate,200,") for text in texts) > 0
    assert all(",container warm-up,200," in text for text in texts)
    assert log.threads == 4
    assert log.active_threads is not None
    assert 2 <= log.active_threads <= 4
    assert any("other labels" in note for note in log.notes)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--format", "locust", "--rate", "5"], "look better than it is"),
        (["--format", "locust", "--hosts", "2"], "Locust shares the users among its workers"),
        (
            ["--format", "jmx", "--users", "4", "--hosts", "3"],
            "4 users cannot be shared evenly by 3 JMeter hosts",
        ),
        (["--format", "jmx", "--profile", "burst"], "'burst' cannot be exported as jmx"),
        (["--format", "jmx", "--side", "a,b"], "--side is 'a,b'; write a name without commas"),
        (["--format", "jmx", "--url", "ftp://h"], "it must begin with https://HOST"),
        (["--format", "jmx", "--url", "http://h", "--with-token"], "use https://"),
        (["--format", "jmx", "--out", "no/such/folder"], "cannot be written"),
    ],
)
def test_wrong_usage_is_one_line_and_writes_nothing(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TwinserveError, click.ClickException)) as refused:
        twinserve([*WORDS, "--out", "out", *words], standalone_mode=False)
    assert says in str(refused.value)
    assert not list(tmp_path.iterdir())
