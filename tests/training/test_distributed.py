"""Processes that ``torchrun`` starts, on the CPU of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from twinserve.errors import UsageError
from twinserve.training.checkpoint import read_checkpoint
from twinserve.training.distributed import Team
from twinserve.training.networks import minibatch_deviation
from twinserve.training.options import TrainingOptions
from twinserve.training.pictures import Pictures
from twinserve.training.presets import PAPER

TINY = str(Path(__file__).with_name("tiny_training.py"))
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def saved_pixels(pictures8: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    np.save(path, pictures8.pixels)
    return path


@pytest.mark.parametrize(("preset", "stop_after"), [("small", 20), ("paper", None)])
def test_two_processes_train_what_one_does_also_when_they_are_stopped_and_resumed(
    preset: str, stop_after: int | None, tmp_path: Path, saved_pixels: Path
) -> None:
    to_the_end = [preset, str(saved_pixels), "0"]
    one, two = tmp_path / "one", tmp_path / "two"
    with ThreadPoolExecutor() as pool:
        alone = pool.submit(_run, [sys.executable, TINY, str(one), *to_the_end])
        together = _run([*TORCHRUN, TINY, str(two), *to_the_end[:2], str(stop_after or 0)])
        assert together.returncode == 0, together.stderr
        assert alone.result().returncode == 0, alone.result().stderr
    first, same = torch.load(one / "gradients-1-0.pt"), torch.load(two / "gradients-2-1.pt")
    for name, gradient in first.items():
        if gradient is not None:
            assert torch.allclose(gradient, same[name], rtol=1e-4, atol=1e-6), name

    if stop_after:  # asked for by the second process, agreed by both at the end of the next step
        assert _images(two) == 16 * (stop_after + 1)
        resumed = _run([*TORCHRUN, TINY, str(two), *to_the_end])
        assert resumed.returncode == 0, resumed.stderr
    assert _images(one) == _images(two) == 30 * 16
    weights = [torch.load(two / f"weights-{rank}.pt") for rank in (0, 1)]
    assert [n for n in weights[0] if not torch.equal(weights[0][n], weights[1][n])] == []
    expected = torch.load(one / "weights-0.pt")
    assert all(torch.allclose(expected[n], weights[0][n], atol=1e-4) for n in expected)


def test_a_process_that_is_killed_ends_the_others_with_a_clear_line_and_keeps_the_checkpoint(
    tmp_path: Path, saved_pixels: Path
) -> None:
    command = [*TORCHRUN, TINY, str(tmp_path / "run"), "small", str(saved_pixels)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        second = 0
        for line in run.stdout:
            if line.startswith("process 1 is "):
                second = int(line.split()[-1])
            if line == "48 images\n":
                os.kill(second, signal.SIGKILL)
                break
        _, said = run.communicate()
    assert run.returncode != 0
    assert "Error: Another process of this training has ended or does not answer" in said
    assert "What was saved stays; the same command goes on from there." in said
    assert 32 <= _images(tmp_path / "run") < 480


def test_the_verb_trains_under_torchrun(folder: Path, tmp_path: Path) -> None:
    arguments = ["train", str(folder), "--out", str(tmp_path / "run"), "--resolution", "4"]
    arguments += ["--images", "64", "--batch", "16", "--threads", "1"]
    ended = _run([*TORCHRUN, "-m", "twinserve", *arguments])
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{tmp_path}/run/checkpoint.safetensors: 4x4, 64 images seen\n"
    assert ended.stderr.count("2 processes train together.") == 1
    assert _images(tmp_path / "run") == 64


def test_shares_are_disjoint_and_together_the_minibatch() -> None:
    teams = [Team(rank, 4) for rank in range(4)]
    batch = list(range(14))
    shares = [batch[team.share] for team in teams]
    assert sorted(chain.from_iterable(shares)) == batch
    assert [team.share_of(6) for team in teams] == [2, 2, 1, 1]


def test_the_deviation_groups_of_a_share_are_those_of_the_whole_minibatch() -> None:
    x = torch.randn(32, 3, 4, 4)
    whole = minibatch_deviation(x, group=8)
    for team in (Team(rank, 4) for rank in range(4)):
        assert torch.allclose(minibatch_deviation(x[team.share], group=8), whole[team.share])


def test_a_minibatch_too_small_to_be_shared_is_refused() -> None:
    options = TrainingOptions(resolution=512, preset=PAPER)
    options.check_shared_by(3)
    message = "A minibatch of 6 leaves some of 4 processes fewer than 2 .* give --batch 8 or more"
    with pytest.raises(UsageError, match=message):
        options.check_shared_by(4)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def _images(folder: Path) -> int:
    progress = read_checkpoint(folder / "checkpoint.safetensors").progress
    assert progress
    return progress.images
