"""How near a bundle's pictures are to real ones, in steps that an interruption does not undo."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twinserve.bundle.bundle import Bundle, Quality
from twinserve.bundle.cpu import thread_count
from twinserve.bundle.images import Pixels
from twinserve.errors import UsageError
from twinserve.training.cache import cached_pictures
from twinserve.training.distance import (
    COARSEST,
    Distances,
    PictureSet,
    level_distances,
    level_sides,
)
from twinserve.training.folder import check_room
from twinserve.training.inception import FEATURES, Inception, frechet_distance
from twinserve.training.kept import Numbers, Rows, alone_in
from twinserve.training.made import Maker
from twinserve.training.neighbours import SAMPLES, SHOWN, Neighbours, nearest, sheet
from twinserve.training.real_sets import RealSets, entries_for
from twinserve.training.similarity import mean_similarity

VERSION = 1  # of what is kept: another version begins anew
MADE_AT_A_TIME = 64
TRIED = 64  # pictures, to foretell how long all will take
FRECHET_S = 15.0  # two distances of 8,192 times 2,048 features, on one CPU

OnDone = Callable[[float], None]


@dataclass(frozen=True)
class Request:
    """What is to be measured: ``pictures`` of one seed, against as many of the sources'."""

    bundle: Bundle
    sources: tuple[Path, ...]
    pictures: int
    seed: int
    inception: Inception | None = None

    @property
    def resolution(self) -> int:
        return self.bundle.facts.resolution


@dataclass(frozen=True)
class Step:
    """One part of an evaluation that is still to be done; ``run`` tells its share done, 0 to 1."""

    words: str
    expected_s: float
    run: Callable[[OnDone], None]


@dataclass(frozen=True)
class Nearness:
    """Of many pictures, the distance of each to its nearest training picture, in grey levels."""

    smallest: float
    twentieth: float  # 5 % lie below
    median: float


@dataclass(frozen=True)
class Result:
    """What was measured. ``made`` is of the model's pictures, ``real`` of some of the data's."""

    name: str
    sides: tuple[int, ...]
    quality: Quality
    fid_real: float | None
    made: Nearness
    real: Nearness

    @property
    def swd_mean(self) -> float:
        return Distances(self.quality.swd).mean

    @property
    def swd_real_mean(self) -> float:
        return Distances(self.quality.swd_real).mean


@contextmanager
def evaluation(
    request: Request, folder: Path, on_read: Callable[[int, int], None] | None = None
) -> Iterator[Evaluation]:
    """Open the data, and what an interrupted evaluation of the same has left in ``folder``.

    Once there is a result, leaving removes all but the real pictures' Inception features, which
    serve the next model. Calls ``on_read(done, total)`` while pictures are decoded.

    Raises:
        UsageError: the model's resolution, or the data's number or size, does not allow it.
        TrainingError: the data cannot be read, or ``folder`` has no room.
    """
    _check_side(request)
    entries = entries_for(request.sources, request.resolution, request.pictures)
    network = request.inception and [request.inception.content_hash(), request.inception.scale]
    stamps = [[entry.source.name, entry.name, *entry.stamp, entry.crop.name] for entry in entries]
    real = [VERSION, request.resolution, request.pictures, request.seed, network, stamps]
    work = folder / _key([*real, request.bundle.facts.content_hash])
    features = folder / f"features-{_key(real)}"
    with alone_in(work), alone_in(features) if network else nullcontext():
        pixels = cached_pictures(entries, request.resolution, work / "data", on_read=on_read).pixels
        running = Evaluation(request, pixels, work, features)
        yield running
        if running.finished:
            shutil.rmtree(work, ignore_errors=True)


class Evaluation:
    """The steps that are left of an evaluation, and its result after them.

    It uses all CPUs itself, with one thread for each piece of work: let PyTorch use one.
    """

    def __init__(
        self, request: Request, pixels: NDArray[np.uint8], work: Path, features: Path
    ) -> None:
        count, side = request.pictures, request.resolution
        self._request = request
        self._threads = thread_count()
        self._real = RealSets(pixels, count, request.seed)
        self._work = work
        self._made = Rows(work / "made.u8", count, (3, side, side), np.uint8)
        self._features = {
            "made": Rows(work / "made.f32", count, (FEATURES,), np.float32),
            "real": Rows(features / "real.f32", count, (FEATURES,), np.float32),
            "other real": Rows(features / "other.f32", count, (FEATURES,), np.float32),
        }
        self._sides = level_sides(pixels.shape)
        self._numbers = Numbers(work)
        self.finished = False

    def steps(self) -> list[Step]:
        """What is left to do, each with the seconds it is expected to take here: tried on a few."""
        return [
            *self._making(),
            *self._distances(),
            *self._similarities(),
            *self._inception(),
            *self._neighbours(),
        ]

    def result(self) -> Result:
        """After every step has run."""
        request, numbers = self._request, self._numbers
        levels = [numbers[f"swd {side}"] for side in self._sides]
        fid, fid_real = numbers["fid"] if request.inception else (None, None)
        self.finished = True
        return Result(
            name=request.bundle.facts.name,
            sides=tuple(self._sides),
            quality=Quality(
                data=", ".join(source.resolve().name for source in request.sources),
                pictures=request.pictures,
                seed=request.seed,
                swd=tuple(level[0] for level in levels),
                swd_real=tuple(level[1] for level in levels),
                ms_ssim=numbers["ms_ssim made"],
                ms_ssim_real=numbers["ms_ssim real"],
                fid=fid,
            ),
            fid_real=fid_real,
            made=Nearness(**numbers["nearest made"]),
            real=Nearness(**numbers["nearest real"]),
        )

    def sheet(self) -> Pixels:
        """The first few pictures made, not picked, each beside its nearest training pictures."""
        found = self._numbers["shown"]
        shown = Neighbours(*(np.array(found[key]) for key in ("places", "mirrored", "distances")))
        return sheet(self._made.read()[: len(shown.places)], self._real.pixels, shown)

    def _making(self) -> Iterator[Step]:
        left = self._made.count - self._made.made
        if not left:
            return
        check_room(self._work, left * 3 * self._request.resolution**2, "What the model makes")
        maker = Maker(self._request.bundle, self._request.seed)
        few = range(min(TRIED, left))
        maker.pictures(few[:2])  # the first ones are slow
        tried_s = _seconds(lambda: maker.pictures(few))
        run = partial(self._made.fill, maker.pictures, MADE_AT_A_TIME)
        yield Step("making pictures", tried_s * left / len(few), run)

    def _distances(self) -> Iterator[Step]:
        few = self._real.first[:TRIED]
        for level, side in enumerate(self._sides):
            if f"swd {side}" not in self._numbers:
                tried_s = _seconds(partial(self._compared, few, [few, few], level))
                expected_s = tried_s * self._request.pictures / len(few)
                yield Step(f"distances at {side}×{side}", expected_s, partial(self._level, level))

    def _level(self, level: int, on_done: OnDone) -> None:
        sets: list[PictureSet] = [self._made.read(), self._real.second]
        found = self._compared(self._real.first, sets, level, on_done)
        self._numbers[f"swd {self._sides[level]}"] = [round(distance, 4) for distance in found]

    def _compared(
        self, real: PictureSet, sets: list[PictureSet], level: int, on_done: OnDone | None = None
    ) -> list[float]:
        return level_distances(real, sets, level, self._request.seed, on_done, self._threads)

    def _similarities(self) -> Iterator[Step]:
        few = self._real.first[:TRIED]
        for name in ("made", "real"):
            if f"ms_ssim {name}" not in self._numbers:
                tried_s = _seconds(lambda: mean_similarity(few, threads=self._threads))
                expected_s = tried_s * self._request.pictures / len(few)
                run = partial(self._similarity, name)
                yield Step(f"similarity of {name} pictures", expected_s, run)

    def _similarity(self, name: str, on_done: OnDone) -> None:
        pictures: PictureSet = self._made.read() if name == "made" else self._real.first
        mean = mean_similarity(pictures, on_done, self._threads)
        self._numbers[f"ms_ssim {name}"] = round(mean, 6)

    def _inception(self) -> Iterator[Step]:
        network = self._request.inception
        if not network or "fid" in self._numbers:
            return
        few = self._real.first[: network.batch]
        network.features(few)  # the first ones are slow
        tried_s = _seconds(lambda: network.features(few))
        for name, rows in self._features.items():
            if left := rows.count - rows.made:
                run = partial(self._fill_features, network, name)
                yield Step(f"features of {name} pictures", tried_s * left / len(few), run)
        yield Step("Fréchet distances", FRECHET_S, self._frechet)

    def _fill_features(self, network: Inception, name: str, on_done: OnDone) -> None:
        sets: dict[str, PictureSet] = {
            "made": self._made.read(),
            "real": self._real.first,
            "other real": self._real.second,
        }
        pictures = sets[name]
        self._features[name].fill(
            lambda some: network.features(pictures[some.start : some.stop]), network.batch, on_done
        )

    def _frechet(self, on_done: OnDone) -> None:
        real, made, other = (self._features[name].read() for name in ("real", "made", "other real"))
        found = []
        for features in (made, other):
            found.append(round(frechet_distance(real, features), 4))
            on_done(len(found) / 2)
        self._numbers["fid"] = found

    def _neighbours(self) -> Iterator[Step]:
        count = min(SAMPLES, self._request.pictures)
        few = self._real.first[:count]
        tried = self._real.pixels[: 4 * TRIED]
        for name in ("made", "real"):
            if f"nearest {name}" not in self._numbers:
                tried_s = _seconds(lambda: nearest(few, tried, threads=self._threads))
                expected_s = tried_s * len(self._real.pixels) / len(tried)
                run = partial(self._nearest, name, count)
                yield Step(f"neighbours of {name} pictures", expected_s, run)

    def _nearest(self, name: str, count: int, on_done: OnDone) -> None:
        training = self._real.pixels
        if name == "made":
            found = nearest(self._made.read()[:count], training, None, on_done, self._threads)
            shown = {key: values[:SHOWN].tolist() for key, values in vars(found).items()}
            self._numbers["shown"] = shown
        else:
            own = self._real.order[:count]
            found = nearest(self._real.first[:count], training, own, on_done, self._threads)
        self._numbers[f"nearest {name}"] = asdict(_nearness(found))


def _nearness(found: Neighbours) -> Nearness:
    points = np.quantile(found.distances[:, 0].astype(float), (0, 0.05, 0.5))
    return Nearness(*(round(float(point), 4) for point in points))


def _check_side(request: Request) -> None:
    side = request.resolution
    if side < COARSEST or side & (side - 1):
        raise UsageError(
            f"{request.bundle.facts.name} makes {side}x{side} pictures; distances are known for "
            f"sides of {COARSEST}, {2 * COARSEST}, {4 * COARSEST} and so on."
        )


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _key(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
