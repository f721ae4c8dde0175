from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from twinserve.records.manifest import Manifest, RunState, read_manifest
from twinserve.records.run import RunDirectory
from twinserve.report.place import (
    measured_facts,
    not_measured,
    side_label,
    warning,
    workload_words,
)
from twinserve.workload import Ask, ClosedLoop


@pytest.fixture
def manifest(make_run: Callable[..., RunDirectory]) -> Manifest:
    return read_manifest(make_run(blocks=2, rows=5).manifest)


def test_a_container_that_runs_as_a_process_says_so(manifest: Manifest) -> None:
    assert side_label("container", manifest) == "container (run as a process here)"
    assert side_label("function", manifest) == "function"
    manifest.runner = "podman"
    assert side_label("container", manifest) == "container"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RunState.COMPLETE, ""),
        (RunState.INTERRUPTED, "This run was interrupted"),
        (RunState.FAILED, "This run failed"),
        (RunState.RUNNING, "This run has no end"),
    ],
)
def test_each_state_but_complete_is_a_warning(
    manifest: Manifest, state: RunState, words: str
) -> None:
    manifest.state = state
    assert warning(manifest).startswith(words)
    assert bool(warning(manifest)) == bool(words)


def test_the_workload_is_told_in_words(manifest: Manifest) -> None:
    manifest.workload = msgspec.structs.replace(
        manifest.workload,
        arrivals=ClosedLoop(users=1, think_s=0.5),
        mix=(Ask(images=3),),
        blocks=10,
        block_s=3.5,
        warmup_s=2.0,
    )
    told = workload_words(manifest)
    assert told.startswith("1 user at a time, each sending the next request 0.5 s later,")
    assert "3 images a request, a new connection for each request" in told
    assert "10 blocks of 3.5 s a side" in told
    assert "2 s of warm-up" in told


def test_machine_cap_model_and_terms_are_told(manifest: Manifest) -> None:
    told = dict(measured_facts(manifest))
    assert "Example CPU, 2 cores" in told["Machine"]
    assert told["Instances"] == manifest.cap
    assert manifest.model.name in told["Model"]
    assert told["Terms of the model"].endswith("Commercial use: not allowed.")
    assert "80 requests at a time an instance" in told["Side: container"]
    assert "1 request at a time an instance" in told["Side: function"]


def test_what_was_not_measured_is_named(manifest: Manifest) -> None:
    named = " ".join(term for term, _ in not_measured(manifest))
    for word in ("network", "TLS", "cold start", "Cost", "Throttling"):
        assert word in named


@pytest.mark.parametrize(
    ("policy", "concurrency", "said"),
    [
        (
            "",
            80,
            "80 requests at a time an instance, 0 to 100 instances, stopped after 60 s without",
        ),
        ("cloud-run", 8, "stopped after 60 s without requests, by the rules of cloud-run."),
        (
            "knative",
            0,
            "any number of requests at a time an instance, 0 to 100 instances, scaled by",
        ),
    ],
)
def test_a_side_is_told_with_the_rules_that_it_scales_by(
    manifest: Manifest, policy: str, concurrency: int, said: str
) -> None:
    side = manifest.deployments["container"]
    manifest.deployments["container"] = replace(side, policy=policy, concurrency=concurrency)
    assert said in dict(measured_facts(manifest))["Side: container"]
