"""What an image and a function are made of, without an engine."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from twinserve.bundle.bundle import write_bundle
from twinserve.bundle.store import open_bundle
from twinserve.errors import BundleError, RuntimeFailure
from twinserve.runtime.artefacts import image
from twinserve.runtime.artefacts.app import file_hashes, template
from twinserve.runtime.artefacts.context import write_context
from twinserve.runtime.artefacts.differences import compare_artefacts, format_differences
from twinserve.runtime.artefacts.function import write_function
from twinserve.runtime.artefacts.pins import pinned_requirements

MODELS = ("random-16", "random-32")


def test_pins_hold_all_that_serving_needs_and_nothing_that_calls_home() -> None:
    pins = pinned_requirements()
    names = {pin.partition("==")[0] for pin in pins}
    assert {"flask", "functions-framework", "gunicorn", "numpy", "openvino", "werkzeug"} <= names
    assert not {"torch", "openvino-telemetry", "polars", "aiohttp", "pip"} & names
    assert all("==" in pin for pin in pins)
    assert len(names) == len(pins)


def test_a_package_that_is_not_installed_cannot_be_pinned() -> None:
    with pytest.raises(RuntimeFailure, match=r"nothing-like-this is not installed.*pip install"):
        pinned_requirements(["nothing-like-this"])


def test_the_tool_for_the_sbom_is_pinned_to_the_last_package() -> None:
    lines = template("sbom-requirements.txt").splitlines()
    assert any(line.startswith("cyclonedx-bom==") for line in lines)
    assert all("==" in line for line in lines if not line.startswith("#"))


def written_bundle(folder: Path) -> Path:
    """A bundle with files of its own."""
    bundle = open_bundle("random-16")
    facts = msgspec.structs.replace(bundle.facts, name=folder.name)
    write_bundle(folder, bundle.graph, facts)
    return folder


def test_the_containerfile_promises_what_the_issue_asks(tmp_path: Path) -> None:
    models = ("random-16", str(written_bundle(tmp_path / "written")))
    context = write_context(tmp_path / "context", models, "example/base:1")
    text = context.containerfile.read_text()
    lines = text.splitlines()
    assert "ARG BASE=example/base:1" in lines
    assert len([line for line in lines if line.startswith("FROM ")]) == 3
    assert "USER 65532:65532" in lines
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    assert "org.opencontainers.image.version=" in text
    assert "TWINSERVE_MODEL=random-16" in text
    assert "TWINSERVE_MORE_MODELS=/app/models/written" in text
    assert "@" not in text.replace("@FUNCTION@", "@")
    command = json.loads(next(line for line in lines if line.startswith("CMD "))[4:])
    assert command[0] == "gunicorn"
    assert command[-1] == "twinserve.service.container:create_app()"


def test_the_app_starts_from_its_own_files_alone(tmp_path: Path) -> None:
    source = write_function(tmp_path, MODELS).folder
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "import main, twinserve\n"
        "from twinserve.service.core import open_core\n"
        "print(twinserve.__file__, open_core().answer('GET', '/models', '', '', b'').body)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True
    )
    where, _, models = done.stdout.partition(" ")
    assert Path(source / where).resolve().is_relative_to(source)
    assert '"default":"random-16"' in models
    assert "random-32" in models


def test_the_zip_is_the_source_and_repeats_byte_by_byte(tmp_path: Path) -> None:
    first, second = (write_function(tmp_path / name, MODELS) for name in ("a", "b"))
    assert first.zip.read_bytes() == second.zip.read_bytes()
    with zipfile.ZipFile(first.zip) as archive:
        assert set(archive.namelist()) == set(file_hashes(first.folder))
        assert {"main.py", "requirements.txt"} <= set(archive.namelist())


def test_both_artefacts_carry_the_same_bytes_and_what_differs_is_written(
    tmp_path: Path,
) -> None:
    found = compare_artefacts((str(written_bundle(tmp_path / "written")), "random-32"))
    assert found.same > 20
    assert found.pins_equal
    assert found.different == found.only_container == found.only_function == []
    text = "\n".join(format_differences(found))
    assert "Pinned packages: the same." in text
    assert "function: functions-framework --target generate" in text


def test_equal_content_gets_an_equal_tag_and_other_content_another(tmp_path: Path) -> None:
    contexts = [
        write_context(tmp_path / "a", ["random-16"], "base"),
        write_context(tmp_path / "b", ["random-16"], "base"),
        write_context(tmp_path / "c", ["random-16"], "another"),
        write_context(tmp_path / "d", ["random-32"], "base"),
    ]
    (tmp_path / "b/wheels/some.whl").touch()
    tags = [image.tag_of(context) for context in contexts]
    assert tags[0] == tags[1]
    assert len(set(tags)) == 3


def test_a_model_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="nobody"):
        write_function(tmp_path, ["nobody"])


def test_slim_takes_out_what_serving_never_loads_and_nothing_else(tmp_path: Path) -> None:
    site = tmp_path / "venv/lib/python3.11/site-packages"
    gone = [
        "openvino/libs/libopenvino_intel_gpu_plugin.so",
        "openvino/libs/libopenvino_onnx_frontend.so.2641",
        "openvino/tools/ovc/__init__.py",
        "openvino/include/openvino/op.hpp",
        "openvino_telemetry/main.py",
        "numpy/_core/tests/test_x.py",
        "numpy/__init__.pyi",
        "pip/__init__.py",
    ]
    kept = [
        "openvino/libs/libopenvino_intel_cpu_plugin.so",
        "openvino/libs/libopenvino_ir_frontend.so.2641",
        "openvino/frontend/__init__.py",
        "numpy/_core/_multiarray.so",
        "flask/app.py",
    ]
    for name in gone + kept:
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("x")
    script = tmp_path / "slim.py"
    script.write_text(template("slim.py"))
    subprocess.run([sys.executable, str(script), str(tmp_path / "venv")], check=True)
    assert list(file_hashes(site)) == sorted(kept)


def test_an_image_is_weighed_by_its_layers_compressed_and_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = {"a.tar": b"\0" * 3_000_000, "b.tar": bytes(range(256)) * 4_000}
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for name, data in (*layers.items(), ("config.json", b"{}")):
            _add(tar, name, data)
        _add(tar, "manifest.json", json.dumps([{"Layers": list(layers)}]).encode())
    engine = tmp_path / "podman"
    engine.write_text(f"#!/bin/sh\ncat {archive}\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    weight = image.weigh("podman", "any")
    assert weight.unpacked_bytes == sum(map(len, layers.values()))
    assert 2_000 < weight.compressed_bytes < 40_000


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
