"""The import budget: what starts often or serves loads nothing that it does not need."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import twinserve

HEAVY = (
    *("torch", "safetensors", "polars", "altair", "vl_convert", "scipy", "openvino_telemetry"),
    *("numba", "kubernetes", "yaml", "docker"),
)
SERVING = ("twinserve.service.container", "twinserve.service.function", "twinserve.runtime")


def loaded_after(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after running ``code``."""
    code += "\nimport sys; print('\\n'.join({name.split('.')[0] for name in sys.modules}))"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return set(out.stdout.split("\n"))


@pytest.mark.parametrize("module", [*SERVING, "twinserve.page.server", "twinserve.load.experiment"])
def test_serving_and_loading_import_nothing_heavy(module: str) -> None:
    assert not loaded_after(f"import {module}").intersection(HEAVY)


def test_a_started_core_imports_nothing_heavy() -> None:
    code = (
        "import os; os.environ['TWINSERVE_MODEL'] = 'random-16'\n"
        "from twinserve.service.container import create_app; create_app()"
    )
    loaded = loaded_after(code)
    assert "openvino" in loaded
    assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize(
    "verb",
    [
        "",
        "up",
        "import-jtl",
        "load",
        "load export",
        "compare",
        "report",
        "generate",
        "models",
        "train",
        "build",
        "build container",
        "build function",
        "doctor",
        "deployments",
        "models import",
        "models pull",
        "models evaluate",
        "deploy",
        "deploy cloud-run",
        "deploy cloud-functions",
        "deploy knative",
        "deploy kubernetes",
        "cost",
        "simulate",
        "calibrate",
    ],
)
def test_help_imports_nothing_heavy_and_shows_an_example(verb: str) -> None:
    code = (
        f"import sys; sys.argv = ['twinserve', *{verb.split()!r}, '--help']\n"
        "from twinserve.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code"
    )
    loaded = loaded_after(code)
    assert not loaded.intersection({*HEAVY, "openvino"} if not verb else HEAVY)
    assert any("Example: twinserve" in line for line in loaded)


def test_importing_a_module_has_no_side_effect(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [m.name for m in walk_packages(twinserve.__path__, "twinserve.")]
    for name in names:
        if not name.endswith("__main__"):
            import_module(name)
    assert len(names) > 40
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
