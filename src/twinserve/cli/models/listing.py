"""What ``twinserve models`` lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from rich.table import Table

from twinserve.bundle.bundle import BundleFacts, read_facts, size_bytes
from twinserve.bundle.store import BUILT_IN, bundle_facts, known_bundles, user_folder
from twinserve.errors import BundleError
from twinserve.zoo.published import Published, catalogue

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Row:
    """A model that there is or could be; None stands for what is not known.

    ``state`` is ``installed`` (comes with a package or a folder named in ``$TWINSERVE_MODELS``),
    ``imported`` (in the user's model folder), ``downloadable``, ``built in`` or ``damaged``.
    """

    name: str
    state: str
    architecture: str
    resolution: int | None
    size_bytes: int | None
    terms: str
    commercial_use: bool
    swd_mean: float | None
    description: str
    folder: str | None

    @property
    def ready(self) -> bool:
        return self.state not in ("downloadable", "damaged")


def models_table() -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("Name", "Side", "Size", "SWD", "State"):
        table.add_column(heading, no_wrap=True, justify=_side(heading))
    table.add_column("Terms", overflow="fold")
    for row in models_rows():
        table.add_row(*_cells(row), style="" if row.ready else "dim")
    table.caption = (
        "SWD: mean sliced Wasserstein distance x 1000, lower is better; "
        "twinserve models pull NAME fetches what is downloadable."
    )
    table.caption_justify = "left"
    return table


def models_json() -> dict[str, Any]:
    """The same as plain values."""
    rows = [asdict(row) for row in models_rows()]
    return {"schema_version": SCHEMA_VERSION, "models": rows}


def models_rows() -> list[Row]:
    """Bundles on disk first, then the built-in models, then what can be pulled."""
    found = dict(known_bundles())
    rows = [_on_disk(name, folder) for name, folder in found.items()]
    rows += [_built_in(bundle_facts(name)) for name in BUILT_IN if name not in found]
    return rows + list(_downloadable(set(found)))


def _on_disk(name: str, folder: Path) -> Row:
    state = "imported" if folder.parent == user_folder() else "installed"
    try:
        facts, size = read_facts(folder), size_bytes(folder)
    except (BundleError, OSError) as error:
        said = str(error) if isinstance(error, BundleError) else f"{error.filename} is missing."
        return Row(name, "damaged", "", None, None, said, False, None, "", str(folder))
    return Row(
        name=name,
        state=state,
        architecture=facts.architecture,
        resolution=facts.resolution,
        size_bytes=size,
        terms=facts.terms,
        commercial_use=facts.commercial_use,
        swd_mean=round(mean(facts.quality.swd), 2) if facts.quality and facts.quality.swd else None,
        description=facts.description,
        folder=str(folder),
    )


def _built_in(facts: BundleFacts) -> Row:
    return Row(
        name=facts.name,
        state="built in",
        architecture=facts.architecture,
        resolution=facts.resolution,
        size_bytes=None,
        terms=facts.terms,
        commercial_use=facts.commercial_use,
        swd_mean=None,
        description=facts.description,
        folder=None,
    )


def _downloadable(found: set[str]) -> Iterator[Row]:
    for name, model in catalogue().models.items():
        if name not in found:
            yield _published(name, model)


def _published(name: str, model: Published) -> Row:
    return Row(
        name=name,
        state="downloadable",
        architecture=model.architecture,
        resolution=model.resolution,
        size_bytes=None,
        terms=model.terms,
        commercial_use=False,
        swd_mean=None,
        description=model.description,
        folder=None,
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        f"{row.resolution} px" if row.resolution else "",
        f"{row.size_bytes / 1e6:,.1f} MB" if row.size_bytes is not None else "",
        f"{row.swd_mean:.2f}" if row.swd_mean is not None else "",
        row.state,
        row.terms,
    )


def _side(heading: str) -> Any:
    return "right" if heading in ("Side", "Size", "SWD") else "left"
