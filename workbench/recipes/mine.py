"""The recipe that proposes wrong documents to train against."""

from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from workbench.recipes.base import Fit, Recipe, advanced, setting
from workbench.recipes.fields import (
    Device,
    Precision,
    dataset_version,
    device,
    max_queries,
    precision,
    seed,
    use_cache,
)

_choice = partial(advanced, group="choice")


class MineRecipe(Recipe):
    """Find documents that look right for a query and are not, and propose them as negatives.

    Nothing changes until the proposal is accepted; that makes a new version of the data set.
    """

    task: ClassVar[str] = "mine"

    dataset: str = setting(
        help="The data set to mine negatives for.", refers_to="dataset", needs="queries"
    )
    method: Literal["model", "bm25", "random"] = setting(
        "model", help="What finds them: an embedding model, shared words (BM25), or random choice."
    )
    model: str = setting(
        "all-MiniLM-L6-v2",
        help="The embedding model that searches. Best is the model to be trained, or a stronger "
        "one.",
        depends_on=("method", ("model",)),
        refers_to="model",
        fits=Fit("first_stage", "workbench.mining.mine:no_miner"),
        max_length=500,
    )
    num_negatives: int = setting(
        5, help="How many negatives each query gets, if that many remain.", ge=1, le=200
    )
    relative_margin: float | None = setting(
        0.05,
        help="A negative must score lower than the query's lowest positive by this share of that "
        "score; empty turns it off. Without a reranker it holds for the method 'model' only.",
        ge=0.0,
        le=1.0,
    )
    reranker: str | None = setting(
        None,
        help="A reranker or late-interaction model of the workspace that scores what was found: "
        "its scores decide the margins and are kept for distillation.",
        refers_to="model",
        fits=Fit("scores", "workbench.mining.mine:no_reranker"),
        max_length=500,
    )
    split: Literal["train", "dev", "test", "all"] = advanced(
        "train", help="The queries that get negatives."
    )
    range_min: int = _choice(
        0,
        help="Skip this many of the top-ranked documents that pass the margins; they are the most "
        "likely to be relevant.",
        ge=0,
        le=5000,
    )
    range_max: int = _choice(50, help="Consider documents down to this rank.", ge=1, le=5000)
    sampling: Literal["top", "random"] = _choice(
        "top",
        help="From what remains: the top-ranked, or a random choice (easier and more varied).",
    )
    absolute_margin: float | None = _choice(
        None,
        help="A negative must score lower than the query's lowest positive by this much; 0 only "
        "asks for lower.",
        ge=0.0,
    )
    max_score: float | None = _choice(None, help="Leave out documents that score higher than this.")
    min_score: float | None = _choice(None, help="Leave out documents that score lower than this.")
    earlier: Literal["keep", "replace", "all"] = _choice(
        "replace",
        help="What happens to existing candidates: 'keep' adds to them, 'replace' removes those "
        "mined earlier, 'all' also removes those that came with the data.",
    )
    score_earlier: bool = _choice(
        True,
        help="Also score the candidates that stay with this teacher. Distillation needs one scale "
        "for all of them.",
    )
    seed: int = seed(13, "Decides everything that is random.", "choice", most=2**31)
    dataset_version: int | None = dataset_version()
    max_queries: int | None = max_queries(
        "Use at most this many queries of a split, chosen by the seed; empty uses all."
    )
    device: Device = device("Where to encode; 'auto' takes a GPU if there is one.")
    precision: Precision = precision()
    use_cache: bool = use_cache()

    @property
    def origin(self) -> str:
        """What candidates of this recipe are known by afterwards."""
        folder = Path(self.model)
        model = folder.name if folder.is_absolute() else self.model
        return MINED + (model if self.method == "model" else self.method)

    @property
    def teacher(self) -> str:
        """Whose scores are kept; empty where there are none to learn from."""
        return self.reranker or (self.model if self.method == "model" else "")


#: How the origin of every mined candidate begins.
MINED = "mined:"
