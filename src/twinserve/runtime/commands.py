"""How the two kinds of instance are started: command line and environment, as plain values."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from twinserve.deployment import Deployment, Kind

CONTAINER_APP = "twinserve.service.container:create_app()"
FUNCTION_MODULE = "twinserve.service.function"
FUNCTION_TARGET = "generate"
HOST = "127.0.0.1"
# Tells the instance when it was asked for (epoch, ms), so that it can take its start apart.
ASKED = "TWINSERVE_ASKED_MS"
IMAGE_MAIN = "/app/main.py"
IMAGE_PORT = 8080
# Cloud Run's documented gunicorn command: one worker, eight threads, no worker timeout.
GUNICORN = ("--workers", "1", "--worker-class", "gthread", "--threads", "8", "--timeout", "0")
# Left in place, these would set thread counts or servers' options that the platforms do not set.
NOT_PASSED_ON = (
    "CLOUD_RUN_TIMEOUT_SECONDS",
    "DEBUG",
    "FUNCTION_SIGNATURE_TYPE",
    "FUNCTION_SOURCE",
    "FUNCTION_USE_ASGI",
    "GUNICORN_CMD_ARGS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "THREADED_TIMEOUT_ENABLED",
    "THREADS",
    "WEB_CONCURRENCY",
    "WORKERS",
)


def instance_command(deployment: Deployment, port: int) -> list[str]:
    """The command that serves ``deployment`` on 127.0.0.1 at ``port``."""
    if deployment.kind is Kind.CONTAINER:
        return _gunicorn_command(port)
    return _framework_command(port)


def image_command(kind: str) -> list[str]:
    """The command that serves a kind of deployment inside an image, on ``$PORT`` of every address:
    gunicorn and functions-framework both read it."""
    if kind == Kind.CONTAINER:
        graceful = ("--graceful-timeout", "10", "--log-level", "warning")
        return ["gunicorn", *GUNICORN, *graceful, *_no_control_socket(), CONTAINER_APP]
    return ["functions-framework", "--target", FUNCTION_TARGET, "--source", IMAGE_MAIN]


def instance_environment(
    deployment: Deployment, port: int, inherited: Mapping[str, str], private_dir: Path
) -> dict[str, str]:
    """The environment as on the clouds, on top of what the supervisor has.

    ``private_dir`` is this instance's own: functions-framework leaves gunicorn's control socket on,
    and two instances in one directory would fight over it.
    """
    kept = {name: value for name, value in inherited.items() if name not in NOT_PASSED_ON}
    return (
        kept
        | cloud_environment(deployment, port)
        | {
            "TWINSERVE_MODEL": deployment.model,
            "TWINSERVE_MORE_MODELS": os.pathsep.join(deployment.more_models),
            "PYTHONUNBUFFERED": "1",
            "XDG_RUNTIME_DIR": str(private_dir),
        }
    )


def cloud_environment(deployment: Deployment, port: int) -> dict[str, str]:
    """What the platforms themselves set, for a process and in a container alike, on top of the
    deployment's own variables."""
    return deployment.environment | {
        "PORT": str(port),
        "K_SERVICE": deployment.name,
        "K_CONFIGURATION": deployment.name,
        "K_REVISION": f"{deployment.name}-00001",
        "FUNCTION_TARGET": FUNCTION_TARGET,
    }


def _gunicorn_command(port: int) -> list[str]:
    bind = ("--bind", f"{HOST}:{port}", "--graceful-timeout", "10", "--log-level", "warning")
    return [
        sys.executable,
        "-m",
        "gunicorn",
        *GUNICORN,
        *bind,
        *_no_control_socket(),
        CONTAINER_APP,
    ]


def _no_control_socket() -> list[str]:
    """gunicorn has a control socket since 25.1, and no option to refuse it before."""
    from gunicorn.config import KNOWN_SETTINGS

    known = {setting.name for setting in KNOWN_SETTINGS}
    return ["--no-control-socket"] if "control_socket_disable" in known else []


def _framework_command(port: int) -> list[str]:
    spec = find_spec(FUNCTION_MODULE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(FUNCTION_MODULE)
    options = ("--target", FUNCTION_TARGET, "--source", spec.origin)
    address = ("--host", HOST, "--port", str(port))
    return [sys.executable, "-m", "functions_framework", *options, *address]
