"""``twinserve train`` as a process of its own: started, stopped and killed for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from twinserve.cli.train import command
from twinserve.errors import UsageError
from twinserve.training.checkpoint import Progress, read_checkpoint
from twinserve.training.folder import only_training_in

VERB = [sys.executable, "-c", "from twinserve.cli import main; main()", "train"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def test_what_was_stopped_and_then_killed_is_trained_to_the_end(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    call = [*VERB, str(folder), "--out", str(out), "--resolution", "8", "--threads", "1"]
    call += ["--images", "320", "--batch", "4"]
    log, checkpoint = out / "log.jsonl", out / "checkpoint.safetensors"

    stopped = _start(call)
    _wait_until(log.exists, stopped)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate()
    assert stopped.returncode == 130, said
    assert "Stopped and saved after" in said
    assert "The same command goes on from there." in said
    images = _progress(checkpoint).images
    assert 200 <= images < 320

    killed = _start(call)
    _wait_until(lambda: _says(killed, f"Going on after {images} of 320 images."), killed)
    killed.kill()
    killed.communicate()
    assert _progress(checkpoint).images == images

    done = _run(call)
    assert done.returncode == 0, done.stderr
    assert f"Going on after {images} of 320 images." in done.stderr
    assert "320 images, 8 stable, losses" in done.stderr
    assert done.stdout == f"{checkpoint}: 8x8, 320 images seen\n"
    for name in ("grid-000000320.png", "progress.png", "progress.html"):
        assert (out / name).exists()

    unreadable = tmp_path / "unreadable"  # who reads these before the options has nothing to say
    unreadable.mkdir()
    for k in range(64):
        (unreadable / f"{k}.png").touch()
    for change, message in (
        (["--seed", "5"], "begun with seed 0 and is now asked for seed 5"),
        (["--preset", "paper"], "begun with preset small and is now asked for preset paper"),
    ):
        ended = CliRunner().invoke(command, [str(unreadable), *call[len(VERB) + 1 :], *change])
        assert isinstance(ended.exception, UsageError)
        assert message in str(ended.exception)


def test_unreadable_pictures_are_counted_and_named_and_so_is_what_draws_if_it_is_missing(
    folder: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    for k in range(7):
        (bad / f"{k}.png").write_bytes(b"no picture")
    program = "import sys; sys.modules['altair'] = None; from twinserve.cli import main; main()"
    call = [sys.executable, "-c", program, "train", str(folder), str(bad), "--threads", "1"]
    call += ["--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]
    call += ["--resolution", "4", "--images", "32", "--batch", "16"]
    refused = _run(call)
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error: ") and refused.stderr.count("\n") == 1
    assert "0.png cannot be read as a picture" in refused.stderr

    ended = _run([*call, "--unreadable", "skip"])
    assert ended.returncode == 0, ended.stderr
    lines = ended.stderr.splitlines()
    begin = lines.index("7 pictures cannot be read and are passed over:")
    assert "0.png cannot be read" in lines[begin + 1]
    assert lines[begin + 6] == "  and 2 more"
    assert lines[begin + 7].startswith("No progress.png and progress.html: they need the extra")
    assert not (tmp_path / "run" / "progress.png").exists()
    assert not (tmp_path / "run" / "pictures").exists()


def test_a_second_training_in_one_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder), "--out", str(tmp_path / "run"), "--resolution", "4"]
    with only_training_in(tmp_path / "run"):
        ended = CliRunner().invoke(command, arguments)
    assert isinstance(ended.exception, UsageError)
    assert "is in use by another training" in str(ended.exception)


def test_choices_among_celebas_pictures_reach_its_lists(folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder), "--out", str(tmp_path / "run"), "--partition", "all"]
    ended = CliRunner().invoke(command, [*arguments, "--attribute", "-Smiling"])
    assert isinstance(ended.exception, UsageError)
    assert "there is no img_align_celeba in" in str(ended.exception)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_wrong_usage(folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder), "--out", str(tmp_path / "run"), "--device", "cuda"]
    ended = CliRunner().invoke(command, arguments)
    assert isinstance(ended.exception, UsageError)
    assert "PyTorch sees no CUDA GPU" in str(ended.exception)


def test_a_resolution_that_cannot_be_grown_to_is_wrong_usage(folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder), "--out", str(tmp_path / "run"), "--resolution", "12"]
    ended = CliRunner().invoke(command, arguments)
    assert isinstance(ended.exception, UsageError)
    assert (
        str(ended.exception)
        == "resolution is 12; allowed is one of [4, 8, 16, 32, 64, 128, 256, 512]."
    )
    assert not (tmp_path / "run").exists()


def test_data_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    ended = CliRunner().invoke(command, ["nowhere.zip", "--out", str(tmp_path / "run")])
    assert ended.exit_code == 2
    assert "Path 'nowhere.zip' does not exist." in ended.stderr


def test_without_torch_it_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    program = "import sys; sys.modules['torch'] = None; from twinserve.cli import main; main()"
    call = [sys.executable, "-c", program, "train", str(folder), "--out", str(tmp_path / "run")]
    ended = _run(call)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "pip install 'twinserve[train]'" in ended.stderr


def test_its_help_shows_an_example_and_imports_no_torch() -> None:
    program = (
        "import sys\nfrom twinserve.cli import twinserve\n"
        "twinserve(['train', '--help'], standalone_mode=False)\nprint('torch' in sys.modules)"
    )
    ended = _run([sys.executable, "-c", program])
    assert "Example: twinserve train" in ended.stdout
    assert ended.stdout.endswith("False\n")


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def _wait_until(seen: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not seen():
        if process.poll() is not None:
            pytest.fail(f"ended early with {process.returncode}: {process.communicate()}")
        time.sleep(0.02)


def _says(process: subprocess.Popen[str], line: str) -> bool:
    assert process.stderr
    return process.stderr.readline().strip() == line


def _progress(checkpoint: Path) -> Progress:
    progress = read_checkpoint(checkpoint).progress
    assert progress
    return progress
