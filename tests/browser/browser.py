"""Finding a Chromium and starting it, for every test that drives the real page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "CHROMIUM"
#: No sandbox: tests run as root in containers, and open nothing but our own page.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
]


def find_chromium() -> str | None:
    """An executable: ``$CHROMIUM``, an installed one, or the one Playwright has downloaded."""
    named = os.environ.get(VARIABLE)
    if named:
        return shutil.which(named)
    installed = next((path for name in NAMES if (path := shutil.which(name))), None)
    return installed or playwright_chromium()


def playwright_chromium() -> str | None:
    """Playwright's own Chromium, where it was downloaded before."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if path and Path(path).exists() else None


@contextmanager
def open_browser(**options: Any) -> Iterator[Any]:
    """A running Chromium with a fresh profile; raises RuntimeError when there is none."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise RuntimeError("No Chromium was found. Run: python tests/browser/install.py")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=[*ARGUMENTS, *options.pop("args", [])], **options
        )
        try:
            yield browser
        finally:
            browser.close()
