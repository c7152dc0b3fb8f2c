"""What the terminal says of a whole result."""

from tests.ui.tabs.conftest import EVALUATED
from tests.workbench.comparison.test_table import PAIRS
from workbench.comparison.text import result_text


def test_everything_that_was_measured_is_said() -> None:
    points = [
        {"model": "base", "dimensions": 64, "map@100": 0.5, "ndcg@10": 0.6, "recall@100": 0.9}
    ]
    pairs = {**PAIRS["pairs"], "left_out": ["bm25"]}
    text = result_text({**EVALUATED, "pairs": pairs, "second_dataset": PAIRS, "dimensions": points})
    lines = text.splitlines()
    counts = "150 won, 50 lost, 100 the same."
    how = "MAP@100 +0.094 [+0.050, +0.130], p < 0.001"
    assert f"tuned is better than base: {how}; {counts}" in lines
    assert "base with 64 dimensions: MAP@100 0.500, NDCG@10 0.600, Recall@100 0.900" in lines
    assert "Not judged by scored pairs, which need a model: bm25." in lines
    assert lines.count("sts, test split, scored pairs") == 1
    assert "tea, test split, scored pairs" in lines
    assert any(line.startswith("tuned: better on tea (+0.094 MAP@100); not") for line in lines)
