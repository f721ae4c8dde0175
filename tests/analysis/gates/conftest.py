"""Rows of a run as the gates see them, made by hand."""

import numpy as np
import pytest

from twinserve.analysis.rows import NO_FLOATS, BlockRows, SideRows
from twinserve.analysis.watched import Watched


def make_block(
    requests=(), index=0, seconds=1, start_ms=0, latency_ms=NO_FLOATS, failed=0, cold=0, late_ms=0
):
    """A block from ``requests`` of (user, sent, done), times in ms of the run; each was due
    ``late_ms`` before it was sent."""
    users, sent, done = np.array(requests, dtype=np.int64).reshape(-1, 3).T
    start_us = 1000 * start_ms
    return BlockRows(
        index=index,
        start_us=start_us,
        end_us=max([start_us + round(seconds * 1_000_000), *(1000 * done)]),
        user=users,
        sent_us=1000 * sent,
        done_us=1000 * done,
        failed=failed,
        cold=cold,
        measures={"latency_ms": np.asarray(latency_ms)},
        due_us=1000 * sent - np.asarray(1000 * late_ms, dtype=np.int64),
    )


def make_side(*blocks, name="left"):
    return SideRows(name, blocks, instance_starts=1)


@pytest.fixture
def block():
    return make_block


@pytest.fixture
def side():
    return make_side


@pytest.fixture
def counted():
    """``counted(1000, failed=3)``: a side with so many requests, so many of them failed."""

    def make(requests, failed=0, cold=0, name="left"):
        rows = [(0, i, i + 1) for i in range(requests)]
        return make_side(make_block(rows, failed=failed, cold=cold), name=name)

    return make


@pytest.fixture
def watched():
    """``watched(generator_percent=30, ...)``: 100 seconds of a quiet machine with two cores, but
    for what is named; a value is that of every second, or one a second."""

    def make(cores=2, seconds=100, blocks_s=100.0, instances=None, **values):
        quiet = {
            "generator_percent": 15.0,
            "others_percent": 4.0,
            "overhead_percent": 25.0,
            "steal_percent": 0.0,
            "lag_mean_ms": 0.2,
            "lag_max_ms": 5.0,
            "swapped_mib": 0.0,
            "throttled": 0.0,
            "pressure_percent": 30.0,
        }
        given = {
            name: None if value is None else np.broadcast_to(np.asarray(value, float), seconds)
            for name, value in (quiet | values).items()
        }
        return Watched(
            cores=cores,
            blocks_s=blocks_s,
            seconds=np.ones(seconds),
            instances={"left": 1, "right": 1} if instances is None else instances,
            **given,
        )

    return make
