"""A real, headless Chromium for tests, the machine's own: Playwright's download is not needed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser for as long as the context lasts.

    Where none is installed the test is skipped, but fails where ``CI`` is set: there it must run.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_path(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def _path() -> str:
    for name in NAMES:
        if path := shutil.which(name):
            return path
    missing = f"no Chromium on this machine (looked for {', '.join(NAMES)})"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{missing}, and CI is set")
    pytest.skip(missing)
