"""Differences between what is wanted and what is there."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.cloud.existing import differences, format_differences

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.printable, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(value=PLAIN)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert list(differences(value, value)) == []


def test_what_a_platform_adds_is_no_difference() -> None:
    wanted = {"a": {"b": 1}, "list": [{"name": "x"}]}
    found = {"a": {"b": 1, "c": 2}, "list": [{"name": "x", "more": True}], "uid": "7"}
    assert list(differences(wanted, found)) == []


@pytest.mark.parametrize(
    ("wanted", "found", "paths"),
    [
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": {"b": "x"}}, {}, ["a.b"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({"a": [{"n": 1}, {"n": 2}]}, {"a": [{"n": 1}, {"n": 3}]}, ["a[1].n"]),
        ({"a": "4Gi"}, {"a": "4096Mi"}, []),
        ({"a": "500m"}, {"a": "0.5"}, []),
        ({"a": "1"}, {"a": "1000m"}, []),
        ({"a": "1"}, {"a": "2"}, ["a"]),
        ({"a": "4Gi"}, {"a": "4G"}, ["a"]),
        ({"a": True}, {"a": 1}, []),
        ({"a": 0, "b": False, "c": ""}, {}, []),
        ({"a": 1}, None, ["a"]),
    ],
)
def test_a_difference_is_named_by_its_path(wanted: Any, found: Any, paths: list[str]) -> None:
    assert list(differences(wanted, found)) == paths


def test_many_differences_are_told_in_a_line() -> None:
    assert format_differences(["a", "b"]) == "a, b"
    assert format_differences(list("abcde")) == "a, b, c and 2 more"
