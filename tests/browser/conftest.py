"""A browser, and a page on which an exception fails the test."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.app import PATIENCE
from tests.browser.browser import open_browser

#: What a page is told of by the browser when its app was stopped, or killed while it answered, or
#: when it is left.
GONE = (
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "ERR_CONTENT_LENGTH_MISMATCH",
    "ERR_EMPTY_RESPONSE",
    "ERR_INCOMPLETE_CHUNKED_ENCODING",
    # Gradio's own words where a page is left while it listens for what comes.
    "AbortError: signal is aborted without reason",
)


# For all files of this folder, and no longer: Playwright's loop would be in the way of coroutines.
@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page; an exception in it fails the test."""
    opened = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    opened.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    yield opened
    opened.context.close()
    # Once the app has been stopped, the page asks in vain; that is no fault of the page.
    assert [text for text in wrong if not any(one in text for one in GONE)] == []
