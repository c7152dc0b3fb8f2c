"""A metric added from outside, in one file: measured by a job, tested, shown, chosen by recipes."""

import json
from pathlib import Path

import pytest

from tests.extending.outside import Run


def test_a_job_measures_it_and_a_recipe_chooses_it(extended: Run, tmp_path: Path) -> None:
    # Three of the ten documents that share the query's word are relevant to it, and lie first.
    rows = [
        {
            "query": f"word{query} word{query}",
            "pos": [f"word{query} is here and at {n}" for n in range(3)],
            "neg": [f"word{query} is elsewhere, far away from number {n}" for n in range(7)],
            "split": "test",
        }
        for query in range(6)
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    extended("precision", "data", "add", str(file), "--name", "words")
    command = ["evaluate", "--dataset", "words", "--model", "bm25", "--metric", "precision@5"]
    measured = extended("precision", *command, "--json").document
    (row,) = measured["rows"]
    assert (row["precision@5"], row["recall@10"]) == pytest.approx((0.6, 1.0))
    assert "Precision@5" in extended("precision", *command).text


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (
            "from workbench.recipes.describe import describe\n"
            "from workbench.recipes.train import TrainRecipe\n"
            "print([f.choices for f in describe(TrainRecipe) if f.name == 'metric'])",
            "'recall@100', 'precision@5', 'spearman'",
        ),
        (
            "from ui.words.sentences import metric_label; print(metric_label('precision@5'))",
            "Precision@5",
        ),
        ("from workbench.reference import reference; print(reference())", "precision@5"),
    ],
    ids=["form", "page", "reference"],
)
def test_what_lists_metrics_lists_it(extended: Run, code: str, shown: str) -> None:
    assert shown in extended.python("precision", code)
