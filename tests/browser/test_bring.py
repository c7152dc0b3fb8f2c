"""Unknown columns: dropped, guessed, corrected on the page, imported."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.app import running

pytestmark = pytest.mark.slow  # Starts the app and a browser.

TEXT = "frage,antwort,anders\nWo liegt Bonn?,Am Rhein.,In Kiel.\nWer war es?,Niemand.,Alle.\n"


def test_columns_are_guessed_shown_and_corrected(page: Any, tmp_path: Path) -> None:
    (tmp_path / "fragen.csv").write_text(TEXT)
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Data", exact=True).click()
        page.locator("#data-drop input[type=file]").set_input_files(tmp_path / "fragen.csv")
        shown = page.locator("#data-preview")
        shown.get_by_text("Am Rhein.").wait_for()
        assert shown.get_by_text("In Kiel.").count() == 0
        page.locator("#data-role-negative input").click()
        page.get_by_role("option", name="anders", exact=True).click()
        shown.get_by_text("In Kiel.").wait_for()
        page.get_by_role("button", name="Import", exact=True).click()
        page.locator("#data-sets", has_text="fragen").wait_for()
        page.locator("#rows-table", has_text="In Kiel.").wait_for()
        assert shown.get_by_text("In Kiel.").count() == 0
