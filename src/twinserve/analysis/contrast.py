"""The matched contrast: how much of a difference is settings, how much is the serving stack: pure.

Two deployments that differ in both leave the question open. The contrast has the serving stack of
the one and the settings of the other; the differences to its two neighbours add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from twinserve.analysis import summary
from twinserve.analysis.comparison import Contrast, Difference, Estimate, Split
from twinserve.analysis.gates.errors import ERROR_LIMIT
from twinserve.analysis.rows import SideRows
from twinserve.analysis.statistics import CONFIDENCE
from twinserve.analysis.words import listed, share, signed_time, span
from twinserve.deployment import Deployment

STATISTICS = ("mean", "p50", "p95")
DECIDING = "p95"


def contrasted(
    first: SideRows,
    second: SideRows,
    contrast: SideRows,
    stack_of: str,
    unequal: str = "",
    confidence: float = CONFIDENCE,
) -> Contrast:
    """Split the differences of elapsed time; ``stack_of`` names the side whose serving stack the
    contrast shares, ``unequal`` says what it answered otherwise than the sides, ``confidence`` is
    that of each interval.

    The rows of the two sides are used as they are.
    """
    why = _why_not(contrast, unequal)
    splits = {} if why else _splits(first, second, contrast, stack_of, confidence)
    return Contrast(
        name=contrast.name,
        stack_of=stack_of,
        settings_of=second.name if stack_of == first.name else first.name,
        summary=summary.side_summary(contrast),
        splits=splits,
        confidence=CONFIDENCE,
        why=why or ("" if splits else "a side has no answered request"),
    )


def contrast_reasons(found: Contrast, deployments: Mapping[str, Deployment]) -> list[str]:
    """The sentence that a verdict adds: what of the deciding difference is what."""
    split = found.splits.get(DECIDING)
    if split is None:
        return [f"Settings and serving stack cannot be told apart: {found.why}."]
    changed = _changed(deployments.get(found.stack_of), deployments.get(found.settings_of))
    return [
        f"Of the difference of p95 ({signed_time(split.whole.estimate)}), "
        f"{_part(split.settings, split.whole)} is settings{changed} and "
        f"{_part(split.serving_stack, split.whole)} is the serving stack, as the matched contrast "
        f"tells (the {found.stack_of} with the settings of the {found.settings_of})."
    ]


def _why_not(contrast: SideRows, unequal: str) -> str:
    if unequal:
        return f"the {contrast.name} did not answer as the two sides did ({unequal})"
    if not contrast.requests:
        return f"the {contrast.name} has no request in a finished block"
    # Above, the contrast's times say nothing, as those of a side.
    if contrast.errors >= ERROR_LIMIT * contrast.requests:
        failed = share(contrast.errors / contrast.requests)
        return f"{failed} of the requests to the {contrast.name} failed"
    return ""


def _splits(
    first: SideRows, second: SideRows, contrast: SideRows, stack_of: str, confidence: float
) -> dict[str, Split]:
    """The step from first to contrast is one part, from contrast to second the other."""
    whole, before, after = (
        summary.differences(a, b, confidence=confidence).get(summary.DECIDING)
        for a, b in ((first, second), (first, contrast), (contrast, second))
    )
    if whole is None or before is None or after is None:
        return {}
    settings, stack = (before, after) if stack_of == first.name else (after, before)
    return {
        name: Split(_of(whole, name), _of(settings, name), _of(stack, name)) for name in STATISTICS
    }


def _of(difference: Difference, name: str) -> Estimate:
    found: Estimate = getattr(difference, name)
    return found


def _part(part: Estimate, whole: Estimate) -> str:
    """``-20 ms (-25 ms to -15 ms)``, and what to think of an interval that holds zero."""
    said = f"{signed_time(part.estimate)} ({span(part)}"
    if part.low is None or part.high is None:
        return f"{said})"
    if part.low <= 0 <= part.high:
        return f"{said}, which may be nothing)"
    opposed = part.estimate * whole.estimate < 0
    return f"{said}, against the whole)" if opposed else f"{said})"


def _changed(stack: Deployment | None, settings: Deployment | None) -> str:
    """Which settings differ, in words: `` (80 -> 1 request at a time)``."""
    if stack is None or settings is None:
        return ""
    told = {
        "requests at a time": (stack.concurrency, settings.concurrency),
        "CPU": (stack.cpu, settings.cpu),
        "MiB": (stack.memory_mib, settings.memory_mib),
        "instances at least": (stack.min_instances, settings.min_instances),
        "instances at most": (stack.max_instances, settings.max_instances),
        "s of idle time": (stack.idle_s, settings.idle_s),
    }
    parts = [f"{a:g} against {b:g} {unit}" for unit, (a, b) in told.items() if a != b]
    return f" ({listed(parts)})" if parts else ""
