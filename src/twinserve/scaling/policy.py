"""The policies as data: ``policies.toml``, each number with its source, as typed values."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import msgspec

from twinserve.errors import UsageError

DATA = Path(__file__).with_name("policies.toml")
T = TypeVar("T")


class Fact(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """One number of a platform: where it was read, and in which month (``2026-11``)."""

    value: T
    source: str
    read: str


Number = Fact[float]
Numbers = Fact[tuple[float, ...]]
Pairs = Fact[tuple[tuple[float, float], ...]]


class Policy(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="rule", forbid_unknown_fields=True
):
    """What every policy says: which deployments it allows, how many requests wait, what they are
    told. None: the platform sets no such limit. ``policies.toml`` says what each number means."""

    name: str
    title: str
    concurrency_most: Number
    queue_most: Number
    queue_full_status: Fact[int]
    waited_status: Fact[int]
    unlimited: Number | None = None
    whole_cpu: Number | None = None
    cpu_sizes: Numbers | None = None
    memory_most_mib: Number | None = None
    cpu_for_memory: Pairs | None = None
    memory_for_cpu: Pairs | None = None
    cpu_of_memory: Pairs | None = None
    request_most_mib: Number | None = None
    response_most_mib: Number | None = None
    idle_most_s: Number | None = None
    cpu_outside_requests: Number | None = None
    boost: Number | None = None
    boost_after_s: Number | None = None

    def compressed(self, time_scale: float) -> Self:
        """The same policy with every time divided: at 60, its minutes pass in seconds."""
        facts = {name: getattr(self, name) for name in self.__struct_fields__}
        times = {
            name: msgspec.structs.replace(fact, value=fact.value / time_scale)
            for name, fact in facts.items()
            if name.endswith("_s") and fact is not None
        }
        return msgspec.structs.replace(self, **times)


class TargetsPolicy(Policy, frozen=True, kw_only=True, tag="targets"):
    """Instances for a share of their CPU and of their concurrency, over a window."""

    window_s: Number
    cpu_target: Number
    concurrency_target: Number
    wait_starts: Number
    wait_least_s: Number


class WindowsPolicy(Policy, frozen=True, kw_only=True, tag="windows"):
    """Instances for the requests at a time over a stable window, and over a short one in panic."""

    window_s: Number
    panic_share: Number
    panic_threshold: Number
    up_rate: Number
    down_rate: Number
    target: Number
    utilisation: Number
    grace_s: Number
    tick_s: Number
    wait_most_s: Number


class FixedPolicy(Policy, frozen=True, kw_only=True, tag="fixed"):
    """A fixed number of instances."""

    wait_most_s: Number


AnyPolicy = TargetsPolicy | WindowsPolicy | FixedPolicy


def policy_named(name: str) -> AnyPolicy:
    """The policy of that name.

    Raises:
        UsageError: there is none.
    """
    found = policies().get(name)
    if found is None:
        raise UsageError(f"{name!r} is no policy; known are {', '.join(policies())}.")
    return found


@cache
def policies() -> dict[str, AnyPolicy]:
    """Every policy by its name, in the order of the file."""
    tables = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return {
        name: msgspec.convert(_whole(tables, table) | {"name": name}, AnyPolicy)
        for name, table in tables.items()
    }


def _whole(tables: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """The table over the one that it is like."""
    own = {key: value for key, value in table.items() if key != "like"}
    return _whole(tables, tables[table["like"]]) | own if "like" in table else own
