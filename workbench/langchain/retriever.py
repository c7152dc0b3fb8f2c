"""An index of the workspace as LangChain's retriever."""

from pathlib import Path

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field

from workbench.langchain.connection import connect
from workbench.search.results import CANDIDATES, Hit


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
