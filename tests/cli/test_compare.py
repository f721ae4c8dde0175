"""The main job, whole and real: gateways, gunicorn, functions-framework, load, verdict, report."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import msgspec
import psutil
import pytest

from twinserve.analysis.comparison import read_comparison
from twinserve.cli.verdict import PAGE_HINT
from twinserve.records.billing import read_billing
from twinserve.records.events import EventKind, read_events
from twinserve.records.manifest import RunState, read_manifest
from twinserve.records.resources import read_resources
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Phase, read_samples

WORDS = ("compare", "--model", "random-16", "--duration", "10", "--users", "3")
ALONE = ("--no-contrast",)  # a third of the time


class Running:
    """A ``twinserve compare`` under way."""

    def __init__(
        self, folder: Path, prefix: Sequence[str] = (), options: Sequence[str] = ALONE
    ) -> None:
        self.run = RunDirectory(folder / "run")
        words = [*WORDS, *options, "--out", str(self.run.path)]
        self.errors = folder / "stderr"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "twinserve", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def until_rows(self, phase: Phase, rows: int) -> None:
        while self.process.poll() is None:
            if self.run.samples.exists() and self.rows(phase) >= rows:
                return
            time.sleep(0.1)
        raise AssertionError(f"compare ended early: {self.errors.read_text()}")

    def rows(self, phase: Phase) -> int:
        return self.run.samples.read_text().count(f",{phase.value},")

    def instances(self, words: str) -> list[psutil.Process]:
        """Processes of this comparison whose command holds ``words``, parents first."""
        tree = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in tree if words in " ".join(process.cmdline())]

    def end(self) -> str:
        """Wait for its end and give what it printed; a second call gives nothing."""
        if self.process.stdout is None or self.process.stdout.closed:
            return ""
        return self.process.communicate(timeout=300)[0]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.process.kill()
    running.end()


def test_compare_writes_a_whole_run_and_connects_to_loopback_only(
    tmp_path: Path, traced: ModuleType
) -> None:
    trace = tmp_path / "trace"
    running = Running(tmp_path, traced.prefix(trace, required=False), options=())
    out = running.end()
    assert running.process.returncode == 0, running.errors.read_text()
    run = running.run
    assert out.startswith("Verdict (")
    assert str(run.report) in out
    assert PAGE_HINT in out
    if trace.exists():
        traced.assert_loopback_only(trace)

    manifest = read_manifest(run.manifest)
    assert manifest.state is RunState.COMPLETE
    assert manifest.equality is not None
    assert manifest.equality.equal == manifest.equality.requests > 0
    assert [block.index for block in manifest.blocks] == list(range(30))
    assert "1 instance" in manifest.cap
    comparison = read_comparison(run.comparison)
    assert_contrast_stands_beside_the_sides(running)
    frame = read_samples(run.samples)
    for side in manifest.sides:
        rows = frame.filter((frame["side"] == side) & (frame["phase"] == "block"))
        summary = comparison.deployments[side]
        assert summary.requests == rows.height > 0
        assert summary.elapsed_ms is not None
        assert rows["elapsed_ms"].mean() == pytest.approx(summary.elapsed_ms.mean)
        assert summary.memory_mib is not None
        readings = read_resources(run.resources).filter(side=side)
        assert readings["cpu_percent"].max() > 0
        assert readings["memory_mib"].max() > 40
        assert summary.cold_starts == 1
        cold = frame.filter((frame["side"] == side) & (frame["cold_ms"] > 0))
        assert cold["phase"].unique().to_list() == ["equality"]
    assert {gate.name for gate in comparison.gates} >= {"equality", "load", "errors"}
    assert run.report.stat().st_size > 10_000


def assert_contrast_stands_beside_the_sides(running: Running) -> None:
    """The container at the function's one request at a time, in every group of blocks."""
    manifest = read_manifest(running.run.manifest)
    assert manifest.sides == ("container", "function")
    assert manifest.contrast is not None
    assert (manifest.contrast.kind, manifest.contrast.concurrency) == ("container", 1)
    for pair in range(10):
        group = [block.side for block in manifest.blocks if block.pair == pair]
        assert sorted(group) == ["container", "contrast", "function"]
    comparison = read_comparison(running.run.comparison)
    assert set(comparison.deployments) == set(comparison.sides) == set(manifest.sides)
    assert comparison.contrast is not None
    assert comparison.contrast.summary.requests > 0
    split = comparison.contrast.splits["p95"]
    parts = split.settings.estimate + split.serving_stack.estimate
    assert parts == pytest.approx(split.whole.estimate)
    assert 'id="contrast"' in running.run.report.read_text()
    said = running.errors.read_text()
    assert "--no-contrast leaves it out" in said
    assert "and as many of the contrast" in said
    assert "This takes about 36 s." in said
    assert "Detectable" in said


def test_two_deployments_of_one_kind_are_compared_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "twinserve.toml").write_text(
        '[deployments.container-c8]\nkind = "container"\nconcurrency = 8\n'
        '[deployments.container-c8.environment]\nTOKEN = "secret"\n'
    )
    words = [*WORDS, "--sides", "container,container-c8", "--out", "run"]
    done = subprocess.run(
        [sys.executable, "-m", "twinserve", *words],
        capture_output=True, text=True, timeout=300, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = RunDirectory(tmp_path / "run")
    manifest = read_manifest(run.manifest)
    assert manifest.sides == ("container", "container-c8")
    second = manifest.deployments["container-c8"]
    assert (second.concurrency, second.policy) == (8, "cloud-run")
    assert "secret" not in run.manifest.read_text()
    assert manifest.equality is not None
    assert manifest.equality.equal == manifest.equality.requests > 0
    comparison = read_comparison(run.comparison)
    assert set(comparison.deployments) == {"container", "container-c8"}
    assert comparison.verdict.choice in (*manifest.sides, "either", "neither", "undetermined")
    assert set(read_resources(run.resources)["side"]) == set(manifest.sides)
    report = run.report.read_text()
    assert "container-c8 minus container" in report
    assert "function" not in report.partition('id="place"')[0].partition("<body>")[2]
    bill = read_billing(run.billing).sort("at_ms")
    for side in manifest.sides:
        last = bill.filter((bill["side"] == side) & (bill["mode"] == "request")).tail(1)
        rows = read_samples(run.samples)
        assert last["requests"].item() == rows.filter(rows["side"] == side).height
        assert 0 < last["billable_s"].item() < 60
        assert last["gib_s"].item() == pytest.approx(4 * last["billable_s"].item())


def test_report_makes_the_same_report_again(make_run: Callable[[], RunDirectory]) -> None:
    run = make_run()
    command = [sys.executable, "-m", "twinserve", "report", str(run.path)]
    first = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    pages = [run.report.read_bytes()]
    subprocess.run(command, capture_output=True, check=True, timeout=300)
    pages.append(run.report.read_bytes())
    assert first.stdout.startswith("Verdict (")
    assert pages[0] == pages[1]


@pytest.mark.parametrize("words", ["gunicorn", "functions_framework"])
def test_a_killed_instance_is_marked_and_replaced(running: Running, words: str) -> None:
    running.until_rows(Phase.BLOCK, 30)
    for process in running.instances(words):
        process.kill()
    running.end()
    assert running.process.returncode == 0, running.errors.read_text()
    manifest = read_manifest(running.run.manifest)
    assert manifest.state is RunState.COMPLETE
    side = "container" if words == "gunicorn" else "function"
    events = [e.event for e in read_events(running.run.events) if e.side == side]
    assert events.count(EventKind.KILLED) == 1
    assert events.count(EventKind.READY) == 2
    assert read_comparison(running.run.comparison).deployments[side].cold_starts == 2
    frame = read_samples(running.run.samples)
    rows = frame.filter((frame["side"] == side) & frame["success"])
    assert rows["instance"].unique().sort().to_list() == [f"{side}-1", f"{side}-2"]
    lost = frame.filter(~frame["success"])
    assert lost.height == lost.filter(lost["failureMessage"] != "").height


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_readable_and_leaves_no_process(
    running: Running, sign: signal.Signals
) -> None:
    running.until_rows(Phase.BLOCK, 30)
    tree = psutil.Process(running.process.pid).children(recursive=True)
    assert len(tree) >= 5
    running.process.send_signal(sign)
    out = running.end()
    assert running.process.returncode == 130
    assert "undetermined" in out or "Verdict" in out
    gone, alive = psutil.wait_procs(tree, timeout=30)
    assert not alive
    assert len(gone) == len(tree)
    manifest = read_manifest(running.run.manifest)
    assert manifest.state is RunState.INTERRUPTED
    assert read_samples(running.run.samples).height >= 30
    assert read_comparison(running.run.comparison).verdict.choice == "undetermined"


def test_an_interruption_before_the_first_request_is_one_line(running: Running) -> None:
    while not running.run.path.exists():
        time.sleep(0.01)
    running.process.send_signal(signal.SIGINT)
    running.end()
    assert running.process.returncode == 130
    said = running.errors.read_text()
    assert said.endswith("Interrupted.\n")
    assert "Traceback" not in said


def test_a_killed_comparison_leaves_a_readable_run_and_no_process(running: Running) -> None:
    running.until_rows(Phase.BLOCK, 30)
    tree = psutil.Process(running.process.pid).children(recursive=True)
    running.process.kill()
    running.end()
    _, alive = psutil.wait_procs(tree, timeout=60)
    assert not alive
    again = subprocess.run(
        [sys.executable, "-m", "twinserve", "report", str(running.run.path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert again.returncode == 0, again.stderr
    assert read_manifest(running.run.manifest).state is RunState.RUNNING
    assert msgspec.json.decode(running.run.comparison.read_bytes())["schema_version"] == 1
