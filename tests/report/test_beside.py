"""``twinserve report RUN --beside OTHER``: a run of this machine and one of services elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import click
import pytest
from playwright.sync_api import Browser

from twinserve.analysis.compare import compare_run
from twinserve.analysis.comparison import read_comparison, write_comparison
from twinserve.cli import twinserve
from twinserve.deployment import Kind
from twinserve.errors import TwinserveError
from twinserve.records.manifest import REMOTE, RemoteService, read_manifest, write_manifest
from twinserve.records.run import RunDirectory
from twinserve.report.beside import beside_section
from twinserve.report.build import _analysed
from twinserve.report.numbers import format_number


def elsewhere(run: RunDirectory) -> None:
    """Make it a run of two services elsewhere."""
    manifest = read_manifest(run.manifest)
    manifest.runner, manifest.deployments, manifest.cap = REMOTE, {}, ""
    manifest.remote = {side: RemoteService(Kind(side), True) for side in ("container", "function")}
    write_manifest(run.manifest, manifest)
    for path in (run.resources, run.billing, run.events, run.host):
        path.unlink(missing_ok=True)


def report(run: RunDirectory, *words: str) -> str:
    twinserve(["report", str(run.path), *words], standalone_mode=False)
    return run.report.read_text()


@pytest.fixture(scope="module")
def pair(
    runs: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunDirectory, RunDirectory]:
    """A run of this machine, reported with one of services elsewhere beside it."""
    folder = tmp_path_factory.mktemp("beside")
    local = runs.write_run(folder / "local", blocks=4, rows=20)
    cloud = runs.write_run(folder / "cloud", blocks=4, rows=20, shapes=runs.DEFAULT_SHAPES[::-1])
    elsewhere(cloud)
    write_comparison(cloud.comparison, compare_run(cloud))
    report(local, "--beside", str(cloud.path))
    return local, cloud


def test_local_and_cloud_stand_beside_each_other(pair: tuple[RunDirectory, RunDirectory]) -> None:
    page = pair[0].report.read_text()
    table = page[page.index('id="runs-beside"') :]
    table = table[: table.index("</table>")]
    assert re.findall(r"</span>([^<]*)</th>", table) == [
        *(f"{side}, this run (local)" for side in ("container", "function")),
        *(f"{side}, other run (elsewhere)" for side in ("container", "function")),
    ]
    for run in pair:
        for summary in read_comparison(run.comparison).deployments.values():
            assert f"<td>{summary.requests:,}</td>" in table
            assert summary.elapsed_ms is not None
            assert f"<td>{format_number(summary.elapsed_ms.p50)}<" in table
    assert "nothing is concluded from one run to the other" in page
    assert not pair[1].report.exists()  # only the report of the run itself is written


def test_both_verdicts_and_what_differs_are_told(pair: tuple[RunDirectory, RunDirectory]) -> None:
    found = beside_section(*_analysed(pair[0]), _analysed(pair[1]))
    assert [name for name, _ in found.verdicts] == ["this run, local", "other run, elsewhere"]
    terms = {term: (ours, theirs) for term, ours, theirs in found.differing}
    assert terms["Asked from"][0] == terms["Machine"][1] == "(not told)"
    assert "Model" not in terms
    assert found.caution == ""
    assert {row.cells[2].estimate for row in found.rows if "elsewhere" in row.head} == {"–"}


def test_another_model_or_workload_or_a_cut_run_is_a_caution(
    pair: tuple[RunDirectory, RunDirectory],
) -> None:
    setting, comparison = _analysed(pair[1])
    facts = [
        (term, "another" if term in ("Model", "Workload") else text) for term, text in setting.facts
    ]
    other = replace(setting, facts=facts, warning="This run was interrupted.")
    found = beside_section(*_analysed(pair[0]), (other, comparison))
    assert found.caution == (
        "The two runs differ in model and workload: see below before you compare a number. "
        "Other run: This run was interrupted."
    )


def test_it_fits_a_narrow_screen(pair: tuple[RunDirectory, RunDirectory], browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 900})
    page.goto(pair[0].report.resolve().as_uri())
    assert page.locator("#runs-beside tbody tr").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ("local", "the run itself; name another one"),
        ("fresh", "make it with: twinserve report"),
        ("nowhere", "does not exist"),
    ],
)
def test_what_cannot_be_beside_is_one_line(
    other: str, says: str, make_run: Callable[..., RunDirectory], tmp_path: Path
) -> None:
    local = make_run(tmp_path / "local", blocks=2, rows=5)
    make_run(tmp_path / "fresh", blocks=2, rows=5)
    with pytest.raises((TwinserveError, click.ClickException)) as refused:
        report(local, "--beside", str(tmp_path / other))
    error = refused.value
    said = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert says in said
