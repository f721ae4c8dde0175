"""How alike a checkpoint's faces and real ones are: sliced Wasserstein distances, times 10**3.

    python benchmarks/face_distances.py --data faces.zip first.safetensors second.safetensors

Every checkpoint is compared with the same real pictures, and those with as many other real ones: no
generator can be expected to come closer than that. The table is what the model card quotes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from twinserve.errors import TwinserveError, UsageError
from twinserve.training.checkpoint import Checkpoint, read_checkpoint
from twinserve.training.distance import (
    COARSEST,
    PICTURES,
    Distances,
    generate_pictures,
    sliced_wasserstein,
)
from twinserve.training.pictures import Pictures, read_pictures


def main() -> None:
    options = _parsed()
    torch.set_num_threads(options.threads)
    try:
        checkpoints = [read_checkpoint(path) for path in options.checkpoints]
        rows = _rows(options, checkpoints)
        for line in _table(rows, checkpoints[0].config.resolution):
            print(line, flush=True)
    except TwinserveError as error:
        sys.exit(f"face_distances.py: {error}")


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoints", nargs="+", type=Path, metavar="CHECKPOINT")
    parser.add_argument(
        "--data", action="append", required=True, type=Path, help="a folder or zip of real pictures"
    )
    parser.add_argument("--pictures", type=int, default=PICTURES, help="in a set [%(default)s]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _rows(
    options: argparse.Namespace, checkpoints: list[Checkpoint]
) -> Iterator[tuple[str, int | None, Distances]]:
    resolutions = {checkpoint.config.resolution for checkpoint in checkpoints}
    if len(resolutions) > 1:
        raise UsageError(
            f"The checkpoints have resolutions {sorted(resolutions)}; give alike ones."
        )
    pictures = read_pictures(options.data, resolutions.pop(), _on_read)
    real, other = _two_sets(pictures, options.pictures, options.seed)
    yield "real pictures", None, sliced_wasserstein(real, other, options.seed, _on_level)
    for path, checkpoint in zip(options.checkpoints, checkpoints, strict=True):
        fake = generate_pictures(checkpoint.generator(), options.pictures, options.seed)
        distances = sliced_wasserstein(real, fake, options.seed, _on_level)
        yield f"{path.parent.name}/{path.name}", checkpoint.images_seen, distances


def _two_sets(pictures: Pictures, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if not 0 < count <= len(pictures) // 2:
        raise UsageError(
            f"--pictures is {count}; the data has {len(pictures):,}, so two sets without a shared "
            f"picture have 1 to {len(pictures) // 2:,} each."
        )
    order = np.random.default_rng(seed).permutation(len(pictures))
    return pictures.pixels[order[:count]], pictures.pixels[order[count : 2 * count]]


def _table(rows: Iterator[tuple[str, int | None, Distances]], resolution: int) -> Iterator[str]:
    sides = [resolution >> k for k in range((resolution // COARSEST).bit_length())]
    yield f"| pictures | images seen |{''.join(f' {side}×{side} |' for side in sides)} mean |"
    yield f"|---|---:|{'---:|' * (len(sides) + 1)}"
    for name, seen, distances in rows:
        shown = "".join(f" {value:.2f} |" for value in (*distances.levels, distances.mean))
        yield f"| {name} | {'–' if seen is None else f'{seen:,}'} |{shown}"


def _on_read(done: int, total: int) -> None:
    if done % 5000 == 0 or done == total:
        print(f"read {done:,} of {total:,} pictures", file=sys.stderr, flush=True)


def _on_level(done: int, total: int) -> None:
    print(f"  level {done} of {total} compared", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
