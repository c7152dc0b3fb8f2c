"""What the checker says of data sets of pictures, and what it leaves alone."""

from pathlib import Path

from tests.workbench.data.fakes import bring
from tests.workbench.data_check.conftest import Checker
from tests.workbench.pictures.fakes import noise
from tests.workbench.pictures.test_importing import rows, written
from workbench.data_check.fix import read_report
from workbench.workspace import Workspace

LONG = "a photograph of a small harbour in the evening with many boats and one very old crane "


def test_captions_of_none_and_of_several(
    workspace: Workspace, checker: Checker, tmp_path: Path
) -> None:
    said = [f"{LONG}number {at}" for at in range(6)] + ["a cat", "a cat", "a cat", None]
    captions = [
        {"file_name": f"{at}.png", "text": text} for at, text in enumerate(said) if text is not None
    ]
    files = {f"train/{at}.png": noise(at) for at in range(len(said))}
    folder = written(tmp_path / "set", {**files, "train/metadata.jsonl": rows(*captions)})
    _, reader = bring(workspace, folder, dev_share=0.0, test_share=0.0)
    found = checker.check(reader.name, "captions", "duplicates", "near-duplicates", "languages")
    # Six captions differ by a digit: nearly equal queries, whose pictures are no copies.
    assert set(found) == {
        "picture-without-caption",
        "caption-of-several-pictures",
        "near-duplicate-query",
    }
    assert found["picture-without-caption"]["count"] == 1
    assert found["picture-without-caption"]["of"] == 10
    shared = found["caption-of-several-pictures"]
    assert shared["count"] == 1 and shared["examples"][0]["texts"][0]["text"] == "a cat"
    assert "up to 3" in shared["sentence"]
    assert read_report(workspace, checker.job)["findings"]
    done, after = checker.fix(reader.name, "drop-shared-captions")
    assert "a cat" not in after.queries()["text"].to_pylist()
    assert done["after"]["documents"] == done["before"]["documents"] == 10
    assert all(
        (after.folder / place).is_file() for place in after.documents()["picture"].to_pylist()
    )


def test_a_caption_is_cut_as_a_query_alone(
    workspace: Workspace, checker: Checker, tmp_path: Path
) -> None:
    files = {"train/a.png": noise(1), "train/b.png": noise(2)}
    captions = rows(
        {"file_name": "a.png", "text": "a red boat"}, {"file_name": "b.png", "text": LONG * 8}
    )
    folder = written(tmp_path / "set", {**files, "train/metadata.jsonl": captions})
    _, reader = bring(workspace, folder, dev_share=0.0, test_share=0.0)
    found = checker.check(
        reader.name, "cut", "captions", tokenizer="all-MiniLM-L6-v2", query_max_len=77
    )
    assert set(found) == {"cut-query"} and found["cut-query"]["count"] == 1
    assert "77 tokens" in found["cut-query"]["sentence"]


def test_texts_are_asked_for_no_captions(workspace: Workspace, checker: Checker) -> None:
    from tests.workbench.data.fakes import lines
    from tests.workbench.data_check.conftest import healthy

    path = lines(workspace.home / "texts.jsonl", healthy())
    _, reader = bring(workspace, path)
    assert checker.check(reader.name, "captions") == {}
