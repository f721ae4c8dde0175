"""The seed contract."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from twinserve.bundle.latents import LARGEST_SEED, latent

SEEDS = st.integers(0, LARGEST_SEED)
INDEXES = st.integers(0, 63)


@given(SEEDS, INDEXES)
@settings(max_examples=50)
def test_a_latent_depends_on_seed_and_index_alone(seed: int, index: int) -> None:
    for other in range(3):
        latent(seed, other, 16)
    assert np.array_equal(latent(seed, index, 16), latent(seed, index, 16))


@given(SEEDS, INDEXES, SEEDS, INDEXES)
@settings(max_examples=50)
def test_other_keys_give_other_latents(s: int, k: int, t: int, m: int) -> None:
    assert np.array_equal(latent(s, k, 16), latent(t, m, 16)) == ((s, k) == (t, m))


def test_latents_are_standard_normal() -> None:
    values = np.concatenate([latent(seed, 0, 512) for seed in range(200)])
    assert abs(values.mean()) < 4 / np.sqrt(values.size)
    assert abs(values.std() - 1) < 4 / np.sqrt(2 * values.size)
