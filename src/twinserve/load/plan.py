"""In which order the blocks of the two sides run, and which seeds their requests carry: pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class PlannedBlock:
    """One block: its place in the run, its pair, and the side that it loads."""

    index: int
    pair: int
    side: str


def draw_blocks(sides: tuple[str, str], pairs: int, seed: int) -> list[PlannedBlock]:
    """``pairs`` adjacent pairs of blocks, the order within each pair drawn by the seed.

    Adjacent pairs, since a host that slows down over the run would otherwise be taken for a
    difference between the sides.
    """
    drawn = random.Random(seed)  # noqa: S311 - an experiment's order, not a secret
    order = [side for _ in range(pairs) for side in drawn.sample(sides, 2)]
    return [PlannedBlock(place, place // 2, side) for place, side in enumerate(order)]


def request_seeds(seed: int, pair: int, user: int) -> Iterator[int]:
    """The seeds of one user's requests: the same for both sides of a pair, so both do equal
    work."""
    drawn = random.Random(f"{seed} {pair} {user}")  # noqa: S311
    while True:
        yield drawn.getrandbits(32)
