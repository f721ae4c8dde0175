"""The highest rate of requests at which a side keeps an objective: a bracketed search, pure.

A trial loads one side at one rate. Whether it keeps ``p95 < 500 ms`` is a question about a share:
at most 5 % of requests may be slower, or fail. Its limits are Clopper & Pearson's (1934) at the
sample size that the trial's blocks are worth (Korn & Graubard 1998), each at 1 - 0.05 / trials, so
that by Bonferroni's inequality all trials of a side are right together in 95 % of searches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import special

from twinserve.analysis.words import time
from twinserve.errors import RecordError
from twinserve.records.lines import replace_file

Floats = NDArray[np.float64]
SCHEMA_VERSION = 1
CONFIDENCE = 0.95  # of all trials of one side together
MOST_LOADS = 16  # of one side
MOST_AGAIN = 2  # loads at one rate that could not tell
RESERVED_LOADS = 2  # to see what met the objective meet it again
NEAR = 1.12  # two rates that are nearer to each other than that are not told apart
STEP = 2.0  # up or down, until the limit lies between two trials
LEAST_RPS = 0.05


class Outcome(StrEnum):
    MET = "met"
    MISSED = "missed"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class RateObjective:
    """A share ``p`` of the requests is answered within ``limit_ms``, from when each was due."""

    p: float
    limit_ms: float

    @property
    def allowed(self) -> float:
        """The share of requests that may be slower, or fail."""
        return 1 - self.p

    def described(self) -> str:
        return f"p{100 * self.p:g} < {time(self.limit_ms)}"


class Trial(msgspec.Struct, frozen=True):
    """One side at one rate, loaded once or, where that was repeated, all times together.

    Of ``requests``, ``slow`` took longer than the limit, or failed; ``low`` and ``high`` are the
    limits of that share. ``blocks`` holds slow and all requests of each block, ``late_ms`` is how
    late requests were sent, on the median, ``loads`` how often the rate was tried.
    """

    rate_rps: float
    requests: int
    slow: int
    low: float
    high: float
    outcome: Outcome
    late_ms: float
    blocks: list[tuple[int, int]]
    loads: int = 1

    @property
    def share(self) -> float:
        return self.slow / self.requests if self.requests else 1.0


class SideRate(msgspec.Struct, frozen=True):
    """What the search found of one side; ``why`` says what ended it, in words."""

    highest_met_rps: float | None
    lowest_missed_rps: float | None
    why: str
    trials: list[Trial]


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """``rates.json``: the highest rate of each side."""

    schema_version: int = SCHEMA_VERSION
    objective: str
    confidence: float = CONFIDENCE
    sides: dict[str, SideRate]


def judge(
    blocks: Sequence[tuple[int, int]], allowed: float, trials: int = MOST_LOADS
) -> tuple[float, float, Outcome]:
    """The limits of the share of slow requests, from ``(slow, requests)`` of each block, and what
    they say of the share that is allowed."""
    slow, sizes = np.array(blocks, dtype=float).reshape(-1, 2).T
    total = float(sizes.sum())
    if not total:
        return 0.0, 1.0, Outcome.UNCLEAR
    share = float(slow.sum()) / total
    tail = (1 - CONFIDENCE) / trials
    worth = _worth(slow, sizes, share, tail)
    x = share * worth
    low = float(special.betaincinv(x, worth - x + 1, tail)) if x > 0 else 0.0
    high = float(special.betaincinv(x + 1, worth - x, 1 - tail)) if x < worth else 1.0
    if high <= allowed:
        return low, high, Outcome.MET
    return low, high, Outcome.MISSED if low > allowed else Outcome.UNCLEAR


def trial_of(
    rate_rps: float,
    blocks: Sequence[tuple[int, int]],
    allowed: float,
    late_ms: float = 0.0,
    before: Trial | None = None,
) -> Trial:
    """A trial with its judgement; ``before`` is an earlier one at this rate, which counts as
    well."""
    together = [*(before.blocks if before else []), *blocks]
    low, high, outcome = judge(together, allowed)
    return Trial(
        rate_rps=rate_rps,
        requests=sum(requests for _, requests in together),
        slow=sum(slow for slow, _ in together),
        low=low,
        high=high,
        outcome=outcome,
        late_ms=max(late_ms, before.late_ms if before else 0.0),
        blocks=together,
        loads=before.loads + 1 if before else 1,
    )


def requests_needed(allowed: float, trials: int = MOST_LOADS) -> int:
    """How many requests, none of them slow, show that no more than the allowed share is."""
    return math.ceil(math.log((1 - CONFIDENCE) / trials) / math.log(1 - allowed))


@dataclass
class Search:
    """Which rate to try next: doubled or halved until the limit is bracketed, then in between,
    then outwards until one trial below clearly met the objective and one above clearly missed it.

    What met it must do so again, with new requests: a queue that is nearly full has long quiet
    times, and the highest of several rates that met it by chance is the one by chance.
    ``most_rps`` is where the search ends upwards, ``most_loads`` in any case.
    """

    first_rps: float
    allowed: float
    most_rps: float = 10_000.0
    most_loads: int = MOST_LOADS
    stopped: str = ""  # why it must not go on
    trials: dict[float, Trial] = field(default_factory=dict)

    @property
    def loads(self) -> int:
        return sum(trial.loads for trial in self.trials.values())

    def next_rps(self) -> float | None:
        """The next rate, perhaps one that was tried before; None when the search is over."""
        if self.stopped or self.loads >= self.most_loads:
            return None
        if self.loads < self.most_loads - RESERVED_LOADS:
            for rate_rps in self._wanted():
                wanted = _rounded(min(rate_rps, self.most_rps))
                if wanted >= LEAST_RPS and self._is_worth_it(wanted):
                    return wanted
        met = self._met(again=False)
        return met if met is not None and self.trials[met].loads == 1 else None

    def add(self, rate_rps: float, blocks: Sequence[tuple[int, int]], late_ms: float = 0) -> Trial:
        """What a load at ``rate_rps`` gave: slow and all requests of each of its blocks."""
        before = self.trials.get(rate_rps)
        trial = trial_of(rate_rps, blocks, self.allowed, late_ms, before)
        self.trials[rate_rps] = trial
        return trial

    def result(self) -> SideRate:
        """What is known until now."""
        return SideRate(
            self._met(again=True), self._missed(), self._why(), list(self.trials.values())
        )

    def _wanted(self) -> Iterator[float]:
        """Rates to try next, the best first; some of them may have told all that they can."""
        if not self.trials:
            yield self.first_rps
            return
        below, above = self._bracket()
        if above is None:
            yield STEP * max(self.trials)
        elif below is None:
            yield above / STEP
        elif above / below > NEAR:
            yield math.sqrt(below * above)
        else:
            yield from self._outwards(below, above)

    def _outwards(self, below: float, above: float) -> Iterator[float]:
        """The nearest rates that can make an end clear: those that could not tell again, for more
        requests, then one beyond them; first downwards, then upwards."""
        met, missed = self._met(again=False), self._missed()
        if met is None or met < below:
            untold = [rate for rate in self.trials if rate <= below and (not met or rate > met)]
            yield from sorted(untold, reverse=True)
            yield min(untold) / NEAR
        if missed is None or missed > above:
            untold = [
                rate for rate in self.trials if rate >= above and (not missed or rate < missed)
            ]
            yield from sorted(untold)
            yield max(untold) * NEAR

    def _is_worth_it(self, rate_rps: float) -> bool:
        """Whether a load at this rate can tell what is not known yet."""
        before = self.trials.get(rate_rps)
        if before is None:
            met, missed = self._met(again=False), self._missed()
            return (met is None or rate_rps > met) and (missed is None or rate_rps < missed)
        return before.outcome is Outcome.UNCLEAR and before.loads < MOST_AGAIN

    def _bracket(self) -> tuple[float | None, float | None]:
        """The highest rate that looks well below the lowest one that does not."""
        bad = [rate for rate, trial in self.trials.items() if trial.share > self.allowed]
        above = min(bad, default=None)
        good = [rate for rate in self.trials if above is None or rate < above]
        return max(good, default=None), above

    def _met(self, again: bool) -> float | None:
        """The highest rate that met the objective below those that missed it; only such that met
        it ``again``."""
        missed = self._missed()
        return max(
            (
                rate
                for rate, trial in self.trials.items()
                if trial.outcome is Outcome.MET and trial.loads > again
                if missed is None or rate < missed
            ),
            default=None,
        )

    def _missed(self) -> float | None:
        missed = (rate for rate, t in self.trials.items() if t.outcome is Outcome.MISSED)
        return min(missed, default=None)

    def _why(self) -> str:
        if self.stopped:
            return self.stopped
        if self.loads >= self.most_loads:
            return f"each side is loaded {self.most_loads} times at most"
        if self._missed() is None and self.most_rps in self.trials:
            return f"{self.most_rps:g} requests a second is where the search ends"
        return "no other rate would tell more"


def format_rates(rates: Rates) -> list[str]:
    """The lines that a terminal shows."""
    lines = [_sentence(side, found, rates.objective) for side, found in rates.sides.items()]
    return [
        *lines,
        f"Requests at random times (Poisson), timed from when each was due; all trials of a side "
        f"hold together at {100 * rates.confidence:g} % confidence.",
    ]


def write_rates(path: Path, rates: Rates) -> None:
    """Write a ``rates.json``; a reader finds the old one or the new one."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(rates), indent=2) + b"\n")


def read_rates(path: Path) -> Rates:
    """Read a ``rates.json``.

    Raises:
        RecordError: it is missing or damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Rates)
    except (OSError, msgspec.DecodeError) as error:
        raise RecordError(f"{path} cannot be read: {error}.") from error


def _sentence(side: str, found: SideRate, objective: str) -> str:
    met, missed = found.highest_met_rps, found.lowest_missed_rps
    if met is not None and missed is not None:
        return (
            f"The {side} keeps {objective} at {met:g} requests a second (the highest rate that "
            f"met it) and not at {missed:g} (the lowest that missed it)."
        )
    if met is not None:
        return (
            f"The {side} keeps {objective} at {met:g} requests a second; its limit lies above, "
            f"not found ({found.why})."
        )
    if missed is not None:
        return (
            f"The {side} does not keep {objective} at {missed:g} requests a second; no lower rate "
            f"was clearly met ({found.why})."
        )
    return f"The {side}: undetermined, no trial was clear ({found.why})."


def _worth(slow: Floats, sizes: Floats, share: float, tail: float) -> float:
    """How many independent requests the blocks are worth: fewer where slow ones come in heaps."""
    total, k = float(sizes.sum()), sizes.size
    residuals = (slow - share * sizes) / total
    variance = k / (k - 1) * float(residuals @ residuals) if k > 1 else 0.0
    independent = share * (1 - share)
    if not variance or not independent:
        return total
    few = float(special.ndtri(tail) / special.stdtrit(k - 1, tail)) ** 2
    return min(total, independent / variance * few)


def _rounded(rate_rps: float) -> float:
    return float(f"{rate_rps:.3g}")
