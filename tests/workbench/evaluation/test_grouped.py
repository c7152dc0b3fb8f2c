"""Questions about the same documents are compared as one, from the judgments to the words."""

import json

import numpy as np

from workbench.comparison.table import build_table
from workbench.comparison.text import result_text
from workbench.evaluation.exact_search import Run
from workbench.evaluation.measure import Measured
from workbench.evaluation.metrics import score_run
from workbench.evaluation.results import Entry, comparisons

#: Ten questions about each of twelve paragraphs.
ASKED, PARAGRAPHS = 120, 12


def entry(name: str, ranks: np.ndarray, asked: np.ndarray) -> Entry:
    """A model that finds the paragraph of every question at the paragraph's rank."""
    judgments = {query: {query % PARAGRAPHS: 1} for query in range(ASKED)}
    ranked = np.full((len(asked), 20), 99)
    ranked[np.arange(len(asked)), ranks[asked % PARAGRAPHS] - 1] = asked % PARAGRAPHS
    ranked = np.where(ranked == 99, 100 + np.arange(20), ranked)
    run = Run(ranked, np.tile(np.arange(20, 0, -1, dtype=np.float32), (len(asked), 1)))
    measured = Measured(run, score_run(asked, ranked, judgments))
    return Entry(name, "embedding", "all documents", asked, 120, measured)


def test_groups_go_from_the_judgments_to_the_words() -> None:
    every = np.arange(ASKED)
    base = np.repeat([2, 3], 6)
    better = np.array([1, 1, 1, 1, 4, 4, 1, 1, 1, 4, 4, 4])
    entries = [
        entry("base", base, every),
        entry("tuned", better, every),
        # Asked fewer of them, as rerankers may be.
        entry("other", better, every[::2]),
    ]
    found = comparisons(entries, "base", metric="map@100", seed=1)
    assert [(one["queries"], one["clusters"]) for one in found] == [(120, 12), (60, 6)]
    assert found[0]["interval"][0] < found[0]["ci95"][0]
    # Six groups are too few for an interval at the corrected level.
    assert found[1]["interval"] is None and found[1]["ci95"] is not None
    assert all(one["confidence"] > 0.95 for one in found)
    rows = [one.row() for one in entries]
    assert [row["clusters"] for row in rows] == [12, 12, 6]
    result = {"dataset": "pets", "split": "test", "rows": rows, "comparisons": found, "looks": 3}
    assert json.loads(json.dumps(result)) == result
    table = build_table(result)
    words = "too few groups to judge"
    assert table.rows[1].comparison is not None and table.rows[1].comparison.verdict == words
    said = result_text(result)
    assert words in said and "120 queries are in 12 groups" in said
    assert "had been looked at 3 times" in said
