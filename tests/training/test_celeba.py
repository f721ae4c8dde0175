from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twinserve.errors import TrainingError, TwinserveError, UsageError
from twinserve.training.celeba import Choice, Partition, chosen_entries
from twinserve.training.pictures import read_pictures

COUNT = 192
NAMES = [f"{k:06d}.jpg" for k in range(1, COUNT + 1)]
ATTRIBUTES = "list_attr_celeba.txt"
PARTITIONS = "list_eval_partition.txt"


@pytest.fixture(scope="session")
def celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CelebA in small: the first third is for training; every second one smiles, every third is
    bespectacled. Green is what the paper's crop takes, red the frame around it."""
    root = tmp_path_factory.mktemp("celeba")
    picture = Image.new("RGB", (178, 218), (255, 0, 0))
    picture.paste((0, 255, 0), (25, 57, 153, 185))
    folder = root / "img_align_celeba"
    folder.mkdir()
    for name in NAMES:
        picture.save(folder / name, quality=95)
    rows = [
        f"{name} {1 if k % 2 == 0 else -1:2d} {1 if k % 3 == 0 else -1:2d}"
        for k, name in enumerate(NAMES)
    ]
    (root / ATTRIBUTES).write_text("\n".join([str(COUNT), "Smiling Eyeglasses ", *rows]) + "\n")
    codes = [f"{name} {3 * k // COUNT}" for k, name in enumerate(NAMES)]
    (root / PARTITIONS).write_text("\n".join(codes) + "\n")
    return root


@pytest.fixture
def copied(celeba: Path, tmp_path: Path) -> Path:
    """The same with lists that may be changed."""
    root = tmp_path / "celeba"
    root.mkdir()
    (root / "img_align_celeba").symlink_to(celeba / "img_align_celeba")
    for name in (ATTRIBUTES, PARTITIONS):
        (root / name).write_text((celeba / name).read_text())
    return root


def test_the_training_pictures_are_taken_unless_others_are_asked_for(celeba: Path) -> None:
    assert _names(celeba) == NAMES[:64]
    assert _names(celeba, Partition.TRAIN) == NAMES[:64]
    assert _names(celeba, Partition.VAL) == NAMES[64:128]
    assert _names(celeba, Partition.TEST) == NAMES[128:]
    assert _names(celeba, Partition.ALL) == NAMES


def test_attributes_choose_those_that_have_them_or_with_a_minus_those_that_have_not(
    celeba: Path,
) -> None:
    smiling = _names(celeba, Partition.ALL, "Smiling")
    assert smiling == NAMES[::2]
    without = _names(celeba, Partition.ALL, "-Eyeglasses")
    assert without == [name for k, name in enumerate(NAMES) if k % 3]
    both = _names(celeba, Partition.ALL, "Smiling", "-Eyeglasses")
    assert both == sorted(set(smiling) & set(without))


def test_without_the_list_of_partitions_all_pictures_are_taken(copied: Path) -> None:
    (copied / PARTITIONS).unlink()
    assert _names(copied) == NAMES
    with pytest.raises(UsageError, match=f"--partition needs {PARTITIONS}, which is not beside"):
        _names(copied, Partition.VAL)
    (copied / ATTRIBUTES).unlink()
    with pytest.raises(UsageError, match=f"--attribute needs {ATTRIBUTES}"):
        _names(copied, None, "Smiling")


def _zip_inside_folder(root: Path, place: Path) -> Path:
    """As on the project's drive: Img/img_align_celeba.zip, Anno and Eval beside it."""
    for name in ("Img", "Anno", "Eval"):
        (place / name).mkdir()
    _zipped(root, place / "Img" / "img_align_celeba.zip", lists=False)
    (place / "Anno" / ATTRIBUTES).write_text((root / ATTRIBUTES).read_text())
    (place / "Eval" / PARTITIONS).write_text((root / PARTITIONS).read_text())
    return place


LAYOUTS: dict[str, Callable[[Path, Path], Path]] = {
    "the folder of pictures itself": lambda root, _: root / "img_align_celeba",
    "a zip with everything": lambda root, place: _zipped(root, place / "celeba.zip", lists=True),
    "the drive's folders": _zip_inside_folder,
    "the drive's zip": lambda root, place: (
        _zip_inside_folder(root, place) / "Img" / "img_align_celeba.zip"
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_every_way_of_handing_it_out_gives_the_same_pictures(
    celeba: Path, tmp_path: Path, layout: Callable[[Path, Path], Path]
) -> None:
    source = layout(celeba, tmp_path)
    assert _names(source, Partition.VAL) == NAMES[64:128]
    assert _names(source, Partition.ALL, "Smiling") == NAMES[::2]


def test_the_papers_crop_is_taken(celeba: Path) -> None:
    pixels = read_pictures([celeba], 128).pixels.astype(int)
    assert len(pixels) == 64
    red, green = pixels[:, 0, 2:-2, 2:-2], pixels[:, 1, 2:-2, 2:-2]  # JPEG blurs the very edge
    assert red.max() < 30
    assert green.min() > 225
    assert read_pictures([celeba], 32).resolution == 32


def test_a_picture_of_another_size_is_named(copied: Path) -> None:
    folder = copied / "img_align_celeba"
    originals = folder.resolve()
    folder.unlink()
    folder.mkdir()
    for name in NAMES:
        (folder / name).symlink_to(originals / name)
    (folder / NAMES[3]).unlink()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folder / NAMES[3])
    with pytest.raises(TrainingError, match=r"000004\.jpg .*it is 64x64, not CelebA's 178x218"):
        read_pictures([copied], 16)


def test_what_would_only_be_enlarged_is_refused(celeba: Path) -> None:
    with pytest.raises(UsageError, match=r"resolution is 256; .* cropped to 128x128"):
        chosen_entries([celeba], resolution=256)


@pytest.mark.parametrize("choice", [Choice(Partition.TEST), Choice(attributes=("Smiling",))])
def test_a_choice_among_other_pictures_is_refused(folder: Path, choice: Choice) -> None:
    with pytest.raises(UsageError, match="there is no img_align_celeba in"):
        chosen_entries([folder], choice)


def test_an_attribute_that_does_not_exist_is_answered_with_those_that_do(celeba: Path) -> None:
    with pytest.raises(UsageError, match=r"attribute is 'Smile'; .* knows Smiling, Eyeglasses"):
        _names(celeba, Partition.ALL, "-Smile")


def test_too_few_that_fit_are_counted(celeba: Path) -> None:
    with pytest.raises(TrainingError, match="holds 32 pictures that were chosen"):
        _names(celeba, Partition.TRAIN, "Smiling")


@pytest.mark.parametrize(
    ("name", "line", "text", "message"),
    [
        (PARTITIONS, 7, "000007.jpg 5", r"line 7: '000007\.jpg 5' is not a picture's name and 0"),
        (PARTITIONS, 7, "000007.jpg", r"line 7: '000007\.jpg' is not"),
        (PARTITIONS, 7, "", r"partition\.txt has no line for 000007\.jpg"),
        (ATTRIBUTES, 1, "many", "line 1: 'many' is not the number of pictures"),
        (ATTRIBUTES, 1, "200", "line 1: 200 pictures are announced and 192 follow"),
        (ATTRIBUTES, 9, "000007.jpg 1 0", r"line 9: 000007\.jpg has '0'; allowed is 1 or -1"),
        (ATTRIBUTES, 9, "000007.jpg 1", r"line 9: 000007\.jpg has 1 values for 2 attributes"),
    ],
)
def test_a_list_that_cannot_be_understood_is_named_with_its_line_and_value(
    copied: Path, name: str, line: int, text: str, message: str
) -> None:
    lines = (copied / name).read_text().splitlines()
    lines[line - 1] = text
    (copied / name).write_text("\n".join(lines))
    with pytest.raises(TwinserveError, match=message) as caught:
        _names(copied, None, "Smiling")
    assert name in str(caught.value)


def _names(source: Path, partition: Partition | None = None, *attributes: str) -> list[str]:
    entries = chosen_entries([source], Choice(partition, attributes))
    return [Path(entry.name).name for entry in entries]


def _zipped(root: Path, archive: Path, lists: bool) -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for name in NAMES:
            file.write(root / "img_align_celeba" / name, f"img_align_celeba/{name}")
        for name in (ATTRIBUTES, PARTITIONS) if lists else ():
            file.write(root / name, name)
    return archive
