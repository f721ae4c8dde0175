"""``--fail-if``, ``--junit`` and ``--markdown`` as a CI job uses them."""

import subprocess
import sys
from pathlib import Path

import pytest
from defusedxml import ElementTree

from twinserve.cli import twinserve
from twinserve.errors import UsageError

DATA = Path(__file__).parents[1] / "data" / "jtl"


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twinserve", *words],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        check=False,
    )


def logs(folder: Path) -> tuple[str, ...]:
    """Two logs, whose container takes a minute an answer and whose function 7 seconds."""
    return ("import-jtl", "--container", str(DATA / "container.csv"),
            "--function", str(DATA / "function.csv"), "--out", str(folder / "run"))  # fmt: skip


def test_a_crossed_threshold_exits_with_3_after_everything_is_written(tmp_path: Path) -> None:
    done = run(
        *logs(tmp_path),
        *("--fail-if", "container.p95>20s", "--fail-if", "errors>0", "--fail-if", "cold_starts>1"),
        *("--junit", "made/junit.xml", "--markdown", "-"),
        cwd=tmp_path,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / "report.html").exists()
    suites = ElementTree.parse(tmp_path / "made" / "junit.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["gates", "thresholds"]
    assert [suites[1].get(name) for name in ("failures", "errors")] == ["1", "1"]
    assert done.stdout.startswith("**These two logs cannot say which to choose")
    assert done.stdout.endswith("</details>\n")
    assert "Verdict (provisional): These two logs" in done.stderr
    assert "Threshold container.p95>20s: CROSSED. p95 of elapsed time: container 72" in done.stderr
    assert "Threshold errors>0: ok. Errors: container 0 and function 0." in done.stderr
    assert "Threshold cold_starts>1: NOT KNOWN. Cold starts could not be" in done.stderr


def test_the_report_of_an_old_run_is_judged_as_well(make_run, tmp_path: Path) -> None:
    folder = make_run(blocks=6, rows=40).path
    kept = run(
        *("report", str(folder), "--fail-if", "p95>10000s"),
        *("--markdown", "summary.md"),
        cwd=tmp_path,
    )
    assert kept.returncode == 0
    assert "Threshold p95>10000s: ok." in kept.stdout
    assert (tmp_path / "summary.md").read_text().startswith("**")
    crossed = run("report", str(folder), "--fail-if", "container.p50>1ms", cwd=tmp_path)
    assert crossed.returncode == 3
    assert "Threshold container.p50>1ms: CROSSED." in crossed.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--fail-if", "p95>800"), "'800' is no such value; write 100ms, 100s or 100us"),
        (("--fail-if", "toaster.p95>1s"), "there is no side 'toaster'; the sides are container"),
        (("--fail-if", "verdict=toast"), "a verdict can be container, function, either"),
        (("--fail-if", "errors"), "write [side.]measure"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused_before_anything_is_read(
    words: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as refused:
        twinserve([*logs(tmp_path), *words], standalone_mode=False)
    assert says in str(refused.value)
    assert refused.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_file_that_cannot_be_written_is_named(make_run, tmp_path: Path) -> None:
    folder = make_run(blocks=1, rows=10).path
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--junit .*file/x\.xml cannot be written"):
        twinserve(
            ["report", str(folder), "--junit", str(tmp_path / "file" / "x.xml")],
            standalone_mode=False,
        )
