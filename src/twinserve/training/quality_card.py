"""What was measured, as a table and as a section of the model card."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from twinserve.bundle.bundle import BundleFacts
from twinserve.training.neighbours import SAMPLES, SIDE
from twinserve.training.quality import Nearness, Result

CARD = "MODEL_CARD.md"
BEGIN, END = "<!-- quality: begin -->", "<!-- quality: end -->"
HEADINGS = ("", "model", "real pictures")
NO_VALUE = "–"


def table(result: Result) -> list[tuple[str, str, str]]:
    """Rows of a measure, its value for the model, and for real pictures."""
    quality = result.quality
    levels = zip(result.sides, quality.swd, quality.swd_real, strict=True)
    rows = [
        *(
            (f"SWD ×10³, {side}×{side}", f"{made:.2f}", f"{real:.2f}")
            for side, made, real in levels
        ),
        ("SWD ×10³, mean", f"{result.swd_mean:.2f}", f"{result.swd_real_mean:.2f}"),
        ("MS-SSIM", _decimals(quality.ms_ssim, 4), _decimals(quality.ms_ssim_real, 4)),
    ]
    if quality.fid is not None:
        rows.append(("FID", _decimals(quality.fid, 2), _decimals(result.fid_real, 2)))
    return rows + [
        (f"nearest training picture, {words}", f"{made:.2f}", f"{real:.2f}")
        for words, made, real in zip(
            ("smallest distance", "5 % below", "median"),
            _points(result.made),
            _points(result.real),
            strict=True,
        )
    ]


def write_card(folder: Path, facts: BundleFacts, result: Result, picture: Path | None) -> Path:
    """Replace the quality section of the bundle's model card; begin a card where there is none.

    Only what stands between two markers is replaced; where they are absent, the section is added at
    the end. A picture of neighbours is shown if it lies in the bundle's folder.

    Raises:
        OSError: the card cannot be written.
    """
    path = folder / CARD
    text = path.read_text(encoding="utf-8") if path.exists() else _new_card(facts)
    section = "\n".join(_section(result, _link(folder, picture)))
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        before, after = text.rstrip("\n") + "\n\n", "\n"
    part = path.with_name(f"{CARD}.part")
    part.write_text(before + BEGIN + "\n" + section + "\n" + END + after, encoding="utf-8")
    os.replace(part, path)
    return path


def _new_card(facts: BundleFacts) -> str:
    use = "Commercial use is allowed." if facts.commercial_use else "No commercial use."
    description = f"{facts.description}\n\n" if facts.description else ""
    return (
        f"# Model card: {facts.name}\n\n{description}"
        f"Pictures of {facts.resolution}×{facts.resolution} pixels.\n\n"
        f"## Terms\n\n{facts.terms}. {use}\n"
    )


def _section(result: Result, picture: str | None) -> Iterator[str]:
    quality = result.quality
    yield "## Quality, measured"
    yield ""
    side = result.sides[0]
    yield (
        f"{quality.pictures:,} pictures of seed {quality.seed}, made without truncation by the "
        f"bundle as it is served, against as many of {quality.data} at {side}×{side}; in the last "
        "column, real pictures against other real ones. Written by `twinserve models evaluate`."
    )
    yield ""
    yield f"|{'|'.join(f' {heading} ' for heading in HEADINGS)}|"
    yield "|---|---:|---:|"
    for row in table(result):
        yield f"| {' | '.join(row)} |"
    yield ""
    yield (
        "SWD is the sliced Wasserstein distance: lower is nearer to the data, and the last column "
        "is the floor. MS-SSIM is the mean likeness of pairs of one set: more than among real "
        f"pictures means less variety. {_about_neighbours(result)}"
    )
    if picture:
        yield ""
        yield f"![Samples, not picked, and their nearest training pictures]({picture})"


def _about_neighbours(result: Result) -> str:
    count = min(SAMPLES, result.quality.pictures)
    return (
        "The nearest training picture, mirrored or not, was looked for in all of the data, for "
        f"{count:,} samples and for {count:,} real pictures (not counting themselves): root mean "
        f"square difference at {SIDE}×{SIDE}, in grey levels of 255. A memorised picture would be "
        "at almost 0."
    )


def _points(nearness: Nearness) -> tuple[float, float, float]:
    return (nearness.smallest, nearness.twentieth, nearness.median)


def _decimals(value: float | None, places: int) -> str:
    return NO_VALUE if value is None else f"{value:.{places}f}"


def _link(folder: Path, picture: Path | None) -> str | None:
    if picture is None or not picture.resolve().is_relative_to(folder.resolve()):
        return None
    return picture.resolve().relative_to(folder.resolve()).as_posix()
