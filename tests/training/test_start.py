from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from twinserve.errors import TrainingError, UsageError
from twinserve.training.options import TrainingOptions
from twinserve.training.presets import PAPER, SMALL
from twinserve.training.start import find_start


def test_a_new_folder_starts_from_nothing(tmp_path: Path) -> None:
    start = find_start(tmp_path / "run", TrainingOptions(resolution=512, preset=PAPER))
    assert (start.saved, start.level, start.resumed) == (None, None, False)
    assert start.path == tmp_path / "run" / "checkpoint.safetensors"
    settings = start.settings(100)
    assert settings["images"] == 12_000_000
    assert settings["batch"] == [16, 16, 16, 16, 16, 16, 14, 6]
    assert settings["pictures"] == 100


def test_the_faces_grow_on_to_128_pixels(faces: Path, tmp_path: Path) -> None:
    options = TrainingOptions(resolution=128)
    start = find_start(tmp_path, options, faces / "pgan-64.safetensors")
    assert start.level == 4
    assert {level for level, _, _ in start.schedule.parts} == {5}
    assert options.config.feature_maps == (128, 128, 128, 64, 32, 16)
    with pytest.raises(UsageError, match=r"groups of 8, this training wants 512, .* and 4; start"):
        find_start(tmp_path, replace(options, preset=PAPER), faces / "pgan-64.safetensors")


def test_a_disk_without_room_for_the_checkpoint_and_its_successor_is_refused(
    tmp_path: Path,
) -> None:
    huge = replace(SMALL, feature_maps=(10_000_000,))
    message = r"The checkpoint needs [\d,]+ MiB in .* are free; make room or choose another folder"
    with pytest.raises(TrainingError, match=message):
        find_start(tmp_path, TrainingOptions(resolution=4, preset=huge))


@pytest.mark.parametrize("name", ["quality_every", "seed"])
def test_what_must_not_be_negative_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is -1; it must be 0 or above"):
        TrainingOptions(**{name: -1})  # type: ignore[arg-type]


def test_a_minibatch_of_ones_own_holds_for_all_levels() -> None:
    assert TrainingOptions(resolution=16, preset=PAPER, batch=5).minibatches == (5, 5, 5)
    assert TrainingOptions(resolution=16, preset=PAPER).start_rate == 0.001
    assert TrainingOptions(resolution=16, rate=0.5).start_rate == 0.5
