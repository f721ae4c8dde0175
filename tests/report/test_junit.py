"""JUnit XML as CI systems read it: by a real parser, and by the rules of Apache Ant's schema."""

import re
from datetime import datetime
from xml.etree.ElementTree import Element

import msgspec
import pytest
from defusedxml import ElementTree

from twinserve.analysis.comparison import Gate, GateStatus
from twinserve.analysis.thresholds import judge, parse_threshold
from twinserve.report.junit import junit_xml

ATTRIBUTES = {
    "name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "skipped",
    "time",
}  # fmt: skip
THRESHOLDS = ("function.p95>1ms", "errors>90%", "connect.p50<0us", "verdict!=function")


@pytest.fixture
def suites(whole_run, whole_comparison):
    judged = judge([parse_threshold(text) for text in THRESHOLDS], whole_comparison)
    return ElementTree.fromstring(junit_xml(whole_comparison, judged, whole_run))


def test_the_file_keeps_the_rules_of_the_schema(suites: Element) -> None:
    """Every attribute and element that the schema requires, in its order, and counts that are
    true."""
    assert suites.tag == "testsuites"
    for place, suite in enumerate(suites):
        assert suite.tag == "testsuite"
        assert set(suite.attrib) == ATTRIBUTES
        assert suite.get("id") == str(place)
        assert suite.get("hostname") == "localhost"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
        tags = [child.tag for child in suite]
        cases = suite.findall("testcase")
        assert tags == ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
        assert suite.get("tests") == str(len(cases))
        counts = {"failure": "failures", "error": "errors", "skipped": "skipped"}
        for tag, attribute in counts.items():
            assert suite.get(attribute) == str(len(suite.findall(f"testcase/{tag}")))
        for case in cases:
            assert set(case.attrib) == {"name", "classname", "time"}
            assert len(case) <= 1
            for ill in case:
                assert ill.tag in counts
                assert ill.get("message")
                assert ill.tag == "skipped" or ill.get("type")
        for found in suite.findall("properties/property"):
            assert set(found.attrib) == {"name", "value"}


def test_gates_and_thresholds_are_cases_and_say_what_was_found(
    suites: Element, whole_comparison
) -> None:
    gates, thresholds = suites
    assert [case.get("name") for case in gates.findall("testcase")] == [
        gate.name for gate in whole_comparison.gates
    ]
    for case, gate in zip(gates.findall("testcase"), whole_comparison.gates, strict=True):
        assert [ill.tag for ill in case] == {
            GateStatus.PASS: [],
            GateStatus.FAIL: ["failure"],
            GateStatus.UNKNOWN: ["skipped"],
        }[gate.status]
        assert all(ill.get("message") == gate.detail for ill in case)
    cases = thresholds.findall("testcase")
    assert [case.get("name") for case in cases] == list(THRESHOLDS)
    assert [ill.tag for ill in cases[0]] == ["failure"]
    assert cases[0][0].text.startswith("p95 of elapsed time: function ")
    assert list(cases[1]) == []
    assert thresholds.findtext("system-out") == whole_comparison.verdict.sentence


def test_the_time_is_the_runs_own_and_the_file_the_same_again(
    whole_run, whole_comparison, suites: Element
) -> None:
    manifest = msgspec.json.decode(whole_run.manifest.read_bytes())
    began = datetime.fromisoformat(suites[0].get("timestamp") + "+00:00").timestamp()
    assert began == pytest.approx(manifest["started_epoch_ms"] / 1000, abs=1)
    seconds = (manifest["finished_epoch_ms"] - manifest["started_epoch_ms"]) / 1000
    assert float(suites[0].get("time")) == pytest.approx(seconds, abs=0.001)
    again = [junit_xml(whole_comparison, [], whole_run) for _ in range(2)]
    assert again[0] == again[1]


def test_text_that_xml_cannot_hold_does_not_break_it(whole_run, whole_comparison) -> None:
    odd = 'bad \x00 \x1b[31m <tag> & "quotes" ]]> \ud800 é 漢 \U0001f600\ufffe'
    gates = [Gate("errors", GateStatus.FAIL, odd)]
    comparison = msgspec.structs.replace(whole_comparison, gates=gates)
    suites = ElementTree.fromstring(junit_xml(comparison, [], whole_run))
    message = suites[0].find("testcase/failure").get("message")
    assert message == 'bad ? ?[31m <tag> & "quotes" ]]> ? é 漢 \U0001f600?'


def test_a_threshold_that_could_not_be_computed_is_an_error(whole_run, whole_comparison) -> None:
    none = {
        name: msgspec.structs.replace(side, process_ms=None)
        for name, side in whole_comparison.deployments.items()
    }
    comparison = msgspec.structs.replace(whole_comparison, deployments=none)
    judged = judge([parse_threshold("process.p95>1s")], comparison)
    suites = ElementTree.fromstring(junit_xml(comparison, judged, whole_run))
    assert suites[1].get("errors") == "1"
    assert "could not be computed" in suites[1].find("testcase/error").get("message")
