"""What compare understands of its options, and which it refuses before anything is started."""

import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from twinserve.cli import twinserve
from twinserve.cli.comparing.contrast import chosen_contrast, matched_contrast
from twinserve.cli.comparing.rates import ObjectiveType
from twinserve.cli.comparing.stopping import Share, chosen_stop
from twinserve.deployment import Deployment, Kind, fair_defaults
from twinserve.errors import UsageError
from twinserve.records.manifest import Block
from twinserve.records.samples import Phase, Sample
from twinserve.workload import ClosedLoop, Workload

CONTAINER, FUNCTION = fair_defaults("random-16").values()
LOAD = Workload(
    profile="quick", arrivals=ClosedLoop(users=4), blocks=10, block_s=1.0, warmup_s=0.0, seed=0
)


TWO_URLS = ("--url", "a=https://a.example", "--url", "b=https://b.example")


def changed(**changes: object) -> Workload:
    fields = {name: getattr(LOAD, name) for name in LOAD.__struct_fields__}
    return Workload(**(fields | changes))


def test_the_contrast_is_the_container_with_all_settings_of_the_function() -> None:
    function = Deployment("fn", Kind.FUNCTION, "random-16", cpu=2, memory_mib=2048, concurrency=1)
    for pair in ((CONTAINER, function), (function, CONTAINER)):
        contrast = matched_contrast(*pair)
        assert contrast is not None
        assert (contrast.name, contrast.kind) == ("contrast", Kind.CONTAINER)
        assert (contrast.cpu, contrast.memory_mib, contrast.concurrency) == (2, 2048, 1)


def test_the_contrast_is_there_by_default_and_said() -> None:
    chosen = chosen_contrast(None, CONTAINER, FUNCTION, LOAD)
    assert chosen.deployment is not None
    assert "1 instead of 80 requests at a time" in chosen.said
    assert chosen_contrast(False, CONTAINER, FUNCTION, LOAD).deployment is None


@pytest.mark.parametrize(
    ("first", "second", "workload", "why"),
    [
        (CONTAINER, CONTAINER, LOAD, "same serving stack"),
        (
            Deployment("one", Kind.CONTAINER, "random-16", concurrency=1),
            FUNCTION,
            LOAD,
            "as many requests at a time",
        ),
        (CONTAINER, FUNCTION, changed(concurrent=True), "with --concurrent"),
        (CONTAINER, FUNCTION, changed(cold=True), "cold for each request"),
        (
            CONTAINER,
            Deployment("contrast", Kind.FUNCTION, "random-16", concurrency=1),
            LOAD,
            "named 'contrast' itself",
        ),
    ],
)
def test_where_it_would_tell_nothing_there_is_none_and_asking_for_it_is_refused(
    first: Deployment, second: Deployment, workload: Workload, why: str
) -> None:
    assert chosen_contrast(None, first, second, workload).deployment is None
    with pytest.raises(UsageError, match=why):
        chosen_contrast(True, first, second, workload)


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("12.5 %", 0.125)])
def test_a_share_is_a_percentage_or_a_fraction(text: str, share: float) -> None:
    assert Share().convert(text, None, None) == pytest.approx(share)


@pytest.mark.parametrize("text", ["5 ms", "0%", "100%", "-3%", "five", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        Share().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "objective"),
    [("p95<500ms", (0.95, 500)), ("p99 <= 2s", (0.99, 2000)), ("p99.9<1.5s", (0.999, 1500))],
)
def test_an_objective_is_a_quantile_and_its_limit(
    text: str, objective: tuple[float, float]
) -> None:
    assert ObjectiveType().convert(text, None, None) == pytest.approx(objective)


@pytest.mark.parametrize("text", ["p95", "p0<1s", "p95<0ms", "mean<1s", "p95>500ms", "p95<500"])
def test_what_is_no_objective_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError):
        ObjectiveType().convert(text, None, None)


def fed(stop, scatter: float, blocks: int = 10, repeats: int = 1):  # type: ignore[no-untyped-def]
    """Whether the rule says stop after all blocks of two sides whose levels scatter."""
    rng = np.random.default_rng(4)
    index = 0
    for repeat in range(repeats):
        for pair in range(blocks):
            for side in ("a", "b"):
                level = 50_000 * np.exp(rng.normal(0, scatter))
                for took_us in (level * rng.lognormal(0, 0.05, 120)).astype(int):
                    stop.listen(
                        Sample(
                            side,
                            Phase.BLOCK,
                            index,
                            0,
                            1,
                            "",
                            1,
                            1,
                            0.0,
                            0,
                            0,
                            0,
                            1,
                            int(took_us),
                            200,
                            "OK",
                            "",
                            1,
                            1,
                        )
                    )
                stop.finished(Block(index, pair + repeat * blocks, side, 0, 1, repeat))
                index += 1
            ended = pair == blocks - 1
            if stop.is_enough("a", "b", ended):
                return repeat, pair
    return None


def test_a_tight_interval_ends_the_run_at_the_first_look_and_a_wide_one_does_not() -> None:
    stop = chosen_stop(0.05, changed(blocks=30))
    assert stop is not None
    first = stop.until.looks[0]
    assert 6 <= first < 30
    assert fed(stop, scatter=0.005, blocks=30) == (0, first - 1)
    again = chosen_stop(0.05, changed(blocks=12))
    assert fed(again, scatter=0.4, blocks=12) is None


def test_with_repeats_the_rule_looks_after_whole_repeats_only() -> None:
    stop = chosen_stop(0.10, changed(blocks=2, repeats=30))
    assert stop is not None
    assert "repeats" in stop.said
    assert fed(stop, scatter=0.005, blocks=2, repeats=30) == (stop.until.looks[0] - 1, 1)


def test_too_short_a_run_cannot_stop_early() -> None:
    with pytest.raises(UsageError, match="at least 6 blocks a side"):
        chosen_stop(0.05, changed(blocks=4))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--find-rate", "p95<1s", "--until", "5%"], "leave --until out"),
        (["--find-rate", "p95<1s", "--repeats", "3"], "leave --repeats out"),
        (["--find-rate", "p95<1s", "--contrast"], "leave --contrast out"),
        (["--find-rate", "p95<1s", "--fail-if", "errors>0"], "leave --fail-if out"),
        (["--max-rate", "3"], "--max-rate is for services that run elsewhere"),
        (["--token-env", "TOKEN"], "--token-env is for services that run elsewhere"),
        (["--container-url", "https://a.example"], "Two services are compared"),
        (["--url", "a=https://a.example", "--url", "a=https://b.example"], "by two names"),
        (["--url", "https://a.example"], "write SIDE=URL"),
        (["--url", "contrast=https://a.example"], "and not 'contrast'"),
        (
            [*TWO_URLS, "--sides", "x,y"],
            "--sides is for deployments that are run here",
        ),
        (
            [*TWO_URLS, "--repeats", "6"],
            "cannot be started anew from here",
        ),
        (
            [*TWO_URLS, "--token-env", "c=TOKEN"],
            "names 'c'; the sides are a, b",
        ),
        (
            [*TWO_URLS, "--header-env", "X-Key=TWINSERVE_NOT_SET"],
            r"\$TWINSERVE_NOT_SET, which is not set",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_started(
    words: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    result = CliRunner().invoke(twinserve, ["compare", "--model", "random-16", *words])
    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match=why):
        raise result.exception
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["numba", "altair", "scipy"])
@pytest.mark.parametrize("verb", ["compare", "import-jtl"])
def test_a_package_that_analysis_needs_is_missed_before_anything_is_measured(
    verb: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    log = tmp_path / "log.csv"
    log.write_text("")
    words = {
        "compare": ["--model", "random-16"],
        "import-jtl": ["--container", str(log), "--function", str(log)],
    }
    result = CliRunner().invoke(twinserve, [verb, *words[verb], "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, UsageError)
    assert f"This needs {missing}" in str(result.exception)
    assert "pip install 'twinserve[lab]'" in str(result.exception)
    assert not (tmp_path / "run").exists()
