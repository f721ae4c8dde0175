"""How many requests a second the installed JMeter can send here, against a server that does
nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from twinserve.errors import RuntimeFailure
from twinserve.load.ceiling import LEAST_USERS, null_server
from twinserve.load.jmeter import JMeterExperiment
from twinserve.load.jmeter_home import JMeter
from twinserve.load.sender import Clock
from twinserve.records.host import Ceiling
from twinserve.records.manifest import Block
from twinserve.records.samples import Sample
from twinserve.workload import ClosedLoop, Workload

SECONDS = 2.0
WARM_UP_S = 4.0  # Java compiles what runs often, which makes it several times as fast
MOST_USERS = 64  # more threads than that make no JMeter faster


async def measure_jmeter_ceiling(
    jmeter: JMeter, users: int, answer_bytes: int, seconds: float = SECONDS
) -> Ceiling | None:
    """Let JMeter send for whole ``seconds`` as fast as it goes, by a plan as a run's; None where
    it, or the server, did not come up. Its files are not kept."""
    users = min(max(users, LEAST_USERS), MOST_USERS)
    workload = Workload(
        profile="ceiling",
        arrivals=ClosedLoop(users=users),
        blocks=1,
        block_s=seconds,
        warmup_s=WARM_UP_S,
        seed=0,
    )
    async with null_server(answer_bytes) as url:
        rate = await _rate(jmeter, workload, url) if url else None
    if rate is None:
        return None
    return Ceiling(
        requests_per_s=round(rate, 1), users=users, seconds=seconds, answer_bytes=answer_bytes
    )


async def _rate(jmeter: JMeter, workload: Workload, url: str) -> float | None:
    """Answers a second of the plan's one block."""
    rows: list[Sample] = []
    found: list[Block] = []
    with TemporaryDirectory(prefix="twinserve-") as folder, suppress(RuntimeFailure):
        experiment = JMeterExperiment(
            {"null": url}, workload, Clock.start(), rows.append, jmeter, Path(folder)
        )
        await experiment.warm_up()
        found = [block async for block in experiment.blocks()]
    answered = sum(row.success and row.block >= 0 for row in rows)
    seconds = sum(block.end_us - block.start_us for block in found) / 1e6
    return answered / seconds if seconds else None
