from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg

from twinserve.bundle.openvino_runtime import openvino
from twinserve.errors import UsageError
from twinserve.training.inception import FEATURES, SIDE, Inception, Scale, frechet_distance

WEIGHTS = np.random.default_rng(0).standard_normal((3, FEATURES)).astype(np.float32)
PICTURES = np.random.default_rng(1).integers(256, size=(3, 3, 20, 20), dtype=np.uint8)


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [(Scale.BYTES, 0, 255), (Scale.UNIT, 0, 1), (Scale.SIGNED, -1, 1)],
)
@pytest.mark.parametrize("batch", [-1, 1, 3])
def test_features_are_the_networks_own_at_the_scale_asked_for(
    tmp_path: Path, scale: Scale, low: float, high: float, batch: int
) -> None:
    network = Inception(_network(tmp_path, batch=batch), scale)
    colours = np.array([[0, 0, 0], [255, 255, 255], [51, 102, 204]], np.uint8)
    pictures = np.broadcast_to(colours[:, :, None, None], (3, 3, 16, 16))
    parts = range(0, 3, network.batch)
    found = np.concatenate([network.features(pictures[k : k + network.batch]) for k in parts])
    values = low + colours / 255 * (high - low)
    assert found.shape == (3, FEATURES)
    assert np.allclose(found, values @ WEIGHTS, atol=1e-3 * max(high, 1))


def test_imagenets_scale_is_that_of_its_means_and_deviations(tmp_path: Path) -> None:
    network = Inception(_network(tmp_path), Scale.IMAGENET)
    values = (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    found = network.features(np.full((1, 3, 16, 16), 255, np.uint8))
    assert np.allclose(found, values @ WEIGHTS, atol=1e-3)


def test_the_pool_features_are_found_among_several_outputs(tmp_path: Path) -> None:
    plain = Inception(_network(tmp_path), Scale.UNIT).features(PICTURES)
    for options in ({"classes": True}, {"as_map": True}):
        network = Inception(_network(tmp_path, **options), Scale.UNIT)
        assert np.allclose(network.features(PICTURES), plain, atol=1e-5)


def test_an_onnx_file_gives_what_the_same_network_as_ir_gives(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(_onnx())
    found = Inception(path, Scale.UNIT).features(PICTURES)
    expected = Inception(_network(tmp_path), Scale.UNIT).features(PICTURES)
    assert np.allclose(found, expected, atol=1e-4)


def test_other_weights_have_another_content_hash(tmp_path: Path) -> None:
    path = _network(tmp_path)
    first = Inception(path, Scale.UNIT).content_hash()
    weights = bytearray(path.with_suffix(".bin").read_bytes())
    weights[-1] ^= 1
    path.with_suffix(".bin").write_bytes(weights)
    assert Inception(path, Scale.UNIT).content_hash() != first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 1000}, r"gives \[8,1000\] for 8 pictures; one output must be \(N, 2048\)"),
        ({"shape": (1, SIDE, SIDE, 3)}, r"takes \[1,299,299,3\]; the one input must be \(N, 3"),
        ({"shape": (-1, 3, 224, 224)}, r"takes \[\?,3,224,224\]"),
    ],
)
def test_a_network_of_another_shape_is_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Inception(_network(tmp_path, **options), Scale.UNIT)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("inception.pt", b"PK", r"ends in '\.pt'; .* ONNX \(\.onnx\) or OpenVINO IR"),
        ("inception.onnx", b"nothing", r"inception\.onnx cannot be read as a network: "),
        ("inception.xml", b"<net/>", r"inception\.xml cannot be read as a network: "),
    ],
)
def test_what_is_no_network_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as refused:
        Inception(tmp_path / name, Scale.UNIT)
    assert "\n" not in str(refused.value)


def test_gaussians_that_commute_have_the_closed_form() -> None:
    """|m1 - m2|^2 + the sum of (sqrt(v1) - sqrt(v2))^2 over their common axes."""
    ours, theirs = np.array([1.0, 4.0, 9.0]), np.array([4.0, 0.25, 1.0])
    shift = np.array([1.0, 2.0, -1.0])
    expected = (shift**2).sum() + ((np.sqrt(ours) - np.sqrt(theirs)) ** 2).sum()
    sets = _with_moments(np.zeros(3), np.diag(ours)), _with_moments(shift, np.diag(theirs))
    assert frechet_distance(*sets) == pytest.approx(expected, rel=1e-6)


def test_gaussians_that_do_not_commute_have_what_the_matrix_root_of_scipy_gives() -> None:
    random = np.random.default_rng(2)
    means = random.standard_normal((2, 6))
    roots = random.standard_normal((2, 6, 6))
    one, two = (root @ root.T for root in roots)
    common = np.trace(linalg.sqrtm(one @ two)).real
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(one) + np.trace(two) - 2 * common
    found = frechet_distance(_with_moments(means[0], one), _with_moments(means[1], two))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("rows", [2, 5, 300])
def test_it_is_stable_where_covariances_have_less_than_full_rank(rows: int) -> None:
    random = np.random.default_rng(3)
    ours = random.standard_normal((rows, 4)).astype(np.float32) @ np.ones((4, 64), np.float32)
    assert frechet_distance(ours, ours) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(ours, ours + 2) == pytest.approx(64 * 4, rel=1e-4)
    # Flat sets across each other: nothing in common but the mean.
    across = np.zeros((rows, 2), np.float32), np.zeros((rows, 2), np.float32)
    across[0][:, 0] = across[1][:, 1] = random.standard_normal(rows)
    expected = sum(x.var(axis=0, ddof=1, dtype=float).sum() for x in across)
    apart = ((across[0].mean(axis=0) - across[1].mean(axis=0)) ** 2).sum()
    assert frechet_distance(*across) == pytest.approx(expected + apart, rel=1e-4)


def test_sets_of_one_point_each_are_apart_by_their_means() -> None:
    ours, theirs = np.zeros((4, 8), np.float32), np.full((4, 8), 3, np.float32)
    assert frechet_distance(ours, theirs) == pytest.approx(8 * 9)


def _with_moments(
    mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Points that have exactly this mean and sample covariance."""
    points = np.random.default_rng(4).standard_normal((50, len(mean)))
    points -= points.mean(axis=0)
    white = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T
    return (white @ np.linalg.cholesky(covariance).T + mean).astype(np.float32)


def _network(
    folder: Path,
    batch: int = -1,
    features: int = FEATURES,
    shape: tuple[int, ...] | None = None,
    classes: bool = False,
    as_map: bool = False,
) -> Path:
    """In Inception's place: each colour's mean, times fixed weights. As OpenVINO IR."""
    op = openvino().opset13
    x = op.parameter(list(shape or (batch, 3, SIDE, SIDE)), np.float32, name="pictures")
    axes = np.array([1, 2]) if shape and shape[-1] == 3 else np.array([2, 3])
    pooled = op.reduce_mean(x, op.constant(axes), False)
    made = op.matmul(pooled, op.constant(WEIGHTS[:, :features]), False, False)
    if as_map:
        made = op.unsqueeze(made, op.constant(np.array([2, 3])))
    outputs = [op.softmax(pooled, 1), made] if classes else [made]
    path = folder / "network.xml"
    openvino().save_model(openvino().Model(outputs, [x]), path, compress_to_fp16=False)
    return path


def _onnx() -> bytes:
    """The same, as an ONNX file: the few protobuf fields that one needs, written by hand."""
    weights = _field(8, b"weights") + _field(9, WEIGHTS.T.astype("<f4").tobytes())
    for size in (FEATURES, 3, 1, 1):
        weights += _number(1, size)
    weights += _number(2, 1)
    graph = _field(1, _node("GlobalAveragePool", ["pictures"], "pooled"))
    graph += _field(1, _node("Conv", ["pooled", "weights"], "features"))
    graph += _field(2, b"graph") + _field(5, weights)
    graph += _field(11, _value("pictures", [None, 3, SIDE, SIDE]))
    graph += _field(12, _value("features", [None, FEATURES, 1, 1]))
    return _number(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _number(2, 13))


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    names = b"".join(_field(1, name.encode()) for name in inputs)
    return names + _field(2, output.encode()) + _field(4, kind.encode())


def _value(name: str, shape: list[int | None]) -> bytes:
    sides = [_field(2, b"N") if side is None else _number(1, side) for side in shape]
    dimensions = b"".join(_field(1, side) for side in sides)
    tensor = _number(1, 1) + _field(2, dimensions)
    return _field(1, name.encode()) + _field(2, _field(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += struct.pack("B", value & 127 | 128)
        value >>= 7
    return out + struct.pack("B", value)
