"""Bundles on disk: found by name, checked against their hash, refused when damaged."""

from pathlib import Path

import pytest

from twinserve.bundle import pgan
from twinserve.bundle.bundle import Bundle, BundleFacts, read_bundle, write_bundle
from twinserve.bundle.engine import Engine
from twinserve.bundle.store import bundle_facts, default_model, known_bundles, open_bundle
from twinserve.errors import BundleError


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setenv("TWINSERVE_MODELS", str(tmp_path))
    weights = pgan.random_weights(16, 64, (32, 32, 32))
    facts = BundleFacts(
        name="tiny",
        resolution=16,
        latent=weights.latent,
        terms="for tests",
        commercial_use=True,
        description="",
        content_hash="",
    )
    return write_bundle(tmp_path / "tiny", pgan.graph(weights, "tiny"), facts)


def test_a_bundle_is_found_by_name_and_by_folder(bundle: Bundle, tmp_path: Path) -> None:
    assert known_bundles()["tiny"] == tmp_path / "tiny"
    assert default_model() == "tiny"
    by_name, by_folder = open_bundle("tiny"), open_bundle(str(tmp_path / "tiny"))
    assert by_name.facts == by_folder.facts == bundle.facts == bundle_facts("tiny")
    assert Engine(by_name).image(1, 1).shape == (16, 16, 3)


def test_weights_are_stored_as_float16(bundle: Bundle) -> None:
    weights = pgan.random_weights(16, 64, (32, 32, 32))
    layers = [weights.linear, weights.first, *sum(weights.blocks, ()), weights.to_rgb]
    floats = sum(layer.weight.size for layer in layers)
    assert bundle.path is not None
    assert (bundle.path / "model.bin").stat().st_size < 2.2 * floats + 4096


def test_a_changed_weight_is_noticed(bundle: Bundle) -> None:
    assert bundle.path is not None
    weights = bundle.path / "model.bin"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(BundleError, match="a bundle may not be changed"):
        read_bundle(bundle.path)


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "bundle.json"])
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    assert bundle.path is not None
    (bundle.path / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(bundle.path)


def test_a_damaged_or_newer_bundle_json_is_named(bundle: Bundle) -> None:
    assert bundle.path is not None
    facts = bundle.path / "bundle.json"
    text = facts.read_text()
    facts.write_text(text.replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(BundleError, match="schema 99"):
        read_bundle(bundle.path)
    facts.write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        read_bundle(bundle.path)


@pytest.mark.usefixtures("bundle")
def test_an_unknown_model_lists_the_known() -> None:
    with pytest.raises(BundleError, match=r"'nobody'; known are tiny, .*random-64"):
        open_bundle("nobody")
    with pytest.raises(BundleError, match="random-16"):
        open_bundle("random-17")
