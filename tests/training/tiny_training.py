"""A tiny training as a process of its own, for the tests that kill one or start several.

    python tiny_training.py FOLDER PRESET PIXELS.npy [STEPS]

It saves after each step and says so. With STEPS it saves at its end only, and after so many steps
(0: never) the last process of the team asks to stop. What each process ends with goes to
``weights-RANK.pt`` beside the checkpoint.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from twinserve.errors import TwinserveError
from twinserve.training.distributed import joined
from twinserve.training.options import TrainingOptions
from twinserve.training.pictures import Pictures
from twinserve.training.presets import PRESETS
from twinserve.training.start import find_start
from twinserve.training.trainer import Trainer

PICTURES_A_STEP = 16
WIDTHS = (8, 8, 4)


def main(folder: Path, preset: str, pixels: Path, steps: int | None) -> None:
    torch.set_num_threads(1)
    options = TrainingOptions(
        resolution=8,
        preset=replace(PRESETS[preset], latent=8, feature_maps=WIDTHS),
        images=30 * PICTURES_A_STEP,
        batch=PICTURES_A_STEP,
        save_every_s=0 if steps is None else 120,
    )
    with joined("cpu") as team:
        _say(f"process {team.rank} is {os.getpid()}")
        start = find_start(folder, options)
        trainer = Trainer(start, Pictures(np.load(pixels)), team)
        team.wait_for_all()
        for step, report in enumerate(trainer.run(), 1):
            if team.leads:
                _say(f"{report.images} images")
            if step == 1:
                first = {n: p.grad for n, p in trainer.discriminator.named_parameters()}
                torch.save(first, folder / f"gradients-{team.size}-{team.rank}.pt")
            if step == steps and team.rank == team.size - 1:
                trainer.stop()
        torch.save(trainer.generator.state_dict(), folder / f"weights-{team.rank}.pt")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    out = Path(sys.argv[1])
    try:
        main(out, sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]) if sys.argv[4:] else None)
    except TwinserveError as error:
        sys.exit(f"Error: {error}")
