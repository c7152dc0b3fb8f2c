"""What the kinds that learn vectors have in common: embedding, late interaction, image-text."""

from functools import partial
from typing import TypeVar

from sentence_transformers.base.training_args import BaseTrainingArguments

from workbench.data.reader import DatasetReader
from workbench.evaluation.pool import Pool, dev_pool
from workbench.recipes.train import TrainRecipe
from workbench.training.arguments import training_arguments
from workbench.training.rows import TrainingRows
from workbench.training.run import Run
from workbench.training.sampler import Batches

A = TypeVar("A", bound=BaseTrainingArguments)


def batched_arguments(kind: type[A], this: Run, rows: TrainingRows) -> A:
    """The trainer's arguments, with our batches of these rows."""
    arguments = training_arguments(
        kind,
        this.recipe,
        this.output,
        device=this.device,
        precision=this.precision,
        together=this.together,
    )
    arguments.batch_sampler = partial(Batches, rows)
    return arguments


def searched(recipe: TrainRecipe, reader: DatasetReader) -> Pool:
    """The dev queries and the documents that they search."""
    return dev_pool(
        reader,
        max_queries=recipe.dev_queries,
        max_documents=recipe.dev_documents,
        seed=recipe.seed,
        exclude=recipe.exclude_query_document,
    )
