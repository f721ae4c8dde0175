"""What ``twinserve models`` lists."""

from __future__ import annotations

from rich.table import Table

from twinserve.bundle.bundle import BundleFacts, read_facts
from twinserve.bundle.store import FALLBACK, bundle_facts, known_bundles


def models_table() -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("Name", "Side", "Terms", "Where"):
        table.add_column(heading, overflow="fold")
    for name, folder in known_bundles().items():
        _add(table, name, read_facts(folder), str(folder))
    _add(table, FALLBACK, bundle_facts(FALLBACK), "built in")
    return table


def _add(table: Table, name: str, facts: BundleFacts, where: str) -> None:
    table.add_row(name, f"{facts.resolution} px", facts.terms, where)
