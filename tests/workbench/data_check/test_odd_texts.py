"""Lists that were read as one text, placeholders and numbers alone: found, shown, fixed."""

from collections.abc import Callable

import pytest

from tests.workbench.data.fakes import everything
from tests.workbench.data_check.conftest import Checker, healthy
from workbench.data.reader import DatasetReader
from workbench.data.text_counts import odd_kind

Make = Callable[..., DatasetReader]
CODES = {
    f"{kind}-{what}" for kind in ("placeholder", "list", "number") for what in ("query", "document")
}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(
            (one, "placeholder")
            for one in ("nan", "NaN", " None ", "null", "N/A", "n/a", "[]", "{}")
        ),
        *((one, "placeholder") for one in ("-", "TODO", "todo:", "...", "<NA>", "[removed]")),
        *((one, "list") for one in ("['a', 'b']", '["a"]', "['a' 'b']", ' ["it\'s", "x\ny"] ')),
        *((one, "number") for one in ("7", "-1.5", "1,000", "99 %", "2024", "3.")),
        *((one, None) for one in ("no", "nothing", "None of them", "[1] see below", "[citation]")),
        *((one, None) for one in ("a", "7 days", "['open", "x = ['a']", "版本", "")),
    ],
)
def test_kinds(text: str, kind: str | None) -> None:
    assert odd_kind(text) == kind


def test_they_are_found_and_placeholders_are_fixed(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[1]["query"], rows[2]["query"], rows[3]["query"] = "nan", "['a', 'b']", "42"
    rows[4]["pos"], rows[5]["pos"], rows[6]["pos"] = ["None"], ["['c', 'd']"], ["1,5"]
    rows[7]["pos"] += ["TODO"]
    rows[8]["neg"] = ["N/A", "a text"]
    reader = data(train=rows)
    found = checker.check(reader.name, "texts")
    assert found.keys() == CODES
    assert {code: one["count"] for code, one in found.items()} == {
        **dict.fromkeys(CODES, 1), "placeholder-document": 3,
    }  # fmt: skip
    told = found["placeholder-document"]
    assert "2 of them relevant to a query" in told["sentence"]
    assert [one["note"] for one in told["examples"]] == ["relevant to a query"] * 2 + [""]
    assert {one["texts"][0]["text"] for one in told["examples"]} == {"None", "TODO", "N/A"}
    assert "import the file again" in found["list-document"]["sentence"]
    assert not found["list-query"]["fixes"] and not found["number-document"]["fixes"]
    before = everything(reader)
    _, after = checker.fix(reader.name, "placeholder-query", "placeholder-document")
    left = everything(after)
    gone = {"nan", rows[4]["query"]}  # Nothing else was relevant to it.
    assert left.keys() == before.keys() - gone
    assert left[rows[7]["query"]][1] == rows[7]["pos"][:1]
    assert left[rows[8]["query"]][2] == ["a text"]
    assert checker.check(reader.name, "texts").keys() == CODES - {
        "placeholder-query", "placeholder-document",
    } | {"placeholder-document"}  # fmt: skip


def test_of_scored_pairs_too(data: Make, checker: Checker) -> None:
    texts = [("a text", "another"), ("nan", "a text"), ("one more", "['a', 'b']"), ("7", "none")]
    rows = [{"sentence1": a, "sentence2": b, "score": 0.5} for a, b in texts]
    reader = data(train=rows)
    found = checker.check(reader.name, "texts")
    counts = {code: one["count"] for code, one in found.items()}
    assert counts == {"placeholder-pair-text": 2, "list-pair-text": 1, "number-pair-text": 1}
    _, after = checker.fix(reader.name, "placeholder-pair-text")
    assert after.counts["pairs"] == 2
