from __future__ import annotations

import time

import pytest

from twinserve.training.threads import in_order


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    def slow_first(k: int) -> int:
        time.sleep(0.02 if k == 0 else 0)
        return k * k

    assert list(in_order(slow_first, range(7), threads)) == [0, 1, 4, 9, 16, 25, 36]


def test_items_are_drawn_no_further_ahead_than_there_are_threads() -> None:
    drawn = []

    def items() -> object:
        for k in range(10):
            drawn.append(k)
            yield k

    results = in_order(lambda k: k, items(), 2)
    assert next(results) == 0
    assert drawn == [0, 1, 2]
    results.close()


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda k: 1 // k, [1, 0], 2))
