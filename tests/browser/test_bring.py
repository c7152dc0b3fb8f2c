"""Unknown columns: dropped, guessed, corrected on the page, imported."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.app import PATIENCE, running

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


def test_a_folder_of_corpus_queries_and_judgments_is_imported(page: Any, tmp_path: Path) -> None:
    folder = tmp_path / "handbook"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(
        "".join(f'{{"_id": "d{n}", "title": "", "text": "chapter {n}"}}\n' for n in range(4))
    )
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "the third chapter?"}\n')
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td3\t1\n")
    (folder / "picture.psd").write_bytes(b"8BPS")
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Data", exact=True).click()
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="or choose a folder").click()
        chooser.value.set_files(str(folder))
        page.locator("#data-drop li", has_text="3 files").wait_for()
        page.locator("#data-preview", has_text="read as beir").wait_for()
        page.get_by_role("button", name="Import", exact=True).click()
        page.locator("#data-sets", has_text="handbook").wait_for()
        page.locator("#rows-table", has_text="chapter 3").wait_for(timeout=PATIENCE)
        assert page.locator("#data-drop li").count() == 0
        assert not list((app.home / "uploads").iterdir())
