"""The page as a person uses it: a real Chromium before the real gateways and services."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, expect

from twinserve.deployment import CONTAINER, FUNCTION, SIDES, fair_defaults
from twinserve.page.server import PageSide, page_at
from twinserve.runtime.platform import LocalPlatform

MODEL, LARGER = "random-16", "random-32"
TIMES = ("Round trip", "Process", "Latency")
GIVE_UP_MS = 120_000  # no assertion: only so that a broken platform does not hang the tests
expect.set_options(timeout=GIVE_UP_MS)
DEAD = "http://127.0.0.1:9"  # the discard port: nothing listens there


def test_both_sides_show_the_same_pictures_cold_then_warm_until_one_is_gone(
    browser: Browser,
) -> None:
    with ExitStack() as stack:
        platforms = {side: ExitStack() for side in SIDES}
        urls = {side: running(side, stack.enter_context(platforms[side])) for side in SIDES}
        page = opened(browser, stack.enter_context(served(urls)))
        function, container = column(page, FUNCTION), column(page, CONTAINER)

        go(page, images="3", seed="")
        for side in (function, container):
            expect(side.get_by_role("img")).to_have_count(3)
            expect(side).to_contain_text(re.compile(r"includes a cold start of \d+(\.\d)? m?s"))
            assert_times_make_sense(side)
        assert pictures(function) == pictures(container)
        seed = page.get_by_role("button", name="keep it").locator("..").locator("output")
        assert re.fullmatch(r"\d+", seed.inner_text())
        expect(page.get_by_role("contentinfo")).to_contain_text(
            re.compile(f"Model {MODEL}, 16 . 16 pixels")
        )

        cold = pictures(function)
        go(page, images="2", seed="7")
        for side in (function, container):
            expect(side.get_by_role("img")).to_have_count(2)
            expect(side).not_to_contain_text("cold start")
            assert_times_make_sense(side)
        assert pictures(function) == pictures(container) != cold[:2]
        expect(page.get_by_role("row")).to_have_count(3)  # the heading and two runs

        platforms[CONTAINER].close()
        go(page, images="2", seed="7")
        expect(function.get_by_role("img")).to_have_count(2)
        expect(container.get_by_role("img")).to_have_count(0)
        expect(container.get_by_role("alert")).to_contain_text("The gateway cannot be reached")
        expect(container.get_by_role("alert")).to_contain_text("Connection refused")
        expect(function.get_by_role("alert")).to_have_count(0)


def test_a_visitor_chooses_among_the_models_that_both_sides_serve(browser: Browser) -> None:
    with ExitStack() as stack:
        urls = {side: running(side, stack) for side in SIDES}
        page = opened(browser, stack.enter_context(served(urls, (MODEL, LARGER))))
        choice = page.get_by_label("Model")
        expect(choice).to_have_value(MODEL)
        choice.select_option(LARGER)
        go(page, images="2", seed="7")
        function, container = column(page, FUNCTION), column(page, CONTAINER)
        for side in (function, container):
            expect(side.get_by_role("img")).to_have_count(2)
        assert pictures(function, 32) == pictures(container, 32)
        expect(page.get_by_role("contentinfo")).to_contain_text(f"Model {LARGER}, 32 × 32 pixels")


def test_a_single_model_needs_no_choice(browser: Browser) -> None:
    with served(dict.fromkeys(SIDES, DEAD)) as url:
        page = opened(browser, url)
        expect(page.get_by_role("button", name="Go!")).to_be_visible()
        expect(page.get_by_label("Model")).to_be_hidden()


def test_the_page_asks_its_own_server_only_and_breaks_no_policy(browser: Browser) -> None:
    with served(dict.fromkeys(SIDES, DEAD)) as url:
        page = browser.new_page()
        asked: list[str] = []
        complaints: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        go(page, images="1", seed="")
        assert {address for address in asked if not address.startswith((url, "data:"))} == set()
        # Chromium itself notes every 502 of the dead gateways.
        assert [text for text in complaints if "502" not in text] == []


def test_an_invalid_number_or_seed_is_refused_in_the_page(browser: Browser) -> None:
    with served(dict.fromkeys(SIDES, DEAD)) as url:
        page = opened(browser, url)
        sent = posts(page)
        for images in ("", "0", "65", "1.5", "-3"):
            submit(page, images, seed="7")
            given = f", not {images}." if images else "to 64."
            expect(page.get_by_role("alert")).to_contain_text("a whole number from 1 to 64")
            expect(page.get_by_role("alert")).to_contain_text(given)
            expect(page.get_by_label("Number of images")).to_be_focused()
        for seed in ("seven", "-1", "1.5", "9007199254740992"):
            submit(page, images="8", seed=seed)
            expect(page.get_by_role("alert")).to_contain_text("Seed must be a whole number")
            expect(page.get_by_role("alert")).to_contain_text(f"not {seed}.")
            expect(page.get_by_label("Seed")).to_be_focused()
        assert sent == []


def test_the_keyboard_is_enough_and_both_sides_get_one_new_seed_each_time(
    browser: Browser,
) -> None:
    with served(dict.fromkeys(SIDES, DEAD)) as url:
        page = opened(browser, url)
        sent = posts(page)
        page.keyboard.press("Tab")
        expect(page.get_by_label("Number of images")).to_be_focused()
        page.keyboard.type("12")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Go!")).to_be_focused()
        for runs in (1, 2):
            page.keyboard.press("Enter")
            expect(page.get_by_role("row")).to_have_count(runs + 1)
        assert [body["num_images"] for body in sent] == [12] * 4
        first, again, second, once_more = (body["seed"] for body in sent)
        assert first == again != second == once_more


def test_nothing_scrolls_sideways(browser: Browser) -> None:
    with served(dict.fromkeys(SIDES, DEAD)) as url:
        page = opened(browser, url)
        go(page, images="64", seed="9007199254740991")
        for width in (320, 390, 768, 1280):
            page.set_viewport_size({"width": width, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_can_be_read_in_both_schemes(browser: Browser) -> None:
    """WCAG AA: 4.5 to 1 for every text against what lies behind it."""
    with served(dict.fromkeys(SIDES, DEAD)) as url:
        page = opened(browser, url)
        go(page, images="4", seed="7")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert page.evaluate(TOO_FAINT) == []


# Every element with text of its own whose contrast is under 4.5, as "ratio: text". Colours are
# drawn on a canvas first, which turns every way of writing them into red, green and blue.
TOO_FAINT = """() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parts = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => {
    const [r, g, b] = parts(colour).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return parts(colour)[3] === 255 ? colour : ground(element.parentElement);
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const pair = [light(getComputedStyle(element).color), light(ground(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)}: ${element.textContent.trim()}`);
  }
  return found;
}"""


def running(side: str, stack: ExitStack) -> str:
    """The URL of the side's gateway, one instance behind it at most, while ``stack`` is open."""
    deployment = fair_defaults(MODEL, more_models=(LARGER,))[side].with_at_most(1)
    return stack.enter_context(LocalPlatform([deployment])).urls[side]


@contextmanager
def served(urls: Mapping[str, str], models: Sequence[str] = (MODEL,)) -> Iterator[str]:
    """The page before these gateways, in a thread of its own: Playwright keeps the test's busy."""
    deployments = fair_defaults(MODEL)
    sides = {name: PageSide.of(deployments[name], url, models) for name, url in urls.items()}
    ready: SimpleQueue[str] = SimpleQueue()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with page_at(sides, port=0) as url:
            ready.put(url)
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield ready.get(timeout=30)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def opened(browser: Browser, url: str) -> Page:
    page = browser.new_page()
    page.set_default_timeout(GIVE_UP_MS)
    page.goto(url)
    expect(page.get_by_role("heading", name="From the function")).to_be_visible()
    return page


def posts(page: Page) -> list[dict[str, int]]:
    """The bodies of the questions that the page will have sent."""
    found: list[dict[str, int]] = []

    def keep(request: Request) -> None:
        if request.method == "POST":
            found.append(request.post_data_json or {})

    page.on("request", keep)
    return found


def go(page: Page, images: str, seed: str) -> None:
    """Fill the form, press Go! and wait until both sides have answered or failed."""
    runs = page.locator("#history-rows tr").count()
    submit(page, images, seed)
    expect(page.locator("#history-rows tr")).to_have_count(runs + 1)


def submit(page: Page, images: str, seed: str) -> None:
    page.get_by_label("Number of images").fill(images)
    page.get_by_label("Seed").fill(seed)
    page.get_by_role("button", name="Go!").click()


def column(page: Page, side: str) -> Locator:
    return page.get_by_role("region", name=f"From the {side}")


def assert_times_make_sense(side: Locator) -> None:
    """Process time lies within the latency, and that within the round trip."""
    found = {name: milliseconds(side, name) for name in TIMES}
    rounding = 0.5  # times over 100 are shown whole
    assert 0 < found["Process"] <= found["Latency"] + rounding
    assert found["Latency"] <= found["Round trip"] + rounding


def milliseconds(side: Locator, name: str) -> float:
    row = side.locator(".time").filter(has_text=name)
    text = row.locator(".value").inner_text()
    number, unit = re.fullmatch(r"([\d\u202f.]+)\s*(ms)", text.strip()).groups()  # type: ignore[union-attr]
    assert unit == "ms"
    return float(number.replace("\u202f", ""))


def pictures(side: Locator, side_px: int = 16) -> list[bytes]:
    """The pixels of every picture that the column shows, each ``side_px`` wide."""
    images = side.get_by_role("img")
    sources = images.evaluate_all("all => all.map(image => image.src)")
    drawn = images.evaluate_all("all => all.map(image => [image.complete, image.naturalWidth])")
    assert drawn == [[True, side_px]] * len(sources)
    return [pixels(source) for source in sources]


def pixels(data_url: str) -> bytes:
    head, _, data = data_url.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").tobytes()
