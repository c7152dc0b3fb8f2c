"""Recipes that bring data in: files a person has, and the sample."""

from typing import ClassVar, Literal

from workbench.recipes.base import ContractRecipe, Recipe, setting


class ImportRecipe(Recipe):
    """Read files into a new data set."""

    task: ClassVar[str] = "import"

    paths: list[str] = setting(
        help="The files or folders to read, or hf:OWNER/NAME; several files make one data set.",
        widget="files",
        min_length=1,
    )
    name: str = setting(
        help="What the data set is called in this workspace.", min_length=1, max_length=80
    )
    strict: bool = setting(
        False, help="Refuse the whole import when any row has a problem, instead of leaving it out."
    )
    encoding: str = setting(
        "auto",
        help="The files' text encoding; 'auto' detects UTF-8, UTF-16, GBK, Big5 and others.",
        advanced=True,
    )
    header: Literal["auto", "yes", "no"] = setting(
        "auto",
        help="Whether the first line of a CSV, a TSV or a workbook names its columns; 'auto' tells "
        "by its words and by the lines below it.",
        advanced=True,
    )
    scores: Literal["auto", "pairs", "grades"] = setting(
        "auto",
        help="What a number beside two texts is: a grade of relevance, or the score of a pair; "
        "'auto' takes whole numbers beside a query and a passage for grades.",
        advanced=True,
    )
    mapping: list[str] = setting(
        [],
        help="Which column holds what where the names do not tell, one ROLE=COLUMN each: query, "
        "positive, negative, label, left, right, id, query_id, document_id, title, text, prompt or "
        "picture.",
        advanced=True,
        widget="lines",
    )
    hub_subset: str = setting(
        "",
        help="The subset (configuration) of a data set named as hf:OWNER/NAME.",
        advanced=True,
        max_length=200,
    )
    hub_split: str = setting(
        "",
        help="The splits of a data set named as hf:OWNER/NAME, with commas; empty takes all.",
        advanced=True,
        max_length=200,
    )
    pieces: Literal["files", "all", "none"] = setting(
        "files",
        help="Which documents are cut into pieces: 'files' those of .txt, .md and .pdf, 'all' the "
        "documents of tables too; 'none' cuts nothing but a PDF's pages.",
        group="pieces",
        advanced=True,
    )
    piece_size: int = setting(
        256,
        help="The longest piece, in tokens; more than a model reads is cut off when it is used.",
        group="pieces",
        advanced=True,
        depends_on=("pieces", ("files", "all")),
        ge=16,
        le=8192,
    )
    piece_overlap: int = setting(
        32,
        help="So many tokens of a piece stand at the beginning of the next one too.",
        group="pieces",
        advanced=True,
        depends_on=("pieces", ("files", "all")),
        ge=0,
        le=1024,
    )
    piece_model: str = setting(
        "all-MiniLM-L6-v2",
        help="The model whose tokens are counted.",
        group="pieces",
        advanced=True,
        depends_on=("pieces", ("files", "all")),
        refers_to="model",
    )
    dev_share: float = setting(
        0.1,
        help="The share of training queries set aside as dev when the files bring none.",
        group="splits",
        advanced=True,
        ge=0.0,
        le=0.5,
    )
    test_share: float = setting(
        0.1,
        help="The share of training queries set aside as test when the files bring none.",
        group="splits",
        advanced=True,
        ge=0.0,
        le=0.5,
    )
    held_out_limit: int = setting(
        1000,
        help="At most this many queries are set aside for dev, and as many for test.",
        group="splits",
        advanced=True,
        ge=1,
    )
    seed: int = setting(
        13,
        help="Decides which queries are set aside; the same seed always sets the same aside.",
        group="splits",
        advanced=True,
        ge=0,
        le=2**31 - 1,
    )
    remove_after: bool = setting(
        False,
        help="Delete the files once they are read (set for files uploaded through the page).",
        advanced=True,
    )


class SampleRecipe(Recipe):
    """Build the sample data set from the Python standard library of this machine."""

    task: ClassVar[str] = "sample"

    name: str = setting(
        "stdlib-code", help="What the sample data set is called.", min_length=1, max_length=80
    )
    train_pairs: int = setting(
        1200, help="How many docstring-and-source pairs to train on.", ge=50, le=10_000
    )
    dev_pairs: int = setting(100, help="How many pairs to hold out as dev.", ge=10, le=2_000)
    test_pairs: int = setting(300, help="How many pairs to hold out as test.", ge=50, le=2_000)
    seed: int = setting(
        13, help="Decides which functions are taken and how they are split.", ge=0, le=2**31 - 1
    )


class AddModelRecipe(ContractRecipe):
    """Copy a model or adapter made elsewhere into the workspace, checked and as safetensors."""

    task: ClassVar[str] = "add-model"

    source: str = setting(
        help="A folder on this machine, or a hub id.",
        refers_to="model",
        widget="text",
        min_length=1,
    )
    name: str = setting(
        "",
        help="What the model is called in this workspace; empty takes its own name.",
        max_length=120,
    )
    pictures_by: str = setting(
        "",
        help="A CLIP-like model that reads the pictures, where the source reads texts only: both "
        "become one model of pictures and texts.",
        refers_to="model",
        widget="text",
        max_length=1000,
    )


# Recipes that make one data set out of another: a sample, a merge, other splits, an export.

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


# The recipe of a look at a hub's data set, before it is imported.


class HubLookRecipe(Recipe):
    """See which subsets, splits and columns a hub's data set has, from its first rows."""

    task: ClassVar[str] = "hub-look"

    dataset_id: str = setting(
        help="The data set on the hub, as OWNER/NAME or hf:OWNER/NAME.", min_length=1
    )
    subset: str = setting(
        "",
        help="Its subset (configuration); empty takes the default or the first.",
        max_length=200,
    )
