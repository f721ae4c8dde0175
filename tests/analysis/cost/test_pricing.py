"""Every number of the price book has its origin; a user's file goes over it or is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from twinserve.analysis.cost.pricing import PriceBook, read_book
from twinserve.errors import UsageError

BOOK = read_book()


@pytest.mark.parametrize(
    ("plan", "region", "quantity", "price"),
    [
        ("cloud-run-request", "us-central1", "vcpu_s", 0.000024),
        ("cloud-run-request", "us-west2", "vcpu_s", 0.0000336),
        ("functions-2nd", "europe-west3", "idle_gib_s", 0.0000035),
        ("cloud-run-instance", "europe-west1", "vcpu_s", 0.000018),
        ("functions-1st", "us-central1", "ghz_s", 0.00001),
        ("functions-1st", "asia-south1", "ghz_s", 0.000014),
    ],
)
def test_a_plan_has_the_price_of_its_regions_tier(
    plan: str, region: str, quantity: str, price: float
) -> None:
    assert BOOK.rates(plan, region).price(quantity) == price


def test_every_number_says_unit_rounding_source_and_month() -> None:
    for plan in BOOK.plans.values():
        for price in plan.prices.values():
            assert price.unit and price.rounding and price.source and price.read
        for free in plan.free.values():
            assert free.source and free.read


def test_credits_are_at_the_first_tiers_prices_in_every_region() -> None:
    for region in ("us-central1", "us-west2"):
        credit = BOOK.rates("cloud-run-request", region).credits["vcpu_s"]
        assert credit == pytest.approx(180_000 * 0.000024)


def test_a_users_price_goes_over_the_book_and_names_the_file_as_source(tmp_path: Path) -> None:
    book = laid_over(tmp_path, "[plans.cloud-run-request.prices.vcpu_s.value]\ntier1 = 0.00002\n")
    price = book.plan("cloud-run-request").prices["vcpu_s"]
    assert price.value == {"tier1": 0.00002, "tier2": 0.0000336}
    assert price.source == "prices.toml"
    assert book.plan("functions-2nd").prices["vcpu_s"].value["tier1"] == 0.00002  # is like it
    assert book.remarks(date(2026, 12, 1)) == [
        "Prices from prices.toml are laid over the book of Google Cloud."
    ]


def test_a_users_region_is_known_from_then_on(tmp_path: Path) -> None:
    book = laid_over(tmp_path, '[regions.run.tier]\nmoon = "tier2"\n')
    assert book.rates("cloud-run-request", "moon").price("vcpu_s") == 0.0000336


def test_another_cloud_is_a_plan_of_its_own(tmp_path: Path) -> None:
    text = """
        [regions.other]
        read = "2026-11"
        tier = { here = "only" }
        [plans.other]
        title = "Another cloud"
        mode = "first-gen"
        regions = "other"
        [plans.other.prices.gib_s]
        value = { only = 0.0000166667 }
        unit = "GB-second"
        rounding = "up to 1 ms"
        read = "2026-11"
    """
    assert laid_over(tmp_path, text).rates("other", "here").price("gib_s") == 0.0000166667


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "\n[plans.cloud-run-request.prices.vcpu_s]\nvalue = { tier1 = -1 }\n",
            "line 3: plans.cloud-run-request.prices.vcpu_s.value.tier1 is -1; allowed is a number "
            "of 0 or more",
        ),
        ('date = "last year"\n', "line 1: date is 'last year'; allowed is a month"),
        ("[plans.mine]\nmode = 'request'\n", "line 1: plans.mine.title is missing"),
        ("[plans.cloud-run-request]\nmode = 'free'\n", "line 2: plans.cloud-run-request.mode is"),
        ("[plans.functions-2nd]\nlike = 'mine'\n", "line 2: plans.functions-2nd.like is 'mine'"),
        ("[plans.functions-2nd]\nlike = 'functions-2nd'\n", "allowed is one of cloud-run-request"),
        ("colour = 'red'\n", "line 1: colour is not known; known are cloud, currency"),
        ("[plans.cloud-run-request.prices.gpu_s]\nvalue = 1\n", "prices.gpu_s is not known"),
        ("[regions.run.tier]\nmoon = 3\n", "line 2: regions.run.tier.moon is 3"),
        ("plans = 3\n", "plans is 3; allowed is a table"),
        ("= 1", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_line_value_and_what_is_allowed(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        laid_over(tmp_path, text)
    assert said in str(refused.value)
    assert "prices.toml" in str(refused.value)


def test_an_unknown_region_is_refused_with_the_known_ones_and_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"no region 'moon' .* us-central1.*--prices FILE"):
        BOOK.rates("cloud-run-request", "moon")


def test_a_price_that_nobody_has_read_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no vCPU-second .* tier2, which us-west2 belongs to"):
        BOOK.rates("cloud-run-instance", "us-west2")


def test_a_book_older_than_a_year_is_said_aloud() -> None:
    assert BOOK.remarks(date(2027, 11, 30)) == []
    assert BOOK.remarks(date(2027, 12, 1)) == [
        "The price book is 13 months old (2026-11); prices may have changed: check them and lay "
        "yours over it with --prices FILE."
    ]


def laid_over(folder: Path, text: str) -> PriceBook:
    path = folder / "prices.toml"
    path.write_text(text)
    return read_book(path)
