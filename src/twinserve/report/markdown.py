"""A comparison in Markdown, short enough for a pull request: the verdict first, then tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from twinserve.analysis.comparison import Comparison, Gate, GateStatus, SideSummary, Summary
from twinserve.analysis.thresholds import Finding, Judged
from twinserve.report.numbers import UNDETERMINED, format_interval, format_number, format_signed

STATS = ("p50", "p95", "p99")
SIGNS = {GateStatus.PASS: "ok", GateStatus.FAIL: "**failed**", GateStatus.UNKNOWN: "unknown"}
FOUND = {Finding.KEPT: "ok", Finding.CROSSED: "**crossed**", Finding.UNTOLD: "**not known**"}
SPECIAL = str.maketrans({"|": r"\|", "<": "&lt;", ">": "&gt;", "*": r"\*", "\n": " ", "\r": " "})


def markdown_summary(comparison: Comparison, judged: Sequence[Judged] = ()) -> str:
    """The whole text, one line end at its end."""
    return "\n".join(_lines(comparison, judged)) + "\n"


def _lines(comparison: Comparison, judged: Sequence[Judged]) -> Iterator[str]:
    verdict = comparison.verdict
    yield f"**{_text(verdict.sentence)}**"
    yield ""
    yield f"Verdict: {_text(verdict.choice)} ({verdict.strength}). {_text(verdict.scope)}"
    yield ""
    yield from _sides(comparison)
    if judged:
        yield ""
        yield from _thresholds(judged)
    yield ""
    yield from _gates(comparison.gates)


def _sides(comparison: Comparison) -> Iterator[str]:
    heads = ["side", "requests", "errors", "cold starts", "answers a second"]
    yield from _head([*heads, *(f"{stat}, ms" for stat in STATS)])
    for name, side in comparison.deployments.items():
        yield _row([name, *_counts(side), *_times(side.elapsed_ms)])
    found = comparison.differences.get("elapsed_ms")
    if found is None:
        return
    first, second = comparison.sides
    told = [
        f"{format_signed(estimate.estimate)} ({format_interval(estimate, signed=True)})"
        for estimate in (found.p50, found.p95)
    ]
    yield _row([f"{second} minus {first}", "", "", "", "", *told, ""])


def _counts(side: SideSummary) -> list[str]:
    cold = UNDETERMINED if side.cold_starts is None else f"{side.cold_starts:,}"
    return [f"{side.requests:,}", f"{side.errors:,}", cold, format_number(side.throughput_rps)]


def _times(summary: Summary | None) -> list[str]:
    if summary is None:
        return [UNDETERMINED] * len(STATS)
    return [format_number(getattr(summary, stat)) for stat in STATS]


def _thresholds(judged: Sequence[Judged]) -> Iterator[str]:
    yield from _head(["threshold (fails if)", "", "found"])
    for each in judged:
        yield _row([each.threshold.text, each.sentence], FOUND[each.finding])


def _gates(gates: Sequence[Gate]) -> Iterator[str]:
    """A line of statuses; what each one found is folded away."""
    yield f"Gates: {', '.join(f'{gate.name} {SIGNS[gate.status]}' for gate in gates)}."
    yield ""
    yield "<details><summary>What the gates found</summary>"
    yield ""
    yield from (f"- {gate.name}, {SIGNS[gate.status]}: {_text(gate.detail)}" for gate in gates)
    yield ""
    yield "</details>"


def _head(cells: Sequence[str]) -> Iterator[str]:
    yield _row(cells)
    yield f"|{'---|' * len(cells)}"


def _row(cells: Sequence[str], status: str = "") -> str:
    """A table row; ``status``, which has its own marks, goes second."""
    texts = [_text(cell) for cell in cells]
    if status:
        texts.insert(1, status)
    return f"| {' | '.join(texts)} |"


def _text(text: str) -> str:
    """Text that no renderer takes for marks."""
    return text.translate(SPECIAL)
