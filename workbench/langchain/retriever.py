"""An index of the workspace as LangChain's retriever."""

import atexit
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from langchain_core.callbacks import CallbackManagerForRetrieverRun, Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import Field

from workbench.search.client import SearchClient
from workbench.search.protocol import CANDIDATES, PAIRS, Hit
from workbench.workspace import Workspace

# One open workspace, and one search process, for each home that this program uses.

_open: dict[tuple[Path, bool], SearchClient] = {}
_lock = threading.Lock()


def connect(home: str | None = None, trust_remote_code: bool = False) -> SearchClient:
    """The search client of a home (``WORKBENCH_HOME``, else the usual place), opened on first use.

    Chains make many objects over one workspace; each with a process and models of its own would
    soon fill the memory. Raises :class:`StoreError`.
    """
    workspace = Workspace.open(home, trust_remote_code=trust_remote_code)
    key = (workspace.home, trust_remote_code)
    with _lock:
        if key in _open:
            workspace.close()
        else:
            _open[key] = SearchClient(workspace)
        return _open[key]


@atexit.register
def close() -> None:
    """End every search process; the next use starts another."""
    with _lock:
        for client in _open.values():
            client.close()
        _open.clear()


class WorkbenchRetriever(BaseRetriever):
    """Finds the ``k`` best documents of an index; a ``reranker`` (MODEL) orders the first
    ``candidates`` anew, and ``where`` keeps only documents whose own fields fit it.

    ``k``, ``reranker`` ('' for none), ``candidates`` and ``where`` can be given to one call too:
    ``retriever.invoke(query, k=3)``. A document's metadata has its own fields, its title, score and
    rank, and from which index it is; a picture's also the picture's file ('picture'). Where a field
    has the name of one of these it is found in 'fields', which has them all. Raises
    :class:`IndexNotFound`, :class:`BadInput`, :class:`ModelNotFound`, :class:`ModelUnusable` or
    :class:`SearchUnavailable` when it is used.
    """

    index: str
    k: int = Field(default=4, ge=1)
    reranker: str | None = None
    candidates: int = Field(default=CANDIDATES, ge=1)
    where: str = ""
    home: str | None = None
    trust_remote_code: bool = False

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - the base class has it
        k: int | None = None,
        reranker: str | None = None,
        candidates: int | None = None,
        where: str | None = None,
    ) -> list[Document]:
        most = self.k if k is None else k
        search = connect(self.home, self.trust_remote_code)
        found = search.search(
            self.index,
            query,
            most,
            reranker=self.reranker if reranker is None else reranker or None,
            candidates=max(self.candidates if candidates is None else candidates, most),
            where=self.where if where is None else where,
        )
        return [
            _document(hit, rank, found.index, search.picture_file(found, hit))
            for rank, hit in enumerate(found.hits, start=1)
        ]


def _document(hit: Hit, rank: int, index: str, picture: Path | None) -> Document:
    about = {"id": hit.id, "title": hit.title, "score": hit.score, "rank": rank, "index": index}
    if hit.first_rank is not None:
        about |= {"first_rank": hit.first_rank, "first_score": hit.first_score}
    if picture is not None:
        about["picture"] = str(picture)
    own = {**hit.fields, "fields": hit.fields}
    return Document(id=hit.id, page_content=hit.text, metadata={**own, **about})


# A reranker of the workspace as LangChain's document compressor.

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


# A model of the workspace as LangChain's embeddings.

#: Texts per message to the search process: others' turns come in between.
_TOGETHER = 256


class WorkbenchEmbeddings(Embeddings):
    """Embeds texts with a MODEL: a name in the workspace, a folder, or a hub id.

    Queries and documents each get the prompt and length that the model's contract has for them.
    ``home`` is the workspace's folder (default: ``WORKBENCH_HOME``). Raises :class:`ModelNotFound`,
    :class:`ModelUnusable` or :class:`SearchUnavailable` when it is used.
    """

    def __init__(
        self, model: str, *, home: str | None = None, trust_remote_code: bool = False
    ) -> None:
        self.model = model
        self.home = home
        self.trust_remote_code = trust_remote_code

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """A vector for each text, in their order."""
        found: list[list[float]] = []
        for start in range(0, len(texts), _TOGETHER):
            batch = texts[start : start + _TOGETHER]
            found += self._search.embed(self.model, batch, "document").tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        vector: list[float] = self._search.embed(self.model, [text], "query")[0].tolist()
        return vector

    @cached_property
    def _search(self) -> SearchClient:
        return connect(self.home, self.trust_remote_code)
