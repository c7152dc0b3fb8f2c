"""The base model made ready for training, and the contract it will have."""

from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from workbench.errors import ModelUnusable
from workbench.models.architecture import position_limit
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe, TrainRecipe


def trained_contract(
    base: Contract, model: SentenceTransformer, recipe: TrainEmbeddingRecipe, base_name: str
) -> Contract:
    """An embedding model's contract, which training, dev evaluation and every later use obey."""
    changes = {
        "pooling": base.pooling if recipe.pooling == "auto" else recipe.pooling,
        # An empty prompt keeps the base model's, which was trained with it.
        "query_prompt": recipe.query_prompt or base.query_prompt,
        "document_prompt": recipe.document_prompt or base.document_prompt,
    }
    return as_trained(base.model_copy(update=changes), model, recipe, base_name)


def as_trained(contract: Contract, model: Any, recipe: TrainRecipe, base_name: str) -> Contract:
    """A contract with the run's lengths, as far as the model can read, and with its origin."""
    limit = within_limit(model)
    return contract.model_copy(
        update={
            "query_max_len": min(recipe.query_max_len, limit),
            "passage_max_len": min(recipe.passage_max_len, limit),
            "base_model": base_name,
            "dataset": recipe.dataset,
        }
    )


def ready_for_training(model: SentenceTransformer, contract: Contract) -> SentenceTransformer:
    """The model with the contract's pooling, prompts and lengths; changed in place."""
    _set_pooling(model, contract)
    # For those who load the folder with sentence-transformers alone.
    model.prompts = {"query": contract.query_prompt, "document": contract.document_prompt}
    model.default_prompt_name = None
    model.max_seq_length = max(contract.query_max_len, contract.passage_max_len)
    return model


def _set_pooling(model: SentenceTransformer, contract: Contract) -> None:
    poolings = [module for module in model if isinstance(module, Pooling)]
    if contract.pooling == "other" or any(one.pooling_mode == contract.pooling for one in poolings):
        return
    if not poolings:
        raise ModelUnusable(
            "The model has no pooling layer, so its pooling cannot be changed.",
            "Leave the field 'pooling' at auto.",
        )
    pooling = poolings[0]
    if pooling.pooling_output_dimension != pooling.embedding_dimension:
        raise ModelUnusable(
            "The model joins several poolings into one vector, so it cannot take another one.",
            "Leave the field 'pooling' at auto.",
        )
    pooling.pooling_mode = contract.pooling


def within_limit(model: Any) -> int:
    """The most tokens the model can read; very many where nothing limits it."""
    config: Any = getattr(model[0], "config", None)
    limit = position_limit(config.to_dict(), {}) if config is not None else None
    return limit or 2**31
