"""What a real JMeter writes in each of its formats, our reader reads alike."""

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from twinserve.load.jmeter_home import JMeter
from twinserve.load.jmeter_plan import write_plan
from twinserve.records.jtl import open_jtl
from twinserve.records.jtl_row import JtlOptions, JtlSeen, Stamps
from twinserve.workload.profiles import profile

STYLES = {
    "default": (),
    "semicolons, dates, no header": (
        "jmeter.save.saveservice.default_delimiter=;",
        "jmeter.save.saveservice.timestamp_format=yyyy/MM/dd HH:mm:ss.SSS",
        "jmeter.save.saveservice.print_field_names=false",
        "user.timezone=UTC",
    ),
    "xml": ("jmeter.save.saveservice.output_format=xml",),
    "stamps of ends": ("sampleresult.timestamp.start=false",),
}


class Answers(BaseHTTPRequestHandler):
    """Every fifth request fails."""

    count = 0

    def do_POST(self) -> None:
        type(self).count += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if self.count % 5 == 0 else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("style", STYLES)
def test_a_log_of_each_style_is_read(jmeter: JMeter, style: str, url: str, tmp_path: Path) -> None:
    workload = msgspec.structs.replace(profile("quick"), blocks=1, block_s=2.0, warmup_s=0.0)
    plan, log = tmp_path / "plan.jmx", tmp_path / "log.jtl"
    plan.write_bytes(write_plan({"a": url, "b": url}, workload, 2))
    settings = [
        f"-{'D' if setting.startswith('user.') else 'J'}{setting}" for setting in STYLES[style]
    ]
    command = [*jmeter.command, "-n", "-t", str(plan), "-l", str(log), *settings]
    done = subprocess.run(
        [*command, "-j", str(tmp_path / "jmeter.log")],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    opened, seen = open_jtl(log, JtlOptions()), JtlSeen()
    rows = list(opened.rows(seen))
    assert len(rows) >= 10
    assert not seen.cut_off
    assert opened.format == ("XML" if style == "xml" else "CSV")
    assert opened.stamps is (Stamps.END if style == "stamps of ends" else Stamps.START)
    assert opened.stamps_told
    assert {row.label for row in rows} == {"a generate", "b generate"}
    assert {row.code for row in rows} == {"200", "500"}
    assert all(row.answered == (row.code == "200") for row in rows)
    assert all(row.elapsed_ms >= (row.latency_ms or 0) >= (row.connect_ms or 0) for row in rows)
    assert {row.all_threads for row in rows} <= {1, 2}
    begins = sorted(row.at_ms for row in rows)
    assert 2000 < begins[-1] - begins[0] < 20_000
