"""Labels in a latent: one-hot by the largest element of each group."""

import numpy as np

from twinserve.bundle import layers
from twinserve.bundle.labels import with_labels
from twinserve.bundle.latents import latent
from twinserve.bundle.layers import Array
from twinserve.bundle.openvino_runtime import openvino


def seen_by_the_network(z: Array, sizes: tuple[int, ...]) -> Array:
    """What stands behind the input: here, a network that multiplies it by two."""
    node = layers.parameter("latent", [1, len(z)])
    doubled = openvino().opset13.multiply(node, layers.constant(np.full(1, 2, np.float32)))
    model = with_labels(layers.model(doubled, [node], "t"), sizes)
    request = openvino().Core().compile_model(model, "CPU").create_infer_request()
    return np.array(request.infer({"latent": z[None]})[0][0]) / 2


def test_the_largest_of_each_group_becomes_the_label() -> None:
    z = np.array([0.5, -2, 0.1, 0.3, 0.2, -5, -4], np.float32)
    assert np.allclose(seen_by_the_network(z, (3, 2)), [0.5, -2, 0, 1, 0, 0, 1], atol=1e-6)


def test_labels_that_are_given_are_left_as_they_are() -> None:
    z = np.array([0.5, 0, 1, 0, 1, 0], np.float32)
    assert np.allclose(seen_by_the_network(z, (3, 2)), z, atol=1e-6)


def test_a_seed_asks_for_every_class_about_equally_often() -> None:
    labels = [int(np.argmax(latent(seed, 0, 9)[4:])) for seed in range(1000)]
    assert np.bincount(labels, minlength=5).min() > 150  # 200 expected, deviation 13
