"""``twinserve import-jtl`` as a user runs it, on the two published logs among others."""

import random
import subprocess
import sys
from pathlib import Path

import click
import msgspec
import pytest

from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import Comparison, GateStatus, Strength, read_comparison
from twinserve.cli import twinserve
from twinserve.errors import TwinserveError
from twinserve.records.jtl import open_jtl
from twinserve.records.logs import Intended, LogsManifest, import_samples, read_logs, write_logs
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples

DATA = Path(__file__).parents[1] / "data" / "jtl"
PUBLISHED = (
    *("--container", str(DATA / "container.csv")),
    *("--function", str(DATA / "function.csv")),
)
HEADER = (
    "timeStamp,elapsed,label,responseCode,threadName,success,bytes,allThreads,Latency,Connect\n"
)


def imported(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twinserve", "import-jtl", *words, "--out", str(folder / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
    )


def compared(
    folder: Path,
    logs: dict[str, str],
    *,
    intended: Intended | None = None,
    allowance: float = 0.15,
    labels: frozenset[str] = frozenset(),
    warmup_s: float = 0.0,
) -> Comparison:
    """What the verb does, without its report."""
    run = RunDirectory.create(folder / f"run-{len(list(folder.glob('run-*')))}")
    opened = {side: open_jtl(Path(path)) for side, path in logs.items()}
    began, files = import_samples(run.samples, opened, labels=labels, warmup_s=warmup_s)
    write_logs(
        run.manifest,
        LogsManifest(
            started_epoch_ms=began,
            versions={},
            logs=files,
            allowance=allowance,
            intended=intended or Intended(),
        ),
    )
    return compare_run(run)


def comparison_in(folder: Path) -> Comparison:
    return read_comparison(folder / "run" / "comparison.json")


def gate(comparison: Comparison, name: str) -> tuple[GateStatus, str]:
    return next((g.status, g.detail) for g in comparison.gates if g.name == name)


def log(path: Path, ms: float, *, rows=1200, users=4, seed=1, fail=0.0, label="GET") -> str:
    """A closed loop of ``users`` threads without pauses; answers spread by a fifth."""
    rng = random.Random(seed)  # noqa: S311
    free, lines = [1712476537000.0 + 3 * user for user in range(users)], []
    for _ in range(rows):
        user = min(range(users), key=free.__getitem__)
        took = max(1, round(ms * rng.lognormvariate(0, 0.2)))
        failed = rng.random() < fail
        code = "Non HTTP response code: java.net.SocketTimeoutException" if failed else "200"
        lines.append(
            f"{round(free[user])},{took},{label},{code},G 1-{user + 1},"
            f"{'false' if failed else 'true'},500,{users},{took - 1},1\n"
        )
        free[user] += took
    path.write_text(HEADER + "".join(lines))
    return str(path)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the two published logs' run, and what was printed."""
    folder = tmp_path_factory.mktemp("published")
    done = imported(folder, *PUBLISHED)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_published_logs_say_by_themselves_what_is_wrong_with_them(
    published: tuple[Path, str],
) -> None:
    folder, said = published
    assert said.startswith(
        "Verdict (provisional): These two logs cannot say which to choose: the gates load and "
        "drift failed (no two requests of the function ever overlapped and the function gets "
        "slower by about 91 ms with every request)."
    )
    comparison = comparison_in(folder)
    assert comparison.verdict.choice == "undetermined"
    assert comparison.verdict.strength is Strength.PROVISIONAL
    first = comparison.verdict.reasons[0]
    assert first.startswith("The means differ 8.9 times (container 61.99 s, function 6.99 s")
    assert "no single factor describes these logs: it is 19 times in their first tenth" in first
    assert "5.6 times in their last one" in first

    status, detail = gate(comparison, "load")
    assert status is GateStatus.FAIL
    assert "no two requests of the function ever overlapped" in detail
    assert "function: 0.12 requests at a time, at most 1" in detail
    status, detail = gate(comparison, "drift")
    assert status is GateStatus.FAIL
    assert "about +91 ms a request and +5.48 s an hour (straight line, R² 0.99)" in detail
    assert gate(comparison, "errors")[0] is GateStatus.PASS
    for name in ("equality", "saturation", "host", "cold"):
        assert gate(comparison, name)[0] is GateStatus.UNKNOWN

    ratio = comparison.differences["elapsed_ms"].ratio_of_means
    assert ratio is not None
    assert ratio.estimate == pytest.approx(8.8748, abs=1e-3)
    assert ratio.low is None  # the function's rows are worth 14 independent ones
    connect = [comparison.deployments[side].connect_ms for side in ("container", "function")]
    assert [round(c.mean, 2) for c in connect if c] == [58.94, 62.28]
    assert [round(c.std, 2) for c in connect if c and c.std] == [18.61, 14.52]


def test_the_run_directory_says_what_is_unknown_and_invents_nothing(
    published: tuple[Path, str],
) -> None:
    tmp_path, _ = published
    run = RunDirectory(tmp_path / "run")
    written = msgspec.json.decode(run.manifest.read_bytes())
    assert written["kind"] == "logs"
    for invented in ("deployments", "model", "hardware", "blocks", "equality", "workload"):
        assert invented not in written
    assert {"deployments", "model", "hardware", "blocks"} <= set(written["unknown"])
    assert str(tmp_path) not in run.manifest.read_text()
    found = read_logs(run.manifest).logs["function"]
    assert (found.rows, found.threads, found.file) == (100, 100, "function.csv")
    assert comparison_in(tmp_path).deployments["function"].cold_starts is None
    rows = read_samples(run.samples)
    assert rows.height == 200
    assert set(rows["block"].to_list()) == {-1}
    assert rows["due_us"].null_count() == 200
    report = run.report.read_text()
    for words in ("two JMeter logs", "no single factor", "The deployments", "widened"):
        assert words in report
    assert "In the blocks, no request had to wait" not in report
    assert sorted(p.name for p in run.figures.glob("*.svg")) == [
        "connect.svg", "elapsed.svg", "latency.svg",
    ]  # fmt: skip


def test_report_makes_the_same_report_of_two_logs_again(published: tuple[Path, str]) -> None:
    folder, _ = published
    report = folder / "run" / "report.html"
    before = report.read_bytes()
    twinserve(["report", str(folder / "run")], standalone_mode=False)
    assert report.read_bytes() == before


def test_two_loaded_logs_get_widened_intervals_and_never_a_firm_verdict(tmp_path: Path) -> None:
    logs = {
        "kettle": log(tmp_path / "a.csv", 200),
        "toaster": log(tmp_path / "b.csv", 100, seed=2),
    }
    wide = compared(tmp_path, logs)
    assert gate(wide, "load")[0] is GateStatus.PASS
    assert gate(wide, "drift")[0] is GateStatus.PASS
    assert wide.verdict.choice == "toaster"
    assert wide.verdict.strength is Strength.PROVISIONAL
    assert any("two occasions" in reason for reason in wide.verdict.reasons)
    narrow = compared(tmp_path, logs, allowance=0.0)
    assert narrow.verdict.strength is Strength.PROVISIONAL
    for name, larger in (("mean", 200), ("p50", 200)):
        a, b = (getattr(c.differences["elapsed_ms"], name) for c in (wide, narrow))
        assert a.estimate == b.estimate
        assert a.low == pytest.approx(b.low - 0.15 * larger, rel=0.1)
        assert a.high == pytest.approx(b.high + 0.15 * larger, rel=0.1)
    ratios = [c.differences["elapsed_ms"].ratio_of_means for c in (wide, narrow)]
    assert ratios[0] and ratios[1]
    assert ratios[0].high == pytest.approx(1.15 * ratios[1].high)


def test_two_alike_logs_have_no_winner(tmp_path: Path) -> None:
    logs = {"a": log(tmp_path / "a.csv", 100), "b": log(tmp_path / "b.csv", 103, seed=2)}
    assert compared(tmp_path, logs).verdict.choice == "undetermined"


@pytest.mark.parametrize(
    ("intended", "status"),
    [
        (Intended(users=4), GateStatus.PASS),
        (Intended(users=20), GateStatus.FAIL),
        (Intended(users=8, think_s=0.1), GateStatus.PASS),
        (Intended(rate_rps=35), GateStatus.PASS),
        (Intended(rate_rps=100), GateStatus.FAIL),
    ],
)
def test_told_users_or_rate_are_what_the_load_is_judged_by(
    intended: Intended, status: GateStatus, tmp_path: Path
) -> None:
    logs = {"a": log(tmp_path / "a.csv", 100), "b": log(tmp_path / "b.csv", 100, seed=2)}
    assert gate(compared(tmp_path, logs, intended=intended), "load")[0] is status


def test_failed_and_timed_out_requests_are_counted_and_left_out_of_the_times(
    tmp_path: Path,
) -> None:
    logs = {
        "container": log(tmp_path / "a.csv", 100, fail=0.05),
        "function": log(tmp_path / "b.csv", 100, seed=2),
    }
    comparison = compared(tmp_path, logs)
    side = comparison.deployments["container"]
    assert side.errors > 20
    assert side.elapsed_ms
    assert side.elapsed_ms.count == side.requests - side.errors
    assert gate(comparison, "errors")[0] is GateStatus.FAIL
    codes = read_logs(tmp_path / "run-0" / "run.json").logs["container"].codes
    assert codes == {"Non HTTP response code: java.net.SocketTimeoutException": side.errors}


def test_labels_and_warm_up_choose_the_rows(tmp_path: Path) -> None:
    path = log(tmp_path / "a.csv", 100, rows=400)
    with Path(path).open("a") as file:
        file.write("1712476537999,5,LOGIN,200,G 1-1,true,1,4,4,1\n")
    other = log(tmp_path / "b.csv", 100, rows=400, seed=2)
    compared(tmp_path, {"a": path, "b": other}, labels=frozenset({"GET"}), warmup_s=2.0)
    found = read_logs(tmp_path / "run-0" / "run.json").logs["a"]
    assert found.labels == {"GET": found.rows}
    assert found.rows < 400
    assert any("other labels" in note for note in found.notes)
    assert any("warm-up" in note for note in found.notes)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 2, "0 of two logs were named; give --container A --function B"),
        (["--container", "A"], 2, "1 of two logs"),
        (["--container", "A", "--function", "A"], 2, "cannot be compared with itself"),
        (["--side", "a=nowhere", "--side", "b=A"], 2, "--side is 'a=nowhere'"),
        (["--side", "a=A", "--side", "a=B"], 2, "1 of two logs"),
        (["--side", "a=A", "--side", "a=A", "--side", "b=B"], 2, "A is named twice"),
        (["--container", "nowhere", "--function", "A"], 2, "does not exist"),
        (["--container", "A", "--function", "B", "--allowance", "lots"], 2, "write 15% or 0.15"),
        (["--container", "A", "--function", "B", "--timezone", "Mars"], 2, "such as Europe/Rome"),
        (["--container", "A", "--function", "B", "--column", "x=y"], 2, "one of JMeter's names"),
        (["--container", "A", "--function", "bad"], 1, "bad, line 2: elapsed is 'soon'"),
        (["--container", "A", "--function", "B", "--label", "X"], 1, "no request labelled X"),
        (["--container", "A", "--function", "B", "--warmup", "90h"], 1, "drop less"),
    ],
)
def test_wrong_usage_is_one_line_with_the_way_out(
    words: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, source in (("A", "container"), ("B", "function")):
        (tmp_path / name).write_bytes((DATA / f"{source}.csv").read_bytes())
    (tmp_path / "bad").write_text("timeStamp,elapsed\n1712476537000,soon\n")
    with pytest.raises((TwinserveError, click.ClickException)) as refused:
        twinserve(["import-jtl", *words, "--out", "run"], standalone_mode=False)
    error = refused.value
    assert error.exit_code == code
    said = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert says in said
    assert not (tmp_path / "run" / "run.json").exists()
    assert not list(tmp_path.glob("run/samples*"))
