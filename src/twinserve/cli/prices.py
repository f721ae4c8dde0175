"""Options of the verbs that price: which book, which region, how times become a cloud's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twinserve.cli.amounts import Span

if TYPE_CHECKING:
    from twinserve.analysis.cost.elsewhere import Elsewhere
    from twinserve.analysis.cost.pricing import PriceBook

OPTIONS = (
    click.option(
        "--prices",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Your prices, laid over the book that comes along.",
    ),
    click.option("--region", default="", help="Region of the cloud.  [default: us-central1]"),
    click.option(
        "--free-tier/--no-free-tier",
        default=True,
        show_default=True,
        help="Count the free tier; it is one for all that a billing account runs.",
    ),
    click.option(
        "--cpu-factor",
        type=Span(open_=True),
        metavar="LOW..HIGH",
        help="Times there over times here.  [default: as calibrated, else 0.5..2]",
    ),
    click.option(
        "--platform-start",
        type=Span(),
        metavar="LOW..HIGH",
        help="Seconds that the platform adds to a start.  [default: as calibrated, else 0..10]",
    ),
)


def price_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def book_of(prices: Path | None) -> PriceBook:
    """The price book; what there is to say of it goes to the error stream.

    Raises:
        UsageError: the user's file cannot be used.
    """
    from twinserve.analysis.cost.pricing import read_book

    book = read_book(prices)
    for remark in book.remarks(datetime.now(tz=UTC).date()):
        click.echo(remark, err=True)
    return book


def elsewhere_of(
    run: Path,
    cpu_factor: tuple[float, float] | None,
    platform_start: tuple[float, float] | None,
) -> Elsewhere:
    """How times of the run become a cloud's: the user's bands, else calibrated, else assumed."""
    from twinserve.analysis.cost.elsewhere import read_elsewhere, with_bands

    return with_bands(read_elsewhere(run), cpu_factor, platform_start)
