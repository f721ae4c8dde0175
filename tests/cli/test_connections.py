"""Nothing leaves the machine while `generate`, `report` and `up` run (`compare`: its own test)."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from twinserve.records.run import RunDirectory

TWINSERVE = [sys.executable, "-m", "twinserve"]
LOOKUP = "import socket\ntry: socket.getaddrinfo('twinserve.invalid', 80)\nexcept OSError: pass"


def test_a_look_up_would_be_noticed(traced: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "trace"
    subprocess.run([*traced.prefix(log), sys.executable, "-c", LOOKUP], check=True, timeout=60)
    with pytest.raises(AssertionError):
        traced.assert_loopback_only(log)


def test_generate_connects_to_nothing(traced: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "trace"
    words = ["generate", "--model", "random-16", "-o", str(tmp_path / "a.png")]
    subprocess.run([*traced.prefix(log), *TWINSERVE, *words], check=True, timeout=120)
    assert traced.addresses(log) == set()


def test_report_connects_to_nothing(
    traced: ModuleType, tmp_path: Path, make_run: Callable[[], RunDirectory]
) -> None:
    log = tmp_path / "trace"
    words = ["report", str(make_run().path)]
    subprocess.run([*traced.prefix(log), *TWINSERVE, *words], check=True, timeout=300)
    assert traced.addresses(log) == set()


def test_up_serves_the_page_on_loopback_and_leaves_no_process(
    traced: ModuleType, tmp_path: Path
) -> None:
    log = tmp_path / "trace"
    words = ["up", "--model", "random-16", "--port", "0"]
    with subprocess.Popen(
        [*traced.prefix(log), *TWINSERVE, *words],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        page = process.stdout.readline().split()[-1]
        images = [asked(f"{page}{side}/generate") for side in ("container", "function")]
        assert images[0] == images[1]
        tree = psutil.Process(process.pid).children(recursive=True)
        assert len(tree) >= 5
        (parent,) = psutil.Process(process.pid).children()
        parent.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    _, alive = psutil.wait_procs(tree, timeout=30)
    assert not alive
    assert process.returncode == 0
    traced.assert_loopback_only(log)


def asked(url: str) -> list[str]:
    request = urllib.request.Request(  # noqa: S310 - loopback
        url, b'{"num_images": 2, "seed": 7}', {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - loopback
        images: list[str] = json.load(answer)["images"]
    return images
