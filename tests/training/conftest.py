"""What the training tests share: one thread, few pictures, networks a hand wide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from twinserve.training.pictures import Pictures

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def faces() -> Path:
    """The faces that were trained already, for those who have them."""
    folder = SHARED / "faces"
    if not (folder / "pgan-64.safetensors").exists():
        pytest.skip("no ../shared/faces beside this checkout")
    return folder


@pytest.fixture(scope="session")
def pixels() -> NDArray[np.uint8]:
    """64 pictures of a coloured disc on a dark ground, 16x16."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    centres, radii = random.uniform(5, 11, (64, 2)), random.uniform(2, 5, 64)
    colours = random.integers(80, 256, (64, 3))
    discs = [np.hypot(y - cy, x - cx) < r for (cy, cx), r in zip(centres, radii, strict=True)]
    return np.stack([d * c[:, None, None] for d, c in zip(discs, colours, strict=True)]).astype(
        np.uint8
    )


@pytest.fixture(scope="session")
def pictures8(pixels: NDArray[np.uint8]) -> Pictures:
    return Pictures(np.ascontiguousarray(pixels[..., ::2, ::2]))


@pytest.fixture(scope="session")
def pictures16(pixels: NDArray[np.uint8]) -> Pictures:
    return Pictures(pixels)


@pytest.fixture(scope="session")
def folder(pixels: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures as files, some of them deeper in the folder."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "more").mkdir()
    for k, picture in enumerate(pixels):
        place = folder / "more" if k % 2 else folder
        Image.fromarray(picture.transpose(1, 2, 0)).save(place / f"{k:02d}.png")
    return folder
