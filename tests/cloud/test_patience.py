"""Waiting and repeating, on a clock of the test's own."""

from __future__ import annotations

from twinserve.cloud.patience import Patience


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> float:
        return self.s

    def pause(self, s: float) -> None:
        self.s += s


def test_looks_come_at_longer_and_longer_intervals_until_time_is_up() -> None:
    clock = Clock()
    patience = Patience(poll_s=2, ready_s=6, now=clock.now, pause=clock.pause)
    assert list(patience.looks()) == [0, 0.25, 0.75, 1.75, 3.75, 5.75]
    assert list(patience.looks(within_s=0)) == [0]


def test_pauses_double_up_to_a_limit_and_end() -> None:
    clock = Clock()
    patience = Patience(
        backoff_s=1, backoff_most_s=8, repeat_s=30, now=clock.now, pause=clock.pause
    )
    found = []
    for pause_s in patience.pauses():
        patience.pause(pause_s)
        found.append(pause_s)
    assert found == [0, 1, 2, 4, 8, 8]
    assert clock.s <= 30
