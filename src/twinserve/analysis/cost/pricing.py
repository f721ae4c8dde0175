"""The price book: what a cloud charges, each number with its source; read from TOML, never in code.

The book that comes along is ``prices/google-cloud.toml``. A user's file of the same form is laid
over it, key by key, or describes another cloud whole.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from twinserve.deployment import Kind
from twinserve.deployment.toml_lines import line_of
from twinserve.errors import UsageError
from twinserve.scaling.billing import Mode

BOOK = Path(__file__).parent / "prices" / "google-cloud.toml"
OLD_AFTER_MONTHS = 12

Month = Annotated[str, Meta(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
NotNegative = Annotated[float, Meta(ge=0, le=1e12)]
Text = Annotated[str, Meta(min_length=1)]
QUANTITIES = (
    "vcpu_s",
    "gib_s",
    "ghz_s",
    "requests",
    "idle_vcpu_s",
    "idle_gib_s",
    "idle_ghz_s",
    "egress_gb",
)
ALLOWED = {
    "value": "a number of 0 or more, or one by tier: { tier1 = 0.1, tier2 = 0.2 }",
    "read": 'a month such as "2026-11"',
    "date": 'a month such as "2026-11"',
    "mode": " or ".join(f'"{mode.value}"' for mode in Mode),
    "tier": 'a table of regions, each with the name of its tier: us-central1 = "tier1"',
    "kinds": 'a list of "container" and "function"',
    "like": "the name of another plan",
    "regions": "the name of a table of regions",
}
A_TEXT = "a text"


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one unit costs in each tier of regions; ``rounding`` says how the quantity is
    rounded."""

    value: dict[str, NotNegative]
    unit: Text
    rounding: Text
    source: Text
    read: Month


class Free(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a quantity is free each month, as a credit at the prices of tier 1."""

    value: NotNegative
    source: Text
    read: Month


class Regions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which tier of prices each region has."""

    tier: dict[str, Text]
    source: Text
    read: Month


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to be billed: what is counted (``mode``) and what each unit of it costs."""

    name: Text
    title: Text
    mode: Mode
    regions: Text
    prices: dict[str, Price]
    free: dict[str, Free] = {}
    kinds: tuple[Kind, ...] = tuple(Kind)  # of deployment that it is offered for


@dataclass(frozen=True)
class PriceBook:
    """A cloud's prices; ``changed`` names the user's file that was laid over it, if any."""

    cloud: str
    currency: str
    date: str  # year and month in which it was last gone through
    default_region: str
    regions: Mapping[str, Regions]
    plans: Mapping[str, Plan]
    changed: str = ""

    def plan(self, name: str) -> Plan:
        """The plan of that name.

        Raises:
            UsageError: there is none.
        """
        if name not in self.plans:
            raise UsageError(f"{name!r} is no plan; known are {', '.join(self.plans)}.")
        return self.plans[name]

    def rates(self, plan_name: str, region: str = "") -> Rates:
        """What the plan's units cost in the region; empty is the book's own.

        Raises:
            UsageError: the region is not known, or the book has no price there.
        """
        plan = self.plan(plan_name)
        region = region or self.default_region
        tiers = self.regions[plan.regions].tier
        if region not in tiers:
            raise UsageError(
                f"The price book has no region {region!r} for {plan.title}; it knows "
                f"{', '.join(sorted(tiers))}. Add yours with --prices FILE: "
                f'[regions.{plan.regions}.tier] {region} = "tier1"'
            )
        prices = {name: _of_tier(plan, name, region, tiers[region]) for name in plan.prices}
        first = min(tiers.values())
        given = {
            name: free.value * plan.prices[name].value.get(first, prices[name])
            for name, free in plan.free.items()
        }
        return Rates(plan, region, tiers[region], self.currency, prices, given)

    def age_months(self, today: datetime.date) -> int:
        """Whole months since the book was gone through."""
        year, month = (int(part) for part in self.date.split("-"))
        return (today.year - year) * 12 + today.month - month

    def remarks(self, today: datetime.date) -> list[str]:
        """What a user must know of this book: that it is old, that it was changed."""
        said = []
        months = self.age_months(today)
        if months > OLD_AFTER_MONTHS:
            said.append(
                f"The price book is {months} months old ({self.date}); prices may have changed: "
                f"check them and lay yours over it with --prices FILE."
            )
        if self.changed:
            said.append(f"Prices from {self.changed} are laid over the book of {self.cloud}.")
        return said


@dataclass(frozen=True)
class Rates:
    """One plan's prices in one region.

    ``prices`` are money a unit by quantity (:data:`QUANTITIES`), ``credits`` the money that the
    free tier gives for each quantity a month.
    """

    plan: Plan
    region: str
    tier: str
    currency: str
    prices: Mapping[str, float]
    credits: Mapping[str, float]

    def price(self, quantity: str) -> float:
        return self.prices.get(quantity, 0.0)


def read_book(path: Path | None = None) -> PriceBook:
    """The book that comes along, with the user's file over it where there is one.

    Raises:
        UsageError: the file cannot be read, has an unknown key or an impossible value; it names
            the line, the value and what is allowed.
    """
    shipped = tomllib.loads(BOOK.read_text(encoding="utf-8"))
    if path is None:
        return _Reader(shipped, BOOK, "").book()
    text = _text(path)
    try:
        own = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    return _Reader(_laid_over(shipped, _sourced(own, path.name)), path, text).book(path.name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{path} cannot be read ({reason}).") from error


def _laid_over(below: Any, above: Any) -> Any:
    """Tables key by key; anything else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _laid_over(below.get(key), value) for key, value in above.items()}


def _sourced(tables: Any, name: str) -> Any:
    """A number that a user changes comes from the user's file, where it names no other source."""
    if not isinstance(tables, dict):
        return tables
    own = {key: _sourced(value, name) for key, value in tables.items()}
    return {"source": name} | own if {"value", "tier"} & own.keys() else own


def _of_tier(plan: Plan, name: str, region: str, tier: str) -> float:
    values = plan.prices[name].value
    if tier not in values:
        raise UsageError(
            f"The price book has no {plan.prices[name].unit} of {plan.title} for {tier}, which "
            f"{region} belongs to; give it with --prices FILE: "
            f"[plans.{plan.name}.prices.{name}.value] {tier} = ..."
        )
    return values[tier]


@dataclass(frozen=True)
class _Reader:
    """Turns tables into a book; ``path`` and ``text`` are of the user's file, for refusals."""

    tables: dict[str, Any]
    path: Path
    text: str

    def book(self, changed: str = "") -> PriceBook:
        heads = {key: self._head(key) for key in ("cloud", "currency", "date", "default_region")}
        self._known((), self.tables, (*heads, "regions", "plans"))
        regions = {
            name: self._struct(("regions", name), table, Regions)
            for name, table in self._table(("regions",)).items()
        }
        plans = {name: self._plan(name) for name in self._table(("plans",))}
        for name, plan in plans.items():
            if plan.regions not in regions:
                raise self._impossible(
                    ("plans", name, "regions"), plan.regions, f"one of {', '.join(regions)}"
                )
        return PriceBook(**heads, regions=regions, plans=plans, changed=changed)

    def _head(self, key: str) -> str:
        text: str = self._converted((key,), self.tables.get(key), Month if key == "date" else Text)
        return text

    def _plan(self, name: str) -> Plan:
        keys = ("plans", name)
        table = self._whole(name, ())
        self._known(keys, table, ("title", "mode", "regions", "prices", "free", "kinds"))
        return Plan(
            name=name,
            title=self._converted((*keys, "title"), table.get("title"), Text),
            mode=self._converted((*keys, "mode"), table.get("mode"), Mode),
            regions=self._converted((*keys, "regions"), table.get("regions"), Text),
            prices=self._amounts((*keys, "prices"), table.get("prices", {}), Price),
            free=self._amounts((*keys, "free"), table.get("free", {}), Free),
            kinds=self._converted(
                (*keys, "kinds"), table.get("kinds", list(Kind)), tuple[Kind, ...]
            ),
        )

    def _whole(self, name: str, above: Sequence[str]) -> dict[str, Any]:
        """The plan's table over the one that it is like."""
        table = self._table(("plans", name))
        if "like" not in table:
            return table
        own = {key: value for key, value in table.items() if key != "like"}
        like = table["like"]
        if like not in self.tables["plans"] or like in (*above, name):
            others = ", ".join(each for each in self.tables["plans"] if each != name)
            raise self._impossible(("plans", name, "like"), like, f"one of {others}")
        whole: dict[str, Any] = _laid_over(self._whole(like, (*above, name)), own)
        return whole

    def _amounts(self, keys: Sequence[str], table: Any, kind: Any) -> dict[str, Any]:
        if not isinstance(table, dict):
            raise self._impossible(keys, table, "a table")
        self._known(keys, table, QUANTITIES)
        return {name: self._struct((*keys, name), amount, kind) for name, amount in table.items()}

    def _struct(self, keys: Sequence[str], table: Any, kind: Any) -> Any:
        """One table as ``kind``, field by field, so that a refusal knows which one it is."""
        if not isinstance(table, dict):
            raise self._impossible(keys, table, "a table")
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        self._known(keys, table, fields)
        values = {}
        for name, type_ in fields.items():
            values[name] = self._converted((*keys, name), table.get(name), type_)
        return kind(**values)

    def _converted(self, keys: Sequence[str], value: Any, type_: Any) -> Any:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError:
            deeper = self._culprit(value, type_)
            if deeper:
                keys, value = (*keys, deeper), value[deeper]
            raise self._impossible(keys, value, _allowed(keys)) from None

    def _culprit(self, value: Any, type_: Any) -> str:
        """Of a table of numbers, the one that is impossible."""
        if not isinstance(value, dict):
            return ""
        for key, inner in value.items():
            try:
                msgspec.convert({key: inner}, type_)
            except msgspec.ValidationError:
                return str(key)
        return ""

    def _table(self, keys: Sequence[str]) -> dict[str, Any]:
        table = reduce(lambda inner, key: inner.get(key, {}), keys, self.tables)
        if not isinstance(table, dict):
            raise self._impossible(keys, table, "a table")
        return table

    def _known(self, keys: Sequence[str], table: dict[str, Any], known: Any) -> None:
        for key in table:
            if key not in known:
                where = self._where((*keys, key))
                name = ".".join((*keys, key))
                raise UsageError(f"{where}{name} is not known; known are {', '.join(known)}.")

    def _impossible(self, keys: Sequence[str], value: object, allowed: str) -> UsageError:
        said = "missing" if value is None else repr(value)
        return UsageError(f"{self._where(keys)}{'.'.join(keys)} is {said}; allowed is {allowed}.")

    def _where(self, keys: Sequence[str]) -> str:
        return f"{self.path}, line {line_of(self.text, keys)}: " if self.text else f"{self.path}: "


def _allowed(keys: Sequence[str]) -> str:
    named = next((key for key in reversed(keys) if key in ALLOWED), None)
    if named == "value" and keys[-1] != "value":
        return "a number of 0 or more"
    return ALLOWED[named] if named and re.fullmatch(r"[a-z]+", named) else A_TEXT
