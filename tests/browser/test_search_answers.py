"""Answers through the real page, written by a loopback server: sources, nothing relevant, down."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError as PageTimeout
from playwright.sync_api import expect

from tests.browser.app import LONG, open_tab, running
from tests.browser.test_search_sides import build, corpus
from tests.workbench.synthesis.server import Handler, Server, serving

# A browser, an app, a build and a search process that import torch: half a minute on two cores.
pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=\"document.title='taken'\"><b>no</b>"


def writes(handler: Handler, _: int) -> None:
    """What the question's last word asks for."""
    question = str(handler.body["messages"][0]["content"]).rsplit("Question: ", 1)[1]
    if "nothing" in question:
        return handler.stream("NOT IN THE ", "PASSAGES")
    if "slowly" in question:
        handler.stream("It rains and ", finish=None)
        return handler.stall()
    if "breaks" in question:
        return handler.stream("It rains [1] and", finish=None)
    return handler.stream("Tea is drunk in the rain [2", "]. ", HOSTILE, " **Wet** [1][40]")


def test_an_answer_with_sources_through_the_page(page: Any, tmp_path: Path) -> None:
    corpus(tmp_path)
    with serving() as server, running(tmp_path) as app:
        server.manner = writes
        page.goto(app.url())
        page.get_by_role("tab", name="Search", exact=True).first.wait_for()
        open_tab(page, "Search")
        build(page, "plain", "Exact")
        page.locator("#search-answers > button").click()
        passages_alone(page)
        refused_at_the_field(page)
        answered(page, server)
        nothing_relevant(page, server)
        broken_and_stopped(page)
        kept_and_down(page, app.url())
        page.goto("about:blank")


def ask(page: Any, question: str) -> None:
    field = page.locator("#answer-question textarea, #answer-question input").first
    field.fill(question)
    field.press("Enter")


def setting(page: Any, name: str) -> Any:
    return page.locator(f"#answer-{name}").locator("input, textarea").first


def says(page: Any, words: str) -> None:
    page.locator("#answer-shown [role=status]", has_text=words).wait_for(timeout=LONG)


def passages_alone(page: Any) -> None:
    """Without a model: the passages, and the way to answers."""
    ask(page, "tea when it rains")
    says(page, "set an endpoint or a local language model")
    expect(page.locator("#answer-shown .rw-answer-passages li")).to_have_count(5)
    expect(page.locator("#answer-shown article")).to_be_hidden()


def refused_at_the_field(page: Any) -> None:
    page.locator("#answer-who > button").click()
    refusal = page.locator("#answer-endpoint_model", has_text="Say what the endpoint")
    for _ in range(10):
        # What is written while the section is still being drawn can be lost: once more, then.
        setting(page, "endpoint").fill("http://127.0.0.1:1/v1")
        page.locator("#answer-ask").click()
        with suppress(PageTimeout):
            refusal.wait_for(timeout=30_000)
            return
    raise AssertionError("the field was never told of what is missing")


def answered(page: Any, server: Server) -> None:
    """Streamed, safe to look at, and each source one click away."""
    setting(page, "endpoint").fill(server.url)
    setting(page, "endpoint_model").fill("m")
    expect(setting(page, "endpoint")).to_have_value(server.url)
    ask(page, "tea when it rains")
    says(page, "The answer is complete. Passages cited: 2.")
    text = page.locator("#answer-shown article")
    assert HOSTILE in text.inner_text() and page.title() != "taken"
    assert text.locator("img, b").count() == 0
    assert text.locator("strong").inner_text() == "Wet"
    assert text.locator("del").inner_text() == "40"
    assert text.get_attribute("aria-live") == "polite"
    assert text.get_attribute("aria-busy") == "false"
    page.locator("#answer-shown li", has_text="Struck out").wait_for()
    sources = text.get_by_role("button", name="Go to passage 2", exact=True)
    sources.focus()
    page.keyboard.press("Enter")
    card = page.locator("#answer-shown [data-number='2']:focus")
    card.wait_for()
    assert "aimed" in card.get_attribute("class").split() and "cited" in card.inner_text()
    expect(card).to_be_in_viewport()
    assert "first word after" in page.locator("#answer-shown").inner_text()


def nothing_relevant(page: Any, server: Server) -> None:
    ask(page, "tea and nothing")
    says(page, "according to the model, the passages do not answer")
    expect(page.locator("#answer-shown article")).to_be_hidden()
    asked = len(server.asked)
    setting(page, "min_score").fill("0.999")
    ask(page, "tea when it rains")
    says(page, "Nothing relevant was found: no passage scores 0.999 or more.")
    assert len(server.asked) == asked
    setting(page, "min_score").fill("-1")


def broken_and_stopped(page: Any) -> None:
    ask(page, "rain that breaks")
    says(page, "The answer was interrupted; what was written so far is kept.")
    assert "It rains" in page.locator("#answer-shown article").inner_text()
    ask(page, "rain that falls slowly")
    page.locator("#answer-shown article", has_text="It rains and").wait_for(timeout=LONG)
    page.locator("#answer-shown").get_by_role("button", name="Stop", exact=True).click()
    says(page, "Stopped.")
    assert "It rains and" in page.locator("#answer-shown article").inner_text()


def kept_and_down(page: Any, url: str) -> None:
    """After a reload the settings are there; an endpoint that is down leaves the passages."""
    page.goto(url)
    page.get_by_role("tab", name="Search", exact=True).first.wait_for()
    open_tab(page, "Search")
    page.locator("#search-answers > button").click()
    page.locator("#answer-who > button").click()
    expect(setting(page, "endpoint_model")).to_have_value("m", timeout=LONG)
    setting(page, "endpoint").fill("http://127.0.0.1:9/v1")
    ask(page, "tea when it rains")
    says(page, "No answer was generated: http://127.0.0.1:9/v1 cannot be reached.")
    expect(page.locator("#answer-shown .rw-answer-passages li")).to_have_count(5)
