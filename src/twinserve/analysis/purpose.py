"""What the user wants the chosen side for: objective, traffic and goal, as plain values.

::

    objective = "p95" op time | "errors" op share       op = "<" | "<="
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from twinserve.analysis.choosing import Priced
from twinserve.analysis.comparison import Wanted
from twinserve.analysis.cost.monthly import Costs
from twinserve.analysis.verdict import Candidate, Objective
from twinserve.errors import UsageError

EXAMPLES = '"p95<1s", "p95<800ms", "errors<1%"'
CLAUSE = re.compile(r"(p95|errors)\s*<=?\s*(\d+(?:\.\d+)?)\s*(ms|s|%|)")
MS_OF = {"ms": 1.0, "s": 1000.0}


class Goal(StrEnum):
    """What decides between two sides that both keep the objective."""

    CHEAPEST = "cheapest"
    FASTEST = "fastest"


@dataclass(frozen=True)
class Purpose:
    """What a verdict is for.

    ``requests_per_month`` None: no traffic was stated, so cost decides nothing. ``goal`` None: the
    cheaper one where a traffic is stated, else the lower p95.
    """

    objective: Objective = Objective()  # noqa: RUF009 - frozen
    requests_per_month: float | None = None
    goal: Goal | None = None

    @property
    def by_cost(self) -> bool:
        """Whether cost decides between two sides that keep the objective."""
        return self.requests_per_month is not None and self.goal is not Goal.FASTEST

    @property
    def stated(self) -> Wanted | None:
        """As ``comparison.json`` keeps it; None where nothing was stated."""
        if self == NO_PURPOSE:
            return None
        objective, goal = self.objective, self.goal
        return Wanted(
            objective.p95_ms,
            objective.error_share,
            self.requests_per_month,
            None if goal is None else goal.value,
        )


NO_PURPOSE = Purpose()


def purpose_of(stated: Wanted | None) -> Purpose:
    """The purpose that an earlier analysis of the same run was made for."""
    if stated is None:
        return NO_PURPOSE
    return Purpose(
        Objective(stated.p95_ms, stated.error_share),
        stated.requests_per_month,
        None if stated.goal is None else Goal(stated.goal),
    )


def priced_of(candidates: Sequence[Candidate], costs: Costs | None) -> Priced | None:
    """What two sides cost at the stated traffic; None where there is none."""
    if costs is None or costs.stated is None:
        return None
    first, second = candidates
    return Priced(costs, (first.name, second.name), (first.p95_ms, second.p95_ms))


def parse_objective(texts: Sequence[str]) -> Objective:
    """The objective that clauses such as ``p95<1s`` and ``errors<0.5%`` state; several may stand in
    one text, between commas. What none of them names keeps its default.

    Raises:
        UsageError: a clause cannot be read, asks for what no side can keep, or is the second of its
            kind.
    """
    found = Objective()
    named: set[str] = set()
    for clause in (part.strip() for text in texts for part in text.split(",")):
        name, value = _clause(clause)
        if name in named:
            raise UsageError(f"--objective names {name} twice; state it once.")
        named.add(name)
        found = replace(found, **{"p95": {"p95_ms": value}, "errors": {"error_share": value}}[name])
    return found


def _clause(text: str) -> tuple[str, float]:
    """``p95`` with ms, or ``errors`` with a share."""
    found = CLAUSE.fullmatch(text)
    if not found:
        raise UsageError(f"--objective is {text!r}; write one of {EXAMPLES}, or several of them.")
    name, number, unit = found[1], float(found[2]), found[3]
    if name == "p95" and unit in MS_OF and number > 0:
        return name, number * MS_OF[unit]
    if name == "errors" and unit in ("%", "") and 0 < number / (100 if unit else 1) <= 1:
        return name, number / (100 if unit else 1)
    raise UsageError(
        f"--objective is {text!r}; p95 takes a time above 0 with its unit (p95<800ms), errors a "
        f"share above 0 and up to 100 % (errors<1%)."
    )
