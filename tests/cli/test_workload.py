"""The options of a workload, as typed."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from twinserve.cli.load_tool import chosen_load_tool
from twinserve.cli.workload import (
    WorkloadOptions,
    chosen_workload,
    cooled,
    fitted_to_host,
    format_long,
    is_fitted_to_host,
    workload_options,
)
from twinserve.deployment import fair_defaults
from twinserve.errors import UsageError
from twinserve.load.jmeter_home import JMeter
from twinserve.records.samples import Phase, Sample
from twinserve.workload import ClosedLoop, Constant, Poisson, Workload
from twinserve.workload.profiles import profile, workload_of


def chosen(*words: str) -> Workload:
    """The workload that these options give."""
    found: list[Workload] = []

    @click.command()
    @workload_options
    def command(asked: WorkloadOptions) -> None:
        found.append(chosen_workload(asked))

    result = CliRunner().invoke(command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


def test_without_options_it_is_quick() -> None:
    assert chosen() == profile("quick")


def test_options_change_a_profile() -> None:
    found = chosen("--profile", "long", "--users", "7", "--images", "3", "--seed", "5")
    assert (found.profile, found.users, found.images, found.seed) == ("long", 7, 3, 5)


def test_a_rate_makes_an_open_loop() -> None:
    assert chosen("--rate", "2.5").arrivals == Poisson(rate_rps=2.5)
    assert chosen("--rate", "2.5", "--arrivals", "constant").arrivals == Constant(rate_rps=2.5)
    assert chosen("--profile", "burst", "--arrivals", "closed", "--users", "2").arrivals == (
        ClosedLoop(users=2)
    )


def test_a_file_takes_the_place_of_a_profile(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('block = 2\n[arrivals]\nkind = "closed"\nusers = 3\n')
    found = chosen("--workload", str(path), "--seed", "9")
    assert (found.profile, found.users, found.block_s, found.seed) == ("mine", 3, 2.0, 9)
    with pytest.raises(UsageError, match=r"mine.toml and --profile quick exclude each other"):
        chosen("--workload", str(path), "--profile", "quick")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.toml cannot be read \(No such file"):
        chosen("--workload", str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("seconds", "said"), [(74, "74 s"), (610, "10 minutes"), (9000, "2.5 hours")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert format_long(seconds) == said


def test_jmeter_sends_the_original_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    jmeter = JMeter(("jmeter",), "5.5")
    monkeypatch.setattr("twinserve.cli.load_tool.find_jmeter", lambda _: jmeter)
    assert chosen_load_tool(None, None, None, profile("original")).jmeter is jmeter
    assert chosen_load_tool(None, None, None, profile("quick")).jmeter is None
    own = chosen_load_tool("twinserve", None, None, profile("original"))
    assert (own.jmeter, own.described) == (None, "")


def test_without_jmeter_the_original_says_who_sends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str | None) -> JMeter:
        raise UsageError("No JMeter was found.")

    monkeypatch.setattr("twinserve.cli.load_tool.find_jmeter", missing)
    tool = chosen_load_tool(None, None, None, profile("original"))
    assert tool.jmeter is None
    assert tool.described == ", by Twinserve itself, since no JMeter is installed"


def test_jmeter_refuses_what_it_cannot_run() -> None:
    tool = chosen_load_tool("twinserve", None, None)
    assert tool.fitted(profile("burst")) == profile("burst")
    by_jmeter = type(tool)(JMeter(("jmeter",), "5.5"))
    assert by_jmeter.fitted(profile("quick")).block_s == 4.0
    with pytest.raises(UsageError, match="'burst' is not for --load-tool jmeter"):
        by_jmeter.fitted(profile("burst"))


def answered(process_ms: float | None, images: int) -> Sample:
    return Sample(
        side="a", phase=Phase.EQUALITY, block=-1, user=0, users=1, url="", images=images, seed=0,
        started_epoch_ms=0.0, due_us=0, sent_us=0, connected_us=1, first_byte_us=2, done_us=3,
        status=200, reason="OK", failure="", received_bytes=1, sent_bytes=1, process_ms=process_ms,
    )  # fmt: skip


def test_the_original_is_fitted_by_what_one_image_takes() -> None:
    original = profile("original")
    sides = [each.with_at_most(2) for each in fair_defaults("m").values()]
    seen = [answered(400.0, 1), answered(800.0, 2), answered(9000.0, 1), answered(None, 1)]
    fitted, said = fitted_to_host(original, seen, sides)
    assert fitted.users == 25  # 5 s of waiting, 2 at a time, 0.4 s each
    assert "25 users stand for the 100" in said
    assert fitted_to_host(original, [], sides)[0] == original


def test_only_the_originals_own_users_are_fitted() -> None:
    assert is_fitted_to_host(profile("original"))
    assert not is_fitted_to_host(workload_of("original", users=20))
    assert not is_fitted_to_host(profile("quick"))


def test_a_cold_side_goes_right_after_a_request() -> None:
    container = fair_defaults("m", idle_s=900.0)["container"]
    assert cooled(container).idle_s == 0.2
    kept = type(container)("kept", container.kind, "m", min_instances=1)
    with pytest.raises(UsageError, match="kept has min_instances = 1, so that no request finds"):
        cooled(kept)
