"""What the kinds have in common: the trainer's arguments with the run's batches, and the pool that
models of vectors search on dev."""

from functools import partial
from typing import Any, TypeVar

from sentence_transformers.base.training_args import BaseTrainingArguments

from workbench.data.reader import DatasetReader
from workbench.evaluation.pool import Pool, dev_pool
from workbench.recipes.train import TrainRecipe
from workbench.training.arguments import training_arguments
from workbench.training.batches import Batching
from workbench.training.epoch import batching, steps
from workbench.training.rows import TrainingRows
from workbench.training.run import Run
from workbench.training.sampler import Batches

A = TypeVar("A", bound=BaseTrainingArguments)


def batched_arguments(
    kind: type[A], this: Run, rows: TrainingRows, **more: Any
) -> tuple[A, Batching]:
    """The trainer's arguments, with the run's batches of these rows."""
    made = batching(this.reader, rows, this.recipe, this.together.size)
    arguments = training_arguments(
        kind,
        this.recipe,
        this.output,
        device=this.device,
        precision=this.precision,
        together=this.together,
        steps=steps(this.recipe, made),
        **more,
    )
    arguments.batch_sampler = partial(Batches, made)
    return arguments, made


def searched(recipe: TrainRecipe, reader: DatasetReader) -> Pool:
    """The dev queries and the documents that they search."""
    return dev_pool(
        reader,
        max_queries=recipe.dev_queries,
        max_documents=recipe.dev_documents,
        seed=recipe.seed,
        exclude=recipe.exclude_query_document,
    )
