"""A reranker of the workspace as LangChain's document compressor."""

from collections.abc import Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import Field

from workbench.langchain.connection import connect
from workbench.search.asked import PAIRS

SCORE = "relevance_score"


class WorkbenchReranker(BaseDocumentCompressor):
    """Puts documents in order by a reranker or late-interaction MODEL and keeps the ``top_n`` best
    (None: all). Each gets its score as ``metadata['relevance_score']``.

    Raises :class:`ModelNotFound`, :class:`ModelUnusable` or :class:`SearchUnavailable` when it is
    used.
    """

    model: str
    top_n: int | None = Field(default=None, ge=1)
    home: str | None = None
    trust_remote_code: bool = False

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002 - the base class has it
    ) -> list[Document]:
        """The best first: by score, then in the order they came."""
        if not documents:
            return []
        search = connect(self.home, self.trust_remote_code)
        texts = [document.page_content for document in documents]
        scores: list[float] = []
        for start in range(0, len(texts), PAIRS):
            scores += search.rerank(self.model, query, texts[start : start + PAIRS]).tolist()
        order = sorted(range(len(scores)), key=lambda at: (-scores[at], at))[: self.top_n]
        return [_scored(documents[at], scores[at]) for at in order]


def _scored(document: Document, score: float) -> Document:
    return document.model_copy(update={"metadata": {**document.metadata, SCORE: score}})
