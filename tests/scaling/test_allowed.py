"""What a policy forbids, and that the refusal names the value and who says so."""

from __future__ import annotations

from typing import Any

import pytest

from twinserve.deployment import Deployment, Kind, fair_defaults
from twinserve.errors import UsageError
from twinserve.scaling.allowed import check_allowed, remarks, violations

RUN, SECOND, FIRST = "cloud-run", "cloud-functions", "cloud-functions-1st"


def deployment(policy: str, **fields: Any) -> Deployment:
    return Deployment("side", Kind.CONTAINER, "m", policy=policy, **fields)


@pytest.mark.parametrize(
    ("policy", "fields", "key", "allowed"),
    [
        (RUN, {"concurrency": 1001}, "concurrency", "1 to 1000"),
        (RUN, {"concurrency": 0}, "concurrency", "1 to 1000"),
        (RUN, {"cpu": 0.5, "memory_mib": 512, "concurrency": 2}, "concurrency", "1 below 1 CPU"),
        (RUN, {"cpu": 1, "memory_mib": 4097}, "memory", "at most 4096 MiB with 1 CPU"),
        (RUN, {"cpu": 2, "memory_mib": 8193}, "memory", "at most 8192 MiB with 2 CPU"),
        (RUN, {"cpu": 0.4, "memory_mib": 513, "concurrency": 1}, "memory", "at most 512 MiB"),
        (RUN, {"cpu": 0.9, "memory_mib": 2048, "concurrency": 1}, "memory", "at most 1024 MiB"),
        (RUN, {"cpu": 8, "memory_mib": 40_000}, "memory", "at most 32768 MiB"),
        (RUN, {"cpu": 4, "memory_mib": 1024}, "memory", "at least 2048 MiB with 4 CPU"),
        (RUN, {"cpu": 3}, "cpu", "1, 2, 4, 6, 8"),
        (RUN, {"cpu": 1.5}, "cpu", "1, 2, 4, 6, 8"),
        (RUN, {"idle_s": 901.0}, "idle", "at most 900 s"),
        (SECOND, {"cpu": 8, "memory_mib": 8192}, "cpu", "1, 2, 4"),
        (SECOND, {"cpu": 4, "memory_mib": 16_385}, "memory", "at most 16384 MiB"),
        (FIRST, {"concurrency": 2, "cpu": 1, "memory_mib": 2048}, "concurrency", "1"),
        (FIRST, {"concurrency": 1, "memory_mib": 3000}, "memory", "128, 256, 512"),
        (FIRST, {"concurrency": 1, "memory_mib": 4096}, "cpu", "2 with memory of 4096"),
        ("knative", {"concurrency": 1001}, "concurrency", "0 to 1000"),
        ("always-on", {"concurrency": 0}, "concurrency", "1 to 1000"),
    ],
)
def test_a_forbidden_value_is_named_with_what_is_allowed_and_who_says_so(
    policy: str, fields: dict[str, Any], key: str, allowed: str
) -> None:
    found = next(iter(violations(deployment(policy, **fields))))
    assert found.key == key
    assert found.allowed.startswith(allowed)
    assert f"policy {policy}" in found.source
    assert "https://" in found.source or "Ours" in found.source
    with pytest.raises(UsageError, match=f"side: {key} is "):
        check_allowed(deployment(policy, **fields))


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        ("cloud-run", {}),
        ("cloud-run", {"concurrency": 1000, "idle_s": 900.0}),
        ("cloud-run", {"cpu": 0.08, "memory_mib": 512, "concurrency": 1}),
        ("cloud-run", {"cpu": 0.5, "memory_mib": 1024, "concurrency": 1}),
        ("cloud-run", {"cpu": 8, "memory_mib": 32_768}),
        ("cloud-functions", {"cpu": 4, "memory_mib": 16_384, "concurrency": 1000}),
        ("cloud-functions-1st", {"concurrency": 1, "cpu": 0.333, "memory_mib": 512}),
        ("cloud-functions-1st", {"concurrency": 1, "cpu": 2, "memory_mib": 8192}),
        ("knative", {"concurrency": 0, "cpu": 0.5, "memory_mib": 9000, "idle_s": 1e6}),
        ("always-on", {"cpu": 3, "memory_mib": 100_000, "idle_s": 1e6}),
    ],
)
def test_what_the_platforms_offer_is_allowed(policy: str, fields: dict[str, Any]) -> None:
    check_allowed(deployment(policy, **fields))


def test_the_two_defaults_are_allowed() -> None:
    for default in fair_defaults("m", idle_s=900.0).values():
        check_allowed(default)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="policy is cheap; allowed is one of cloud-run"):
        check_allowed(deployment("cheap"))


def test_what_is_allowed_and_worth_a_word_is_said() -> None:
    shared = deployment("knative", cpu=0.5, concurrency=4)
    assert any("less than 1 CPU" in said for said in remarks(shared))
    assert any(
        "3 instance(s)" in said for said in remarks(deployment("always-on", min_instances=3))
    )
    assert remarks(deployment("cloud-run")) == []
