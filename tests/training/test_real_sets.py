from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from twinserve.errors import TrainingError, UsageError
from twinserve.training.real_sets import RealSets, entries_for


def test_the_two_sets_share_no_picture_and_follow_the_seed(pixels: NDArray[np.uint8]) -> None:
    sets = RealSets(pixels, 30, seed=4)
    places = [*sets.first.places, *sets.second.places]
    assert len(set(places)) == 60
    assert places == [*RealSets(pixels, 30, 4).first.places, *RealSets(pixels, 30, 4).second.places]
    assert places != [*RealSets(pixels, 30, 5).first.places, *RealSets(pixels, 30, 5).second.places]


def test_a_drawn_set_reads_like_the_array_it_stands_for(pixels: NDArray[np.uint8]) -> None:
    drawn = RealSets(pixels, 20, seed=1).second
    assert drawn.shape == (20, 3, 16, 16)
    assert np.array_equal(drawn[5:9], pixels[drawn.places[5:9]])


def test_too_many_pictures_are_refused_before_any_is_decoded(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"33 .* the data has 64, .* give --pictures 32"):
        entries_for([folder], 16, 33)
    assert len(entries_for([folder], 16, 32)) == 64


def test_pictures_smaller_than_the_models_are_refused(folder: Path) -> None:
    with pytest.raises(
        UsageError, match=r"\.png is 16 pixels .* model makes 32: .* never enlarged"
    ):
        entries_for([folder], 32, 32)


def test_a_picture_that_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "00.png").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"00\.png cannot be read as a picture"):
        entries_for([tmp_path], 16, 32)


def test_what_counts_is_the_centre_square(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    Image.new("RGB", (64, 8)).save(tmp_path / "00.png")
    with pytest.raises(UsageError, match=r"00\.png is 8 pixels"):
        entries_for([tmp_path], 16, 32)
