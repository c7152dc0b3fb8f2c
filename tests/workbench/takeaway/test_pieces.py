"""Pieces of the script by themselves."""

from typing import Any

from datasets import Dataset

from workbench.takeaway import pieces


class Reads:
    def preprocess(self, texts: list[str], **_: Any) -> dict[str, list[str]]:
        return {"texts": texts}


def test_a_document_of_no_words_is_a_negative_and_none_is_none() -> None:
    names: dict[str, Any] = {
        "Dataset": Dataset,
        "QUERY_PROMPT": "",
        "DOCUMENT_PROMPT": "",
        "QUERY_MAX_LEN": 8,
        "PASSAGE_MAX_LEN": 8,
    }
    exec(pieces.ROWS + pieces.BY_ROLE, names)
    rows = [
        {"query": "a", "positive": "b", "negatives": []},
        {"query": "c", "positive": "d", "negatives": ["", "e"]},
    ]
    batch = names["ByRole"](Reads())(list(names["as_dataset"](rows)))
    assert batch["document_texts"] == ["b", "d", "", "e"]
