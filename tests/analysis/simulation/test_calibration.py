"""What a run tells a simulation, and what is refused where it tells too little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from twinserve.analysis.served import Served
from twinserve.analysis.simulation.calibration import calibrated, worked
from twinserve.errors import UsageError
from twinserve.records.run import RunDirectory


def rows(placed: list[float], done: list[float]) -> Served:
    size = len(placed)
    return Served(
        arrived_s=np.array(placed), placed_s=np.array(placed), done_s=np.array(done),
        outside_s=np.zeros(size),
        instance=np.ones(size, np.int64), bytes=np.zeros(size),
        process_s=np.full(size, np.nan),
    )  # fmt: skip


def test_one_lane_works_in_turn_and_only_its_own_time_is_work() -> None:
    work_s, levels, first = worked(rows([0.0, 0.1, 0.2, 5.0], [1.0, 2.0, 3.0, 6.0]), lanes=1)
    assert work_s == pytest.approx([1.0, 1.0, 1.0, 1.0])
    assert levels.tolist() == [1, 2, 3, 1]
    assert first.tolist() == [True, False, False, False]


def test_two_lanes_share_the_queue() -> None:
    work_s, _, _ = worked(rows([0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 2.0, 2.0]), lanes=2)
    assert work_s == pytest.approx([1.0, 1.0, 1.0, 1.0])


def test_without_a_limit_all_of_the_time_is_work() -> None:
    work_s, _, _ = worked(rows([0.0, 0.1], [1.0, 1.5]), lanes=0)
    assert work_s == pytest.approx([1.0, 1.4])


def test_a_run_gives_starts_sizes_and_work_of_both_sides(
    make_run: Callable[..., RunDirectory],
) -> None:
    found = calibrated(make_run(blocks=6, rows=60))
    for side in found.values():
        assert side.behaviour.starts_s.tolist() == [0.9]
        assert side.behaviour.egress_bytes == pytest.approx(12_000)
        assert 0 < side.behaviour.work_s < 0.2


def test_a_run_without_a_cold_start_is_refused_with_what_to_do(
    make_run: Callable[..., RunDirectory],
) -> None:
    run = make_run(blocks=6, rows=20)
    run.events.write_text("")
    with pytest.raises(
        UsageError, match=r"no cold start to calibrate from; .* `twinserve compare`"
    ):
        calibrated(run)


def test_two_logs_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"kind": "logs", "schema_version": 1}')
    with pytest.raises(UsageError, match="two imported logs"):
        calibrated(RunDirectory(tmp_path))
