"""Finding the line of a key in TOML that is written in every way that TOML allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinserve.deployment.toml_lines import line_of

TEXT = '''\
# [a.b] and c = 1 in a comment
title = "a = 1"
[a]
"quoted key" = 1
b.c = 2
d = { e = 3,  f = { g = 4 } }
long = """
[a.x]
x = 1
"""
list = [
  1, # y = 2
  2,
]
after = 5

[ "a" . 'h i' ]
k = 6   # l = 7
"x = y" = 7
[[rows]]
n = 8
[[rows]]
n = 9
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (["title"], 2),
        (["a"], 3),
        (["a", "quoted key"], 4),
        (["a", "b", "c"], 5),
        (["a", "d"], 6),
        (["a", "d", "e"], 6),  # inside another value: the line of that
        (["a", "d", "f", "g"], 6),
        (["a", "x"], 3),  # only a word in a text
        (["a", "long"], 7),
        (["a", "list"], 11),
        (["a", "after"], 15),
        (["a", "h i"], 17),
        (["a", "h i", "k"], 18),
        (["a", "h i", "x = y"], 19),
        (["rows", "n"], 21),
        (["nothing"], 1),
        (["a", "h i", "nothing"], 17),
    ],
)
def test_a_key_has_the_line_on_which_it_stands(path: list[str], line: int) -> None:
    assert line_of(TEXT, path) == line


@given(st.lists(st.sampled_from(["", "# note", "k%d = 1", 'k%d = "[t]"', "k%d = [\n  1,\n]"])))
def test_keys_are_found_whatever_stands_between_them(parts: list[str]) -> None:
    lines = "[t]"
    expected = {}
    for number, part in enumerate(parts):
        if "%d" in part:
            expected[f"k{number}"] = lines.count("\n") + 2
            part = part % number
        lines += f"\n{part}"
    for key, line in expected.items():
        assert line_of(lines, ["t", key]) == line
