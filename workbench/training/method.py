"""Full, LoRA or QLoRA: which weights are trained, and how the others are kept.

LoRA: Hu et al. 2022. QLoRA: Dettmers et al. 2023. Both by peft and bitsandbytes.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from workbench.errors import BadInput
from workbench.models.adapters import trainable_in_fp32
from workbench.models.contract import Contract
from workbench.models.convert import safe_folder
from workbench.models.keeping import FULL, Keeping, compute_dtype
from workbench.models.resolve import ResolvedModel
from workbench.recipes.train import TrainRecipe


def keeping_for(recipe: TrainRecipe, precision: str) -> Keeping:
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
        return Keeping(dtype, kind, double, compute)
    return Keeping(dtype)


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


def apply_method(model: Any, recipe: TrainRecipe, base: ResolvedModel) -> None:
    """Make a loaded model ready for training, in place.

    In full every weight is fp32 and trained: bf16 weights would lose the small updates. With an
    adapter, the inner model is frozen and heads that the base did not bring are trained in full.
    Raises :class:`BadInput` where no layer has one of the wanted names.
    """
    if recipe.method == "full":
        model.float()
        model.requires_grad_(True)
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


def refuse_frozen(model: Any) -> None:
    """Raise :class:`BadInput` where no weight would be trained."""
    if not any(one.requires_grad for one in model.parameters()):
        raise BadInput(
            "No weight of the model would be trained.",
            "Write all-linear as target_modules, or train with the method full.",
        )


def fresh_heads(inner: Any, base: ResolvedModel) -> list[str]:
    """Parts of the inner model that the base's files do not hold: drawn at random, so trained
    and saved in full, else nobody could load the same model again."""
    saved = _saved_names(safe_folder(Path(base.source), base.cache))
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
