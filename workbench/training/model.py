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
        **wanted_prompts(base, recipe),
    }
    return as_trained(base.model_copy(update=changes), model, recipe, base_name)


def wanted_prompts(base: Contract, recipe: Any) -> dict[str, str]:
    """The recipe's prompts, and the base's, which was trained with them, where it names none; an
    empty one is a prompt that is named: there shall be none."""
    found = {}
    for name in ("query_prompt", "document_prompt"):
        asked = getattr(recipe, name)
        found[name] = getattr(base, name) if asked is None else asked
    return found


def as_trained(contract: Contract, model: Any, recipe: TrainRecipe, base_name: str) -> Contract:
    """A contract with its origin. Its lengths stay the base's, as far as the model can read: at
    them the model is measured and used, and the base is measured beside it."""
    limit = within_limit(model)
    return contract.model_copy(
        update={
            "query_max_len": min(contract.query_max_len, limit),
            "passage_max_len": min(contract.passage_max_len, limit),
            "base_model": base_name,
            "dataset": recipe.dataset,
        }
    )


def training_lengths(model: Any, recipe: TrainRecipe) -> dict[str, int]:
    """After how many tokens the run cuts texts: the recipe's lengths, as far as the model reads."""
    limit = within_limit(model)
    return {
        "query_max_len": min(recipe.query_max_len, limit),
        "passage_max_len": min(recipe.passage_max_len, limit),
    }


def pair_lengths(model: Any, recipe: TrainRecipe) -> dict[str, int]:
    """The same of a reranker, which reads both together: the query leaves half to the document."""
    limit = within_limit(model)
    query = min(recipe.query_max_len, limit // 2)
    passage = min(recipe.passage_max_len, limit - query)
    return {"query_max_len": query, "passage_max_len": passage}


def longer_note(contract: Contract, lengths: dict[str, int]) -> tuple[str, ...]:
    """A remark where a run reads longer texts than the model will be shown afterwards."""
    longer = [name for name, length in lengths.items() if length > getattr(contract, name)]
    if not longer:
        return ()
    trained = ", ".join(f"{name} {lengths[name]}" for name in longer)
    used = ", ".join(f"{name} {getattr(contract, name)}" for name in longer)
    wanted = " ".join(f"{name}={lengths[name]}" for name in longer)
    return (
        f"Trained with {trained}, but measured and used at the base model's own {used}. To use the "
        f"trained model at the longer length: models set MODEL {wanted}.",
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
