from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser

from twinserve.training.plots import POINTS, _thinned, write_plots


def _rows(count: int) -> list[dict[str, Any]]:
    """A log of three levels, with two measures of quality at 16x16 and one at 32x32."""
    rows: list[dict[str, Any]] = []
    for k in range(count):
        part = ("8 stable", "16 stable", "32 fading")[3 * k // count]
        place = {"images": 1600 * k, "images_seen": 1600 * k, "part": part}
        rows.append({**place, "loss_generator": 1 + k / count, "loss_discriminator": 1.2})
    for k, swd in ((count // 2, [30.0]), (count // 2 + 2, [20.0]), (count - 1, [18.0, 25.0])):
        place = {name: rows[k][name] for name in ("images", "images_seen", "part")}
        rows.append({**place, "pictures": 256, "swd": swd, "swd_mean": sum(swd) / len(swd)})
    return rows


def test_losses_and_quality_are_drawn_and_the_page_needs_no_network(
    tmp_path: Path, browser: Browser
) -> None:
    write_plots(tmp_path, _rows(30))
    with Image.open(io.BytesIO((tmp_path / "progress.png").read_bytes())) as picture:
        assert picture.width > 1000 and picture.height > 800
        assert len(set(picture.convert("RGB").get_flattened_data())) > 100
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "progress.html").as_uri())
    page.wait_for_selector("svg, canvas")
    words = page.locator("svg").first.text_content() or ""
    assert "Losses" in words and "Sliced Wasserstein distance, 256 pictures" in words
    assert asked == [(tmp_path / "progress.html").as_uri()]
    assert not list(tmp_path.glob("*.part"))


def test_an_empty_log_draws_nothing(tmp_path: Path) -> None:
    write_plots(tmp_path, [])
    assert not list(tmp_path.iterdir())


def test_a_long_log_is_averaged_within_its_parts() -> None:
    rows = [row for row in _rows(3000) if "swd" not in row]
    thinned = _thinned(rows)
    assert len(thinned) <= POINTS + 3
    assert {row["part"] for row in thinned} == {"8 stable", "16 stable", "32 fading"}
    assert thinned[0]["loss_generator"] == pytest.approx(1 + 3.5 / 3000)
