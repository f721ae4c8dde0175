from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twinserve.errors import TrainingError, UsageError
from twinserve.training.folder import check_room, only_training_in

HOLDER = """
import sys, time
from pathlib import Path
from twinserve.training.folder import only_training_in
with only_training_in(Path(sys.argv[1])):
    print("holding", flush=True)
    time.sleep(600)
"""


def test_two_trainings_in_one_folder_at_once_are_refused_until_the_first_is_gone(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout and first.stdout.readline() == "holding\n"
        message = rf"run is in use by another training \(process {first.pid}\); wait"
        with pytest.raises(UsageError, match=message), only_training_in(tmp_path / "run"):
            pass
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    with only_training_in(tmp_path / "run"):
        assert (tmp_path / "run" / "training.lock").read_text() == f"{os.getpid()}\n"


def test_one_after_the_other_is_fine(tmp_path: Path) -> None:
    for _ in range(2):
        with only_training_in(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(TrainingError, match=r"file/run cannot be written"),
        only_training_in(tmp_path / "file" / "run"),
    ):
        pass


def test_a_disk_without_room_is_refused_with_both_sizes(tmp_path: Path) -> None:
    check_room(tmp_path, 1, "The checkpoint")
    message = r"The checkpoint needs 1,048,576,000,000 MiB in .* and [\d,]+ MiB are free; make room"
    with pytest.raises(TrainingError, match=message):
        check_room(tmp_path, 1_048_576_000_000 << 20, "The checkpoint")
