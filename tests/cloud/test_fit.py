"""What a target can do of a deployment, and what is said of the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from twinserve.cloud.fit import Fitted, fitted
from twinserve.cloud.target import Target
from twinserve.deployment import Deployment, Kind, fair_defaults
from twinserve.errors import UsageError


def fit(target: Target, kind: Kind | None = None, **changes: Any) -> Fitted:
    kind = kind or target.kind
    return fitted(replace(fair_defaults("m", 900.0)[kind.value], **changes), target)


@pytest.mark.parametrize("target", Target)
def test_the_student_project_s_defaults_fit_everywhere(target: Target) -> None:
    deployment = fit(target).deployment
    assert (deployment.cpu, deployment.memory_mib, deployment.max_instances) == (1.0, 4096, 100)


GOOGLE = [Target.CLOUD_RUN, Target.CLOUD_FUNCTIONS]
REFUSED = [
    (GOOGLE, {"cpu": 0.5, "memory_mib": 1024, "concurrency": 2}, "concurrency is 2; allowed is 1"),
    (GOOGLE, {"memory_mib": 8192}, "memory is 8192; allowed is at most 4096 MiB with 1 CPU"),
    (GOOGLE, {"cpu": 1.5}, r"cpu is 1.5; allowed is 1, 2, 4"),
    (GOOGLE, {"concurrency": 1001}, "concurrency is 1001; allowed is 1 to 1000"),
    (GOOGLE, {"concurrency": 0, "policy": "knative"}, "concurrency is 0; allowed is 1 to 1000"),
    ([Target.CLOUD_FUNCTIONS], {"cpu": 8.0, "memory_mib": 32768}, "cpu is 8; allowed is 1, 2, 4"),
    ([Target.CLOUD_FUNCTIONS], {"cpu": 4.0, "memory_mib": 32768}, "at most 16384 MiB"),
    ([Target.CLOUD_RUN], {"cpu": 8.0, "memory_mib": 65536}, "at most 32768 MiB"),
    ([Target.KNATIVE], {"concurrency": 2000}, "concurrency is 2000; allowed is 0 to 1000"),
    ([Target.KUBERNETES], {"concurrency": 0, "policy": "knative"}, "allowed is 1 to 1000"),
]


@pytest.mark.parametrize(
    ("target", "changes", "words"),
    [(target, changes, words) for targets, changes, words in REFUSED for target in targets],
    ids=str,
)
def test_what_a_target_cannot_run_is_refused_with_value_and_source(
    target: Target, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        fit(target, **changes)
    assert f"cannot run on {target.shown}" in str(caught.value)
    assert "read 2026-11" in str(caught.value)


def test_cloud_functions_takes_functions_only() -> None:
    with pytest.raises(UsageError, match=r"runs functions only; .*twinserve deploy cloud-run"):
        fit(Target.CLOUD_FUNCTIONS, Kind.CONTAINER)


@pytest.mark.parametrize("target", GOOGLE)
def test_an_idle_time_is_no_setting_there_and_refuses_nothing(target: Target) -> None:
    found = fit(target, idle_s=7200.0)
    assert any(note.startswith("idle: ") and "15 minutes" in note for note in found.notes)


MAPPED = [
    (Target.CLOUD_RUN, {"max_instances": 101}, "quota of CPU and memory must allow so many"),
    (Target.CLOUD_RUN, {"min_instances": 2}, "billed all the time"),
    (Target.CLOUD_RUN, {"cpu": 0.5, "memory_mib": 512, "concurrency": 1}, "first-generation"),
    (Target.CLOUD_RUN, {"policy": "knative"}, "scales by its own rules (cloud-run)"),
    (Target.CLOUD_RUN, {"kind": Kind.FUNCTION}, "functions-framework instead of gunicorn"),
    (Target.CLOUD_FUNCTIONS, {"policy": "always-on"}, "becomes 1 instance(s), fixed"),
    (Target.KNATIVE, {"idle_s": 30.0}, "idle is 30 s and becomes 60 s"),
    (Target.KNATIVE, {"idle_s": 9000.0}, "idle is 9000 s and becomes 3660 s"),
    (Target.KNATIVE, {}, "policy is cloud-run: Knative scales by its own rules"),
    (Target.KUBERNETES, {}, "min_instances is 0 and becomes 1"),
    (Target.KUBERNETES, {}, "aims at 60 % of it"),
    (Target.KUBERNETES, {"concurrency": 3}, "concurrency is 3: plain Kubernetes holds no requests"),
    (Target.KUBERNETES, {"idle_s": 7200.0}, "becomes 3600 s"),
]


@pytest.mark.parametrize(("target", "changes", "words"), MAPPED, ids=str)
def test_what_is_mapped_is_said(target: Target, changes: dict[str, Any], words: str) -> None:
    assert any(words in note for note in fit(target, **changes).notes)


def test_a_function_of_its_own_policy_on_its_own_platform_needs_one_note_only() -> None:
    assert len(fit(Target.CLOUD_FUNCTIONS).notes) == 1
    assert fit(Target.KNATIVE, policy="knative").notes == ()


@pytest.mark.parametrize("target", Target)
def test_always_on_keeps_the_same_number_everywhere(target: Target) -> None:
    found: Deployment = fit(target, policy="always-on", min_instances=3).deployment
    assert (found.min_instances, found.max_instances) == (3, 3)
