"""A workspace's models and indexes as LangChain's classes (an extra: ``langchain-core``).

No model is loaded in the program that uses them: a search process beside it has them, the same for
every class over one home.
"""

from workbench.langchain.retriever import WorkbenchEmbeddings, WorkbenchReranker, WorkbenchRetriever

__all__ = ["WorkbenchEmbeddings", "WorkbenchReranker", "WorkbenchRetriever"]
