"""How instances are started: as the clouds start them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from twinserve.deployment import Kind, fair_defaults
from twinserve.runtime.commands import instance_command, instance_environment
from twinserve.runtime.pinning import cpus_of, limits_sentence

SIDES = fair_defaults("random-16")


def test_the_container_runs_cloud_runs_documented_gunicorn_command() -> None:
    command = " ".join(instance_command(SIDES[Kind.CONTAINER], 8123))
    assert "-m gunicorn --workers 1 --worker-class gthread --threads 8 --timeout 0" in command
    assert "--bind 127.0.0.1:8123 --graceful-timeout 10" in command
    assert command.endswith("--no-control-socket twinserve.service.container:create_app()")


def test_the_function_runs_under_functions_framework() -> None:
    command = instance_command(SIDES[Kind.FUNCTION], 8123)
    assert command[1:5] == ["-m", "functions_framework", "--target", "generate"]
    assert Path(command[command.index("--source") + 1]).name == "function.py"


def test_the_environment_is_the_clouds_and_sets_no_threads(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "OMP_NUM_THREADS": "7", "THREADS": "1", "GUNICORN_CMD_ARGS": "-w9"}
    environment = instance_environment(SIDES[Kind.FUNCTION], 8123, inherited, tmp_path)
    assert environment["PATH"] == "/bin"
    assert environment["PORT"] == "8123"
    assert environment["K_SERVICE"] == "function"
    assert environment["TWINSERVE_MODEL"] == "random-16"
    assert not {"OMP_NUM_THREADS", "THREADS", "GUNICORN_CMD_ARGS"} & environment.keys()


@pytest.mark.parametrize(
    ("place", "cpu", "usable", "cpus"),
    [
        (0, 1.0, (0, 1), (1,)),
        (1, 1.0, (0, 1), (0,)),
        (2, 1.0, (0, 1), (1,)),  # past the last: shared, from the top again
        (0, 2.0, (0, 1, 2, 3), (3, 2)),
        (1, 1.5, (0, 1, 2, 3, 7), (2, 1)),
        (0, 4.0, (5,), (5,)),
    ],
)
def test_instances_get_cpus_of_their_own_from_the_top(
    place: int, cpu: float, usable: tuple[int, ...], cpus: tuple[int, ...]
) -> None:
    assert cpus_of(place, cpu, usable) == cpus


def test_limits_that_do_not_hold_are_said() -> None:
    said = limits_sentence(SIDES["function"], can_pin=True)
    assert "pinned to 1 whole CPU, no more at its start and no less between requests" in said
    plain = limits_sentence(replace(SIDES["function"], policy="knative"), can_pin=True)
    assert "pinned to 1 whole CPU;" in plain
    assert "CPU is not enforced" in limits_sentence(SIDES["function"], can_pin=False)
    assert "4096 MiB is not enforced" in limits_sentence(SIDES["function"], can_pin=True)
