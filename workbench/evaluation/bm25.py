"""BM25 over the words of a data set's documents: a first stage that needs no model. Torch-free.

`bm25s` computes the scores (Lucene's variant, k1 1.5, b 0.75). Chinese is cut into words by
`jieba`, everything else at what is not a letter or digit.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.exact_search import Run, cut, widen
from workbench.evaluation.measure import Clock, Progress, Stop
from workbench.evaluation.pool import Pool, Rows
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract

#: How soon more of the same word counts less, and how much long documents lose: bm25s's own.
K1 = 1.5
B = 0.75
#: Texts between two reports of progress.
STEP = 200

#: Runs of Chinese characters, runs of kana, or words of two and more letters or digits (a digit
#: may stand alone).
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KANA = "\u3040-\u30ff"
_PIECES = re.compile(rf"([{_HAN}]+)|([{_KANA}]+)|([^\W{_HAN}{_KANA}]{{2,}}|\d)")


def tokenize(text: str) -> list[str]:
    """The words of a text that BM25 counts: lower case, without Lucene's English stop words."""
    text = text.lower()
    words: list[str] = []
    stopped = _stop_words()
    for han, kana, word in _PIECES.findall(text):
        if word and word not in stopped:
            words.append(word)
        elif han:
            words += _segment(han)
        elif kana:
            # No dictionary: pairs of neighbours, as Lucene's analyzer for these scripts does.
            words += [kana[at : at + 2] for at in range(max(1, len(kana) - 1))]
    return words


class Bm25:
    """An index over texts in memory: ``fit`` once, then ``search``. A text is known by its place.

    ``order`` maps places to what decides between equal scores: the smaller comes first.
    """

    def __init__(self, order: Callable[[Rows], Rows] = lambda places: places) -> None:
        self._order = order
        self._words: dict[str, int] = {}
        self._index: Any = None
        self.size = 0

    def fit(self, texts: Iterable[str]) -> "Bm25":
        """Index the texts, in one pass over them."""
        words, documents = self._words, []
        for text in texts:
            documents.append([words.setdefault(word, len(words)) for word in tokenize(text)])
        self.size = len(documents)
        if words:
            self._index = _bm25s().BM25(k1=K1, b=B, method="lucene", backend="numpy")
            self._index.index((documents, dict(words)), show_progress=False)
        return self

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Run:
        """The best ``k`` places per query (n, k), best first; -1 where fewer share a word with it.

        ``progress`` gets queries done and in all; ``stop`` is called now and then and may raise.
        """
        run = Run(
            np.full((len(queries), k), -1, dtype=np.int64),
            np.full((len(queries), k), -np.inf, dtype=np.float32),
        )
        for at, query in enumerate(queries):
            if stop and at % STEP == 0:
                stop()
            places, scores = self._best(query, k)
            run.documents[at, : len(places)] = places
            run.scores[at, : len(places)] = scores
            if progress and ((at + 1) % STEP == 0 or at + 1 == len(queries)):
                progress(at + 1, len(queries))
        return run

    def _best(self, query: str, k: int) -> tuple[Rows, NDArray[np.float32]]:
        known = [self._words[word] for word in tokenize(query) if word in self._words]
        if not known:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        scores: NDArray[np.float32] = self._index.get_scores_from_ids(known)
        found = np.flatnonzero(scores > 0)
        if len(found) > k:
            # All that tie at the k-th place stay, so that the order decides among them.
            least = np.partition(scores[found], len(found) - k)[len(found) - k]
            found = found[scores[found] >= least]
        run = cut(Run(found[None, :], scores[found][None, :]), k, self._order)
        return run.documents[0], run.scores[0]


def retrieve_bm25(
    pool: Pool,
    *,
    k: int,
    progress: Progress | None = None,
    stop: Stop | None = None,
    clock: Clock | None = None,
) -> Run:
    """BM25's ``k`` best of the pool's documents (rows) per query of the pool, its own aside.

    ``progress`` gets (texts done, texts in all): documents are indexed, then queries asked.
    ``clock`` gets the seconds of 'search': the index is made once, queries are asked for ever.
    """
    total = pool.documents + len(pool.queries)
    rows: list[Rows] = []

    def texts() -> Iterator[str]:
        done = 0
        for block, table in pool.blocks():
            rows.append(block)
            for text in join_documents(table, Contract()).to_pylist():
                if stop and done % STEP == 0:
                    stop()
                yield text
                done += 1
                if progress and done % STEP == 0:
                    progress(done, total)

    index = Bm25(lambda places: pool.order(known[places])).fit(texts())
    known = np.concatenate([np.zeros(0, np.int64), *rows])

    def asked(done: int, _of: int) -> None:
        if progress:
            progress(pool.documents + done, total)

    deep = pool.depth(k)
    with (clock or Clock()).running("search"):
        found = index.search(pool.texts, deep, progress=asked, stop=stop)
    places = np.maximum(found.documents, 0)
    documents = np.where(found.documents >= 0, known[places], -1) if len(known) else found.documents
    return pool.without_own(widen(Run(documents, found.scores), deep), k)


def _segment(han: str) -> list[str]:
    """Words of a run of Chinese characters, with the shorter words inside long ones."""
    # Without the hidden Markov model: a name it does not know falls into the same single
    # characters everywhere, instead of into words that depend on what stands beside it.
    return [word for word in _jieba().cut_for_search(han, HMM=False) if word.strip()]


@cache
def _jieba() -> Any:
    """Read when the first Chinese text comes: its dictionary takes a second."""
    import jieba

    jieba.setLogLevel(logging.WARNING)
    return jieba


@cache
def _bm25s() -> Any:
    """Kept from JAX where that is installed too: bm25s tries it at import, for what is not used
    here, and JAX then takes three quarters of the GPU's memory from what trains in this process."""
    loaded: Any = sys.modules
    there = loaded.get("jax")
    loaded["jax"] = there  # None there means: not installed.
    try:
        import bm25s
    finally:
        if there is None:
            del loaded["jax"]
    return bm25s


@cache
def _stop_words() -> frozenset[str]:
    _bm25s()
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(STOPWORDS_EN)
