"""Amounts as people write them on the command line: ``3M``, ``0.5..2``."""

from __future__ import annotations

import math
import re

import click

SIZES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?(MiB|GiB)?")


class Count(click.ParamType[float]):
    """A number, written as ``3000000``, ``3,000,000``, ``500k`` or ``3M``."""

    name = "count"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"([\d.,_]+) ?([kMG]?)", str(value).strip())
        try:
            number = float(re.sub("[,_]", "", found[1])) * SIZES[found[2]] if found else 0.0
        except ValueError:
            number = 0.0
        if not 0 < number < math.inf:
            self.fail(f"{value!r} is not a number above 0; write 500k or 3M.", param, ctx)
        return number


class Span(click.ParamType[tuple[float, float]]):
    """From one number to another, written as ``0.5..2``; a single one is both."""

    name = "low..high"

    def __init__(self, least: float = 0.0, *, open_: bool = False) -> None:
        self._least, self._open = least, open_

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        first, _, second = str(value).strip().partition("..")
        try:
            low, high = float(first), float(second or first)
        except ValueError:
            low, high = math.nan, math.nan
        enough = low > self._least if self._open else low >= self._least
        if not (enough and low <= high < math.inf):
            bound = f"above {self._least:g}" if self._open else f"of {self._least:g} or more"
            self.fail(f"{value!r} is not LOW..HIGH with numbers {bound}, as 0.5..2.", param, ctx)
        return low, high


class Mib(click.ParamType[int]):
    """Memory, written as ``512MiB`` or ``4GiB``."""

    name = "memory"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        if isinstance(value, int):
            return value
        found = MEMORY.fullmatch(str(value).strip())
        mib = float(found[1]) * (1024 if found[2] == "GiB" else 1) if found else 0.0
        if mib < 128 or mib != int(mib):
            self.fail(f"{value!r} is not a size from 128 MiB on; write 512MiB or 4GiB.", param, ctx)
        return int(mib)
