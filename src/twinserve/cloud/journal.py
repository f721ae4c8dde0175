"""What a deploy has made so far, so that a step that fails can say what exists and how to go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from twinserve.errors import CloudError, TwinserveError


class StepFailed(CloudError):
    """A step failed, and it was said what exists by then."""


@dataclass
class Journal:
    """``say`` gets a line for each step, ``waited`` what is waited for, for how many seconds by
    now, and at most. ``again`` and ``undo`` are the commands that go on and that remove."""

    say: Callable[[str], None]
    waited: Callable[[str, float, float], None]
    again: str
    undo: str
    made: list[str] = field(default_factory=list)

    def exists(self, words: str) -> None:
        """There is now ``words``, made by us."""
        self.made.append(words)
        self.say(f"There is {words}.")

    def made_now(self, name: str) -> bool:
        """Whether something of that name is written down."""
        return any(name in each for each in self.made)

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """One step; what goes wrong in it comes out with what exists by then.

        Raises:
            StepFailed: the step failed, or one inside it.
        """
        try:
            yield
        except StepFailed:
            raise
        except TwinserveError as error:
            raise StepFailed(f"{doing} failed. {error}\n{self.state()}") from error
        except KeyboardInterrupt:
            self.say(f"Interrupted in {doing}. {self.state()}")
            raise

    def state(self) -> str:
        """What exists, and the two ways on."""
        there = "; ".join(self.made) or "nothing that this command made"
        return f"By now there is: {there}.\nTo go on: {self.again}\nTo remove it: {self.undo}"
