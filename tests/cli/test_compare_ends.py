"""How a comparison may end: on a disk that is full, for real."""

import resource
import subprocess
import sys
from pathlib import Path

from twinserve.records.manifest import RunState, read_manifest
from twinserve.records.run import RunDirectory
from twinserve.records.samples import read_samples

WORDS = ("compare", "--model", "random-16", "--duration", "20", "--users", "2", "--no-contrast")
LARGEST = 40_000  # bytes a file may have


def test_a_full_disk_ends_the_run_with_one_line_and_what_was_written_is_analysed(
    tmp_path: Path,
) -> None:
    run = RunDirectory(tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-m", "twinserve", *WORDS, "--out", str(run.path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST)),
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"Error: {run.path} cannot be written any more (File too large).")
    assert last.endswith(f"make room, then see it with: twinserve report {run.path}")
    assert "Traceback" not in done.stderr
    manifest = read_manifest(run.manifest)
    assert manifest.state is RunState.FAILED
    assert str(tmp_path) not in run.manifest.read_text()
    data = run.samples.read_bytes()
    assert data.endswith(b"\n")
    assert LARGEST - 400 < len(data) <= LARGEST
    assert read_samples(run.samples).height == data.count(b"\n") - 1
    again = subprocess.run(
        [sys.executable, "-m", "twinserve", "report", str(run.path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert again.returncode == 0, again.stderr
    assert "The run failed (the run's directory cannot be written any more" in again.stdout
