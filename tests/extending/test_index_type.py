"""A type of index added from outside, in one file: built, measured, searched, updated, listed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.extending.outside import Run
from tests.workbench.models import tiny

# Models encode in processes of their own.
pytestmark = pytest.mark.slow

WORDS = ["fox", "dog", "cat", "mat", "the", "lazy", "quick", "brown"]


def corpus(path: Path, count: int) -> Path:
    texts = [f"{WORDS[n % 8]} {WORDS[n // 8 % 8]} {WORDS[n // 64]}" for n in range(count)]
    rows = [{"id": f"n{n}", "text": text, "even": n % 2 == 0} for n, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_it_is_built_searched_and_changed(extended: Run, home: Path, tmp_path: Path) -> None:
    def run(*argv: str) -> Any:
        return extended("plain", *argv, "--json").document

    run("data", "add", str(corpus(tmp_path / "notes.jsonl", 100)), "--name", "notes")
    run("models", "add", str(tiny.bert(tmp_path / "tiny", seed=0)), "--name", "tiny")
    shared = ["index", "build", "--dataset", "notes", "--model", "tiny"]
    run(*shared, "--structure", "flat", "--name", "exact")
    built = run(*shared, "--structure", "plain", "--truncate-dim", "16", "--name", "plain")
    assert (built["structure"], built["dimensions"]) == ("plain", 16)
    whole = run(*shared, "--structure", "plain", "--name", "whole")
    assert whole["recall@10"] == 1.0 > built["recall@10"]
    assert whole["bytes"] == 128 + 100 * 32 * 4

    def hits(name: str, *more: str) -> list[str]:
        found = run("search", "the quick brown fox", "--index", name, *more)
        return [hit["id"] for hit in found["hits"]]

    assert hits("whole") == hits("exact")
    filtered = hits("whole", "--where", "even = true")
    assert filtered == hits("exact", "--where", "even = true") != hits("exact")

    # Some documents go and come again: what is there is changed, and the search follows.
    first = hits("whole")
    gone = run("index", "update", "whole", "--leave-out", first[0])
    assert (gone["removed"], gone["added"], gone["rebuilt"]) == (1, 0, "")
    assert hits("whole")[:9] == first[1:]
    back = run("index", "update", "whole", "--take-back", first[0])
    assert (back["removed"], back["added"], back["rebuilt"]) == (0, 1, "")
    assert hits("whole") == first

    listed = {one["name"]: one["structure"] for one in run("index", "list")}
    assert listed == {"exact": "flat", "plain": "plain", "whole": "plain"}


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (
            "from workbench.recipes.describe import describe\n"
            "from workbench.recipes.evaluate import IndexRecipe\n"
            "from ui.kit.form import choice_label\n"
            "[spec] = [one for one in describe(IndexRecipe) if one.name == 'structure']\n"
            "print([choice_label(spec, choice) for choice in spec.choices])",
            "'Binary, one bit a dimension', 'Plain matrix'",
        ),
        ("from workbench.reference import reference; print(reference())", "| `plain` | Plain"),
    ],
    ids=["form", "reference"],
)
def test_what_lists_types_lists_it(extended: Run, code: str, shown: str) -> None:
    assert shown in extended.python("plain", code)
