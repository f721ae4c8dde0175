"""The report in a real Chromium that may reach nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from twinserve.records.run import RunDirectory

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Browser, run: RunDirectory, width: int, scheme: str) -> tuple[Page, list[str]]:
    """The report's page in an offline browser, and every address that it asked for."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
    page = context.new_page()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(run.report.resolve().as_uri())
    return page, asked


def test_it_asks_for_nothing_but_itself(browser: Browser, whole_run: RunDirectory) -> None:
    page, asked = opened(browser, whole_run, 1200, "light")
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    assert page.locator("figure svg").count() == 6


@pytest.mark.parametrize("width", [360, 768, 1200])
def test_the_page_itself_never_scrolls_sideways(
    browser: Browser, whole_run: RunDirectory, width: int
) -> None:
    page, _ = opened(browser, whole_run, width, "light")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(
    browser: Browser, whole_run: RunDirectory, scheme: str
) -> None:
    """WCAG AA: 4.5 to 1 for every text against the page, the choice's badge against its own."""
    page, _ = opened(browser, whole_run, 1200, scheme)
    assert page.evaluate(WORST_CONTRAST) >= 4.5


WORST_CONTRAST = """() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => {
    const [r, g, b] = parts(c).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c.startsWith('rgb(')) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const ratios = [...document.querySelectorAll('main *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => {
      const s = getComputedStyle(e);
      const [a, b] = [light(e instanceof SVGElement ? s.fill : s.color), light(behind(e))];
      return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    });
  return Math.min(...ratios);
}"""
