"""What can be no negative, and documents that say the same."""

from pathlib import Path

import numpy as np

from tests.workbench.data.fakes import bring, lines
from workbench.evaluation.pool import Pool
from workbench.mining.mine import excluded_documents, positives_of, random_negatives
from workbench.mining.rules import TextKeys
from workbench.workspace import Workspace


def pool(texts: list[str], judgments: dict[int, dict[int, int]], documents: int = 40) -> Pool:
    rows = np.arange(len(texts), dtype=np.int64)
    return Pool(
        queries=rows,
        texts=texts,
        judgments=judgments,
        documents=documents,
        blocks=lambda: iter(()),
        places=lambda: np.arange(documents, dtype=np.int64),
    )


def test_one_question_under_two_ids_shares_what_is_no_negative() -> None:
    asked = pool(
        ["What is tea?", "what is  TEA?", "other"], {0: {3: 1}, 1: {5: 2, 6: 0}, 2: {7: 1}}
    )
    own = positives_of(asked)
    assert [one.tolist() for one in own] == [[3], [5], [7]]
    assert [one.tolist() for one in excluded_documents(asked, own)] == [[3, 5], [3, 5], [7]]


def test_drawn_documents_are_distinct_and_follow_the_seed() -> None:
    asked = pool(["a", "b"], {0: {3: 1}, 1: {5: 1}})
    own = positives_of(asked)
    first, again, other = (
        random_negatives(asked, own, 5, seed, lambda: None) for seed in (1, 1, 2)
    )
    assert first.documents.tolist() == again.documents.tolist() != other.documents.tolist()
    assert all(len(set(line)) == len(line) >= 5 for line in first.documents.tolist())
    small = random_negatives(pool(["a"], {0: {0: 1}}, documents=3), own[:1], 5, 1, lambda: None)
    assert sorted(small.documents[0].tolist()) == [0, 1, 2]


def test_texts_are_equal_whatever_their_spaces_case_and_title(home: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(home)
    texts = [
        {"title": "One", "text": "Tea is\n hot."},
        {"title": "Two", "text": "tea  is hot."},
        {"title": "Two", "text": "tea is cold."},
        {"title": "Tea is hot.", "text": ""},
    ]
    rows = [{"query": "q", "positive_passages": texts, "negative_passages": []}]
    reader = bring(workspace, lines(tmp_path / "train.jsonl", rows), name="tea")[1]
    everything = reader.documents()
    keys = TextKeys(reader, np.arange(everything.num_rows))
    found = keys(np.arange(everything.num_rows)).tolist()
    titled = dict(zip(everything["text"].to_pylist(), found, strict=True))
    assert titled["Tea is\n hot."] == titled["tea  is hot."] != titled["tea is cold."]
    assert titled[""] == titled["tea  is hot."]
    workspace.close()
