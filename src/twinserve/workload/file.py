"""A workload as a file that can be kept: TOML in, values out, refusals with their line.

::

    blocks = 10
    block = "10s"
    warmup = "5s"
    seed = 7

    [arrivals]
    kind = "poisson"
    rate = 5

    [[mix]]
    images = 1
    weight = 3

    [[mix]]
    images = 4
    format = "jpeg"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
from msgspec import Meta

from twinserve.deployment.toml_lines import line_of
from twinserve.errors import UsageError
from twinserve.workload.description import (
    WORKING_DAY,
    Arrivals,
    Ask,
    Bursts,
    ClosedLoop,
    Constant,
    Day,
    Format,
    Poisson,
    Trace,
    Workload,
)
from twinserve.workload.files_beside import read_samples, read_times
from twinserve.workload.limits import impossible
from twinserve.workload.seconds import seconds_of

MOST_RPS = 100_000.0
DURATION = 'seconds as a number, or a text like "90s", "15m" or "1h"'

Duration = Annotated[float, Meta(ge=0, le=1e7)] | Annotated[str, Meta(min_length=1)]
Rate = Annotated[float, Meta(ge=0, le=MOST_RPS)]
Above0 = Annotated[float, Meta(gt=0, le=MOST_RPS)]
Weight = Annotated[float, Meta(ge=0, le=1e9)]
Text = Annotated[str, Meta(min_length=1)]


@dataclass(frozen=True)
class _Key:
    """One key of a table: the type of its value, and what is allowed in words."""

    type: Any
    allowed: str


COUNT = _Key(Annotated[int, Meta(ge=1, le=1000)], "a whole number from 1 to 1,000")
SWITCH = _Key(bool, "true or false")
LENGTH = _Key(Duration, DURATION)
RATE = _Key(Above0, "requests a second, above 0 and at most 100,000")
RATE_OR_0 = _Key(Rate, "requests a second, from 0 to 100,000")
TOP = {
    "blocks": COUNT,
    "block": LENGTH,
    "warmup": LENGTH,
    "seed": _Key(Annotated[int, Meta(ge=0, le=2**31)], "a whole number from 0 to 2147483648"),
    "repeats": COUNT,
    "concurrent": SWITCH,
    "cold": SWITCH,
    "arrivals": _Key(dict[str, Any], "a table, [arrivals]"),
    "mix": _Key(list[dict[str, Any]], "tables, [[mix]]"),
}
KINDS: dict[str, dict[str, _Key]] = {
    "closed": {"users": COUNT, "think": LENGTH, "ramp": LENGTH},
    "constant": {"rate": RATE},
    "poisson": {"rate": RATE},
    "bursts": {"rate": RATE_OR_0, "burst_rate": RATE, "every": LENGTH, "lasts": LENGTH},
    "trace": {"file": _Key(Text, "the name of a file with one time in seconds a line")},
    "day": {
        "rate": RATE,
        "day": LENGTH,
        "hours": _Key(
            Annotated[list[Weight], Meta(min_length=24, max_length=24)],
            "24 weights, 0 or more, from midnight",
        ),
        "week": _Key(
            Annotated[list[Weight], Meta(min_length=7, max_length=7)],
            "7 weights, 0 or more, from Monday",
        ),
    },
}
NEEDED = {
    "closed": ("users",),
    "constant": ("rate",),
    "poisson": ("rate",),
    "bursts": ("rate", "burst_rate", "every", "lasts"),
    "trace": ("file",),
    "day": ("rate",),
}
MIX = {
    "images": _Key(Annotated[int, Meta(ge=1, le=64)], "a whole number from 1 to 64"),
    "format": _Key(Format, '"json", "png", "jpeg" or "webp"'),
    "weight": _Key(Annotated[float, Meta(gt=0, le=1e9)], "a number above 0"),
    "samples": _Key(Text, "the name of a file with one JSON object a line"),
}


def read_workload(path: Path) -> Workload:
    """The workload that a file describes; its profile is the file's name.

    Raises:
        UsageError: the file cannot be read, has an unknown key or an impossible value; it names
            the line, the value and what is allowed.
    """
    file = _File(path, _read(path))
    top = file.table((), file.whole(), TOP)
    arrivals = _arrivals(file, top)
    workload = Workload(
        profile=path.stem,
        arrivals=arrivals,
        mix=_mix(file, top.get("mix")),
        blocks=top.get("blocks", 10),
        block_s=_seconds(file, (), top, "block", 3.5),
        warmup_s=_seconds(file, (), top, "warmup", 2.0),
        seed=top.get("seed", 0),
        repeats=top.get("repeats", 1),
        concurrent=top.get("concurrent", False),
        cold=top.get("cold", False),
    )
    if found := impossible(workload):
        file.refuse((found.key,), found.said)
    return workload


@dataclass(frozen=True)
class _File:
    """A file's text, for values and for refusals that name a line."""

    path: Path
    text: str

    def whole(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{self.path} is not TOML: {error}.") from None

    def refuse(self, keys: tuple[str, ...], said: str, entry: int = 0) -> NoReturn:
        """Raise the error that says where ``keys`` stand, in the given entry of a list."""
        text, skipped = _from_entry(self.text, keys, entry)
        line = skipped + line_of(text, keys)
        raise UsageError(f"{self.path}, line {line}: {'.'.join(keys)} {said}")

    def table(
        self,
        keys: tuple[str, ...],
        values: Mapping[str, Any],
        known: Mapping[str, _Key],
        entry: int = 0,
    ) -> dict[str, Any]:
        """The values of a table, each of the type that its key has."""
        found = {}
        for name, value in values.items():
            here = (*keys, name)
            if name not in known:
                self.refuse(here, f"is no known key; known are {', '.join(known)}.", entry)
            try:
                found[name] = msgspec.convert(value, known[name].type)
            except msgspec.ValidationError:
                self.refuse(here, f"is {_shown(value)}; allowed is {known[name].allowed}.", entry)
        return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path} cannot be read ({reason}).") from error


def _from_entry(text: str, keys: tuple[str, ...], entry: int) -> tuple[str, int]:
    """The text from the given ``[[table]]`` on, and how many lines stand before it."""
    lines = text.splitlines(keepends=True)
    heads = [at for at, line in enumerate(lines) if line.strip().startswith(f"[[{keys[0]}]]")]
    if entry >= len(heads):
        return text, 0
    return "".join(lines[heads[entry] :]), heads[entry]


def _arrivals(file: _File, top: Mapping[str, Any]) -> Arrivals:
    table = dict(top.get("arrivals", {}))
    kind = table.pop("kind", None)
    if kind not in KINDS:
        allowed = ", ".join(f'"{name}"' for name in KINDS)
        file.refuse(("arrivals", "kind"), f"is {_shown(kind)}; allowed are {allowed}.")
    values = file.table(("arrivals",), table, KINDS[kind])
    for name in NEEDED[kind]:
        if name not in values:
            allowed = KINDS[kind][name].allowed
            file.refuse(("arrivals", name), f"is missing; allowed is {allowed}.")
    return _MAKERS[kind](file, values)


def _closed(file: _File, values: Mapping[str, Any]) -> Arrivals:
    return ClosedLoop(
        users=values["users"],
        think_s=_seconds(file, ("arrivals",), values, "think", 0.0),
        ramp_s=_seconds(file, ("arrivals",), values, "ramp", 0.0),
    )


def _bursts(file: _File, values: Mapping[str, Any]) -> Arrivals:
    every_s = _seconds(file, ("arrivals",), values, "every", 0.0)
    lasts_s = _seconds(file, ("arrivals",), values, "lasts", 0.0)
    if not 0 < lasts_s < every_s:
        file.refuse(
            ("arrivals", "lasts"),
            f"is {_shown(values['lasts'])}; allowed is more than 0 and less than every, "
            f"{every_s:g} s.",
        )
    return Bursts(
        rate_rps=values["rate"], burst_rps=values["burst_rate"], every_s=every_s, lasts_s=lasts_s
    )


def _trace(file: _File, values: Mapping[str, Any]) -> Arrivals:
    try:
        return Trace(
            file=Path(values["file"]).name, times_s=read_times(file.path.parent / values["file"])
        )
    except UsageError as error:
        file.refuse(("arrivals", "file"), f"cannot be used: {error}")


def _day(file: _File, values: Mapping[str, Any]) -> Arrivals:
    day_s = _seconds(file, ("arrivals",), values, "day", 86_400.0)
    if day_s <= 0:
        file.refuse(("arrivals", "day"), f"is {_shown(values['day'])}; allowed is more than 0 s.")
    for name in ("hours", "week"):
        if name in values and not sum(values[name]):
            file.refuse(("arrivals", name), "are all 0; allowed is at least one weight above 0.")
    return Day(
        rate_rps=values["rate"],
        day_s=day_s,
        hours=tuple(values.get("hours", WORKING_DAY)),
        week=tuple(values.get("week", ())),
    )


_MAKERS = {
    "closed": _closed,
    "constant": lambda _file, values: Constant(rate_rps=values["rate"]),
    "poisson": lambda _file, values: Poisson(rate_rps=values["rate"]),
    "bursts": _bursts,
    "trace": _trace,
    "day": _day,
}


def _mix(file: _File, tables: list[dict[str, Any]] | None) -> tuple[Ask, ...]:
    if tables == []:
        file.refuse(("mix",), "is empty; allowed is at least one kind of request, [[mix]].")
    return tuple(_ask(file, table, entry) for entry, table in enumerate(tables or [{}]))


def _ask(file: _File, table: dict[str, Any], entry: int) -> Ask:
    values = file.table(("mix",), table, MIX, entry)
    if "samples" not in values:
        return Ask(**values)
    if "images" in values:
        file.refuse(
            ("mix", "images"), "goes without samples, whose lines say what they ask for.", entry
        )
    try:
        bodies = read_samples(file.path.parent / values["samples"])
    except UsageError as error:
        file.refuse(("mix", "samples"), f"cannot be used: {error}", entry)
    return Ask(**(values | {"samples": Path(values["samples"]).name, "bodies": bodies}))


def _seconds(
    file: _File, keys: tuple[str, ...], values: Mapping[str, Any], name: str, usual: float
) -> float:
    if name not in values:
        return usual
    seconds = seconds_of(values[name])
    if seconds is None:
        file.refuse((*keys, name), f"is {_shown(values[name])}; allowed is {DURATION}.")
    return seconds


def _shown(value: object, limit: int = 60) -> str:
    if value is None:
        return "missing"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
