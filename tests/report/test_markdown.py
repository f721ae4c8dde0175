"""The summary for a pull request, read by a real Markdown parser with tables."""

import msgspec
import pytest
from markdown_it import MarkdownIt

from twinserve.analysis.comparison import Gate, GateStatus
from twinserve.analysis.thresholds import judge, parse_threshold
from twinserve.report.markdown import markdown_summary

THRESHOLDS = ("function.p95>1ms", "errors>90%", "verdict=undetermined")


def html(text: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(text))


@pytest.fixture
def summary(whole_comparison) -> str:
    judged = judge([parse_threshold(text) for text in THRESHOLDS], whole_comparison)
    return markdown_summary(whole_comparison, judged)


def test_the_verdicts_sentence_comes_first(summary: str, whole_comparison) -> None:
    assert html(summary).startswith(
        f"<p><strong>{whole_comparison.verdict.sentence.replace('>', '&gt;')}</strong></p>"
    )


def test_both_sides_and_their_difference_are_rows_of_a_table(
    summary: str, whole_comparison
) -> None:
    rows = html(summary).partition("</table>")[0].split("<tr>")[1:]
    assert len(rows) == 4
    cells = [row.count("<th") + row.count("<td") for row in rows]
    assert cells == [8] * 4
    for row, name in zip(rows[1:3], whole_comparison.sides, strict=True):
        side = whole_comparison.deployments[name]
        assert f"<td>{name}</td>\n<td>{side.requests:,}</td>\n<td>{side.errors:,}</td>" in row
    assert "function minus container" in rows[3]
    assert "to" in rows[3]


def test_thresholds_are_a_table_with_what_was_found(summary: str) -> None:
    table = html(summary).split("<table>")[2]
    assert "<td>function.p95&gt;1ms</td>\n<td><strong>crossed</strong></td>" in table
    assert "<td>errors&gt;90%</td>\n<td>ok</td>" in table


def test_gates_are_one_line_and_their_findings_are_folded_away(
    summary: str, whole_comparison
) -> None:
    line = next(line for line in summary.splitlines() if line.startswith("Gates: "))
    for gate in whole_comparison.gates:
        assert f"{gate.name} " in line
        assert f"\n- {gate.name}, " in summary
    assert summary.count("<details>") == summary.count("</details>") == 1


def test_without_thresholds_there_is_no_table_for_them(whole_comparison) -> None:
    assert html(markdown_summary(whole_comparison)).count("<table>") == 1


def test_odd_names_and_texts_stay_inside_their_cells(whole_comparison) -> None:
    odd = "a|b <script>*x*\nnext"
    renamed = dict(zip((odd, "plain"), whole_comparison.deployments.values(), strict=True))
    comparison = msgspec.structs.replace(
        whole_comparison,
        sides=(odd, "plain"),
        deployments=renamed,
        gates=[Gate("load", GateStatus.FAIL, f"said {odd}")],
    )
    page = html(markdown_summary(comparison))
    assert "<script>" not in page
    assert "<td>a|b &lt;script&gt;*x* next</td>" in page
    assert page.count("<tr>") == 4


def test_what_could_not_be_computed_is_a_dash(whole_comparison) -> None:
    sides = {
        name: msgspec.structs.replace(side, elapsed_ms=None, cold_starts=None)
        for name, side in whole_comparison.deployments.items()
    }
    comparison = msgspec.structs.replace(whole_comparison, deployments=sides, differences={})
    assert "| – | – | – |" in markdown_summary(comparison)
