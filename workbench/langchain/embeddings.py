"""A model of the workspace as LangChain's embeddings."""

from functools import cached_property

from langchain_core.embeddings import Embeddings

from workbench.langchain.connection import connect
from workbench.search.client import SearchClient

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
