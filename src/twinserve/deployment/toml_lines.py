"""On which line of a TOML text a key stands: ``tomllib`` gives values without their places."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any


def line_of(text: str, path: Sequence[str]) -> int:
    """The line (1 first) of the table or key at ``path`` in a valid TOML ``text``.

    What stands inside another value (an inline table, a list) has the line on which that value
    begins; a path that leads nowhere has the line of as much of it as is there, 1 at the least.
    """
    places = _places(text)
    wanted = tuple(path)
    for length in range(len(wanted), 0, -1):
        if wanted[:length] in places:
            return places[wanted[:length]]
    return 1


def _places(text: str) -> dict[tuple[str, ...], int]:
    """The first line of every table and key that begins a line."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number].strip()
        first = number + 1
        if header := _header(line):
            table = header
            _note(found, header, first)
        elif key := _key(line):
            _note(found, (*table, *key), first)
            number = _last_line(lines, number)
        number += 1
    return found


def _note(found: dict[tuple[str, ...], int], path: tuple[str, ...], line: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], line)


def _header(line: str) -> tuple[str, ...]:
    """The path of ``[a.b]`` or ``[[a.b]]``; empty for any other line."""
    return _only_path(line) if line.startswith("[") else ()


def _key(line: str) -> tuple[str, ...]:
    """The path of ``a.b = ...``; empty for any other line."""
    if line.startswith("#"):
        return ()
    for at, character in enumerate(line):
        if character == "=" and (path := _only_path(f"{line[:at]}= 0")):
            return path  # an equals sign inside a quoted key does not get here
    return ()


def _last_line(lines: Sequence[str], first: int) -> int:
    """The line on which the value that begins on ``first`` ends, so that nothing inside a long
    string or list is taken for a key."""
    for last in range(first, len(lines)):
        if _parsed("\n".join(lines[first : last + 1])) is not None:
            return last
    return first


def _only_path(text: str) -> tuple[str, ...]:
    path: list[str] = []
    inner: Any = _parsed(text)
    while isinstance(inner, (dict, list)) and len(inner) == 1:
        if isinstance(inner, list):
            inner = inner[0]
            continue
        [(name, inner)] = inner.items()
        path.append(name)
    return tuple(path)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
