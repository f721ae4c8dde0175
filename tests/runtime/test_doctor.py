"""What this machine can run, enforce and measure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from twinserve.runtime import doctor
from twinserve.runtime.doctor import Area, Finding, Mark, can_run, cgroup_version, examine


def test_every_area_is_looked_at_and_processes_run_here() -> None:
    found = examine()
    assert {finding.area for finding in found} == set(Area)
    by_name = {finding.name: finding for finding in found}
    assert by_name["process"].mark is Mark.YES
    assert by_name["python"].mark is Mark.YES
    assert all(finding.detail for finding in found)
    assert can_run(found)


def test_nothing_can_run_where_every_runner_is_missing() -> None:
    none = [Finding(Area.RUN, name, Mark.NO, "") for name in ("process", "podman", "docker")]
    assert not can_run(none)
    assert can_run([*none[:1], Finding(Area.RUN, "podman", Mark.PARTLY, "")])


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ([], ""),
        (["cpu/cpu.stat"], "1"),
        (["cpu/cpu.stat", "unified/cgroup.controllers"], "1 and 2 mixed"),
        (["cgroup.controllers"], "2"),
    ],
)
def test_the_version_of_control_groups_is_told(
    files: list[str], version: str, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert cgroup_version(tmp_path) == version


@pytest.fixture
def podman_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """``podman_says(facts)`` puts a podman first on the path that answers ``info`` with these."""
    pytest.importorskip("docker")

    def say(facts: object, code: int = 0, error: str = "") -> None:
        command = tmp_path / "podman"
        command.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = --version ]; then echo podman version 9; exit; fi\n'
            f"echo '{error}' >&2\ncat <<'E'\n{json.dumps(facts)}\nE\nexit {code}\n"
        )
        command.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setenv("CONTAINER_HOST", f"unix://{tmp_path}/none.sock")

    return say


def test_a_podman_that_would_refuse_mixed_groups_is_told_the_way_out(
    podman_says: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "cgroup_version", lambda: "1 and 2 mixed")
    podman_says({"host": {"ociRuntime": {"name": "crun"}}})  # type: ignore[operator]
    [found] = [finding for finding in examine() if finding.name == "podman"]
    assert found.mark is Mark.PARTLY
    assert 'runtime = "runc"' in found.detail


def test_a_rootless_podman_on_version_1_enforces_no_limits(podman_says: object) -> None:
    podman_says(  # type: ignore[operator]
        {"host": {"cgroupVersion": "v1", "security": {"rootless": True}}}
    )
    by_name = {finding.name: finding for finding in examine()}
    assert by_name["podman"].mark is Mark.YES
    assert "podman" not in by_name["CPU quota"].detail


def test_an_engine_that_does_not_answer_says_why(podman_says: object) -> None:
    podman_says({}, 125, "cannot connect")  # type: ignore[operator]
    [found] = [finding for finding in examine() if finding.name == "podman"]
    assert found.mark is Mark.NO
    assert "cannot connect" in found.detail


def test_an_engine_that_is_missing_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.delenv("JMETER_HOME", raising=False)
    monkeypatch.setattr(doctor, "sockets", lambda _: ["unix:///nowhere.sock"])
    by_name = {finding.name: finding for finding in examine()}
    assert {by_name[name].detail for name in ("podman", "docker")} == {"not installed"}
    assert by_name["CPU quota"].mark is Mark.NO
    assert by_name["browser"].mark is Mark.NO
    assert "Java and JMeter" in by_name["jmeter"].detail


@pytest.mark.parametrize(
    ("engines", "ours", "mark", "said"),
    [
        ([], True, Mark.NO, "plain processes get no start-up boost and keep their CPU"),
        (["podman"], True, Mark.YES, "by podman: start-up boost, and next to no CPU between"),
        (["docker"], False, Mark.PARTLY, "only where control groups are ours"),
    ],
)
def test_cpu_by_the_moment_needs_an_engine_and_control_groups_that_are_ours(
    engines: list[str], ours: bool, mark: Mark, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.Cgroup, "is_ours", ours)
    found = doctor._cpu_by_the_moment(engines)
    assert found.mark is mark
    assert said in found.detail
