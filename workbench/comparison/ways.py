"""The three ways a model can be measured, which are never ranked against each other.

To choose among all documents is harder than among fifty, and what a retriever missed its reranker
cannot find: a number says something only beside numbers that were measured in the same way.
"""

#: Over all documents of the data set.
RETRIEVAL = "retrieval"
#: Over each query's own candidates, which the data brings.
RERANKING = "reranking"
#: Over what a retriever found first.
PIPELINE = "pipeline"
WAYS = (RETRIEVAL, RERANKING, PIPELINE)

ALL_DOCUMENTS = "all documents"
OWN_CANDIDATES = "the query's own candidates"

#: As headings of tables.
TITLES = {
    RETRIEVAL: "Retrieval: over all documents",
    RERANKING: "Reranking: over each query's own candidates",
    PIPELINE: "Pipeline: over what a retriever found first",
}


def way_of(searched: str) -> str:
    """The way of a row that ``searched`` this; rows from before there were others searched all."""
    if searched in ("", ALL_DOCUMENTS):
        return RETRIEVAL
    return RERANKING if searched == OWN_CANDIDATES else PIPELINE
