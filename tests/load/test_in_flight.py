"""Requests on their way: their numbers, and how many there may be."""

import resource

import pytest

from twinserve.load.in_flight import MOST_IN_FLIGHT, OTHER_FILES, InFlight, most_in_flight


def test_the_lowest_free_number_is_taken() -> None:
    in_flight = InFlight()
    assert [in_flight.take() for _ in range(3)] == [0, 1, 2]
    in_flight.give_back(1)
    in_flight.give_back(0)
    assert in_flight.count == 1
    assert [in_flight.take() for _ in range(3)] == [0, 1, 3]


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "raised"),
    [
        (1024, 4096, MOST_IN_FLIGHT, MOST_IN_FLIGHT + OTHER_FILES),
        (1024, 1500, 1500 - OTHER_FILES, 1500),
        (100, 100, 1, 100),
        (1024, resource.RLIM_INFINITY, MOST_IN_FLIGHT, MOST_IN_FLIGHT + OTHER_FILES),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, MOST_IN_FLIGHT, None),
    ],
)
def test_open_files_bound_it(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, allowed: int, raised: int | None
) -> None:
    set_to = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits[0]))
    assert most_in_flight() == allowed
    assert set_to == ([] if raised is None else [raised])
