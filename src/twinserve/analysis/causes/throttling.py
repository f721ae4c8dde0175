"""CPU throttling, and threads against the quota: instances that stood still with work to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinserve.analysis.causes.evidence import WORTH_A_NAME, Evidence, unknown
from twinserve.analysis.causes.values import Cause, Finding
from twinserve.analysis.throttling import Throttled, throttled_instances
from twinserve.analysis.words import listed, share, time
from twinserve.records.manifest import REMOTE

if TYPE_CHECKING:
    import polars as pl

NAME = "CPU throttling"
THREADS = "threads against quota"
SOME = 0.01  # of the periods


def judge(evidence: Evidence) -> list[Cause]:
    """By what the cgroup of each instance counted in the seconds of its side's blocks."""
    import polars as pl

    read = evidence.readings.filter(pl.col("nr_periods").is_not_null())
    if not read.height:
        return [unknown(NAME, _no_quota(evidence)), *_threads_untold(evidence)]
    held = {name: _stood_still(evidence, name) for name in evidence.names}
    named = any(each.worth for each in held.values())
    said = listed([each.words for each in held.values()])
    throttling = Cause(
        name=NAME,
        finding=Finding.NAMED if named else Finding.ABSENT,
        sentence=f"{said[0].upper()}{said[1:]}.",
        shares={name: each.share_of_time for name, each in held.items()},
    )
    return [throttling, *_threads(evidence)]


class _Held:
    """One side: how often its quota was used up, and how long its threads stood still a
    request, at most."""

    def __init__(self, name: str, rows: pl.DataFrame, answered: int, mean_ms: float | None) -> None:
        periods = int(rows["nr_periods"].sum() or 0)
        self._name = name
        self._periods = int(rows["nr_throttled"].sum() or 0) / periods if periods else 0.0
        still_ms = float(rows["throttled_usec"].sum() or 0) / 1000 / max(answered, 1)
        self._still_ms = min(still_ms, mean_ms) if mean_ms is not None else still_ms
        self.share_of_time = self._still_ms / mean_ms if mean_ms else 0.0

    @property
    def worth(self) -> bool:
        return self._periods >= SOME and self.share_of_time >= WORTH_A_NAME

    @property
    def words(self) -> str:
        if self._periods < SOME:
            return f"the {self._name} hardly ever used up its CPU quota"
        return (
            f"the {self._name} used up its CPU quota in {share(self._periods)} of the periods and "
            f"stood still for up to {time(self._still_ms)} a request "
            f"({share(self.share_of_time)} of its time)"
        )


def _stood_still(evidence: Evidence, name: str) -> _Held:
    import polars as pl

    side = next(each for each in evidence.sides if each.name == name)
    mean_ms = evidence.stages.whole.means[name] if evidence.stages else None
    own = evidence.readings.filter(pl.col("side") == name)
    return _Held(name, own, side.requests - side.errors, mean_ms)


def _threads(evidence: Evidence) -> list[Cause]:
    """Instances whose threads outnumber their CPUs and use the quota up early."""
    held = throttled_instances(evidence.readings)
    if held:
        return [_named_threads(held)]
    return [
        Cause(
            name=THREADS,
            finding=Finding.ABSENT,
            sentence=f"{_counted(evidence)}: no more threads than the quota carries were busy.",
        )
    ]


def _named_threads(held: list[Throttled]) -> Cause:
    return Cause(
        name=THREADS,
        finding=Finding.NAMED,
        sentence=" ".join(each.sentence for each in held),
    )


def _threads_untold(evidence: Evidence) -> list[Cause]:
    if evidence.manifest.runner == REMOTE:
        return []
    counted = _counted(evidence)
    if not counted:
        return []
    return [
        unknown(
            THREADS,
            f"{counted}; whether they would use up a quota shows only where there is one: measure "
            f"with --runner podman.",
        )
    ]


def _counted(evidence: Evidence) -> str:
    """``The container had up to 11 threads for 1 CPU and the function 14``."""
    import polars as pl

    said = []
    for name in evidence.names:
        counts = evidence.readings.filter(pl.col("side") == name)["threads"].drop_nulls().to_list()
        deployment = evidence.deployment(name)
        if counts and deployment is not None:
            most = max(counts)
            said.append(f"an instance of the {name} had up to {most} threads for "
                        f"{deployment.cpu:g} CPU")  # fmt: skip
    text = listed(said)
    return f"{text[:1].upper()}{text[1:]}"


def _no_quota(evidence: Evidence) -> str:
    if evidence.manifest.runner == REMOTE:
        return "Services elsewhere do not tell how their CPU quota held them back."
    return (
        "Plain processes have no CPU quota, so nothing throttled them here; a platform's quota "
        "may: measure with --runner podman."
    )
