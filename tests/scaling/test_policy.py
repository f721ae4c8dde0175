"""The policies' data: complete, sourced, and divided as a whole when time is compressed."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from twinserve.errors import UsageError
from twinserve.scaling.policy import (
    DATA,
    Fact,
    FixedPolicy,
    TargetsPolicy,
    WindowsPolicy,
    policies,
    policy_named,
)

FACTS = [
    pytest.param(table, id=f"{policy}.{name}")
    for policy, facts in tomllib.loads(DATA.read_text()).items()
    for name, table in facts.items()
    if isinstance(table, dict)
]


@pytest.mark.parametrize("fact", FACTS)
def test_every_number_names_its_source_and_when_it_was_read(fact: dict[str, Any]) -> None:
    assert set(fact) == {"value", "source", "read"}
    assert fact["source"].startswith(("https://", "Ours: "))
    assert fact["read"] == "2026-11"


def test_the_kinds_of_rule() -> None:
    kinds = {name: type(policy) for name, policy in policies().items()}
    assert kinds == {
        "cloud-run": TargetsPolicy,
        "cloud-functions": TargetsPolicy,
        "cloud-functions-1st": TargetsPolicy,
        "knative": WindowsPolicy,
        "always-on": FixedPolicy,
    }


def test_a_function_of_the_second_generation_scales_as_cloud_run() -> None:
    container, function = policy_named("cloud-run"), policy_named("cloud-functions")
    different = {
        field
        for field in container.__struct_fields__
        if getattr(container, field) != getattr(function, field)
    }
    assert different == {"name", "title", "memory_most_mib", "cpu_sizes"}


def test_compressed_times_are_divided_and_nothing_else_is() -> None:
    for policy in policies().values():
        quick = policy.compressed(60)
        for field in policy.__struct_fields__:
            before, after = getattr(policy, field), getattr(quick, field)
            if isinstance(before, Fact) and field.endswith("_s"):
                assert after.value == before.value / 60
            else:
                assert after == before


def test_an_unknown_policy_is_named_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="'cheap' is no policy; known are cloud-run, "):
        policy_named("cheap")
