"""``twinserve compare --load-tool jmeter`` with a real JMeter: a whole run, and cut ones."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from twinserve.analysis.comparison import read_comparison
from twinserve.load.jmeter_home import JMeter
from twinserve.records.manifest import RunState, read_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import Phase, read_samples

WORDS = ("compare", "--model", "random-16", "--duration", "20", "--users", "3", "--no-contrast")


class Running:
    """A comparison by JMeter under way."""

    def __init__(self, folder: Path) -> None:
        self.run = RunDirectory(folder / "run")
        self.errors = folder / "stderr"
        words = (*WORDS, "--load-tool", "jmeter", "--out", str(self.run.path))
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "twinserve", *words],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def until_blocks(self, blocks: int) -> None:
        while self.process.poll() is None:
            if (
                self.run.manifest.exists()
                and len(read_manifest(self.run.manifest).blocks) >= blocks
            ):
                return
            time.sleep(0.2)
        raise AssertionError(f"compare ended early: {self.errors.read_text()}")

    def tree(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def test_jmeter_loads_both_sides_in_blocks(jmeter: JMeter, tmp_path: Path) -> None:
    running = Running(tmp_path)
    out, _ = running.process.communicate(timeout=300)
    said = running.errors.read_text()
    assert running.process.returncode == 0, said
    assert f"by Apache JMeter {jmeter.version}" in said
    assert out.startswith("Verdict (")
    manifest = read_manifest(running.run.manifest)
    assert manifest.state is RunState.COMPLETE
    assert manifest.versions["jmeter"] == jmeter.version
    assert manifest.workload.block_s == 1.0
    assert [block.index for block in manifest.blocks] == list(range(20))
    ends = [block.end_us for block in manifest.blocks]
    assert all(a <= b.start_us for a, b in zip(ends, manifest.blocks[1:], strict=False))
    rows = read_samples(running.run.samples)
    assert set(rows["phase"].unique()) == {"equality", "warmup", "block"}
    assert rows["success"].all()
    assert rows["process_ms"].null_count() == 0
    blocks = rows.filter(rows["phase"] == Phase.BLOCK.value)
    assert set(blocks["user"].unique()) == {0, 1, 2}
    for block in manifest.blocks:
        own = blocks.filter(blocks["block"] == block.index)
        assert own["side"].unique().to_list() == [block.side]
        assert own["sent_us"].min() == block.start_us
        assert own["done_us"].max() == block.end_us
        assert own["seed"].n_unique() == own.height  # no two users send the same seed
    comparison = read_comparison(running.run.comparison)
    counted = sum(side.requests for side in comparison.deployments.values())
    assert counted == blocks.height


@pytest.mark.usefixtures("jmeter")
def test_ctrl_c_stops_jmeter_and_keeps_its_rows(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.until_blocks(2)
    tree = running.tree()
    assert any("NewDriver" in " ".join(process.cmdline()) for process in tree)
    running.process.send_signal(signal.SIGINT)
    running.process.communicate(timeout=300)
    assert running.process.returncode == 130
    _, alive = psutil.wait_procs(tree, timeout=30)
    assert not alive
    manifest = read_manifest(running.run.manifest)
    assert manifest.state is RunState.INTERRUPTED
    written = (running.run.path / "jmeter.jtl").read_text().count("\n") - 1
    kept = read_samples(running.run.samples)
    assert kept.filter(kept["phase"] != Phase.EQUALITY.value).height == written
    assert read_comparison(running.run.comparison).verdict.choice == "undetermined"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.usefixtures("jmeter")
def test_a_killed_comparison_leaves_no_jmeter_behind(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.until_blocks(1)
    tree = running.tree()
    running.process.kill()
    running.process.communicate(timeout=60)
    _, alive = psutil.wait_procs(tree, timeout=60)
    assert not alive
    assert read_samples(running.run.samples).height > 0


@pytest.mark.parametrize(
    ("words", "environment", "says"),
    [
        (["--load-tool", "jmeter"], {"PATH": "/nowhere"}, "No JMeter was found"),
        (["--load-tool", "jmeter", "--jmeter", "nowhere"], {}, "--jmeter is nowhere, which does"),
        (["--load-tool", "jmeter", "--jmeter", "."], {}, "it is not the folder of a JMeter"),
        (["--load-tool", "jmeter"], {"JMETER_HOME": "gone"}, "JMETER_HOME is gone"),
        (["--jmeter", "x"], {}, "--jmeter is for JMeter; add --load-tool jmeter"),
        (["-R", "x"], {}, "--remote is for JMeter"),
    ],
)
def test_what_is_missing_is_one_clear_line(
    words: list[str], environment: dict[str, str], says: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twinserve", "compare", "--model", "random-16", *words],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **environment},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert says in done.stderr.splitlines()[-1]
    assert not (tmp_path / "runs").exists()
