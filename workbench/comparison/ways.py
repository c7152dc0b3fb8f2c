"""The ways a model can be measured, which are never ranked against each other.

To choose among all documents is harder than among fifty, and what a retriever missed its reranker
cannot find: a number says something only beside numbers that were measured in the same way.
"""

#: Over all documents of the data set.
RETRIEVAL = "retrieval"
#: Over each query's own candidates, which the data brings.
RERANKING = "reranking"
#: Over what a retriever found first.
PIPELINE = "pipeline"
#: The three that can be asked for.
WAYS = (RETRIEVAL, RERANKING, PIPELINE)
#: How a model of pictures and texts is measured on pictures: captions search all pictures, and
#: pictures search all captions. To find a caption by its words is another matter than either.
TEXT_TO_PICTURE, PICTURE_TO_TEXT = "text-to-picture", "picture-to-text"
#: The order in which a table's groups stand.
ORDER = (*WAYS, TEXT_TO_PICTURE, PICTURE_TO_TEXT)

ALL_DOCUMENTS = "all documents"
ALL_PICTURES = "all pictures"
ALL_CAPTIONS = "all captions"
OWN_CANDIDATES = "the query's own candidates"

#: As headings of tables.
TITLES = {
    RETRIEVAL: "Retrieval: over all documents",
    RERANKING: "Reranking: over each query's own candidates",
    PIPELINE: "Pipeline: over what a retriever found first",
    TEXT_TO_PICTURE: "Text to picture: captions search all pictures",
    PICTURE_TO_TEXT: "Picture to text: pictures search all captions",
}


def way_of(searched: str) -> str:
    """The way of a row that ``searched`` this; rows from before there were others searched all."""
    if searched in ("", ALL_DOCUMENTS):
        return RETRIEVAL
    if searched in (ALL_PICTURES, ALL_CAPTIONS):
        return TEXT_TO_PICTURE if searched == ALL_PICTURES else PICTURE_TO_TEXT
    return RERANKING if searched == OWN_CANDIDATES else PIPELINE
