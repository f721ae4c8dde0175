"""The most that a real JMeter reaches against a server that does nothing."""

import asyncio
import sys
import tempfile
from pathlib import Path

import pytest

from twinserve.load import jmeter_ceiling
from twinserve.load.jmeter_ceiling import measure_jmeter_ceiling
from twinserve.load.jmeter_home import JMeter


def test_jmeter_reaches_more_than_a_service_would_ask_for(
    jmeter: JMeter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(jmeter_ceiling, "WARM_UP_S", 1.0)
    found = asyncio.run(measure_jmeter_ceiling(jmeter, 4, 2000, seconds=1.0))
    assert found is not None
    assert found.requests_per_s > 20
    assert (found.users, found.answer_bytes) == (16, 2000)
    assert not list(tmp_path.iterdir())


def test_without_a_server_there_is_no_ceiling(
    jmeter: JMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert asyncio.run(measure_jmeter_ceiling(jmeter, 4, 2000)) is None
