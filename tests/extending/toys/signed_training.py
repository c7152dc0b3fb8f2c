"""How signed models are trained. Imports torch: worker processes only."""

from typing import Any

from workbench.models.contract import Contract
from workbench.training.embedding import EmbeddingTraining


class SignedTraining(EmbeddingTraining):
    """As embedding models are, with the sign as the query's prompt."""

    def contract(self, loaded: Any, recipe: Any, base_name: str) -> Contract:
        made = super().contract(loaded, recipe, base_name)
        return made.model_copy(update={"query_prompt": f"{recipe.sign} "})
