"""Recipes about data sets: files brought in, samples, one made out of another, the data check."""

from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import field_validator

from workbench.models.contract import name_from
from workbench.recipes.base import ContractRecipe, Fit, Recipe, advanced, setting
from workbench.recipes.fields import (
    Device,
    Precision,
    current_version,
    device,
    model_name,
    precision,
    seed,
    share,
    use_cache,
)

_pieces = partial(advanced, group="pieces")


class ImportRecipe(Recipe):
    """Read files into a new data set."""

    task: ClassVar[str] = "import"

    paths: list[str] = setting(
        help="The files or folders to read, or hf:OWNER/NAME; several files make one data set.",
        widget="files",
        min_length=1,
    )
    name: str = setting(
        help="What the data set is called in this workspace.",
        min_length=1,
        max_length=80,
        names="dataset",
    )
    strict: bool = setting(
        False,
        help="Reject the whole import if any row has a problem, instead of leaving that row out.",
    )
    encoding: str = advanced(
        "auto", help="The files' text encoding; 'auto' detects UTF-8, UTF-16, GBK, Big5 and others."
    )
    header: Literal["auto", "yes", "no"] = advanced(
        "auto",
        help="Whether the first line of a CSV, a TSV or a workbook names its columns; 'auto' "
        "decides by that line and the lines below it.",
    )
    scores: Literal["auto", "pairs", "grades"] = advanced(
        "auto",
        help="What a number next to two texts means: a relevance grade or the score of a pair; "
        "'auto' reads integers next to a query and a passage as grades.",
    )
    mapping: list[str] = advanced(
        [],
        help="The roles of columns that are not recognized by name, one ROLE=COLUMN each: query, "
        "positive, negative, label, left, right, id, query_id, document_id, title, text, prompt "
        "or picture.",
        widget="lines",
    )
    hub_subset: str = advanced(
        "", help="The subset (configuration) of a data set named as hf:OWNER/NAME.", max_length=200
    )
    hub_split: str = advanced(
        "",
        help="The splits of a data set named as hf:OWNER/NAME, separated by commas; empty takes "
        "all.",
        max_length=200,
    )
    pieces: Literal["files", "all", "none"] = _pieces(
        "files",
        help="Which documents are split into chunks: 'files' those of .txt, .md and .pdf, 'all' "
        "the documents of tables too; 'none' only splits a PDF into its pages.",
    )
    piece_size: int = _pieces(
        256,
        help="The maximum length of a chunk in tokens; what exceeds a model's maximum length is "
        "truncated when it is encoded.",
        depends_on=("pieces", ("files", "all")),
        ge=16,
        le=8192,
    )
    piece_overlap: int = _pieces(
        32,
        help="How many tokens of a chunk are repeated at the beginning of the next one.",
        depends_on=("pieces", ("files", "all")),
        ge=0,
        le=1024,
    )
    piece_model: str = _pieces(
        "all-MiniLM-L6-v2",
        help="The model whose tokenizer counts the tokens.",
        depends_on=("pieces", ("files", "all")),
        refers_to="model",
    )
    dev_share: float = share(
        0.1, "The share of training queries held out as dev if the files contain no dev split."
    )
    test_share: float = share(
        0.1, "The share of training queries held out as test if the files contain no test split."
    )
    held_out_limit: int = advanced(
        1000,
        help="At most this many queries are held out for dev, and as many for test.",
        group="splits",
        ge=1,
    )
    seed: int = seed(
        13,
        "Decides which queries are held out; the same seed always holds out the same ones.",
        "splits",
    )
    remove_after: bool = advanced(
        False, help="Delete the files after the import (set for files uploaded through the page)."
    )


class SampleRecipe(Recipe):
    """Build the sample data set from the Python standard library of this machine."""

    task: ClassVar[str] = "sample"

    name: str = setting(
        "stdlib-code",
        help="What the sample data set is called.",
        min_length=1,
        max_length=80,
        names="dataset",
    )
    train_pairs: int = setting(
        1200, help="How many docstring-and-source pairs to train on.", ge=50, le=10_000
    )
    dev_pairs: int = setting(100, help="How many pairs to hold out as dev.", ge=10, le=2_000)
    test_pairs: int = setting(300, help="How many pairs to hold out as test.", ge=50, le=2_000)
    seed: int = seed(
        13, "Decides which functions are taken and how they are split.", advanced=False
    )


#: The pictures' sample's model: small, and of random weights.
SMALL_CLIP = "small-clip-untrained"


class DrawPicturesRecipe(Recipe):
    """Draw pictures of coloured shapes with captions, and make a small untrained CLIP for them."""

    task: ClassVar[str] = "draw-pictures"

    name: str = setting(
        "drawn-pictures",
        help="What the data set is called.",
        min_length=1,
        max_length=80,
        names="dataset",
    )
    model: str = setting(
        SMALL_CLIP,
        help="The name of a model with random weights; empty creates none.",
        max_length=120,
    )
    train_pictures: int = setting(3000, help="How many pictures to train on.", ge=50, le=50_000)
    dev_pictures: int = setting(200, help="How many pictures to hold out as dev.", ge=10, le=5_000)
    test_pictures: int = setting(
        600, help="How many pictures to hold out as test.", ge=50, le=5_000
    )
    size: int = setting(
        48, help="Width and height of a picture and of the model's input, in pixels.", ge=32, le=256
    )
    seed: int = setting(
        13, help="Decides the pictures and the model's random weights.", ge=0, le=2**31 - 1
    )


class AddModelRecipe(ContractRecipe):
    """Copy a model or adapter made elsewhere into the workspace, checked and as safetensors."""

    task: ClassVar[str] = "add-model"

    source: str = setting(
        help="A folder on this machine, or a Hub id.",
        refers_to="model",
        widget="text",
        min_length=1,
    )
    name: str = model_name("What the model is called in this workspace; empty takes its own name.")
    pictures_by: str = setting(
        "",
        help="A CLIP-like model that encodes the pictures if the source encodes texts only: the "
        "two become one image-text model.",
        refers_to="model",
        widget="text",
        max_length=1000,
    )

    @property
    def default_name(self) -> str:
        return name_from(self.source)


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
    dataset_version: int | None = current_version()
    size: int = setting(
        1000,
        help="How many queries to take, in proportion from each split (scored pairs or documents "
        "if there are no queries).",
        ge=1,
    )
    documents: Literal["linked", "all"] = setting(
        "linked",
        help="'linked' keeps the documents of these queries; 'all' keeps every document, so that "
        "retrieval stays as hard as before.",
    )
    name: str = setting(
        "",
        help="The name of the sample; empty adds '-sample' to the data set's name.",
        max_length=80,
        names="dataset",
    )
    seed: int = seed(13, "Decides which queries are taken.")

    @property
    def default_name(self) -> str:
        return f"{self.dataset}-sample"


class MergeDataRecipe(Recipe):
    """Put several data sets together as a new one: equal texts become one."""

    task: ClassVar[str] = "data-merge"

    datasets: list[str] = setting(
        help="The data sets, two or more.", refers_to="dataset", min_length=2, max_length=50
    )
    name: str = setting(
        "",
        help="What the new data set is called; empty joins the names.",
        max_length=80,
        names="dataset",
    )

    @property
    def default_name(self) -> str:
        return "+".join(self.datasets)[:70]


class ResplitRecipe(Recipe):
    """Decide anew which queries are train, dev and test, as a new version."""

    task: ClassVar[str] = "data-resplit"

    dataset: str = setting(help="The data set to split.", refers_to="dataset", min_length=1)
    dataset_version: int | None = current_version()
    by: Literal["query", "document", "field"] = setting(
        "query",
        help="'query' assigns queries at random; 'document' keeps queries that share a relevant "
        "document in one split; 'field' splits by an additional column, such as a date.",
    )
    field: str = setting(
        "",
        help="An additional column of the queries, their documents or the scored pairs: its "
        "latest values become test, those before them dev; the values train, dev and test are "
        "taken as split names.",
        depends_on=("by", ("field",)),
        widget="column",
        max_length=200,
    )
    dev_share: float = share(0.1, "The share of queries that become dev.", group="basics")
    test_share: float = share(0.1, "The share of queries that become test.", group="basics")
    seed: int = seed(13, "Decides which query goes into which split.")


class ExportDataRecipe(Recipe):
    """Write a data set in the shape that another tool reads."""

    task: ClassVar[str] = "data-export"

    dataset: str = setting(help="The data set to write.", refers_to="dataset", min_length=1)
    dataset_version: int | None = current_version()
    split: Literal["all", "train", "dev", "test"] = setting(
        "all", help="One split, or all of them, each in its own file."
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
        help="Where the scores of pairs come from: the data set's own scored pairs, a teacher's "
        "scores of its candidates, or grades (divided by the highest); 'auto' takes the first "
        "that exists.",
        depends_on=("format", ("scored",)),
    )
    output: str = setting(
        "",
        help="The folder to write to, or a file that ends in .zip; empty keeps it with the job "
        "for download.",
    )


# The recipe of a look at a hub's data set, before it is imported.


class HubLookRecipe(Recipe):
    """See which subsets, splits and columns a hub's data set has, from its first rows."""

    task: ClassVar[str] = "hub-look"

    dataset_id: str = setting(
        help="The data set on the Hub, as OWNER/NAME or hf:OWNER/NAME.", min_length=1
    )
    subset: str = setting(
        "", help="Its subset (configuration); empty takes the default or the first.", max_length=200
    )


# Recipes of the data check: what to look for in a data set, and what of it to fix.

#: Every check, in the order in which they run.
CHECKS = (
    "queries",
    "texts",
    "splits",
    "duplicates",
    "near-duplicates",
    "captions",
    "negatives",
    "popular",
    "imbalance",
    "languages",
    "cut",
    "false-negatives",
)


class DataCheckRecipe(Recipe):
    """Look through a data set for what spoils training or makes its numbers lie."""

    task: ClassVar[str] = "data-check"

    dataset: str = setting(help="The data set to check.", refers_to="dataset", min_length=1)
    dataset_version: int | None = current_version()
    checks: list[str] = advanced(
        [],
        help=f"Which checks to run, one a line; empty runs all: {', '.join(CHECKS)}.",
        widget="lines",
    )
    tokenizer: str = setting(
        "all-MiniLM-L6-v2",
        help="The model whose tokenizer counts the tokens of texts; empty skips that check.",
        refers_to="model",
        fits=Fit(),
        max_length=500,
    )
    query_max_len: int = setting(
        64, help="Queries with more tokens than this are truncated in training.", ge=4, le=32768
    )
    passage_max_len: int = setting(
        128, help="Documents with more tokens than this are truncated in training.", ge=8, le=32768
    )
    judge: str = setting(
        "",
        help="The model that finds likely false negatives (an embedding model, a reranker or a "
        "late-interaction model); empty skips that check.",
        refers_to="model",
        max_length=500,
    )
    judged_split: Literal["all", "train", "dev", "test"] = advanced(
        "all", help="The split whose negatives are judged; 'all' takes every split that has some."
    )
    judged_queries: int = advanced(
        1000, help="At most this many queries, chosen by the seed, are judged.", ge=1, le=10_000_000
    )
    margin: float = advanced(
        0.0,
        help="A negative is likely false if the judge scores it above the best positive by more "
        "than this.",
        ge=-100.0,
        le=100.0,
    )
    similarity: float = advanced(
        0.85,
        help="Texts whose character n-grams have at least this Jaccard similarity are near "
        "duplicates.",
        ge=0.6,
        le=1.0,
    )
    many_queries: int = advanced(
        100, help="Documents relevant to more queries than this are reported.", ge=2, le=10_000_000
    )
    imbalance: float = advanced(
        20.0,
        help="Labels count as imbalanced if one is this many times as common as another, and "
        "negatives if there are this many for each positive.",
        ge=2.0,
        le=10_000.0,
    )
    language_share: float = advanced(
        0.01,
        help="Languages count as mixed if at least this share of the texts is in another language.",
        ge=0.0001,
        le=0.5,
    )
    precision: Precision = precision("The judge's floating-point format.")
    device: Device = device("Where the judge runs; 'auto' takes a GPU if there is one.")
    use_cache: bool = use_cache()
    seed: int = seed(13, "Decides which queries are judged.")

    @field_validator("checks", mode="before")
    @classmethod
    def _typed(cls, value: Any) -> Any:
        """On the command line they are typed with commas."""
        return value.replace(",", " ").split() if isinstance(value, str) else value


class DataFixRecipe(Recipe):
    """Fix what the data check found, as a new version of the data set."""

    task: ClassVar[str] = "data-fix"

    dataset: str = setting(help="The data set to fix.", refers_to="dataset", min_length=1)
    dataset_version: int | None = advanced(
        None, help="The version that was checked; empty takes the report's.", ge=1
    )
    report: str = setting(
        "",
        help="The id of the data check; empty takes the last one of this data set.",
        refers_to="job",
        widget="text",
    )
    fixes: list[str] = setting(
        help="The fixes, by their codes or by those of the findings.",
        widget="lines",
        min_length=1,
        max_length=50,
    )
