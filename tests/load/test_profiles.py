"""Workloads and the numbers that a user may change."""

import pytest

from twinserve.errors import UsageError
from twinserve.load.profiles import LEAST_BLOCKS, PROFILES, load_seconds, workload_of


@pytest.mark.parametrize("name", list(PROFILES))
def test_every_profile_has_the_blocks_that_a_verdict_needs(name: str) -> None:
    assert PROFILES[name].profile == name
    assert PROFILES[name].blocks >= LEAST_BLOCKS


def test_quick_leaves_half_of_two_minutes_for_all_else() -> None:
    assert load_seconds(PROFILES["quick"]) <= 80


def test_given_numbers_replace_the_profiles() -> None:
    workload = workload_of("quick", users=9, duration_s=40.0, images=3, seed=5)
    assert (workload.users, workload.images, workload.seed) == (9, 3, 5)
    assert workload.block_s == 40 / 2 / workload.blocks
    assert workload.blocks == PROFILES["quick"].blocks


def test_a_duration_too_short_for_its_blocks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--duration is 5 s; 10 blocks .* at least 10 s"):
        workload_of("quick", duration_s=5.0)
