"""What a failed step leaves behind is said."""

from __future__ import annotations

import pytest

from twinserve.cloud.journal import Journal
from twinserve.errors import CloudError, RuntimeFailure


def test_a_failed_step_says_what_is_there_and_both_ways_on(
    journal: Journal, said: list[str]
) -> None:
    with journal.step("Pushing"):
        journal.exists("the image x:1")
    with pytest.raises(CloudError) as caught, journal.step("Deploying"):
        raise RuntimeFailure("No room.")
    assert str(caught.value).splitlines() == [
        "Deploying failed. No room.",
        "By now there is: the image x:1.",
        "To go on: AGAIN",
        "To remove it: UNDO",
    ]
    assert said == ["There is the image x:1."]


def test_an_interrupted_step_says_so_too(journal: Journal, said: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), journal.step("Waiting"):
        raise KeyboardInterrupt
    assert said[-1].startswith("Interrupted in Waiting. By now there is: nothing that")


def test_a_mistake_of_ours_is_not_told_as_a_failure_of_theirs(journal: Journal) -> None:
    with pytest.raises(ZeroDivisionError), journal.step("Deploying"):
        raise ZeroDivisionError


def test_a_step_inside_a_step_says_it_once(journal: Journal) -> None:
    with pytest.raises(CloudError) as caught, journal.step("Deploying"), journal.step("Pushing"):
        raise RuntimeFailure("No room.")
    assert str(caught.value).startswith("Pushing failed. No room.\n")
    assert str(caught.value).count("By now") == 1
