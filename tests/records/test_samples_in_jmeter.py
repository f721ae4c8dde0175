"""A real JMeter opens our samples.csv and counts as we do."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from twinserve.load.jmeter_home import JMeter
from twinserve.records.jtl import open_jtl
from twinserve.records.samples import JMETER_5, read_samples

# What JMeter's listeners do with a file that is opened in them, and what they then show.
LISTENER = """
import org.apache.jmeter.reporters.ResultCollector
import org.apache.jmeter.save.CSVSaveService
import org.apache.jmeter.visualizers.Visualizer
def rows = []
def visualizer = [add: { rows << it }, isStats: { false }] as Visualizer
CSVSaveService.processSamples(props.get('samples'), visualizer, new ResultCollector())
new File(props.get('shown')).withWriter { out ->
  rows.each { r ->
    out.println([r.timeStamp, r.time, r.sampleLabel, r.responseCode, r.threadName, r.successful,
                 r.bytesAsLong, r.sentBytes, r.groupThreads, r.allThreads, r.latency,
                 r.connectTime].join('|'))
  }
}
"""
PLAN = """<?xml version="1.0" encoding="UTF-8"?>
<jmeterTestPlan version="1.2" properties="5.0"><hashTree>
<TestPlan guiclass="TestPlanGui" testclass="TestPlan" testname="open" enabled="true"/><hashTree>
<ThreadGroup guiclass="ThreadGroupGui" testclass="ThreadGroup" testname="one" enabled="true">
<elementProp name="ThreadGroup.main_controller" elementType="LoopController">
<boolProp name="LoopController.continue_forever">false</boolProp>
<intProp name="LoopController.loops">1</intProp></elementProp>
<stringProp name="ThreadGroup.num_threads">1</stringProp></ThreadGroup><hashTree>
<JSR223Sampler guiclass="TestBeanGUI" testclass="JSR223Sampler" testname="open" enabled="true">
<stringProp name="scriptLanguage">groovy</stringProp>
<stringProp name="script">{script}</stringProp></JSR223Sampler><hashTree/>
</hashTree></hashTree></hashTree></jmeterTestPlan>
"""


def run_jmeter(jmeter: JMeter, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [*jmeter.command, *words, "-j", str(folder / "jmeter.log")],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_jmeters_report_generator_counts_as_we_do(jmeter, make_run, runs, tmp_path) -> None:
    run = make_run(shapes=(runs.Shape(median_ms=100, error_share=0.05), runs.Shape(median_ms=75)))
    said = run_jmeter(jmeter, tmp_path, "-g", str(run.samples), "-o", str(tmp_path / "dashboard"))
    assert "rror" not in said, said
    statistics = json.loads((tmp_path / "dashboard" / "statistics.json").read_text())
    rows = read_samples(run.samples)
    for side in ("container", "function"):
        shown, own = statistics[f"{side} generate"], rows.filter(pl.col("side") == side)
        elapsed = own["elapsed"].to_numpy()
        assert shown["sampleCount"] == own.height
        assert shown["errorCount"] == own.filter(~pl.col("success")).height
        assert shown["meanResTime"] == pytest.approx(elapsed.mean())
        assert shown["minResTime"] == elapsed.min()
        assert shown["maxResTime"] == elapsed.max()
        # JMeter's percentiles are of type 6 (Commons Math LEGACY), of whole milliseconds.
        for name, p in (("medianResTime", 0.5), ("pct1ResTime", 0.9), ("pct2ResTime", 0.95),
                        ("pct3ResTime", 0.99)):  # fmt: skip
            assert shown[name] == pytest.approx(np.quantile(elapsed, p, method="weibull"))
        exact = own["elapsed_ms"].to_numpy()
        assert shown["meanResTime"] == pytest.approx(exact.mean(), abs=0.5)
        span_s = (own["timeStamp"] + own["elapsed"]).max() - own["timeStamp"].min()
        assert shown["throughput"] == pytest.approx(1000 * own.height / span_s, rel=1e-3)


def test_jmeters_listeners_show_every_column(jmeter, make_run, runs, tmp_path) -> None:
    run = make_run(blocks=2, rows=30, shapes=(runs.Shape(error_share=0.2), runs.Shape()))
    plan, shown = tmp_path / "open.jmx", tmp_path / "shown"
    plan.write_text(
        PLAN.replace("{script}", LISTENER.replace("<<", "&lt;&lt;").replace("->", "-&gt;"))
    )
    words = (f"-Jsamples={run.samples}", f"-Jshown={shown}")
    run_jmeter(jmeter, tmp_path, "-n", "-t", str(plan), *words)
    log = (tmp_path / "jmeter.log").read_text()
    assert not re.search(r" (ERROR|Unknown column)", log), log[-3000:]
    ours = read_samples(run.samples)
    theirs = [line.split("|") for line in shown.read_text().splitlines()]
    assert len(theirs) == ours.height > 60
    columns = ("timeStamp", "elapsed", "label", "responseCode", "threadName", "success", "bytes",
               "sentBytes", "grpThreads", "allThreads", "Latency", "Connect")  # fmt: skip
    for row, line in zip(ours.iter_rows(named=True), theirs, strict=True):
        expected = [str(row[name]) for name in columns]
        expected[5] = expected[5].lower()
        assert line == expected


def test_our_own_reader_takes_samples_for_the_log_that_it_is(make_run) -> None:
    run = make_run(blocks=2, rows=30)
    log = open_jtl(run.samples)
    assert log.columns == tuple(sorted(JMETER_5, key=log.columns.index))
    assert [row.elapsed_ms for row in log.rows()] == read_samples(run.samples)["elapsed"].to_list()
