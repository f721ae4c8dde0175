"""Which side to choose, by the rule of docs/architecture.md: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twinserve.analysis.choosing import (
    Priced,
    choose_by_cost,
    cost_reasons,
    cost_words,
    rule_by_cost,
)
from twinserve.analysis.comparison import (
    EITHER,
    NEITHER,
    UNDETERMINED,
    Estimate,
    Gate,
    GateStatus,
    Strength,
    Verdict,
)
from twinserve.analysis.statistics import (
    CONFIDENCE,
    EQUIVALENCE,
    FEWEST_BLOCKS,
    Finding,
    classify,
)
from twinserve.analysis.words import count, listed, share, span, time, times_as

# What a failed gate means, for a reader who has never heard of gates.
FAILED = {
    "equality": "the two sides gave different answers",
    "load": "the load was not really there",
    "drift": "the answers kept getting slower or faster",
    "saturation": "the load generator was the bottleneck",
    "host": "the machine was busy with other work",
    "errors": "too many requests failed",
    "cold": "cold starts are mixed in",
}
SLOW_MODE_BLOCKS = 10


@dataclass(frozen=True)
class Objective:
    """What a side must keep to be chosen: its p95 at most so long, fewer errors than so many."""

    p95_ms: float = 1000.0
    error_share: float = 0.01

    def described(self) -> str:
        return (
            f"95 of 100 requests within {time(self.p95_ms)} and fewer than "
            f"{share(self.error_share)} errors"
        )


@dataclass(frozen=True)
class Candidate:
    """One side as the rule sees it; ``p95`` is of elapsed in ms, None without an answered request.

    ``undetermined`` is the design rule that leaves its p95 untold, in words; ``blocks`` is how
    many of them (or of repeats) have rows.
    """

    name: str
    requests: int
    errors: int
    p95: Estimate | None
    undetermined: str | None = None
    blocks: int = 0

    @property
    def error_share(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def p95_ms(self) -> float:
        return self.p95.estimate if self.p95 else math.nan

    def meets(self, objective: Objective) -> bool:
        return self.p95_ms <= objective.p95_ms and self.error_share < objective.error_share


@dataclass(frozen=True)
class Evidence:
    """Everything a verdict rests on; ``difference`` is of p95, second candidate minus first.

    ``scope`` says what the run is valid for, ``local`` whether it ran on one machine,
    ``detectable_ms`` the smallest difference it would have seen, ``blocks_needed`` how many blocks
    a side would tell if the estimate stays, ``remarks`` are sentences about the run itself.
    ``findings`` are sentences that come first, ``meanings`` say what a failed gate found, by its
    name, where more is known than :data:`FAILED` says, ``subject`` is what speaks, ``allowance``
    the share by which the interval of two logs was widened, None for a run. ``unit`` is what an
    interval counts: blocks, or repeats of a run. ``priced`` is what both sides cost at the traffic
    that the user stated; ``by_cost`` whether that decides between two that keep the objective.
    """

    first: Candidate
    second: Candidate
    difference: Estimate | None
    gates: Sequence[Gate]
    scope: str
    local: bool
    objective: Objective = Objective()
    detectable_ms: float | None = None
    blocks_needed: int | None = None
    remarks: Sequence[str] = ()
    findings: Sequence[str] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)
    subject: str = "This run"
    allowance: float | None = None
    unit: str = "block"
    priced: Priced | None = None
    by_cost: bool = False

    @property
    def deciding_cost(self) -> Priced | None:
        return self.priced if self.by_cost else None

    @property
    def candidates(self) -> tuple[Candidate, Candidate]:
        return self.first, self.second

    def gates_that(self, status: GateStatus) -> list[str]:
        return [gate.name for gate in self.gates if gate.status is status]


def decide(evidence: Evidence) -> Verdict:
    """The verdict on ``evidence``: a side's name, either, neither or undetermined."""
    choice, sentence = _choose(evidence)
    return Verdict(
        choice=choice,
        strength=_strength(evidence),
        rule=_rule(evidence),
        scope=evidence.scope,
        reasons=_reasons(evidence),
        sentence=sentence,
    )


def _choose(evidence: Evidence) -> tuple[str, str]:
    """The choice and its sentence: gates first, then what is told at all, then the objective."""
    failed = evidence.gates_that(GateStatus.FAIL)
    if failed:
        return UNDETERMINED, _gates_failed(evidence, failed)
    untold = [c for c in evidence.candidates if c.p95 is None or c.undetermined]
    if untold:
        return UNDETERMINED, _untold(evidence, untold)
    fit = [c for c in evidence.candidates if c.meets(evidence.objective)]
    if not fit:
        return NEITHER, _none_fit(evidence)
    if len(fit) == 1:
        return fit[0].name, _one_fits(evidence, fit[0])
    if evidence.deciding_cost:
        return choose_by_cost(evidence.deciding_cost, _place(evidence))
    return _by_difference(evidence)


def _by_difference(evidence: Evidence) -> tuple[str, str]:
    """Both sides meet the objective: the lower p95, as far as the interval tells it."""
    first, second = evidence.candidates
    difference = evidence.difference or Estimate(second.p95_ms - first.p95_ms, None, None)
    match classify(difference, second.p95_ms):
        case Finding.EQUIVALENT:
            return EITHER, _alike(evidence)
        case Finding.FIRST:
            return first.name, _faster(evidence, first, second)
        case Finding.SECOND:
            return second.name, _faster(evidence, second, first)
        case Finding.INCONCLUSIVE | Finding.UNDETERMINED:
            return UNDETERMINED, _too_wide(evidence, difference)


def _strength(evidence: Evidence) -> Strength:
    logs = evidence.allowance is not None
    if evidence.local or logs or evidence.gates_that(GateStatus.UNKNOWN):
        return Strength.PROVISIONAL
    return Strength.FIRM


def _rule(evidence: Evidence) -> str:
    described, allowance = evidence.objective.described(), evidence.allowance
    if evidence.deciding_cost:
        return rule_by_cost(described, evidence.deciding_cost)
    widened = f", widened by {share(allowance)} for two occasions," if allowance else ""
    return (
        f"Of the sides that keep the objective ({described}), the one with the lower "
        f"p95 of elapsed time; either, when the whole {share(CONFIDENCE)} interval of the "
        f"difference{widened} lies within {share(EQUIVALENCE)}."
    )


def _gates_failed(evidence: Evidence, names: Sequence[str]) -> str:
    gates = "gate" if len(names) == 1 else "gates"
    known = FAILED | {name: words for name, words in evidence.meanings.items() if words}
    meant = listed([known[name] for name in names if name in known])
    because = f" ({meant})" if meant else ""
    return (
        f"{evidence.subject} cannot say which to choose: the {gates} {listed(names)} "
        f"failed{because}."
    )


def _untold(evidence: Evidence, candidates: Sequence[Candidate]) -> str:
    whys = [f"{c.name}: {c.undetermined or 'no request was answered'}" for c in candidates]
    if evidence.allowance is not None:
        return f"{evidence.subject} are too small to say which to choose ({'; '.join(whys)})."
    return f"This run is too small to say which to choose; run it longer ({'; '.join(whys)})."


def _none_fit(evidence: Evidence) -> str:
    misses = [_miss(candidate, evidence.objective) for candidate in evidence.candidates]
    return f"Choose neither as it is: {listed(misses)}."


def _one_fits(evidence: Evidence, fit: Candidate) -> str:
    other = evidence.second if fit is evidence.first else evidence.first
    return (
        f"Choose the {fit.name}: it answers 95 of 100 requests within {_p95(fit)}, while "
        f"{_miss(other, evidence.objective)}{_costs(evidence, fit)}{_place(evidence)}."
    )


def _alike(evidence: Evidence) -> str:
    first, second = evidence.candidates
    return (
        f"Choose either: the {first.name} and the {second.name} answer equally fast, to within "
        f"{share(EQUIVALENCE)} (p95 {_p95(first)} against {_p95(second)}){_place(evidence)}."
    )


def _faster(evidence: Evidence, fast: Candidate, slow: Candidate) -> str:
    ratio = slow.p95_ms / fast.p95_ms
    return (
        f"The {fast.name} answers {times_as(ratio)} as fast as the {slow.name} "
        f"(p95 {_p95(fast)} against {_p95(slow)}){_costs(evidence, fast)}{_place(evidence)}."
    )


def _costs(evidence: Evidence, chosen: Candidate) -> str:
    return f"; it {cost_words(evidence.priced, chosen.name)}" if evidence.priced else ""


def _too_wide(evidence: Evidence, difference: Estimate) -> str:
    needed = evidence.blocks_needed
    units = f"{evidence.unit}s a side"
    remedy = f"; about {needed} {units} would tell, if it stays so" if needed else ""
    return (
        f"{evidence.subject} cannot say which to choose: the difference of p95 lies anywhere from "
        f"{span(difference)}, past zero and past {share(EQUIVALENCE)}{remedy}."
    )


def _miss(candidate: Candidate, objective: Objective) -> str:
    """What of the objective a side misses, in words."""
    misses = []
    if candidate.p95_ms > objective.p95_ms:
        misses.append(
            f"takes up to {_p95(candidate)} for 95 of 100 requests (allowed are "
            f"{time(objective.p95_ms)})"
        )
    if candidate.error_share >= objective.error_share:
        misses.append(f"fails {share(candidate.error_share)} of its requests")
    return f"the {candidate.name} {listed(misses)}"


def _reasons(evidence: Evidence) -> list[str]:
    told = [_candidate_reason(candidate) for candidate in evidence.candidates]
    return [
        *evidence.findings,
        *told,
        *_difference_reasons(evidence),
        *_objective_reasons(evidence),
        *(cost_reasons(evidence.priced) if evidence.priced else []),
        *_slow_mode_reasons(evidence),
        *_gate_reasons(evidence),
        *evidence.remarks,
    ]


def _candidate_reason(candidate: Candidate) -> str:
    asked = count(candidate.requests, "request")
    failed = f"{candidate.errors:,} failed ({share(candidate.error_share)})"
    if candidate.p95 is None:
        return f"{candidate.name}: {asked}, {failed}, none answered."
    why = f"; {candidate.undetermined}" if candidate.undetermined else ""
    return (
        f"{candidate.name}: p95 of elapsed {_p95(candidate)} ({span(candidate.p95)}{why}); "
        f"{asked}, {failed}."
    )


def _difference_reasons(evidence: Evidence) -> list[str]:
    if evidence.difference is None:
        return []
    first, second = evidence.candidates
    estimate = time(evidence.difference.estimate)
    sure = f", {share(CONFIDENCE)} confidence" if evidence.difference.low is not None else ""
    reasons = [
        f"Difference of p95, {second.name} minus {first.name}: {estimate} "
        f"({span(evidence.difference)}{sure})."
    ]
    if evidence.detectable_ms is not None:
        reasons.append(
            f"Runs like this one nearly always see a difference of p95 of "
            f"{time(evidence.detectable_ms)} or more."
        )
    return reasons


def _objective_reasons(evidence: Evidence) -> list[str]:
    """The rule looks at the estimate; where its interval reaches across the limit, say so."""
    limit = evidence.objective.p95_ms
    return [
        f"The interval of the {c.name}'s p95 reaches across the {time(limit)} allowed: whether it "
        f"keeps the objective is not certain."
        for c in evidence.candidates
        if c.p95 and c.p95.low is not None and c.p95.high is not None
        if c.p95.low <= limit < c.p95.high
    ]


def _slow_mode_reasons(evidence: Evidence) -> list[str]:
    """METHOD: a mode that comes in a third of the blocks hides from fewer than ten of them."""
    fewest = min(candidate.blocks for candidate in evidence.candidates)
    if evidence.allowance is not None or not FEWEST_BLOCKS <= fewest < SLOW_MODE_BLOCKS:
        return []
    return [
        f"{fewest} {evidence.unit}s a side do not rule out a slow mode that comes and goes (say in "
        f"a third of them): that takes {SLOW_MODE_BLOCKS} or more, better 20."
    ]


def _gate_reasons(evidence: Evidence) -> list[str]:
    failed = [g for g in evidence.gates if g.status is GateStatus.FAIL]
    reasons = [f"Gate {gate.name} failed: {gate.detail}" for gate in failed]
    unknown = evidence.gates_that(GateStatus.UNKNOWN)
    if unknown:
        reasons.append(f"Provisional: not known are the gates {listed(unknown)}.")
    if evidence.allowance is not None:
        reasons.append(
            "Provisional: what shifts between two occasions shows in no log, so every interval is "
            f"widened by {share(evidence.allowance)}."
        )
    if evidence.local:
        reasons.append("Provisional: both sides ran on one machine, not on a cloud.")
    return reasons


def _p95(candidate: Candidate) -> str:
    return time(candidate.p95_ms)


def _place(evidence: Evidence) -> str:
    """A local figure is never passed off as a cloud one."""
    return ", measured on one machine" if evidence.local else ""
