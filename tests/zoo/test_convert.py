"""What a published checkpoint computes, its bundle computes, to 1e-4; what does not fit is named.

Each expected array is the output of the reference implementation (see ../../docs/models.md).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from twinserve.bundle import pgan
from twinserve.bundle.bundle import Bundle, BundleFacts
from twinserve.bundle.engine import Arithmetic, Engine
from twinserve.bundle.layers import Array
from twinserve.errors import CheckpointError
from twinserve.zoo.convert import Chosen, convert, pgan_weights
from twinserve.zoo.install import Terms, install
from twinserve.zoo.reader import Checkpoint, read_checkpoint

ZOO = Path(__file__).parents[1] / "data/zoo"
NAMES = [path.stem for path in sorted(ZOO.glob("*.pth"))]
PUBLISHED = Terms("for tests", commercial_use=False)
TOLERANCE = 1e-4


def computed(engine: Engine, name: str) -> Array:
    """The pictures of the fixture's latents and noise, at every ``stride``-th pixel."""
    given = np.load(ZOO / f"{name}.npz")
    noise = [given[f"noise_{k}"] for k in range(len(engine.noise_shapes))]
    pictures = [
        engine.picture(z, [maps[place] for maps in noise] or None)
        for place, z in enumerate(given["z"])
    ]
    return np.stack(pictures)[:, :, :: given["stride"], :: given["stride"]]


def expected(name: str, chosen: Chosen) -> Array:
    array: Array = np.load(ZOO / f"{name}.npz")[chosen.network]
    return array


def read(name: str) -> Checkpoint:
    return read_checkpoint(ZOO / f"{name}.pth")


@pytest.mark.parametrize("chosen", list(Chosen))
@pytest.mark.parametrize("name", NAMES)
def test_the_bundle_on_disk_agrees_with_the_reference(
    name: str, chosen: Chosen, tmp_path: Path
) -> None:
    bundle = install(ZOO / f"{name}.pth", name, tmp_path / name, PUBLISHED, chosen, half=False)
    for threads in (1, 2):
        pictures = computed(Engine(bundle, Arithmetic.F32, threads), name)
        assert np.abs(pictures - expected(name, chosen)).max() < TOLERANCE
    assert bundle.facts.architecture == name.split("_")[1]
    assert bundle.facts.truncation == (0.5 if "stylegan" in name else 1.0)
    assert chosen.network in bundle.facts.source


@pytest.mark.parametrize("name", NAMES)
def test_stored_as_float16_it_differs_less_than_eyes_can_see(name: str, tmp_path: Path) -> None:
    bundle = install(ZOO / f"{name}.pth", name, tmp_path / name, PUBLISHED, Chosen.RAW, half=True)
    difference = computed(Engine(bundle, Arithmetic.F32), name) - expected(name, Chosen.RAW)
    # These networks were never trained, and their contrast is several times that of pictures.
    assert np.sqrt((difference**2).mean()) < 0.01 * expected(name, Chosen.RAW).std()


@pytest.mark.parametrize("name", NAMES)
def test_the_averaged_generator_is_not_the_raw_one(name: str) -> None:
    assert np.abs(expected(name, Chosen.RAW) - expected(name, Chosen.AVERAGED)).max() > 0.1


def engine_of(weights: pgan.PganWeights) -> Engine:
    facts = BundleFacts(
        name="t", resolution=weights.resolution, latent=weights.latent, terms="",
        commercial_use=False, description="", content_hash="",
    )  # fmt: skip
    return Engine(Bundle(facts, pgan.graph(weights, "t")), Arithmetic.F32)


def test_the_tolerance_notices_a_fade_the_wrong_way_round_and_a_bias_without_its_constant() -> None:
    name = "zoo_pgan_16_fading"
    weights = pgan_weights(read(name), Chosen.AVERAGED)
    assert weights.alpha == pytest.approx(0.7)
    wrong = (
        replace(weights, alpha=1 - weights.alpha),
        replace(weights, alpha=1.0),
        replace(weights, first=replace(weights.first, bias=weights.first.bias / 0.118)),
        replace(weights, to_rgb=replace(weights.to_rgb, bias=weights.to_rgb.bias / 0.354)),
        replace(weights, older_rgb=weights.to_rgb),
    )
    for other in wrong:
        difference = np.abs(computed(engine_of(other), name) - expected(name, Chosen.AVERAGED))
        assert difference.max() > 100 * TOLERANCE
    difference = np.abs(computed(engine_of(weights), name) - expected(name, Chosen.AVERAGED))
    assert difference.max() < TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_that_does_not_fit_is_named_at_once(name: str) -> None:
    checkpoint = read(name)
    tensors = dict(checkpoint.networks["avgG"])
    first, second, third = [key for key in tensors if tensors[key].shape][:3]
    del tensors[first]
    tensors[second] = replace(tensors[second], shape=(1,), strides=(1,))
    tensors["stranger"] = tensors["other.weight"] = tensors[third]
    with pytest.raises(CheckpointError) as caught:
        convert(with_network(checkpoint, "avgG", tensors))
    said = str(caught.value)
    assert f"avgG of {checkpoint.path} does not fit" in said
    assert f"{first} is missing" in said
    assert f"{second} is (1,), wanted " in said
    assert "stranger is surplus" in said
    assert "other.weight is surplus" in said


def with_network(checkpoint: Checkpoint, name: str, tensors: Any) -> Checkpoint:
    return replace(checkpoint, networks={**checkpoint.networks, name: tensors})


def with_config(checkpoint: Checkpoint, **values: Any) -> Checkpoint:
    return replace(checkpoint, config={**checkpoint.config, **values})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spelling", ["without module", "behind module"])
def test_older_spellings_of_the_names_are_the_same_tensors(name: str, spelling: str) -> None:
    checkpoint = read(name)
    respelt = {
        key.replace(".module.", ".") if spelling == "without module" else f"module.{key}": tensor
        for key, tensor in checkpoint.networks["avgG"].items()
    }
    converted = convert(with_network(checkpoint, "avgG", respelt))
    facts = BundleFacts(
        name="t", resolution=converted.resolution, latent=converted.latent, terms="",
        commercial_use=False, description="", content_hash="", truncation=converted.truncation,
    )  # fmt: skip
    engine = Engine(Bundle(facts, converted.graph("t")), Arithmetic.F32)
    assert np.abs(computed(engine, name) - expected(name, Chosen.AVERAGED)).max() < TOLERANCE


def test_one_tensor_in_two_spellings_is_surplus() -> None:
    checkpoint = read("zoo_pgan_16_fading")
    tensors = dict(checkpoint.networks["avgG"])
    tensors["formatLayer.weight"] = tensors["formatLayer.module.weight"]
    with pytest.raises(CheckpointError, match=r"formatLayer\.weight is surplus"):
        convert(with_network(checkpoint, "avgG", tensors))


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("zoo_pgan_64", {"depthScale0": 17}, "wanted"),
        ("zoo_pgan_64", {"depthOtherScales": [16, 16, 16]}, "is surplus"),
        ("zoo_pgan_64", {"depthOtherScales": [16, 16, 16, 8, 8]}, "is missing"),
        ("zoo_pgan_64", {"depthOtherScales": 3}, "depthOtherScales = 3"),
        ("zoo_pgan_64", {"depthOtherScales": [16] * 99}, "depthOtherScales = a list"),
        ("zoo_pgan_64", {"depthScale0": 10**30}, "a very large number"),
        ("zoo_pgan_64", {"depthScale0": 10**5000}, "a very large number"),
        ("zoo_pgan_64", {"depthScale0": True}, "depthScale0 = True"),
        ("zoo_pgan_64", {"latentVectorDim": "64"}, "latentVectorDim = '64'"),
        ("zoo_pgan_64", {"alpha": 2}, "alpha = 2"),
        ("zoo_pgan_64", {"alpha": float("nan")}, "alpha = nan"),
        ("zoo_pgan_64", {"leakyReluLeak": 0.1}, r"has 0\.2"),
        ("zoo_pgan_64", {"dimOutput": 1}, "dimOutput = 1"),
        ("zoo_pgan_64", {"lossCriterion": "DCGAN"}, "'WGANGP' or 'Logistic'"),
        ("zoo_pgan_64", {"perChannelNormalization": False}, "perChannelNormalization = False"),
        ("zoo_pgan_64", {"equalizedlR": 1}, "equalizedlR = 1"),
        ("zoo_pgan_64", {"categoryVectorDim": 3}, "labels of 3 classes"),
        ("zoo_stylegan_32", {"nMappings": 7}, "mapping.FC.7.module.weight is surplus"),
        ("zoo_stylegan_32", {"nMappings": 0}, "nMappings = 0"),
        ("zoo_stylegan_32", {"phiTruncation": None}, "phiTruncation = None"),
        ("zoo_stylegan_32", {"phiTruncation": float("inf")}, "phiTruncation = inf"),
        ("zoo_stylegan_32", {"depthOtherScales": []}, "has not grown beyond 4x4"),
        ("zoo_dcgan_64", {"depth": 2}, "is surplus"),
        ("zoo_dcgan_64", {"dimG": 9}, "wanted"),
        ("zoo_dcgan_64", {"lossCriterion": "hinge"}, "lossCriterion = 'hinge'"),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(
    name: str, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        convert(with_config(read(name), **values))


def test_a_missing_field_of_the_configuration_is_named() -> None:
    checkpoint = read("zoo_pgan_64")
    for field in ("depthScale0", "depthOtherScales", "latentVectorDim", "alpha", "lossCriterion"):
        values = {k: v for k, v in checkpoint.config.items() if k != field}
        with pytest.raises(CheckpointError, match=f"has no {field}"):
            convert(replace(checkpoint, config=values))


def test_without_an_averaged_generator_the_raw_one_is_offered() -> None:
    checkpoint = read("zoo_pgan_64")
    only_raw = replace(checkpoint, networks={"netG": checkpoint.networks["netG"]})
    with pytest.raises(CheckpointError, match="import the raw one with --weights raw"):
        convert(only_raw)
    assert convert(only_raw, Chosen.RAW).resolution == 64


def test_an_unknown_architecture_names_its_tensors() -> None:
    checkpoint = read("zoo_pgan_64")
    tensors = {"conv1.weight": checkpoint.networks["avgG"]["toRGBLayers.0.module.weight"]}
    with pytest.raises(CheckpointError, match=r"known architecture .* are conv1\.weight"):
        convert(with_network(checkpoint, "avgG", tensors))


def test_weights_that_are_no_numbers_or_no_floats_are_named(
    handmade: ModuleType, write: Callable[[bytes], Path]
) -> None:
    checkpoint = read("zoo_pgan_16_fading")
    entries = {
        "data/0": struct.pack("<3f", 1, float("nan"), 2),
        "data/1": struct.pack("<3i", 1, 2, 3),
    }
    three = {"length": 3, "shape": (3,), "strides": (1,)}
    odd = {
        "nan": handmade.tensor(**three),
        "int": handmade.tensor("1", kind="IntStorage", **three),
    }
    other = read_checkpoint(write(handmade.zipped(handmade.tiny(netG=odd), entries)))
    name = "toRGBLayers.0.module.bias"
    for key, said in (("nan", "holds infinities or no numbers"), ("int", "of IntStorage, not of")):
        tensors = {**checkpoint.networks["avgG"], name: other.networks["netG"][key]}
        with pytest.raises(CheckpointError, match=f"{name} {'is ' if key == 'int' else ''}{said}"):
            convert(with_network(checkpoint, "avgG", tensors))


def test_many_large_views_of_few_bytes_are_refused(
    handmade: ModuleType, write: Callable[[bytes], Path]
) -> None:
    width, side = 64, 64 * 64 * 9
    entries = {"data/0": b"\0" * (4 * side)}

    def view(*shape: int) -> Any:
        strides = tuple(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))
        return handmade.tensor(length=side, shape=shape, strides=strides)

    checkpoint = read("zoo_pgan_64")
    tensors = {}
    for level in range(9):
        for k in range(2):
            name = f"scaleLayers.{level}.{k}.module"
            tensors[f"{name}.weight"] = view(width, width, 3, 3)
            tensors[f"{name}.bias"] = view(width)
    for level in range(10):
        tensors[f"toRGBLayers.{level}.module.weight"] = view(3, width, 1, 1)
        tensors[f"toRGBLayers.{level}.module.bias"] = view(3)
    tensors |= {
        "formatLayer.module.weight": view(width * 16, 8),
        "formatLayer.module.bias": view(width * 16),
        "groupScale0.0.module.weight": view(width, width, 3, 3),
        "groupScale0.0.module.bias": view(width),
    }
    values = {"depthScale0": width, "depthOtherScales": [width] * 9, "latentVectorDim": 8}
    config = handmade.config(**{**checkpoint.config, **values})
    content = {"config": config, "netG": tensors}
    with pytest.raises(CheckpointError, match="views of each other"):
        convert(read_checkpoint(write(handmade.zipped(content, entries))), Chosen.RAW)


def test_labels_are_drawn_from_the_seed_or_taken_as_they_are() -> None:
    """As a class-conditional checkpoint (DTD, Fashion-Gen) has them: behind the noise, one-hot."""
    name = "zoo_pgan_64"
    labels = {
        "Colour": {"order": 1, "values": ["red", "blue", "green"]},
        "Kind": {"order": 0, "values": ["shoe", "bag"]},
    }
    checkpoint = with_config(
        read(name), attribKeysOrder=labels, categoryVectorDim=5, noiseVectorDim=59
    )
    converted = convert(checkpoint)
    facts = BundleFacts(
        name="t", resolution=64, latent=64, terms="", commercial_use=False, description="",
        content_hash="",
    )  # fmt: skip
    labelled = Engine(Bundle(facts, converted.graph("t")), Arithmetic.F32)
    plain = Engine(Bundle(facts, convert(read(name)).graph("t")), Arithmetic.F32)
    z = np.random.default_rng(3).standard_normal(64, np.float32)
    z[59:] = [0.1, 0.2, -3.0, -1.0, -2.0]  # a bag, and blue
    one_hot = z.copy()
    one_hot[59:] = [0, 1, 0, 1, 0]
    assert np.array_equal(labelled.picture(z), labelled.picture(one_hot))
    assert np.allclose(labelled.picture(one_hot), plain.picture(one_hot), atol=1e-5)
    assert np.abs(plain.picture(z) - plain.picture(one_hot)).max() > 0.1


@pytest.mark.parametrize(
    "labels",
    [None, [], {}, {"a": 3}, {"a": {"order": 1, "values": [1, 2, 3]}},
     {"a": {"order": 0, "values": [1, 2]}},
     {"a": {"order": 0, "values": [1]}, "b": {"order": 0, "values": [1, 2]}},
     {"a": {"order": 0, "values": []}}],
)  # fmt: skip
def test_labels_that_do_not_add_up_are_refused(labels: Any) -> None:
    checkpoint = with_config(read("zoo_pgan_64"), attribKeysOrder=labels, categoryVectorDim=3)
    with pytest.raises(CheckpointError, match="attribKeysOrder"):
        convert(checkpoint)


def test_a_network_of_one_level_does_not_fade() -> None:
    checkpoint = read("zoo_pgan_16_fading")
    tensors = {
        key: tensor
        for key, tensor in checkpoint.networks["avgG"].items()
        if not key.startswith(("scaleLayers", "toRGBLayers.1", "toRGBLayers.2"))
    }
    alone = with_config(with_network(checkpoint, "avgG", tensors), depthOtherScales=[], alpha=0.5)
    weights = pgan_weights(alone, Chosen.AVERAGED)
    assert (weights.alpha, weights.older_rgb, weights.resolution) == (1.0, None, 4)


def test_layers_without_equalisation_have_no_constant() -> None:
    checkpoint = with_config(read("zoo_pgan_64"), equalizedlR=False)
    weights = pgan_weights(checkpoint, Chosen.AVERAGED)
    stored = checkpoint.networks["avgG"]["toRGBLayers.4.module.weight"].array()
    assert np.array_equal(weights.to_rgb.weight, stored)
    assert weights.linear.scale == 1
