"""Unknown columns: dropped, guessed, corrected on the page, imported."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser.app import LONG, PATIENCE, click, running
from tests.workbench.data.fakes import lines
from tests.workbench.data.loopback_hub import loopback_hub

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


# The hub's library reads its address where it is imported.
@pytest.mark.usefixtures("cold_processes")
def test_a_hubs_data_set_is_looked_at_mapped_and_imported(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real library asks a hub on loopback; the app goes on answering meanwhile."""
    root = tmp_path / "hub/me/fragen"
    for split in ("train", "test"):
        rows = [{"nr": n, "frage": f"{split} {n}?", "antwort": f"answer {n}"} for n in range(60)]
        lines(root / f"{split}.jsonl", rows)
    with loopback_hub(tmp_path / "hub") as hub:
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        with running(tmp_path) as app:
            page.goto(app.url())
            page.get_by_role("tab", name="Data", exact=True).click()
            page.get_by_role("button", name="From the Hugging Face Hub").click()
            page.locator("#data-hub input, #data-hub textarea").fill("me/fragen")
            click(page, "Preview")
            shown = page.locator("#data-preview")
            shown.get_by_text("answer 0", exact=True).first.wait_for(timeout=LONG)
            shown.get_by_text("me/fragen has the splits train, test.").wait_for()
            assert page.locator("#data-role-query input").input_value() == "frage"
            page.locator("#data-hub-split input").click()
            page.get_by_role("option", name="test", exact=True).click()
            shown.get_by_text("test 0?").first.wait_for()
            click(page, "Import")
            page.locator("#data-sets", has_text="fragen").wait_for(timeout=LONG)
            page.locator("#rows-table", has_text="test 0?").wait_for(timeout=PATIENCE)
            assert page.locator("#data-hub input, #data-hub textarea").input_value() == ""
            # And back: a job, whose token is written nowhere.
            page.locator("#data-change > button").click()
            page.get_by_role("tab", name="Push to the Hugging Face Hub", exact=True).click()
            page.locator("#data-push-repo input, #data-push-repo textarea").first.fill("me/back")
            token = page.locator("#data-push-token input")
            token.fill("hf_of-this-test")
            page.locator("#data-push-send").click()
            said = page.locator("#data-push-said", has_text="datasets/me/back")
            said.wait_for(timeout=LONG)
            assert token.input_value() == ""
        assert hub.tokens == {"Bearer hf_of-this-test"}
        names = {one.name for one in (hub.folder / "me/back").rglob("*") if one.is_file()}
        assert {"README.md", "corpus.parquet", "queries.parquet", "test.parquet"} <= names
        written = [one for one in tmp_path.rglob("*") if one.is_file() and one.parent != hub.folder]
        assert not any(b"hf_of-this-test" in one.read_bytes() for one in written)
