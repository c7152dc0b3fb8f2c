"""The page in Chinese for a Chinese browser, in English once that was chosen, and so it stays."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.app import PATIENCE, open_tab, running

# The real app and a real browser: half a minute.
pytestmark = pytest.mark.slow


def test_a_chinese_browser_reads_chinese_until_english_is_chosen(
    browser: Any, tmp_path: Path
) -> None:
    with running(tmp_path) as app:
        context = browser.new_context(locale="zh-CN", viewport={"width": 1280, "height": 860})
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto(app.url())
        page.get_by_role("button", name="运行示例", exact=True).wait_for()
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        # What Gradio takes of its events is not watched for changes either.
        assert page.evaluate("gradio_config.dependencies.filter(Boolean).constructor !== Array")

        # What is refused is said in Chinese, in the corner and at the field.
        kept = page.evaluate("localStorage.getItem('workbench-tab')")
        open_tab(page, "训练")
        page.locator("#field-epochs").locator("input, textarea").first.fill("-1")
        page.get_by_role("button", name="开始训练", exact=True).click()
        page.locator("[data-testid=toast-body]", has_text="须大于 0。").wait_for()
        page.locator("#field-epochs", has_text="须大于 0。").wait_for()

        # The switch keeps the open tab, once that is written down, and holds over a reload and for
        # Gradio's own words.
        page.wait_for_function(
            "before => localStorage.getItem('workbench-tab') !== before", arg=kept
        )
        page.get_by_role("link", name="English", exact=True).click()
        page.get_by_role("button", name="Start training", exact=True).wait_for()
        page.reload()
        page.get_by_role("tab", name="Train", exact=True).first.wait_for()
        assert page.evaluate("[document.documentElement.lang, navigator.language]") == ["en", "en"]
        page.get_by_role("link", name="中文", exact=True).click()
        page.get_by_role("tab", name="训练", exact=True).first.wait_for()
        assert wrong == []
        context.close()
        app.stop()
