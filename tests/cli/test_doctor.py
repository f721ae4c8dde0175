"""``twinserve doctor`` as a user runs it."""

import json
import subprocess
import sys


def doctor(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{code}\nimport sys; sys.argv = ['twinserve', 'doctor', *{words!r}]\n"
    return subprocess.run(
        [sys.executable, "-c", program + "from twinserve.cli import main; main()"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_shows_what_runs_and_how_long_the_profiles_take() -> None:
    done = doctor()
    assert done.returncode == 0, done.stderr
    for word in ("run", "enforce", "measure", "podman", "CPU pinning", "throttling"):
        assert word in done.stdout
    assert "twinserve compare --profile quick: about " in done.stdout
    assert done.stderr == ""


def test_programs_get_json() -> None:
    told = json.loads(doctor("--json").stdout)
    assert told["schema_version"] == 1
    assert told["can_run"] is True
    assert {"area", "name", "mark", "detail"} == told["findings"][0].keys()
    assert 60 < told["profile_seconds"]["quick"] < told["profile_seconds"]["long"]


def test_a_machine_that_can_run_nothing_is_an_error() -> None:
    nothing = (
        "import os; os.environ['PATH'] = ''; os.environ['DOCKER_HOST'] = 'unix:///none'\n"
        "os.environ['CONTAINER_HOST'] = 'unix:///none'\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'gunicorn' else real(name, *rest)"
    )
    done = doctor("--json", code=nothing)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["can_run"] is False
    [process] = [found for found in told["findings"] if found["name"] == "process"]
    assert "gunicorn" in process["detail"]
