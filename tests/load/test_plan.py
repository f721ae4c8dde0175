"""The order of blocks and the seeds of requests."""

from collections import Counter
from itertools import islice

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from twinserve.load.plan import (
    block_due_times,
    draw_blocks,
    draw_requests,
    request_seeds,
    warmup_due_times,
)
from twinserve.workload import Ask, Poisson, Workload
from twinserve.workload.arrivals import due_times

SIDES = ("container", "function")


@given(st.integers(1, 40), st.integers(0, 2**31))
def test_each_pair_holds_each_side_once(pairs: int, seed: int) -> None:
    blocks = draw_blocks(SIDES, pairs, seed)
    assert [block.index for block in blocks] == list(range(2 * pairs))
    for pair in range(pairs):
        assert {b.side for b in blocks if b.pair == pair} == set(SIDES)
        assert [b.index for b in blocks if b.pair == pair] == [2 * pair, 2 * pair + 1]


def test_the_seed_alone_decides_the_order() -> None:
    assert draw_blocks(SIDES, 10, 3) == draw_blocks(SIDES, 10, 3)
    assert draw_blocks(SIDES, 10, 3) != draw_blocks(SIDES, 10, 4)


def test_both_orders_come_up_equally_often() -> None:
    first = Counter(b.side for b in draw_blocks(SIDES, 2000, 0) if b.index % 2 == 0)
    assert abs(first["container"] - 1000) < 4 * (2000 * 0.25) ** 0.5


def test_both_sides_of_a_pair_are_asked_for_the_same_images() -> None:
    assert list(islice(request_seeds(0, 3, 1), 50)) == list(islice(request_seeds(0, 3, 1), 50))
    assert list(islice(request_seeds(0, 3, 1), 5)) != list(islice(request_seeds(0, 3, 2), 5))
    assert list(islice(request_seeds(0, 3, 1), 5)) != list(islice(request_seeds(0, 4, 1), 5))


@given(st.integers(1, 12), st.integers(0, 2**31), st.integers(1, 4))
def test_a_repeat_goes_on_counting_in_an_order_of_its_own(groups: int, seed: int, at: int) -> None:
    names = ("a", "b", "contrast")
    blocks = draw_blocks(names, groups, seed, repeat=at)
    first = 3 * groups * at
    assert [block.index for block in blocks] == list(range(first, first + 3 * groups))
    assert [block.pair for block in blocks] == [block.index // 3 for block in blocks]
    for pair in {block.pair for block in blocks}:
        assert {b.side for b in blocks if b.pair == pair} == set(names)
    assert [b.side for b in draw_blocks(names, 30, seed, at)] != [
        b.side for b in draw_blocks(names, 30, seed)
    ]


def test_requests_of_one_kind_carry_the_seeds_alone() -> None:
    drawn = list(islice(draw_requests((Ask(images=2),), 7, 3, 1), 20))
    assert [request.seed for request in drawn] == list(islice(request_seeds(7, 3, 1), 20))
    assert {(r.images, r.format, r.body) for r in drawn} == {(2, "json", None)}


def test_a_mix_is_drawn_by_its_weights() -> None:
    mix = (Ask(weight=1), Ask(images=2, weight=3), Ask(images=3, format="png", weight=6))
    drawn = Counter(r.images for r in islice(draw_requests(mix, 0, 0), 5000))
    expected = [500, 1500, 3000]
    assert stats.chisquare([drawn[n] for n in (1, 2, 3)], expected).pvalue > 1e-3


def test_bodies_are_drawn_evenly_and_tell_their_images() -> None:
    mix = (Ask(bodies=('{"num_images": 4}', '{"a": 1}'), samples="own.jsonl"),)
    drawn = Counter((r.body, r.images) for r in islice(draw_requests(mix, 0, 0), 2000))
    assert set(drawn) == {(b'{"num_images": 4}', 4), (b'{"a": 1}', 1)}
    assert min(drawn.values()) > 1000 - 4 * 500**0.5


def test_blocks_play_consecutive_parts_of_one_schedule() -> None:
    workload = Workload(
        profile="p", arrivals=Poisson(rate_rps=9), blocks=5, block_s=2.0, warmup_s=1.0, seed=4
    )
    parts = block_due_times(workload)
    whole = np.concatenate([2.0 * k + part for k, part in enumerate(parts)])
    assert np.allclose(whole, due_times(workload.arrivals, 10.0, np.random.default_rng([4, 0])))
    assert all(((part >= 0) & (part < 2)).all() for part in parts)
    assert not np.array_equal(parts[0], block_due_times(workload, repeat=1)[0])
    assert warmup_due_times(workload).size == 9
