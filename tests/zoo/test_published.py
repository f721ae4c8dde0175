"""The catalogue of published models is whole, sourced, and keeps its terms."""

import re
from pathlib import Path

import pytest

from twinserve.errors import UsageError
from twinserve.zoo.published import catalogue, published, published_as


def test_six_models_are_known_with_their_files_and_terms() -> None:
    known = catalogue()
    assert list(known.models) == [
        "pgan-celebahq-512",
        "pgan-celebahq-256",
        "pgan-celeba-128",
        "pgan-dtd-128",
        "stylegan-ffhq-1024",
        "dcgan-fashiongen-64",
    ]
    assert known.base == "https://dl.fbaipublicfiles.com/gan_zoo/"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", known.date)
    for name, model in known.models.items():
        assert model.file_name.endswith(f"-{model.sha256}.pth")
        assert all(path.endswith(model.file_name) for path in model.paths)
        assert name.startswith(f"{model.architecture}-")
        assert name.endswith(f"-{model.resolution}")
        assert "BSD 3-Clause" in model.terms
        assert "research" in model.terms or "non-commercial" in model.terms


def test_an_unknown_name_lists_the_known() -> None:
    assert published("pgan-dtd-128").sha256 == "04efa39f"
    with pytest.raises(UsageError, match=r"'pgan-1024'; known are pgan-celebahq-512, .*fashiongen"):
        published("pgan-1024")


def test_a_file_is_a_published_one_by_its_name_and_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / published("pgan-dtd-128").file_name
    path.write_bytes(b"something else")
    assert published_as(path) is None
    assert published_as(tmp_path / "other.pth") is None
