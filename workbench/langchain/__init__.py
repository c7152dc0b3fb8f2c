"""A workspace's models and indexes as LangChain's classes (an extra: ``langchain-core``).

No model is loaded in the program that uses them: a search process beside it has them, the same for
every class over one home.
"""

from workbench.langchain.embeddings import WorkbenchEmbeddings
from workbench.langchain.reranker import WorkbenchReranker
from workbench.langchain.retriever import WorkbenchRetriever

__all__ = ["WorkbenchEmbeddings", "WorkbenchReranker", "WorkbenchRetriever"]
