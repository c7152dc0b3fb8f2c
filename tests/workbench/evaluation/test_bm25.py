"""BM25: its words, its scores against a formula written down, its ties."""

import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.workbench.training.fakes import FakeReader
from workbench.errors import JobCancelled
from workbench.evaluation.bm25 import K1, B, Bm25, retrieve_bm25, tokenize
from workbench.evaluation.pool import whole_pool

TEXTS = [
    "the red fox and the hen",
    "old red cat",
    "cat cat dog",
    "a very long story of one dog that met no cat but nine birds",
    "上海证券交易所的股票今天上涨",
]


def by_hand(query: str, texts: list[str]) -> list[float]:
    """Lucene's BM25: idf ln(1 + (N - n + .5) / (n + .5)), tf / (tf + k1 (1 - b + b l / mean))."""
    words = [Counter(tokenize(text)) for text in texts]
    mean = sum(one.total() for one in words) / len(texts)
    scores = []
    for one in words:
        total = 0.0
        for word in tokenize(query):
            having = sum(word in other for other in words)
            idf = math.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
            length = K1 * (1 - B + B * one.total() / mean)
            total += idf * one[word] / (one[word] + length)
        scores.append(total)
    return scores


@pytest.mark.parametrize("query", ["red cat", "dog cat cat", "birds", "上海的股票"])
def test_scores_are_those_of_the_formula(query: str) -> None:
    run = Bm25().fit(TEXTS).search([query], 5)
    expected = by_hand(query, TEXTS)
    order = sorted((at for at, one in enumerate(expected) if one > 0), key=lambda at: -expected[at])
    assert run.documents[0].tolist() == order + [-1] * (5 - len(order))
    assert run.scores[0, : len(order)] == pytest.approx([expected[at] for at in order], rel=1e-5)


def test_words() -> None:
    assert tokenize("The Red fox's 3 cafés") == ["red", "fox", "3", "cafés"]
    chinese = tokenize("上海证券交易所的股票 ABC")
    assert {"上海", "证券", "股票", "交易所", "abc"} <= set(chinese)
    assert tokenize("ラーメン") == ["ラー", "ーメ", "メン"] and tokenize("の") == ["の"]


def test_what_shares_no_word_is_not_found() -> None:
    run = Bm25().fit(TEXTS).search(["giraffe", "the and", ""], 3)
    assert (run.documents == -1).all() and np.isneginf(run.scores).all()


def test_nothing_to_index() -> None:
    for texts in ([], ["", "the"]):
        assert (Bm25().fit(texts).search(["red"], 2).documents == -1).all()


def test_ties_go_by_the_order_even_at_the_last_place() -> None:
    place = np.random.default_rng(0).permutation(40)
    found = Bm25(lambda rows: place[rows]).fit(["same words"] * 40).search(["words"], 7)
    assert found.documents[0].tolist() == np.argsort(place)[:7].tolist()


def test_over_a_pool_with_progress() -> None:
    data = FakeReader(
        {"dev": [("red fox", ["a red fox"], ["a blue fox"]), ("owl", ["an owl"], [])]}
    )
    seen: list[tuple[int, int]] = []
    run = retrieve_bm25(whole_pool(data, "dev"), k=4, progress=lambda *one: seen.append(one))
    assert run.documents.tolist() == [[0, 1, -1, -1], [2, -1, -1, -1]]
    assert seen[-1] == (5, 5)


def test_stops() -> None:
    def stop() -> None:
        raise JobCancelled("Stopped.")

    with pytest.raises(JobCancelled):
        Bm25().fit(TEXTS).search(["red"], 2, stop=stop)


def test_jax_is_not_woken_where_it_is_installed(tmp_path: Path) -> None:
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").touch()
    (tmp_path / "jax" / "lax.py").write_text("raise SystemExit('took the GPU')")
    code = (
        "from workbench.evaluation.bm25 import Bm25; import sys; "
        "assert Bm25().fit(['old red cat', 'hen']).size == 2; assert 'jax' not in sys.modules; "
        "import jax"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
