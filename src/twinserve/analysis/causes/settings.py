"""Settings against serving stack: what the matched contrast tells."""

from __future__ import annotations

from twinserve.analysis.causes.evidence import WORTH_A_NAME, Evidence, unknown
from twinserve.analysis.causes.values import Cause, Finding
from twinserve.analysis.comparison import Contrast, Split
from twinserve.analysis.estimate import Estimate
from twinserve.analysis.words import share, signed_time, span

NO_CONTRAST = (
    "This run has no matched contrast, so what the settings do and what the serving stack does "
    "cannot be told apart; measure with --contrast"
)


def judge(evidence: Evidence) -> list[Cause]:
    """Two causes that add up to the difference of the means."""
    found = evidence.contrast
    if found is None:
        first, second = (evidence.deployment(name) for name in evidence.names)
        if first and second and first.kind is second.kind:
            return []  # one serving stack: everything that differs is a setting
        return [unknown("settings", f"{NO_CONTRAST}.")]
    split = found.splits.get("mean")
    if split is None:
        return [unknown("settings", f"The matched contrast tells nothing: {found.why}.")]
    return [
        _cause(evidence, "settings", _settings_words(found), split, split.settings),
        _cause(evidence, "serving stack", _stack_words(found), split, split.serving_stack),
    ]


def _cause(evidence: Evidence, name: str, what: str, split: Split, part: Estimate) -> Cause:
    whole = split.whole
    of_difference = part.estimate / whole.estimate if whole.is_clear else None
    scale = _scale(evidence)
    named = part.is_clear and scale > 0 and abs(part.estimate) >= WORTH_A_NAME * scale
    if of_difference is not None and part.is_clear:
        named = named or abs(of_difference) >= WORTH_A_NAME
    said = f"{what}: {signed_time(part.estimate)} of the mean ({span(part)})"
    if named and of_difference is not None:
        said += (
            f", {share(of_difference)} of the difference"
            if of_difference > 0
            else ", against the difference"
        )
    if not named:
        said += ", which may be nothing" if not part.is_clear else ", which is little"
    return Cause(
        name=name,
        finding=Finding.NAMED if named else Finding.ABSENT,
        sentence=f"{said}.",
        difference=part,
        of_difference=of_difference,
    )


def _settings_words(found: Contrast) -> str:
    return f"Settings (the {found.stack_of} as it is, and with those of the {found.settings_of})"


def _stack_words(found: Contrast) -> str:
    return (
        f"Serving stack (the {found.stack_of}'s and the {found.settings_of}'s, with the same "
        f"settings)"
    )


def _scale(evidence: Evidence) -> float:
    """The smaller mean elapsed time of the two sides, in ms; 0 where it is not told."""
    means = evidence.stages.whole.means if evidence.stages else {}
    return min((means[name] for name in evidence.names if name in means), default=0.0)
