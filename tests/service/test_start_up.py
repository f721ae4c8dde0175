"""A start taken apart by the instance itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from twinserve.service.core import ServiceCore
from twinserve.service.models import ServedModels
from twinserve.service.start_up import ASKED, StartClock, StartUp, instance_age_s

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell the age")


@LINUX
def test_the_age_counts_from_the_process_that_leads_the_group() -> None:
    code = (
        "import os, time; time.sleep(0.3)\n"
        "from twinserve.service.start_up import instance_age_s\n"
        "child = os.fork()\n"
        "print(instance_age_s()) if child == 0 else os.wait()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
    )
    assert float(done.stdout) >= 0.29


@LINUX
def test_the_time_before_the_process_is_known_where_it_was_said_when_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    age_s = instance_age_s()
    assert age_s is not None
    monkeypatch.setenv(ASKED, str((time.time() - age_s) * 1000 - 250))
    clock = StartClock()
    clock.loaded()
    assert clock.ran().spawn_ms == pytest.approx(250, abs=60)


@pytest.mark.parametrize("value", ["", "soon"])
def test_without_that_the_spawn_is_unknown(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASKED, value)
    clock = StartClock()
    clock.loaded()
    assert clock.ran().spawn_ms is None


def test_the_first_answer_alone_tells_how_the_start_went() -> None:
    start = StartUp(runtime_ms=700.0, load_ms=200.0, inference_ms=50.0)
    core = ServiceCore(ServedModels(["random-16"]), ("/generate",), start)
    lines = [
        core.answer("POST", "/generate", "", "", b"").headers["Server-Timing"] for _ in range(2)
    ]
    assert lines[0].endswith(
        "start-runtime;dur=700.000, start-load;dur=200.000, start-inference;dur=50.000"
    )
    assert "start-" not in lines[1]
    assert os.environ.get(ASKED) is None
