from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from twinserve.bundle.bundle import BundleFacts, Quality
from twinserve.training.quality import Nearness, Result
from twinserve.training.quality_card import BEGIN, CARD, END, table, write_card

FACTS = BundleFacts(
    name="mine",
    resolution=32,
    latent=8,
    terms="my own pictures",
    commercial_use=False,
    description="Makes discs.",
    content_hash="",
)
RESULT = Result(
    name="mine",
    sides=(32, 16),
    quality=Quality(
        data="discs.zip",
        pictures=2000,
        seed=3,
        swd=(4.0, 8.0),
        swd_real=(2.0, 3.0),
        ms_ssim=0.31234,
        ms_ssim_real=0.29876,
    ),
    fid_real=None,
    made=Nearness(10.0, 20.0, 30.0),
    real=Nearness(11.0, 21.0, 31.0),
)


def test_the_table_has_a_row_a_measure_with_the_floor_beside_it() -> None:
    assert table(RESULT) == [
        ("SWD ×10³, 32×32", "4.00", "2.00"),
        ("SWD ×10³, 16×16", "8.00", "3.00"),
        ("SWD ×10³, mean", "6.00", "2.50"),
        ("MS-SSIM", "0.3123", "0.2988"),
        ("nearest training picture, smallest distance", "10.00", "11.00"),
        ("nearest training picture, 5 % below", "20.00", "21.00"),
        ("nearest training picture, median", "30.00", "31.00"),
    ]


def test_the_inception_distance_is_shown_where_there_is_one(tmp_path: Path) -> None:
    with_fid = replace(RESULT, quality=_replaced(RESULT.quality, fid=12.345), fid_real=2.1)
    assert ("FID", "12.35", "2.10") in table(with_fid) or ("FID", "12.34", "2.10") in table(
        with_fid
    )
    assert "| FID | 12.3" in write_card(tmp_path, FACTS, with_fid, None).read_text()


def test_a_card_is_begun_where_there_is_none(tmp_path: Path) -> None:
    text = write_card(tmp_path, FACTS, RESULT, None).read_text()
    assert text.startswith("# Model card: mine\n\nMakes discs.\n")
    assert "my own pictures. No commercial use." in text
    assert "| SWD ×10³, mean | 6.00 | 2.50 |" in text
    assert "2,000 pictures of seed 3" in text and "discs.zip" in text
    assert [path.name for path in tmp_path.iterdir()] == [CARD]


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    before, after = "# Mine\n\nWords of my own.\n\n", "\n\n## Limits\n\nFew.\n"
    (tmp_path / CARD).write_text(f"{before}{BEGIN}\nold numbers\n{END}{after}")
    text = write_card(tmp_path, FACTS, RESULT, None).read_text()
    assert text.startswith(before + BEGIN)
    assert text.endswith(END + after)
    assert "old numbers" not in text
    assert write_card(tmp_path, FACTS, RESULT, None).read_text() == text


@pytest.mark.parametrize("own", ["# Mine\n\nNo markers.", f"# Mine\n\n{BEGIN}\nno end\n"])
def test_a_card_without_both_markers_keeps_its_text_and_gets_the_section(
    tmp_path: Path, own: str
) -> None:
    (tmp_path / CARD).write_text(own)
    text = write_card(tmp_path, FACTS, RESULT, None).read_text()
    assert text.startswith(own)
    assert text.endswith(END + "\n")
    assert "| MS-SSIM | 0.3123 | 0.2988 |" in text


def test_the_picture_of_neighbours_is_shown_only_if_it_lies_with_the_bundle(tmp_path: Path) -> None:
    inside, outside = tmp_path / "bundle" / "nearest.png", tmp_path / "nearest.png"
    inside.parent.mkdir()
    assert "](nearest.png)" in write_card(inside.parent, FACTS, RESULT, inside).read_text()
    assert "nearest.png" not in write_card(inside.parent, FACTS, RESULT, outside).read_text()


def _replaced(quality: Quality, fid: float) -> Quality:
    import msgspec

    return msgspec.structs.replace(quality, fid=fid)
