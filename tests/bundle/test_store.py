"""Bundles on disk: found by name, checked against their hash, refused when damaged."""

import gc
from pathlib import Path

import numpy as np
import pytest

from twinserve.bundle import pgan, store
from twinserve.bundle.bundle import Bundle, BundleFacts, read_bundle, write_bundle
from twinserve.bundle.cpu import has_int8
from twinserve.bundle.engine import Arithmetic, Engine
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
        _ = read_bundle(bundle.path).graph


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "bundle.json"])
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    assert bundle.path is not None
    (bundle.path / name).unlink()
    with pytest.raises(BundleError, match=name):
        _ = read_bundle(bundle.path).graph


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


def test_an_empty_file_is_named(bundle: Bundle) -> None:
    assert bundle.path is not None
    (bundle.path / "model.bin").write_bytes(b"")
    with pytest.raises(BundleError, match="not an OpenVINO model"):
        _ = read_bundle(bundle.path).graph


def test_a_damaged_cache_of_the_full_size_model_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(store, "FULL_SIZE_MAPS", (4,) * 8)
    made = open_bundle("pgan-random-512")
    assert made.path is not None
    whole = (made.path / "model.bin").read_bytes()
    (made.path / "model.bin").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = open_bundle("pgan-random-512")
    assert again.graph.get_friendly_name() == "pgan-random-512"
    assert (made.path / "model.bin").read_bytes() == whole


@pytest.mark.usefixtures("bundle")
def test_int8_graphs_are_kept_and_give_the_same_picture_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_int8():
        pytest.skip("this CPU has no VNNI")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Weights of the bundle that stayed floats must outlive it.
    fresh = Engine(open_bundle("tiny"), Arithmetic.INT8)
    gc.collect()
    [kept] = (tmp_path / "cache").glob("twinserve/models/int8/*/model.bin")
    again = Engine(open_bundle("tiny"), Arithmetic.INT8)
    assert np.array_equal(fresh.image(3, 1), again.image(3, 1))
    kept.write_bytes(b"")
    assert np.array_equal(
        Engine(open_bundle("tiny"), Arithmetic.INT8).image(3, 1), again.image(3, 1)
    )


@pytest.mark.usefixtures("bundle")
def test_an_unknown_model_lists_the_known() -> None:
    with pytest.raises(BundleError, match=r"'nobody'; known are tiny, .*random-64"):
        open_bundle("nobody")
    with pytest.raises(BundleError, match="random-16"):
        open_bundle("random-17")
