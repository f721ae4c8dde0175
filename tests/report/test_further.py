"""The tables of service level, effect sizes and precision."""

from __future__ import annotations

import msgspec

from twinserve.analysis.comparison import Comparison
from twinserve.report.further import further_tables
from twinserve.report.numbers import format_interval, format_number
from twinserve.report.tables import measure_groups


def test_the_page_shows_each_table_with_its_note(
    whole_page: str, whole_comparison: Comparison
) -> None:
    for table in further_tables(whole_comparison):
        section = whole_page.partition(f'id="{table.stem}"')[2].partition("</table>")[0]
        for row in table.rows:
            assert row.head in section
            assert all(cell.estimate in section for cell in row.cells)
    assert [table.stem for table in further_tables(whole_comparison)] == [
        *("service-level", "effects", "precision")
    ]


def test_rows_hold_the_comparisons_numbers(whole_comparison: Comparison) -> None:
    service, effects, precision = further_tables(whole_comparison)
    apdex = whole_comparison.deployments["function"].apdex
    goodput = whole_comparison.deployments["function"].goodput
    assert apdex
    assert goodput
    row = next(row for row in service.rows if row.side == "function")
    assert row.cells[0].estimate == format_number(apdex.score.estimate)
    assert row.cells[2].interval == format_interval(goodput.rps)
    found = whole_comparison.differences["elapsed_ms"]
    assert effects.rows[0].cells[2].estimate == format_number(found.ratios["p95"].estimate)
    assert found.superiority
    assert effects.rows[0].cells[5].estimate == format_number(100 * found.superiority.estimate)
    p95 = whole_comparison.precision["p95"]
    assert precision.rows[2].cells[-1].estimate == f"{p95.blocks_for['1']:,}"


def test_every_difference_says_its_finding_and_every_side_its_intervals(
    whole_comparison: Comparison,
) -> None:
    groups = {group.title: group for group in measure_groups(whole_comparison)}
    elapsed = groups["Response time (elapsed)"]
    assert {cell.finding for cell in elapsed.differences[:3]} == {"function lower"}
    summary = whole_comparison.deployments["container"].elapsed_ms
    assert summary
    assert elapsed.rows[0].intervals[3] == format_interval(summary.intervals["p95"])
    assert elapsed.rows[0].intervals[5] == ""
    assert groups["CPU"].differences[2].finding == "undetermined"


def test_an_older_file_has_none_of_these_tables(whole_comparison: Comparison) -> None:
    older = msgspec.structs.replace(
        whole_comparison,
        precision={},
        differences={
            name: msgspec.structs.replace(found, ratios={}, superiority=None, findings={})
            for name, found in whole_comparison.differences.items()
        },
        deployments={
            side: msgspec.structs.replace(found, apdex=None, goodput=None)
            for side, found in whole_comparison.deployments.items()
        },
    )
    assert further_tables(older) == []
    assert {cell.finding for group in measure_groups(older) for cell in group.differences} == {""}
