"""Which rows a learning curve is trained on and measured by. Torch-free."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.auto.folds import Dealt, deal, judged_queries
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.models.resolve import resolve
from workbench.recipes.curve import LearningCurveRecipe
from workbench.workspace import Workspace

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: Fewer training queries than this teach nothing.
LEAST_QUERIES = 4
#: So many queries are measured at most, and so many documents searched beside the relevant ones:
#: every share of every fold encodes all of them.
MOST_MEASURED, MOST_DOCUMENTS = 600, 2_000


def prepare_learning_curve(
    recipe: LearningCurveRecipe, workspace: Workspace, waits: bool
) -> LearningCurveRecipe:
    """Raises :class:`BadInput` for what cannot be measured; else the recipe as it is."""
    if not waits or workspace.datasets.exists(recipe.dataset):
        reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
        refuse_few(recipe, int(reader.counts["splits"]["train"]))
    if not waits:
        base = resolve(workspace, recipe.model, recipe.kind)
        if base.contract is not None and not base.contract.model_kind.first_stage:
            raise BadInput(
                f"'{base.name}' is a {base.contract.kind} model; learning curves are measured of "
                "embedding models.",
                "Choose an embedding model.",
            )
    return recipe


def refuse_few(recipe: LearningCurveRecipe, queries: int) -> None:
    """Raise :class:`BadInput` where the smallest share of so many queries teaches nothing."""
    smallest = recipe.percent[0] / 100 * (1 - 1 / recipe.folds)
    if queries * smallest >= LEAST_QUERIES:
        return
    raise BadInput(
        f"The data set has {queries} training queries: {recipe.percent[0]:g}% of those that a fold "
        f"trains on are fewer than {LEAST_QUERIES}.",
        f"Leave the small shares out, or bring at least {int(np.ceil(LEAST_QUERIES / smallest))} "
        "training queries.",
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """The training queries, dealt: ``queries`` (n,) rows, ``rows`` (n,) training rows of each (its
    relevant documents), ``clusters`` (n,), ``folds`` (n,), and ``groups`` (n,), what of them is
    taken into a share whole."""

    reader: DatasetReader
    queries: Ints
    rows: Ints
    clusters: Ints
    folds: Ints
    groups: Ints
    seed: int

    @classmethod
    def of(cls, reader: DatasetReader, recipe: LearningCurveRecipe) -> "Parts":
        """The training split dealt by the recipe; raises :class:`BadInput` as preparing does."""
        queries = judged_queries(reader, "train")
        refuse_few(recipe, len(queries))
        clusters = clusters_of(reader, queries)
        judged = _relevant(reader)["query"].to_numpy()
        rows = np.bincount(np.searchsorted(queries, judged), minlength=len(queries))
        # A cluster that is large for a share would be most of it, or leave it empty.
        smallest = recipe.percent[0] / 100 * (1 - 1 / recipe.folds) * len(queries)
        whole = np.bincount(clusters).max() <= smallest / 2
        groups = clusters if whole else np.arange(len(queries), dtype=np.int64)
        folds = deal(clusters, recipe.folds, recipe.seed)
        return cls(reader, queries, rows, clusters, folds, groups, recipe.seed)

    def training(self, fold: int, share: float) -> Flags:
        """Which queries (n,) that share (in percent) of the fold's training queries is."""
        chosen = self.folds != fold
        found = chosen.copy()
        found[chosen] = share_of(self.groups[chosen], share, seed=self.seed)
        return found

    def trained_on(self, fold: int, share: float) -> Dealt:
        """The data set with that share to train on."""
        none = np.zeros(0, np.int64)
        return Dealt(self.reader, self.queries[self.training(fold, share)], none)

    def measured(self) -> Dealt:
        """The data set with all of the queries to measure."""
        return Dealt(self.reader, np.zeros(0, np.int64), self.queries)

    def at(self, queries: Ints) -> Ints:
        """The places of these queries, by their rows."""
        return np.searchsorted(self.queries, queries).astype(np.int64)


def share_of(groups: Ints, share: float, *, seed: int) -> Flags:
    """Which of the training queries (n,) are that share (in percent) of them: whole groups in an
    order drawn by the seed, so that a larger share holds every smaller one. Two queries at least.
    """
    names, places, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    before = np.concatenate([[0], np.cumsum(counts[order])[:-1]])
    # A group is taken where the larger half of it is still wanted.
    taken = (before + counts[order] / 2 <= len(groups) * share / 100) | (before < 2)
    chosen = np.zeros(len(names), bool)
    chosen[order[np.cumsum(~taken) == 0]] = True
    found: Flags = chosen[places]
    return found


def clusters_of(reader: DatasetReader, queries: Ints) -> Ints:
    """The cluster (from 0 on) of each training query: those that share a relevant document,
    directly or through others, are in one."""
    judged = _relevant(reader)
    left = np.searchsorted(queries, judged["query"].to_numpy())
    documents, right = np.unique(judged["document"].to_numpy(), return_inverse=True)
    size = len(queries) + len(documents)
    edges = coo_array((np.ones(len(left), np.int8), (left, right + len(queries))), (size, size))
    names = connected_components(edges, directed=False)[1][: len(queries)]
    found: Ints = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return found


def _relevant(reader: DatasetReader) -> Any:
    judged = reader.judgments("train")
    return judged.filter(pc.greater_equal(judged["grade"], 1))
