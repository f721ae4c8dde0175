"""``--like``: what a new run can see is told from a run of the past."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from click.testing import CliRunner, Result

from twinserve.cli.comparing.announcing import detectable_lines
from twinserve.cli.comparing.like import like_option
from twinserve.errors import RecordError
from twinserve.records.run import RunDirectory
from twinserve.workload import ClosedLoop, Workload

PLAN = Workload(
    profile="quick",
    arrivals=ClosedLoop(users=4),
    blocks=10,
    block_s=4.0,
    warmup_s=1.0,
    seed=0,
)


def told(*words: str, repeats: int = 1) -> Result:
    """What a verb with the option says before its load."""
    plan = msgspec.structs.replace(PLAN, repeats=repeats)

    @click.command()
    @like_option
    def verb() -> None:
        click.echo("\n".join(detectable_lines(plan)))

    return CliRunner().invoke(verb, [*words])


def test_a_past_run_takes_the_place_of_the_assumption(
    make_run: Callable[..., RunDirectory],
) -> None:
    run = make_run()
    assert "assumed is a quiet host" in told().output
    output = told("--like", str(run.path)).output
    assert output.startswith("Detectable: ")
    assert f"assumed is the spread of {run.path}" in output
    assert "10 blocks a side of about 15" in output  # 4 users x 4 s / 103 ms


def test_blocks_say_nothing_of_repeats(make_run: Callable[..., RunDirectory]) -> None:
    output = told("--like", str(make_run().path), repeats=6).output
    assert "undetermined" in output
    assert "is of blocks, not repeats" in output


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in told("--like", str(tmp_path / "none")).output
    assert isinstance(told("--like", str(tmp_path)).exception, RecordError)
