"""Deployments as the command line names them: the listing, the file, two sides of any name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from twinserve.cli.sides import known_deployments, two_sides
from twinserve.deployment import HIDDEN, fair_defaults
from twinserve.errors import UsageError

FILE = """\
[deployments.container-c8]
kind = "container"
concurrency = 8

[deployments.small]
kind = "function"
cpu = 0.5
memory = "512MiB"
idle = "1m"

[deployments.small.environment]
TOKEN = "secret"
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twinserve", *words],
        capture_output=True, text=True, timeout=300, cwd=folder, check=False,
    )  # fmt: skip


def test_without_a_file_the_two_defaults_are_listed(tmp_path: Path) -> None:
    done = run(tmp_path, "deployments")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[1:3]] == ["container", "function"]
    assert "There is no twinserve.toml here" in done.stdout


def test_the_file_of_the_working_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "twinserve.toml").write_text(FILE)
    done = run(tmp_path, "deployments")
    assert done.returncode == 0
    assert "container-c8" in done.stdout
    assert "small: one request at a time, as below 1 CPU it must be." in done.stdout
    assert "small: sets TOKEN." in done.stdout
    assert "secret" not in done.stdout


def test_as_json_everything_is_told_but_secrets(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(FILE)
    done = run(tmp_path, "deployments", "--config", "other.toml", "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert (told["schema_version"], told["file"]) == (1, "other.toml")
    assert [each["name"] for each in told["deployments"]] == [
        "container", "function", "container-c8", "small",
    ]  # fmt: skip
    small = told["deployments"][-1]
    assert (small["cpu"], small["memory_mib"], small["idle_s"]) == (0.5, 512, 60.0)
    assert (small["policy"], small["model"]) == ("cloud-functions", None)
    assert small["environment"] == {"TOKEN": HIDDEN}


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        (
            ["deployments"],
            "[deployments.a]\nkind = 'container'\ncpu = 0\n",
            "line 3: deployments.a.cpu is 0",
        ),
        (
            ["compare", "--sides", "container,small"],
            FILE.replace("memory = \"512MiB\"", "concurrency = 2\nmemory = \"512MiB\""),
            "line 8: deployments.small.concurrency is 2; allowed is 1 below 1 CPU (cpu is 0.5) "
            "(policy cloud-functions, https://cloud.google.com/run/docs/about-concurrency, read",
        ),
        (
            ["deployments"],
            "[deployments.function]\npolicy = 'cheap'\n",
            "line 2: deployments.function.policy is \"cheap\"; allowed is one of cloud-run, ",
        ),
        (["compare", "--sides", "container"], FILE, "--sides is 'container'; name two different"),
        (["compare", "--sides", "small,small"], FILE, "name two different deployments"),
        (["up", "--sides", "small,web"], FILE, "--sides names 'web'; known are container, "),
        (
            ["compare", "--sides", "container,small"],
            FILE.replace("cpu = 0.5", "cpu = 0.5\nmodel = 'random-16'"),
            "small runs random-16; both sides of a comparison run one model: name it with --model",
        ),
        (["up", "--idle", "1h"], "", "idle is \"3600 s\"; allowed is at most 900 s"),
        (["up", "--gateway-ports", "80"], "", "'80' is not two ports; write 8081,8082"),
        (["deployments", "--config", "none.toml"], "", "'none.toml' does not exist"),
    ],
)  # fmt: skip
def test_wrong_usage_names_the_value_and_the_way_out(
    words: list[str], text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "twinserve.toml").write_text(text)
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_any_two_may_be_chosen_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "twinserve.toml"
    path.write_text(FILE)
    found = known_deployments(path, fair_defaults("m"))
    assert [each.name for each in two_sides("small, container-c8", found)] == [
        "small", "container-c8",
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"Describe others in a twinserve\.toml"):
        two_sides("container,web", known_deployments(None, fair_defaults("m")))
