"""A training that is killed without warning, and goes on as if it had not been."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from twinserve.training.checkpoint import read_checkpoint
from twinserve.training.pictures import Pictures

TINY = str(Path(__file__).with_name("tiny_training.py"))
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("preset", ["small", "paper"])
def test_a_killed_training_resumes_to_the_weights_of_an_undisturbed_one(
    preset: str, tmp_path: Path, pictures8: Pictures
) -> None:
    np.save(tmp_path / "pixels.npy", pictures8.pixels)
    arguments = [preset, str(tmp_path / "pixels.npy")]
    undisturbed = _start(tmp_path / "undisturbed", arguments)
    killed = _start(tmp_path / "killed", arguments)
    assert killed.stdout
    for line in killed.stdout:
        if line == "176 images\n":
            killed.kill()
            break
    killed.communicate()
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    before = read_checkpoint(checkpoint).progress
    assert before and 160 <= before.images < 480

    for process in (_start(tmp_path / "killed", arguments), undisturbed):
        _, said = process.communicate()
        assert process.returncode == 0, said
    one = read_checkpoint(tmp_path / "undisturbed" / "checkpoint.safetensors")
    two = read_checkpoint(checkpoint)
    assert one.tensors.keys() == two.tensors.keys()
    assert [k for k in one.tensors if not torch.equal(one.tensors[k], two.tensors[k])] == []
    assert one.progress and two.progress
    assert one.progress.images == two.progress.images == 480
    assert one.progress.steps == two.progress.steps


def _start(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, TINY, str(folder), *arguments]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
