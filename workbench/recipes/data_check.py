"""Recipes of the data check: what to look for in a data set, and what of it to fix."""

from typing import Any, ClassVar, Literal

from pydantic import field_validator

from workbench.recipes.base import Fit, Recipe, advanced, setting
from workbench.recipes.fields import (
    Device,
    Precision,
    current_version,
    device,
    precision,
    seed,
    use_cache,
)

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
