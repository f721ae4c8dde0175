from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from twinserve.training.neighbours import GAP, NEAREST, Neighbours, nearest, sheet


def test_copies_and_mirrored_copies_are_found_at_distance_zero() -> None:
    training = _pictures(40, seed=0)
    samples = np.stack([training[7], training[31][..., ::-1]])
    found = nearest(samples, training)
    assert found.places[:, 0].tolist() == [7, 31]
    assert found.mirrored[:, 0].tolist() == [False, True]
    assert found.distances[:, 0] == pytest.approx([0, 0], abs=0.2)
    assert (found.distances[:, 1:] > 20).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_distances_are_what_a_plain_loop_gives(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinserve.training.neighbours.PICTURES_AT_A_TIME", 7)
    training, samples = _pictures(40, seed=1), _pictures(3, seed=2)
    told: list[float] = []
    found = nearest(samples, training, on_done=told.append, threads=threads)
    for k, sample in enumerate(samples):
        expected = sorted(
            min(_apart(sample, picture), _apart(sample, picture[..., ::-1])) for picture in training
        )
        assert found.distances[k] == pytest.approx(expected[:NEAREST], abs=0.05)
    assert told[-1] == 1


def test_larger_pictures_are_compared_at_32_pixels() -> None:
    small = _pictures(8, seed=3)
    large = small.repeat(2, axis=2).repeat(2, axis=3)
    speckled = large.copy()
    speckled[..., ::2, ::2] ^= 1  # detail that averages away
    assert nearest(speckled, large).distances[:, 0] == pytest.approx([0] * 8, abs=0.5)


def test_a_training_picture_is_not_its_own_neighbour_not_even_mirrored() -> None:
    training = _pictures(20, seed=4)
    training[5] = training[5] // 2 + training[5][..., ::-1] // 2  # symmetrical
    own = np.array([5, 6])
    found = nearest(training[own], training, own)
    assert not set(found.places[0]) & {5}
    assert not set(found.places[1]) & {6}
    assert (found.distances > 20).all()


def test_the_sheet_shows_each_sample_beside_what_was_found() -> None:
    training = _pictures(9, seed=5)
    places = np.array([[3, 1, 0, 2, 4], [8, 7, 6, 5, 4]])
    mirrored = np.zeros((2, NEAREST), bool)
    mirrored[1, 0] = True
    found = Neighbours(places, mirrored, np.zeros((2, NEAREST), np.float32))
    shown = sheet(training[:2], training, found).transpose(2, 0, 1)
    assert shown.shape == (3, 64, 32 + GAP + NEAREST * 32)
    assert np.array_equal(shown[:, 32:, :32], training[1])
    first = slice(32 + GAP, 64 + GAP)
    assert np.array_equal(shown[:, :32, first], training[3])
    assert np.array_equal(shown[:, 32:, first], training[8][..., ::-1])


def _pictures(count: int, seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return random.integers(256, size=(count, 3, 32, 32), dtype=np.uint8)


def _apart(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    return float(np.sqrt(np.mean((one.astype(float) - two) ** 2)))
