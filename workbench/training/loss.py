"""The losses of embedding models: sentence-transformers' own, over vectors made ready for them.

Which ones, ``recipes/objectives.py`` says. Matryoshka: Kusupati et al. 2022.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.losses.gradcache import has_static_embedding_input
from sentence_transformers.sentence_transformer.modules import Pooling

from workbench.errors import BadInput, ModelUnusable
from workbench.models.architecture import position_limit
from workbench.models.assemble import FULL, WeightFormat, compute_dtype, trainable_in_fp32
from workbench.models.contract import Contract
from workbench.models.locate import LocalModel
from workbench.recipes.objectives import SCALE, TEMPERATURE, Loss, Named
from workbench.recipes.train import TrainEmbeddingRecipe, TrainRecipe
from workbench.training.objectives import CachedVectorLoss, PassThrough, VectorLoss
from workbench.training.rows import scale_of


def module_of(loss: Loss, model: Any, scale: float = 1.0) -> torch.nn.Module:
    """The module that a loss describes; ``scale`` is what scores are multiplied by."""
    first = {"model": [model], "vectors": [PassThrough()], "": []}[loss.over]
    arguments = {name: _given(value, model, scale) for name, value in loss.arguments.items()}
    made: torch.nn.Module = imported(loss.make)(*first, **arguments)
    return made


def _given(value: Any, model: Any, scale: float) -> Any:
    if isinstance(value, Loss):
        return module_of(value, model, scale)
    if value in (SCALE, TEMPERATURE):
        return scale if value is SCALE else 1.0 / scale
    return imported(value) if isinstance(value, Named) else value


def imported(named: Named) -> Any:
    """What has this name."""
    module, _, attribute = named.place.partition(":")
    return getattr(import_module(module), attribute)


def embedding_loss(
    model: SentenceTransformer,
    contract: Contract,
    recipe: TrainEmbeddingRecipe,
    guide: Any = None,
    *,
    across: bool = False,
) -> torch.nn.Module:
    """The recipe's objective over ``model``, with shorter vectors trained along where wanted.

    ``across``: the documents of other devices' batches are negatives, too. ``guide``: GIST's.

    Scores are what the contract searches by, whatever the objective: cosines, or plain inner
    products for a model whose vectors keep their length. Raises :class:`BadInput` for Matryoshka
    dimensions that the model does not have.
    """
    options: dict[str, Any] = {
        "by_cosine": contract.normalize,
        "dimensions": lengths(recipe, model.get_embedding_dimension() or 0),
        "guide": guide,
    }
    chosen = recipe.chosen_objective
    made = module_of(recipe.loss(across), model, scale_of(recipe, contract))
    if not chosen.in_parts or not recipe.in_batch:
        return VectorLoss(model, made, **options)
    if has_static_embedding_input(model):
        raise BadInput(
            "A model of static embeddings has nothing that is worth keeping in parts.",
            "Choose the objective without 'cached'.",
        )
    return CachedVectorLoss(model, made, mini_batch_size=recipe.mini_batch_size, **options)


def lengths(recipe: TrainEmbeddingRecipe, whole: int) -> list[int]:
    """The dimensions that are trained, the whole one first; none: whole vectors alone."""
    dimensions = [int(part) for part in recipe.matryoshka_dims.split(",") if part.strip()]
    if dimensions and (max(dimensions) > whole or min(dimensions) < 1):
        raise BadInput(
            f"The model's vectors have {whole} dimensions; {max(dimensions)} were requested.",
            f"Give matryoshka_dims between 1 and {whole}.",
        )
    return sorted({whole, *dimensions}, reverse=True) if dimensions else []


# The base model made ready for training, and the contract it will have.


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


# Full, LoRA or QLoRA: which weights are trained, and how the others are kept.
#
# LoRA: Hu et al. 2022. QLoRA: Dettmers et al. 2023. Both by peft and bitsandbytes.


def keeping_for(recipe: TrainRecipe, precision: str) -> WeightFormat:
    """How the base's weights are kept in memory while it is trained.

    Weights that are trained are fp32, whatever the checkpoint was saved in. Under an adapter the
    others are frozen: in bf16 where bf16 is computed in, and quantized for QLoRA. What QLoRA leaves
    unquantized (norms, embeddings) decides the format of what flows between the layers: in fp32 a
    decoder of 1.5B parameters took a third more of a GPU than the same with LoRA.
    """
    if recipe.method == "full":
        return FULL
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    if recipe.method == "qlora":
        compute = compute_dtype(_compute_asked(recipe), precision, dtype)
        kind = "int8" if recipe.quantization_bits == "8" else recipe.quantization_type
        double = recipe.double_quantization and kind != "int8"
        return WeightFormat(dtype, kind, double, compute)
    return WeightFormat(dtype)


def adapted_contract(contract: Contract, recipe: TrainRecipe, precision: str) -> Contract:
    """What the trained model's contract says of the weights under its adapter."""
    keeping = keeping_for(recipe, precision)
    return contract.model_copy(
        update={
            "quantization": keeping.quantization,
            "double_quantization": keeping.double_quantization,
            "compute_dtype": _compute_asked(recipe) if keeping.quantization else "",
            "dtype": str(keeping.dtype).removeprefix("torch."),
        }
    )


def _compute_asked(recipe: TrainRecipe) -> str:
    asked = recipe.quantization_bits == "4" and recipe.compute_dtype != "auto"
    return recipe.compute_dtype if asked else ""


def apply_method(model: Any, recipe: TrainRecipe, base: LocalModel) -> None:
    """Make a loaded model ready for training, in place.

    In full every weight is fp32 and trained: bf16 weights would lose the small updates. With an
    adapter, the inner model is frozen and heads that the base did not bring are trained in full.
    Raises :class:`BadInput` where no layer has one of the wanted names.
    """
    if recipe.dropout is not None:
        set_dropout(model, recipe.dropout)
    if recipe.method == "full":
        model.float()
        model.requires_grad_(True)
        if recipe.freeze_word_embeddings:
            for table in word_tables(model):
                table.requires_grad_(False)
        return
    from peft import LoraConfig

    inner = model[0].model
    inner.requires_grad_(False)
    config = LoraConfig(
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=_targets(recipe.target_modules),
        modules_to_save=fresh_heads(inner, base) or None,
    )
    try:
        model.add_adapter(config)
    except ValueError as error:
        raise BadInput(
            f"No layer of the model fits target_modules '{recipe.target_modules}': "
            f"{' '.join(str(error).split())[:200]}",
            "Write all-linear, or the ends of its layers' names with commas (query, value).",
        ) from error
    trainable_in_fp32(inner)
    for named in inner.peft_config.values():
        # What a program outside the workbench finds the base by.
        named.base_model_name_or_path = base.source


def set_dropout(model: Any, rate: float) -> None:
    """The dropout of every layer, in place; what is saved keeps the rates of its config."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = rate
        # Attention that is computed by a function keeps its rate as a number.
        for name in ("dropout", "attention_dropout", "dropout_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, rate)


def word_tables(model: Any) -> list[torch.nn.Module]:
    """A model's tables of word embeddings, which have a row for each token of its vocabulary."""
    config = getattr(model[0], "config", None)
    words = {
        getattr(one, "vocab_size", None) for one in (config, getattr(config, "text_config", None))
    }
    return [
        one
        for one in model.modules()
        if isinstance(one, torch.nn.Embedding) and one.num_embeddings in words
    ]


def refuse_frozen(model: Any) -> None:
    """Raise :class:`BadInput` where no weight would be trained."""
    if not any(one.requires_grad for one in model.parameters()):
        raise BadInput(
            "No weight of the model would be trained.",
            "Write all-linear as target_modules, or train with the method full.",
        )


def fresh_heads(inner: Any, base: LocalModel) -> list[str]:
    """Parts of the inner model that the base's files do not hold: drawn at random, so trained
    and saved in full, else nobody could load the same model again."""
    saved = _saved_names(base.weights)
    backbone = str(getattr(inner, "base_model_prefix", ""))
    found = []
    for name, child in inner.named_children():
        if name == backbone:
            pooler = getattr(child, "pooler", None)
            if pooler is not None and not any("pooler." in one for one in saved):
                found.append("pooler")
        elif any(True for _ in child.parameters()) and not any(f"{name}." in one for one in saved):
            found.append(name)
    # A language model's output layer is often tied to its embeddings and then not saved.
    return [name for name in found if name != "lm_head" and backbone]


def share_note(model: Any, recipe: TrainRecipe) -> tuple[str, ...]:
    """The share of the weights that is trained, in words; nothing for full fine-tuning."""
    if recipe.method == "full":
        return ()
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    total = sum(_weights(one) for one in model.parameters())
    return (f"{trained:,} of {total:,} weights are trained ({trained / total:.2%}).",)


def _weights(parameter: Any) -> int:
    """How many weights a parameter stands for; bitsandbytes packs two 4-bit ones in a byte."""
    state = getattr(parameter, "quant_state", None)
    return int(state.shape.numel()) if state is not None else int(parameter.numel())


def _targets(text: str) -> str | list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or names == ["all-linear"]:
        return "all-linear"
    return names


def _saved_names(folder: Path) -> set[str]:
    names: set[str] = set()
    for path in [*folder.glob("*.safetensors"), *folder.glob("*/*.safetensors")]:
        with safe_open(str(path), framework="pt") as file:
            names.update(file.keys())
    return names
