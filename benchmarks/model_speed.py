"""The published way of serving a PGAN against ours, on one core and in one run.

    python benchmarks/model_speed.py [--resolution 64] [--rounds 3] [--json FILE]

Both sides make the same images from the same weights and latents: a PyTorch generator behind
matplotlib's savefig, and our bundle behind Pillow's PNG, both to base64. They are compared warm, in
turns, for 1, 2, 4 and 8 images a request; cold, from the start of a process to its first image; in
the most memory held; and ours in its operations per second with a plain matrix product's.

Times are CPU times. With one thread on one core that is what an idle machine's clock would show,
and other work on this machine does not count; the wall times are in the JSON and, where they are
much longer, said.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from speed_report import AgainstProduct, Measured, Report, report_lines
from worker import ONE_THREAD, BenchmarkError, Served, Worker

from twinserve.bundle.cpu import has_fast_bf16, has_int8
from twinserve.bundle.engine import Arithmetic
from twinserve.bundle.images import as_pixels
from twinserve.bundle.latents import latent
from twinserve.bundle.store import FULL_SIZE, RANDOM_RESOLUTIONS, bundle_facts
from twinserve.records.manifest import this_hardware

COUNTS = (1, 2, 4, 8)
LEAST_ALIKE_DB = 40.0
PUBLISHED, ALONE = "published", "published, generator alone"
SEED = 0


@dataclass(frozen=True)
class Way:
    """One way of serving: the script that does it, and its arguments."""

    name: str
    script: str
    arguments: tuple[str, ...]

    def worker(self) -> Worker:
        return Worker(self.script, self.arguments)


def main() -> int:
    options = _parsed()
    model = FULL_SIZE if options.resolution == 512 else f"random-{options.resolution}"
    if options.resolution == 512:
        _say(f"about {2 + 0.5 * options.rounds:.0f} minutes on an idle core")
    try:
        with one_core() as core, tempfile.TemporaryDirectory(prefix="model-speed-") as folder:
            report = measured(model, options.resolution, options.rounds, core, Path(folder))
    except BenchmarkError as error:
        print(f"model_speed.py: {error}", file=sys.stderr)
        return 1
    for line in report_lines(report):
        print(line)
    if options.json:
        options.json.write_text(json.dumps(asdict(report), indent=2) + "\n")
    return 1 if any(target.met is False for target in report.targets) else 0


def measured(model: str, resolution: int, rounds: int, core: int | None, folder: Path) -> Report:
    ways = prepared(model, resolution, folder)
    published, _, *ours = ways
    alike_db = agreements_db(published, ours, folder)
    warm = {count: dict[str, Measured]() for count in COUNTS}
    for count, name, value in warm_times([published, *ours], rounds):
        warm[count][name] = value
    return Report(
        model=model,
        resolution=resolution,
        rounds=rounds,
        core=core,
        hardware=vars_of(this_hardware(1, 0)),
        versions=versions(),
        alike_db=alike_db,
        warm=warm,
        cold=cold_starts(ways, rounds),
        products={way.name: against_product(model, way.name, rounds) for way in ours},
    )


@contextmanager
def one_core() -> Iterator[int | None]:
    """Keep this process, and those that it starts, on one core, where the system allows it."""
    if not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    core = max(before)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)


def prepared(model: str, resolution: int, folder: Path) -> list[Way]:
    """The published way, the same with the generator alone, and ours in each arithmetic."""
    _say(f"writing {model} as a published checkpoint")
    checkpoint, latents = folder / "published.pth", folder / "latents.npy"
    try:
        from published_checkpoint import write_checkpoint
    except ModuleNotFoundError as error:
        raise BenchmarkError(f"{error.name} is missing; `make bench-model` installs it.") from error
    write_checkpoint(checkpoint, model, resolution)
    size = bundle_facts(model).latent
    np.save(latents, np.stack([latent(SEED, k, size) for k in range(max(COUNTS))]))
    files = ("--checkpoint", str(checkpoint), "--latents", str(latents))
    return [
        Way(PUBLISHED, "published_serving.py", files),
        Way(ALONE, "published_serving.py", (*files, "--generator-alone")),
        *(
            Way(name, "own_serving.py", ("--model", model, "--arithmetic", name))
            for name in arithmetics()
        ),
    ]


def arithmetics() -> list[str]:
    """Those that this machine is good at."""
    good = {Arithmetic.F32: True, Arithmetic.BF16: has_fast_bf16(), Arithmetic.INT8: has_int8()}
    return [arithmetic.value for arithmetic, here in good.items() if here]


def agreements_db(published: Way, ours: Sequence[Way], folder: Path) -> dict[str, float]:
    """PSNR of ours' pictures to the published: unless they are alike, no time is worth anything."""
    _say("comparing the pictures of all ways")
    wanted = _pictures(published, folder)
    return {way.name: _agreement_db(way, _pictures(way, folder), wanted) for way in ours}


def _agreement_db(way: Way, found: np.ndarray, wanted: np.ndarray) -> float:
    error = float(((found.astype(float) - wanted) ** 2).mean())
    alike_db = float(10 * np.log10(255**2 / max(error, 1 / found.size)))
    if alike_db < LEAST_ALIKE_DB:
        raise BenchmarkError(
            f"The pictures of {way.name} are only {alike_db:.1f} dB like the published ones, "
            f"{LEAST_ALIKE_DB:.0f} are the least; nothing was timed."
        )
    return alike_db


def _pictures(way: Way, folder: Path) -> np.ndarray:
    path = folder / "pictures.npy"
    with way.worker() as worker:
        worker.write_pictures(2, path)
    return np.stack([as_pixels(picture) for picture in np.load(path)])


def warm_times(ways: Sequence[Way], rounds: int) -> Iterator[tuple[int, str, Measured]]:
    """Medians for each number of images, which grows, since a process's peak only ever grows."""
    with ExitStack() as stack:
        workers = {way.name: stack.enter_context(way.worker()) for way in ways}
        for count in COUNTS:
            served: dict[str, list[Served]] = {name: [] for name in workers}
            for turn in range(1 + rounds):  # the first finds caches and memory cold
                _say(f"warm, {count} image{'s' * (count > 1)}: round {turn} of {rounds}")
                for name, worker in workers.items():
                    served[name].append(worker.serve(count))
            for name, rows in served.items():
                if len({row.digest for row in rows}) > 1:
                    raise BenchmarkError(f"{name} gave different bytes for the same request.")
                yield count, name, _median(rows[1:])


def cold_starts(ways: Sequence[Way], rounds: int) -> dict[str, Measured]:
    """From the start of a process to its first image, medians of fresh processes in turns."""
    served: dict[str, list[Served]] = {way.name: [] for way in ways}
    for turn in range(1 + rounds):  # the first one fills the file cache
        _say(f"cold: round {turn} of {rounds}")
        for way in ways:
            with way.worker() as worker:
                first = worker.serve(1)
                whole = replace(first, cpu_ms=first.process_cpu_ms, wall_ms=worker.age_ms())
            served[way.name].append(whole)
    return {name: _median(rows[1:]) for name, rows in served.items()}


def against_product(model: str, arithmetic: str, rounds: int) -> AgainstProduct:
    _say(f"counting operations of {arithmetic} and of plain matrix products")
    script = Path(__file__).with_name("operations.py")
    command = [sys.executable, str(script), "--model", model, "--arithmetic", arithmetic]
    done = subprocess.run(
        [*command, "--rounds", str(rounds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **ONE_THREAD},
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"operations.py ended with exit code {done.returncode}; see above.")
    return AgainstProduct(**json.loads(done.stdout))


def versions() -> Mapping[str, str]:
    import matplotlib as mpl
    import PIL
    import torch

    from twinserve import __version__
    from twinserve.bundle.openvino_runtime import openvino

    return {
        "twinserve": __version__,
        "openvino": openvino().__version__,
        "pillow": PIL.__version__,
        "numpy": np.__version__,
        "torch": torch.__version__,
        "matplotlib": mpl.__version__,
    }


def vars_of(struct: Any) -> dict[str, str]:
    return {name: str(getattr(struct, name)) for name in ("cpu_model", "system", "python")}


def _median(rows: Sequence[Served]) -> Measured:
    return Measured(
        cpu_ms=statistics.median(row.cpu_ms for row in rows),
        wall_ms=statistics.median(row.wall_ms for row in rows),
        peak_mib=max(row.peak_mib for row in rows),
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--resolution",
        type=int,
        default=512,
        choices=(*RANDOM_RESOLUTIONS, 512),
        help="side of the images; the targets hold for 512 [%(default)s]",
    )
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement [%(default)s]")
    parser.add_argument("--json", type=Path, help="write all figures to this file as well")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}; at least one is needed")
    return options


if __name__ == "__main__":
    sys.exit(main())
