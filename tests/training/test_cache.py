from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from twinserve.errors import TrainingError
from twinserve.training.cache import cached_pictures
from twinserve.training.celeba import Choice, Partition, chosen_entries
from twinserve.training.pictures import Pictures, Unreadable, read_pictures


def test_the_cache_holds_what_was_decoded_mapped_and_at_every_level(
    folder: Path, tmp_path: Path
) -> None:
    cached, read = _cached(folder, tmp_path), read_pictures([folder], 16)
    assert isinstance(cached.pixels, np.memmap)
    assert np.array_equal(cached.pixels, read.pixels)
    assert torch.equal(cached.batch(3, 40, 16), read.batch(3, 40, 16))
    for side in (8, 4):  # kept as bytes, so half a step of rounding apart at each level
        apart = (cached.batch(3, 40, 16, side) - read.batch(3, 40, 16, side)).abs()
        assert apart.max() <= 0.5 / 127.5 + 1e-6
    files = {path.name: path.stat().st_size for path in tmp_path.glob("*/*.u8")}
    assert files == {f"{side}.u8": 64 * 3 * side**2 for side in (16, 8, 4)}


def test_it_is_used_again_as_long_as_it_fits(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        entries = chosen_entries([folder])
        cached_pictures(entries, 16, tmp_path, on_read=lambda *progress: told.append(progress))
    assert told == [(64, 64)]


def test_it_is_made_anew_when_a_picture_changes_and_the_stale_one_goes(
    folder: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "pictures"))
    cache = tmp_path / "cache"
    before = np.array(_cached(copied, cache).pixels)
    Image.new("RGB", (16, 16), (1, 2, 3)).save(copied / "00.png")
    os.utime(copied / "00.png", ns=(1, 1))
    after = _cached(copied, cache).pixels
    assert (after[0] == np.array([1, 2, 3])[:, None, None]).all()
    assert np.array_equal(after[1:], before[1:])
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 1


def test_other_sources_and_resolutions_live_beside_it(folder: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "pictures"))
    cache = tmp_path / "cache"
    for source, side in ((folder, 16), (folder, 8), (copied, 8)):
        assert _cached(source, cache, side).resolution == side
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 3


def test_two_choices_among_the_same_pictures_live_beside_each_other(
    folder: Path, tmp_path: Path
) -> None:
    entries = chosen_entries([folder])
    for choice in (Choice(Partition.TRAIN), Choice(Partition.VAL), Choice(Partition.TRAIN)):
        cached_pictures(entries, 8, tmp_path, choice=choice)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_pictures_that_cannot_be_read_fail_or_are_passed_over_as_asked(
    folder: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "pictures"))
    (copied / "bad.png").write_bytes(b"no picture")
    cache = tmp_path / "cache"
    message = r"bad\.png cannot be read as a picture .*; remove it, or give --unreadable skip\."
    with pytest.raises(TrainingError, match=message):
        _cached(copied, cache)
    assert not [path for path in cache.iterdir() if path.is_dir()]
    for _ in range(2):  # decoded, and from the cache
        pictures = _cached(copied, cache, unreadable=Unreadable.SKIP)
        assert len(pictures) == 64
        assert ["bad.png" in reason for reason in pictures.skipped] == [True]
    with pytest.raises(TrainingError, match=message):  # that cache does not excuse it
        _cached(copied, cache)


def test_passing_over_too_many_is_refused(folder: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "pictures"))
    (copied / "00.png").write_bytes(b"no picture")
    message = r"holds 63 pictures that can be read \(1 cannot\) .*; at least 64 are needed"
    with pytest.raises(TrainingError, match=message):
        _cached(copied, tmp_path / "cache", unreadable=Unreadable.SKIP)


def test_what_a_kill_left_half_written_is_made_anew(folder: Path, tmp_path: Path) -> None:
    _cached(folder, tmp_path)
    (whole,) = (path for path in tmp_path.iterdir() if path.is_dir())
    whole.rename(whole.with_suffix(".part"))
    (whole.with_suffix(".part") / "facts.json").unlink()
    assert len(_cached(folder, tmp_path)) == 64
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [whole]


def test_a_damaged_cache_is_named(folder: Path, tmp_path: Path) -> None:
    _cached(folder, tmp_path)
    (file,) = tmp_path.glob("*/8.u8")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TrainingError, match=r"is damaged \(8\.u8 has 12,287 bytes\); remove it"):
        _cached(folder, tmp_path)


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    message = r"cannot be written \(.*\)\. Make room or choose another folder"
    with _files_limited_to(10_000), pytest.raises(TrainingError, match=message):
        _cached(folder, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def _cached(
    source: Path, cache: Path, side: int = 16, unreadable: Unreadable = Unreadable.FAIL
) -> Pictures:
    return cached_pictures(chosen_entries([source]), side, cache, unreadable)


@contextmanager
def _files_limited_to(size: int) -> Iterator[None]:
    """What writing meets on a full disk, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
