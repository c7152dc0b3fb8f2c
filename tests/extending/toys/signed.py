"""A kind of model: embedding models that are trained with a sign before each query."""

from typing import ClassVar

from workbench.model_kinds import MODEL_KINDS
from workbench.model_kinds.embedding import KIND as EMBEDDING
from workbench.recipes.base import setting
from workbench.recipes.train import TrainEmbeddingRecipe


class TrainSignedRecipe(TrainEmbeddingRecipe):
    """Fine-tune an embedding model with a sign before each query."""

    task: ClassVar[str] = "train-signed"
    kind: ClassVar[str] = "signed"

    sign: str = setting("?", help="Stands before each query.", max_length=20)


SIGNED = EMBEDDING.variant(
    name="signed",
    label="signed model",
    recipe=TrainSignedRecipe,
    training="tests.extending.toys.signed_training:SignedTraining",
    tags="tags: [sentence-transformers, signed]",
    description="A signed model: its vectors have $dimensions numbers.",
    snippet=EMBEDDING.snippet + "\n# Signed.",
)

MODEL_KINDS.register(SIGNED)
