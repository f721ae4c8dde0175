from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from twinserve.analysis.compare import compare_run
from twinserve.errors import RecordError
from twinserve.records.manifest import RunState, read_manifest, write_manifest
from twinserve.records.run import RunDirectory
from twinserve.report.build import write_report

MakeRun = Callable[..., RunDirectory]
PageOf = Callable[..., str]
SECTIONS = ("verdict", "gates", "why", "numbers", "figures", "place", "files")
STEMS = ("elapsed", "latency", "connect", "cpu", "memory")
DRAWN = (*STEMS, "stages")
FIRST_COLOUR, SECOND_COLOUR = "#b45309", "#0f766e"


def figures_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<figure id="figure-(\w+)">(.*?)</figure>', page, re.DOTALL))


def test_the_sections_stand_in_their_order(whole_page: str) -> None:
    found = re.findall(r'<section [^>]*id="([^"]+)"', whole_page)
    assert tuple(found) == SECTIONS


def test_the_verdict_stands_first_with_choice_strength_reasons_rule_and_scope(
    whole_page: str, whole_run: RunDirectory
) -> None:
    verdict = compare_run(whole_run).verdict
    section = whole_page.partition('id="verdict"')[2].partition("</section>")[0]
    text = section.replace("&#39;", "'").replace("&#34;", '"')
    assert f"<h1>{verdict.sentence}</h1>" in text
    assert f"Choice: {verdict.choice}" in text
    assert f">{verdict.strength.value}<" in text
    assert verdict.rule in text
    assert verdict.scope in text
    assert all(reason in text for reason in verdict.reasons)


def test_every_gate_is_said_in_a_word_beside_its_sign(
    whole_page: str, whole_run: RunDirectory
) -> None:
    section = whole_page.partition('id="gates"')[2].partition("</section>")[0]
    said = re.findall(r"</span>(pass|fail|unknown)</span>\s*<span><strong>(\w+)</strong>", section)
    gates = compare_run(whole_run).gates
    assert said == [(gate.status.value, gate.name) for gate in gates]


def test_both_sides_are_in_each_of_the_five_figures(whole_page: str) -> None:
    figures = figures_of(whole_page)
    assert tuple(figures) == STEMS
    for markup in figures.values():
        assert ">container (run as a process here)<" in markup
        assert ">function<" in markup
        for colour in (FIRST_COLOUR, SECOND_COLOUR):
            # The legend, the blocks, the values and the box of a side at least.
            assert markup.count(colour) > 20


def test_every_figure_has_alternative_text_and_an_analysis(whole_page: str) -> None:
    for markup in figures_of(whole_page).values():
        alternative = re.search(r'role="img" aria-label="([^"]+)"', markup)
        analysis = re.search(r'<p class="finding">([^<]+)</p>', markup)
        assert alternative
        assert analysis
        for side in ("container", "function"):
            assert side in alternative[1]
            assert side in analysis[1]


def test_every_figure_is_written_as_svg_and_png(whole_run: RunDirectory) -> None:
    found = sorted(path.name for path in whole_run.figures.iterdir())
    assert found == sorted(f"{stem}.{kind}" for stem in DRAWN for kind in ("svg", "png"))
    for stem in DRAWN:
        assert (whole_run.figures / f"{stem}.svg").read_text().startswith("<svg")
        assert (whole_run.figures / f"{stem}.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_the_page_loads_nothing_and_stays_small(whole_page: str, whole_run: RunDirectory) -> None:
    loads = re.findall(r'(?:src|href|action|data|srcset)\s*=\s*"([^"]*)"', whole_page)
    assert [load for load in loads if not load.startswith("data:")] == []
    assert "@import" not in whole_page
    assert "url(" not in whole_page
    assert "<script" not in whole_page
    assert whole_run.report.stat().st_size < 2_000_000


def test_nothing_of_this_machine_is_in_the_page(whole_page: str, whole_run: RunDirectory) -> None:
    assert str(whole_run.path) not in whole_page
    assert str(Path.home()) not in whole_page


def test_the_same_run_gives_the_same_bytes(whole_run: RunDirectory, tmp_path: Path) -> None:
    copy = RunDirectory(Path(shutil.copytree(whole_run.path, tmp_path / "elsewhere")))
    copy.report.unlink()
    shutil.rmtree(copy.figures)
    write_report(copy, compare_run(copy))
    assert copy.report.read_bytes() == whole_run.report.read_bytes()
    for path in whole_run.figures.iterdir():
        assert (copy.figures / path.name).read_bytes() == path.read_bytes()


def test_hostile_names_stay_text(make_run: MakeRun) -> None:
    attack = '"><script>alert(1)</script>'
    run = make_run(sides=("<b>one</b>", "two&"), blocks=2, rows=20)
    manifest = read_manifest(run.manifest)
    manifest.model = msgspec.structs.replace(manifest.model, name=attack, terms=f"{attack} only")
    manifest.detail = attack
    manifest.cap = attack
    write_manifest(run.manifest, manifest)
    page = write_report(run, compare_run(run)).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>" not in page
    assert "two&<" not in page
    assert "&lt;script&gt;" in page


def test_an_interrupted_run_says_so_before_its_verdict(page_of: PageOf) -> None:
    page = page_of(rows=20, finished_blocks=7, state=RunState.INTERRUPTED)
    before = page.partition('id="verdict"')[0]
    assert "This run was interrupted (stopped by Ctrl-C)" in before
    assert "7 of 20 blocks were finished" in before
    assert len(figures_of(page)) == 5


def test_a_whole_run_carries_no_warning(whole_page: str) -> None:
    assert 'class="warning"' not in whole_page


@pytest.mark.parametrize("finished", [0, 1])
def test_a_side_without_rows_is_named_and_the_report_still_made(
    page_of: PageOf, finished: int
) -> None:
    page = page_of(rows=20, finished_blocks=finished, state=RunState.RUNNING, resources=False)
    assert "its writer was killed" in page
    for markup in figures_of(page).values():
        assert "cannot be compared" in markup


def test_limits_that_do_not_exist_are_dashes_with_a_note_why(page_of: PageOf) -> None:
    page = page_of(blocks=3, rows=30)
    note = page.partition('id="undetermined"')[2].partition("</p>")[0]
    assert '<span class="interval">–</span>' in page
    assert "the container finished 3 blocks, and an interval needs at least 6" in note
    assert "None" not in page


def test_a_run_without_samples_is_refused_by_name(make_run: MakeRun) -> None:
    run = make_run(blocks=2, rows=5)
    comparison = compare_run(run)
    run.samples.unlink()
    with pytest.raises(RecordError, match=r"samples\.csv is missing"):
        write_report(run, comparison)
