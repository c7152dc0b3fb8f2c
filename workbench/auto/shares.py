"""Which rows a learning curve is trained on and measured by. Torch-free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.auto.folds import DEALT, Dealt, Material, deal
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
        splits = reader.counts["splits"]
        carved = reader.summary.get("carved", {}).get("dev")
        refuse_few(recipe, int(splits["train"] + (splits["dev"] if carved else 0)))
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
    """The judged queries (n,) of train and dev, dealt: ``folds`` (n,), ``rows`` (n,) the training
    rows of each (its relevant documents), and ``groups`` (n,), what of them is taken into a share
    whole."""

    material: Material
    folds: Ints
    rows: Ints
    groups: Ints
    seed: int

    @classmethod
    def of(cls, reader: DatasetReader, recipe: LearningCurveRecipe) -> "Parts":
        """Dealt by the recipe; raises :class:`BadInput` as preparing does."""
        material = Material.of(reader)
        refuse_few(recipe, material.training)
        clusters, queries = material.clusters, len(material.queries)
        # A cluster that is large for a share would be most of it, or leave it empty.
        smallest = recipe.percent[0] / 100 * (1 - 1 / recipe.folds) * material.training
        whole = np.bincount(clusters).max() <= smallest / 2
        groups = clusters if whole else np.arange(queries, dtype=np.int64)
        folds = deal(clusters, recipe.folds, recipe.seed)
        return cls(material, folds, _relevant(reader, material.queries), groups, recipe.seed)

    @property
    def total(self) -> int:
        """All rows that there are to train on."""
        return int(self.rows[self.material.trains].sum())

    def training(self, fold: int, share: float) -> Flags:
        """Which queries (n,) that share (in percent) of the fold's training queries is."""
        chosen = self.material.trains & (self.folds != fold)
        found = chosen.copy()
        found[chosen] = share_of(self.groups[chosen], share, seed=self.seed)
        return found

    def trained_on(self, chosen: Flags) -> Dealt:
        """The data set with these queries (n,) to train on."""
        queries = self.material.queries
        return Dealt(self.material.reader, queries[chosen], queries[:0])

    def measured(self, hard: Mapping[int, Sequence[int]] | None = None) -> Dealt:
        """The data set with all of the queries to measure; ``hard``: by query, the documents that
        are hardest to tell from the relevant ones."""
        queries = self.material.queries
        return Dealt(self.material.reader, queries[:0], queries, hard)

    def at(self, queries: Ints) -> Ints:
        """The places of these queries, by their rows."""
        return np.searchsorted(self.material.queries, queries).astype(np.int64)


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


def _relevant(reader: DatasetReader, queries: Ints) -> Ints:
    """How many documents are relevant to each of these queries (n,)."""
    found = np.zeros(len(queries), np.int64)
    for split in DEALT:
        judged = reader.judgments(split)
        asked = judged.filter(pc.greater_equal(judged["grade"], 1))["query"].to_numpy()
        found += np.bincount(np.searchsorted(queries, asked), minlength=len(queries))
    return found
