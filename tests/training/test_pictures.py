from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from twinserve.errors import TrainingError
from twinserve.training.pictures import (
    Pictures,
    Unreadable,
    format_skipped,
    read_pictures,
    to_bytes,
    to_floats,
)


def test_a_folder_is_read_with_what_lies_deeper(folder: Path, pixels: NDArray[np.uint8]) -> None:
    told: list[tuple[int, int]] = []
    pictures = read_pictures([folder], 16, lambda *progress: told.append(progress))
    assert {p.tobytes() for p in pictures.pixels} == {p.tobytes() for p in pixels}
    assert told[-1] == (64, 64)


def test_a_zip_gives_what_the_folder_gives_and_both_together_the_sum(
    folder: Path, tmp_path: Path
) -> None:
    archive = _zipped(folder, tmp_path / "pictures.zip")
    from_folder, from_zip = read_pictures([folder], 8), read_pictures([archive], 8)
    assert np.array_equal(from_folder.pixels, from_zip.pixels)
    assert len(read_pictures([folder, archive], 8)) == 128


def test_what_macos_and_hidden_files_add_is_passed_over(folder: Path, tmp_path: Path) -> None:
    archive = _zipped(folder, tmp_path / "pictures.zip")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("__MACOSX/._00.png", b"resource fork")
        file.writestr(".thumbs/00.png", b"hidden")
        file.writestr("notes.txt", b"not a picture")
    assert len(read_pictures([archive], 8)) == 64


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"])
def test_a_picture_that_cannot_be_read_is_named(
    folder: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(TrainingError, match=r"bad\.png cannot be read as a picture .*; remove it"):
        read_pictures([folder, tmp_path], 8)


def test_a_damaged_zip_entry_is_named(folder: Path, tmp_path: Path) -> None:
    archive = _zipped(folder, tmp_path / "pictures.zip")
    data = bytearray(archive.read_bytes())
    data[data.index(b"IDAT") + 6] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(TrainingError, match=r"pictures\.zip:.*\.png cannot be read"):
        read_pictures([archive], 8)


def test_too_few_pictures_are_counted(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "only.png")
    with pytest.raises(TrainingError, match=r"holds 1 pictures .*; at least 64 are needed"):
        read_pictures([tmp_path], 8)


def test_a_source_that_is_neither_folder_nor_zip_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere is neither a folder nor a zip"):
        read_pictures([tmp_path / "nowhere"], 8)


def test_the_centre_square_is_taken_upright_and_averaged(folder: Path, tmp_path: Path) -> None:
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:8, 16:32] = 200  # the upper half of the centre square
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    Image.fromarray(wide).save(tmp_path / "wide.png", exif=exif)
    last = read_pictures([folder, tmp_path], 8).pixels[-1]
    assert (last[:, 4:] == 200).all() and (last[:, :4] == 0).all()


def test_the_stream_is_repeated_wherever_it_is_picked_up(pictures8: Pictures) -> None:
    assert torch.equal(pictures8.batch(1, 24, 8), pictures8.batch(1, 24, 8))
    assert not torch.equal(pictures8.batch(1, 24, 8), pictures8.batch(2, 24, 8))


def test_an_epoch_shows_every_picture_once_and_mirrors_about_half(
    pixels: NDArray[np.uint8],
) -> None:
    marked = pixels.copy()
    marked[:, 0, 0, 0], marked[:, 0, 0, -1] = np.arange(64), 255
    pictures = Pictures(marked)
    epoch = to_bytes(torch.cat([pictures.batch(5, k, 8) for k in range(0, 64, 8)]))
    mirrored = epoch[:, 0, 0, 0] == 255
    marks = np.where(mirrored, epoch[:, 0, 0, -1], epoch[:, 0, 0, 0])
    assert sorted(marks) == list(range(64))
    assert 16 < mirrored.sum() < 48


def test_batches_come_at_every_lower_resolution_as_means_of_pixels(pictures16: Pictures) -> None:
    batch = pictures16.batch(4, 8, 8)
    means = batch.view(8, 3, 4, 4, 4, 4).mean(dim=(3, 5))
    assert torch.allclose(pictures16.batch(4, 8, 8, 4), means, atol=1e-6)
    kept = np.full((64, 3, 4, 4), 255, np.uint8)
    coarser = Pictures(pictures16.pixels, {4: kept})
    assert (coarser.batch(4, 8, 8, 4) == 1).all()
    assert torch.equal(coarser.batch(4, 8, 8, 8), pictures16.batch(4, 8, 8, 8))


def test_shares_of_a_batch_are_the_batch(pictures8: Pictures) -> None:
    whole = pictures8.batch(2, 56, 14)  # across the end of an epoch
    for rank in range(3):
        share = slice(rank, None, 3)
        assert torch.equal(pictures8.batch(2, 56, 14, share=share), whole[share])


def test_a_sample_is_of_different_pictures_and_repeated_by_its_seed(pictures16: Pictures) -> None:
    sample = pictures16.sample(20, 3, 16)
    assert len({picture.tobytes() for picture in sample}) == 20
    assert np.array_equal(sample, pictures16.sample(20, 3, 16))
    assert not np.array_equal(sample, pictures16.sample(20, 4, 16))
    assert pictures16.sample(100, 3, 8).shape == (64, 3, 8, 8)


def test_pictures_that_cannot_be_read_can_be_passed_over(folder: Path, tmp_path: Path) -> None:
    for k in range(7):
        (tmp_path / f"{k}.png").write_bytes(b"no picture")
    pictures = read_pictures([folder, tmp_path], 8, unreadable=Unreadable.SKIP)
    assert len(pictures) == 64
    lines = format_skipped(pictures.skipped)
    assert lines[0] == "7 pictures cannot be read and are passed over:"
    assert "0.png cannot be read as a picture (" in lines[1]
    assert (len(lines), lines[-1]) == (7, "  and 2 more")
    assert format_skipped(()) == []


def test_bytes_survive_the_way_to_floats_and_back() -> None:
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_bytes(to_floats(every)), every)
    assert to_bytes(torch.tensor([-1.5, 1.5])).tolist() == [0, 255]


def _zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.png")):
            file.write(path, path.relative_to(folder))
    return archive
