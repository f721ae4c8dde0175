"""The order of blocks and the seeds of requests."""

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from twinserve.load.plan import draw_blocks, request_seeds

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
