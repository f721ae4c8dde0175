"""Deployments as a file: ``twinserve.toml`` describes any number of them by name.

::

    [deployments.container-c8]
    kind = "container"
    concurrency = 8
    memory = "2GiB"
    idle = "5m"

    [deployments.container-c8.environment]
    MALLOC_ARENA_MAX = "2"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from twinserve.deployment import HIDDEN, Deployment, Kind, usual_concurrency
from twinserve.deployment.toml_lines import line_of
from twinserve.errors import UsageError

FILE_NAME = "twinserve.toml"
TABLE = "deployments"
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
# Words of a verdict, and paths of the page.
NOT_NAMES = ("either", "neither", "undetermined", "sides", "static")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The platform sets these itself.
NOT_VARIABLES = re.compile(r"PORT|K_[A-Z]+|FUNCTION_TARGET|TWINSERVE_.*|PYTHONUNBUFFERED")
MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?(MiB|GiB)")
DURATION = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
MIB = {"MiB": 1, "GiB": 1024}
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}

Count = Annotated[int, Meta(ge=0, le=100_000)]
Text = Annotated[str, Meta(min_length=1)]


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One table as it is written; what is not there comes from the defaults."""

    kind: Kind | None = None
    cpu: Annotated[float, Meta(ge=0.08, le=256)] | None = None
    memory: Annotated[int, Meta(ge=1)] | Text | None = None
    concurrency: Count | None = None
    min_instances: Count | None = None
    max_instances: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    idle: Annotated[float, Meta(ge=0, le=1e9)] | Text | None = None
    policy: Text | None = None
    model: Text | None = None
    more_models: list[Text] | None = None
    environment: dict[str, str] | None = None


ALLOWED = {
    "kind": " or ".join(f'"{kind.value}"' for kind in Kind),
    "cpu": "a number of CPUs from 0.08 to 256",
    "memory": 'MiB as a whole number, or a text like "512MiB" or "4GiB", at least 128 MiB',
    "concurrency": "a whole number of requests at a time, 0 or more",
    "min_instances": "a whole number, 0 or more",
    "max_instances": "a whole number, 1 or more",
    "idle": 'seconds as a number, or a text like "90s", "15m" or "1h"',
    "policy": "the name of a policy",
    "model": "the name or folder of a bundle; see `twinserve models`",
    "more_models": "a list of names or folders of bundles",
    "environment": "a table of variables with a text each",
}


@dataclass(frozen=True)
class Deployments:
    """The deployments that may be chosen, by name, and the file that describes some of them."""

    known: dict[str, Deployment]
    path: Path | None = None
    text: str = ""

    def refusal(self, keys: Sequence[str], said: str) -> UsageError:
        """The error that says where the key below ``deployments`` stands, and ``said`` of it."""
        path = (TABLE, *keys)
        where = f"{self.path}, line {line_of(self.text, path)}: " if self.path else ""
        return UsageError(f"{where}{'.'.join(path)} {said}")

    def impossible(self, name: str, key: str, value: object, allowed: str) -> UsageError:
        """The error that names a value where it stands, and what is allowed there."""
        return self.refusal([name, key], f"is {_shown(value)}; allowed is {allowed.rstrip('.')}.")


def read_deployments(path: Path | None, defaults: Mapping[str, Deployment]) -> Deployments:
    """The defaults and what the file describes beside and over them; None is no file.

    A deployment of a name of its own starts from the default of its kind.

    Raises:
        UsageError: the file cannot be read, has an unknown key or an impossible value; it names
            the line, the value and what is allowed.
    """
    if path is None:
        return Deployments(dict(defaults))
    text = _read(path)
    tables = _tables(path, text)
    found = Deployments(dict(defaults), path, text)
    entries = {name: _entry(found, name, table) for name, table in tables.items()}
    described = {name: _deployment(found, name, entry) for name, entry in entries.items()}
    return replace(found, known=dict(defaults) | described)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path} cannot be read ({reason}).") from error


def _tables(path: Path, text: str) -> dict[str, Any]:
    try:
        whole = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    for key in whole:
        if key != TABLE:
            raise UsageError(
                f"{path}, line {line_of(text, [key])}: {key} is not known here; allowed are "
                f"tables named [{TABLE}.<name>]."
            )
    tables = whole.get(TABLE, {})
    if not isinstance(tables, dict):
        raise UsageError(
            f"{path}, line {line_of(text, [TABLE])}: {TABLE} is {_shown(tables)}; allowed are "
            f"tables named [{TABLE}.<name>]."
        )
    return tables


def _entry(found: Deployments, name: str, table: object) -> _Entry:
    if not NAME.fullmatch(name) or name in NOT_NAMES:
        raise found.refusal(
            [name],
            f"is no name for a deployment; allowed are up to 40 small letters, digits and hyphens, "
            f"but none of {', '.join(NOT_NAMES)}.",
        )
    if not isinstance(table, dict):
        raise found.refusal([name], f"is {_shown(table)}; allowed is a table, [{TABLE}.{name}].")
    types = {field.name: field.type for field in msgspec.structs.fields(_Entry)}
    values = {}
    for key, value in table.items():
        if key not in types:
            raise found.refusal([name, key], f"is no known key; known are {', '.join(types)}.")
        try:
            values[key] = msgspec.convert(value, types[key])
        except msgspec.ValidationError:
            shown = HIDDEN if key == "environment" else value
            raise found.impossible(name, key, shown, ALLOWED[key]) from None
    return _Entry(**values)


def _deployment(found: Deployments, name: str, entry: _Entry) -> Deployment:
    base = _base(found, name, entry)
    kind = entry.kind or base.kind
    changes: dict[str, Any] = {"name": name, "kind": kind}
    changes |= {
        key: value
        for key in ("cpu", "concurrency", "min_instances", "max_instances", "policy", "model")
        if (value := getattr(entry, key)) is not None
    }
    if entry.concurrency is None and (entry.cpu is not None or kind is not base.kind):
        changes["concurrency"] = usual_concurrency(kind, changes.get("cpu", base.cpu))
    if entry.memory is not None:
        changes["memory_mib"] = _parsed(found, name, "memory", entry.memory, _memory_mib)
    if entry.idle is not None:
        changes["idle_s"] = _parsed(found, name, "idle", entry.idle, _seconds)
    if entry.environment is not None:
        changes["environment"] = _environment(found, name, entry.environment)
    changes["more_models"] = _more_models(base, entry)
    if changes.get("max_instances", base.max_instances) < changes.get("min_instances", 0):
        most = changes.get("max_instances", base.max_instances)
        allowed = f"a number up to max_instances, {most}"
        raise found.impossible(name, "min_instances", entry.min_instances, allowed)
    return Deployment(**({f.name: getattr(base, f.name) for f in fields(base)} | changes))


def _base(found: Deployments, name: str, entry: _Entry) -> Deployment:
    """The default of its own name, else that of its kind; a kind of its own brings its policy."""
    base = found.known.get(name)
    if base is None and entry.kind is None:
        raise found.impossible(name, "kind", None, ALLOWED["kind"])
    if base is None or (entry.kind and entry.kind is not base.kind):
        base = next(each for each in found.known.values() if each.kind is entry.kind)
    return base


def _parsed(
    found: Deployments,
    name: str,
    key: str,
    value: float | str,
    parse: Callable[[float | str], float | None],
) -> float:
    parsed = parse(value)
    if parsed is None:
        raise found.impossible(name, key, value, ALLOWED[key])
    return parsed


def _memory_mib(value: float | str) -> int | None:
    if isinstance(value, str):
        read = MEMORY.fullmatch(value.strip())
        value = float(read[1]) * MIB[read[2]] if read else 0
    return int(value) if value >= 128 and value == int(value) else None


def _seconds(value: float | str) -> float | None:
    if not isinstance(value, str):
        return value
    read = DURATION.fullmatch(value.strip())
    return float(read[1]) * SECONDS[read[2]] if read else None


def _environment(found: Deployments, name: str, given: dict[str, str]) -> dict[str, str]:
    """The variables; a refusal shows no value, which may be a secret."""
    for variable, value in given.items():
        keys = [name, "environment", variable]
        if not VARIABLE.fullmatch(variable):
            raise found.refusal(keys, "is no variable; allowed are letters, digits and _.")
        if NOT_VARIABLES.fullmatch(variable):
            raise found.refusal(keys, "is set by the platform itself; leave it out.")
        if "\0" in value:
            raise found.refusal(keys, "holds a NUL, which no variable can.")
    return given


def _more_models(base: Deployment, entry: _Entry) -> tuple[str, ...]:
    """The file's, else the default's: where that serves several, a model of its own joins them."""
    model = entry.model or base.model
    if entry.more_models is not None:
        return tuple(each for each in dict.fromkeys(entry.more_models) if each != model)
    everything = (base.model, *base.more_models) if base.more_models else ()
    return tuple(each for each in everything if each != model)


def _shown(value: object, limit: int = 60) -> str:
    if value is None:
        return "missing"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
