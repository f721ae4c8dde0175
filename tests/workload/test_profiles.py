"""Ready-made workloads and the numbers that a user may change."""

import msgspec
import pytest

from twinserve.errors import UsageError
from twinserve.workload import Ask, ClosedLoop, Constant, Poisson
from twinserve.workload.profiles import (
    LEAST_BLOCKS,
    PROFILES,
    changed,
    fit_users,
    load_seconds,
    profile,
    workload_of,
)

QUICK = profile("quick")


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_the_blocks_that_a_verdict_needs(name: str) -> None:
    assert profile(name).profile == name
    assert profile(name).blocks >= LEAST_BLOCKS


def test_quick_leaves_half_of_two_minutes_for_all_else() -> None:
    assert load_seconds(QUICK) <= 80


def test_the_original_is_a_hundred_users_for_ten_minutes_a_side() -> None:
    original = profile("original")
    assert (original.users, original.blocks * original.block_s) == (100, 600)


def test_given_numbers_replace_the_profiles() -> None:
    workload = workload_of("quick", users=9, duration_s=40.0, images=3, seed=5)
    assert (workload.users, workload.images, workload.seed) == (9, 3, 5)
    assert workload.block_s == 40 / 2 / workload.blocks
    assert workload.blocks == QUICK.blocks


def test_a_duration_is_shared_by_all_sides_and_repeats() -> None:
    twice = msgspec.structs.replace(QUICK, repeats=2)
    assert changed(twice, duration_s=120.0, sides=3).block_s == 120 / 3 / 20
    at_once = msgspec.structs.replace(QUICK, concurrent=True)
    assert changed(at_once, duration_s=120.0).block_s == 12
    assert load_seconds(changed(at_once, duration_s=120.0)) == 120 + QUICK.warmup_s


def test_ramps_take_their_time() -> None:
    ramping = msgspec.structs.replace(QUICK, arrivals=ClosedLoop(users=4, ramp_s=1.0))
    assert load_seconds(ramping) == load_seconds(QUICK) + 2 * (QUICK.blocks + 1)


def test_a_rate_makes_an_open_loop() -> None:
    assert changed(QUICK, rate_rps=5.0).arrivals == Poisson(rate_rps=5)
    assert changed(QUICK, kind="constant", rate_rps=5.0).arrivals == Constant(rate_rps=5)
    opened = changed(QUICK, kind="constant", rate_rps=5.0)
    assert changed(opened, rate_rps=6.0).arrivals == Constant(rate_rps=6)
    assert changed(opened, kind="poisson").arrivals == Poisson(rate_rps=5)
    assert changed(opened, kind="closed", users=3).arrivals == ClosedLoop(users=3)


@pytest.mark.parametrize(
    ("name", "numbers", "said"),
    [
        ("quick", {"duration_s": 5.0}, r"--duration is 5 s; 10 blocks .* at least 10 s"),
        ("quick", {"users": 3, "rate_rps": 2.0}, "--users 3 and --rate 2 exclude each other"),
        ("quick", {"kind": "poisson"}, "--arrivals poisson needs --rate"),
        ("quick", {"kind": "constant", "users": 2}, "--arrivals constant has no users"),
        ("quick", {"kind": "closed", "rate_rps": 2.0}, "--arrivals closed has no rate"),
        ("burst", {"users": 3}, "--users is 3, and this workload is an open loop"),
        ("burst", {"rate_rps": 3.0}, "--rate does not say what becomes of the bursts"),
        ("burst", {"kind": "closed"}, "--arrivals closed needs --users"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(name: str, numbers: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        changed(profile(name), **numbers)


@pytest.mark.parametrize("numbers", [{"users": 2}, {"rate_rps": 1.0}])
def test_a_cold_workload_keeps_its_one_user(numbers: dict) -> None:
    with pytest.raises(UsageError, match=r"do not fit 'cold': cold is true .* only one user"):
        changed(profile("cold"), **numbers)


def test_a_rate_too_low_for_its_blocks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"block is 3.5 s; at 0.1 .* less than one. Allowed is 10"):
        changed(QUICK, rate_rps=0.1)


def test_images_are_not_for_a_mix() -> None:
    mixed = msgspec.structs.replace(QUICK, mix=(Ask(), Ask(images=2)))
    with pytest.raises(UsageError, match="--images is for a workload with one kind of request"):
        changed(mixed, images=3)


def test_users_are_fitted_to_what_the_machine_serves_in_five_seconds() -> None:
    fitted, said = fit_users(profile("original"), request_s=0.4, at_a_time=2.0)
    assert fitted.users == 25
    assert said.startswith(
        "25 users stand for the 100 of the profile: a request alone takes 400 ms"
    )
    assert "100 would wait 20 s" in said


def test_users_that_the_machine_serves_stay() -> None:
    original = profile("original")
    fitted, said = fit_users(original, request_s=0.02, at_a_time=1.0)
    assert fitted == original
    assert said == (
        "All 100 users are run: a request alone takes 20 ms and this machine works on 1 at a time, "
        "so they wait 2.0 s."
    )
    assert fit_users(original, request_s=60.0, at_a_time=1.0)[0].users == 2
