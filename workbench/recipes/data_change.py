"""Recipes that make one data set out of another: a sample, a merge, other splits, an export."""

from typing import ClassVar, Literal

from workbench.recipes.base import Recipe, setting

#: Where an export without a place of its own waits in the job's folder to be downloaded.
KEPT = "export.zip"
Format = Literal[
    "flagembedding",
    "pairs",
    "triplets",
    "scored",
    "beir",
    "llamaindex",
    "reranker-csv",
    "imagefolder",
]


class SampleRowsRecipe(Recipe):
    """Take some queries of a data set, with what belongs to them, as a new data set."""

    task: ClassVar[str] = "data-sample"

    dataset: str = setting(help="The data set to take from.", refers_to="dataset", min_length=1)
    dataset_version: int | None = setting(
        None, help="Its version; empty takes the current one.", advanced=True, ge=1
    )
    size: int = setting(
        1000,
        help="How many queries to take, from each split its share (scored pairs or documents, "
        "where there are no queries).",
        ge=1,
    )
    documents: Literal["linked", "all"] = setting(
        "linked",
        help="'linked' keeps the documents of these queries; 'all' keeps every document, so that "
        "searching stays as hard as it was.",
    )
    name: str = setting(
        "", help="What the sample is called; empty adds '-sample' to the name.", max_length=80
    )
    seed: int = setting(13, help="Decides what is taken.", advanced=True, ge=0, le=2**31 - 1)


class MergeDataRecipe(Recipe):
    """Put several data sets together as a new one: equal texts become one."""

    task: ClassVar[str] = "data-merge"

    datasets: list[str] = setting(
        help="The data sets, two or more.", refers_to="dataset", min_length=2, max_length=50
    )
    name: str = setting(
        "", help="What the new data set is called; empty joins the names.", max_length=80
    )


class ResplitRecipe(Recipe):
    """Decide anew which queries are train, dev and test, as a new version."""

    task: ClassVar[str] = "data-resplit"

    dataset: str = setting(help="The data set to split.", refers_to="dataset", min_length=1)
    dataset_version: int | None = setting(
        None, help="Its version; empty takes the current one.", advanced=True, ge=1
    )
    by: Literal["query", "document", "field"] = setting(
        "query",
        help="'query' deals queries out by chance; 'document' keeps queries that share a relevant "
        "document in one split; 'field' goes by an own column, such as a date.",
    )
    field: str = setting(
        "",
        help="An own column of the queries, their documents or scored pairs: its latest values "
        "become test, those before them dev; values that are called train, dev and test are taken "
        "at their word.",
        depends_on=("by", ("field",)),
        widget="column",
        max_length=200,
    )
    dev_share: float = setting(0.1, help="The share of queries that become dev.", ge=0.0, le=0.5)
    test_share: float = setting(0.1, help="The share of queries that become test.", ge=0.0, le=0.5)
    seed: int = setting(13, help="Decides who goes where.", advanced=True, ge=0, le=2**31 - 1)


class ExportDataRecipe(Recipe):
    """Write a data set in the shape that another tool reads."""

    task: ClassVar[str] = "data-export"

    dataset: str = setting(help="The data set to write.", refers_to="dataset", min_length=1)
    dataset_version: int | None = setting(
        None, help="Its version; empty takes the current one.", advanced=True, ge=1
    )
    split: Literal["all", "train", "dev", "test"] = setting(
        "all", help="One split, or all of them, each in a file of its own."
    )
    format: Format = setting(
        "flagembedding",
        help="FlagEmbedding's JSONL, sentence-transformers' pairs or triplets, scored pairs, "
        "a BEIR folder, LlamaIndex's JSON, a reranker's CSV, or pictures as an ImageFolder.",
    )
    file_type: Literal["auto", "jsonl", "csv", "parquet"] = setting(
        "auto",
        help="How the rows of pairs, triplets and scored pairs are written; 'auto' is JSONL.",
        depends_on=("format", ("pairs", "triplets", "scored")),
    )
    scores_from: Literal["auto", "own", "teacher", "grades"] = setting(
        "auto",
        help="Scored pairs are made of the data set's own, of a teacher's scores of its "
        "candidates, or of grades (divided by the highest); 'auto' takes the first of these that "
        "it has.",
        depends_on=("format", ("scored",)),
    )
    output: str = setting(
        "",
        help="The folder to write to, or a file that ends in .zip; empty keeps it with the job, "
        "to be downloaded.",
    )
