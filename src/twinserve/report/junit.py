"""A comparison as JUnit XML, for the test pages of CI systems.

After Apache Ant's schema, the strictest of those in use: two suites, one test case a gate and one a
threshold. A gate that is unknown is a skipped test, a threshold that could not be computed an
error. The host is always called ``localhost``: a run names none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml  # for writing; what is read goes through defusedxml

import msgspec

from twinserve.analysis.comparison import Comparison, Gate, GateStatus
from twinserve.analysis.thresholds import Finding, Judged
from twinserve.records.run import RunDirectory

PACKAGE = "twinserve"
# What XML 1.0 cannot hold, not even escaped.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(comparison: Comparison, judged: Sequence[Judged], run: RunDirectory) -> bytes:
    """The file's bytes; the same for the same run at any time."""
    when = _when(run)
    root = Xml.Element("testsuites")
    cases = [
        ("gates", [_gate_case(gate) for gate in comparison.gates]),
        ("thresholds", [_threshold_case(each) for each in judged]),
    ]
    for place, (name, found) in enumerate(cases):
        root.append(_suite(place, name, found, comparison, when))
    Xml.indent(root)
    return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


@dataclass(frozen=True)
class _Case:
    """A test case: ``ill`` is failure, error, skipped or empty, ``said`` its message."""

    name: str
    ill: str
    said: str
    kind: str


def _gate_case(gate: Gate) -> _Case:
    ill = {GateStatus.FAIL: "failure", GateStatus.UNKNOWN: "skipped"}.get(gate.status, "")
    return _Case(gate.name, ill, gate.detail, "gate")


def _threshold_case(judged: Judged) -> _Case:
    ill = {Finding.CROSSED: "failure", Finding.UNTOLD: "error"}.get(judged.finding, "")
    return _Case(judged.threshold.text, ill, judged.sentence, "threshold")


def _suite(
    place: int, name: str, cases: Sequence[_Case], comparison: Comparison, when: _When
) -> Xml.Element:
    def counted(ill: str) -> str:
        return str(sum(case.ill == ill for case in cases))

    suite = Xml.Element(
        "testsuite",
        {
            "name": name,
            "package": PACKAGE,
            "id": str(place),
            "timestamp": when.began,
            "hostname": "localhost",
            "tests": str(len(cases)),
            "failures": counted("failure"),
            "errors": counted("error"),
            "skipped": counted("skipped"),
            "time": f"{when.seconds:.3f}",
        },
    )
    suite.append(_properties(comparison))
    for case in cases:
        suite.append(_element(name, case))
    Xml.SubElement(suite, "system-out").text = _clean(comparison.verdict.sentence)
    Xml.SubElement(suite, "system-err").text = ""
    return suite


def _properties(comparison: Comparison) -> Xml.Element:
    verdict = comparison.verdict
    told = {"verdict": verdict.choice, "strength": verdict.strength.value, "scope": verdict.scope}
    properties = Xml.Element("properties")
    for name, value in told.items():
        Xml.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    return properties


def _element(suite: str, case: _Case) -> Xml.Element:
    """A case took no time of its own: it is judged after the run."""
    names = {"name": _clean(case.name), "classname": f"{PACKAGE}.{suite}", "time": "0"}
    element = Xml.Element("testcase", names)
    if case.ill == "skipped":
        Xml.SubElement(element, "skipped", {"message": _clean(case.said)})
    elif case.ill:
        words = {"message": _clean(case.said), "type": case.kind}
        Xml.SubElement(element, case.ill, words).text = _clean(case.said)
    return element


class _Times(msgspec.Struct):
    started_epoch_ms: float
    finished_epoch_ms: float | None = None


@dataclass(frozen=True)
class _When:
    began: str  # UTC, without a zone, as the schema wants it
    seconds: float


def _when(run: RunDirectory) -> _When:
    times = msgspec.json.decode(run.manifest.read_bytes(), type=_Times)
    began = datetime.fromtimestamp(times.started_epoch_ms / 1000, UTC)
    ended_ms = times.finished_epoch_ms or times.started_epoch_ms
    seconds = max(ended_ms - times.started_epoch_ms, 0) / 1000
    return _When(began.strftime("%Y-%m-%dT%H:%M:%S"), seconds)


def _clean(text: str) -> str:
    return NOT_XML.sub("?", text)
