"""The matched contrast on a report's page."""

import re

from twinserve.analysis.compare import compare_run
from twinserve.report.build import write_report
from twinserve.report.contrast import contrast_table


def test_the_page_shows_both_parts_of_each_difference(make_run, runs):
    run = make_run(contrast=runs.Shape(median_ms=80.0))
    comparison = compare_run(run)
    table = contrast_table(comparison)
    assert table.columns == ("container", "contrast", "function")
    assert [row.name for row in table.rows] == ["mean", "median (p50)", "p95"]
    page = write_report(run, comparison).read_text(encoding="utf-8")
    [shown] = re.findall(r'<table[^>]*id="contrast">.*?</table>', page, re.DOTALL)
    for row in table.rows:
        for cell in row.parts:
            assert cell.estimate in shown
            assert cell.interval in shown
    assert "From the container to the contrast only settings change" in page
    assert "Matched contrast" in page


def test_a_contrast_that_tells_nothing_says_why(make_run, runs):
    run = make_run(contrast=runs.Shape(median_ms=80.0, error_share=0.5))
    table = contrast_table(compare_run(run))
    assert table.rows == ()
    assert "tells nothing here" in table.note
    assert "failed" in table.note


def test_a_run_without_one_has_no_such_table(whole_comparison, whole_page):
    assert contrast_table(whole_comparison) is None
    assert 'id="contrast"' not in whole_page
