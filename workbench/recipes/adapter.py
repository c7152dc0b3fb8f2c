"""The fields of an adapter (LoRA: Hu et al. 2021) and of quantized weights below one (QLoRA)."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from workbench.recipes.base import Recipe, setting

ADAPTED = ("lora", "qlora")
QUANTIZED = ("qlora",)
#: A choice of numbers is kept as text: so the form, the command line and JSON all can give it.
Bits = Annotated[Literal["4", "8"], BeforeValidator(str)]


class AdapterFields(Recipe):
    """Read where ``method`` is one of those above."""

    lora_r: int = setting(
        16,
        help="The adapter's rank: higher learns more and is larger.",
        group="adapter",
        advanced=True,
        depends_on=("method", ADAPTED),
        ge=1,
        le=1024,
    )
    lora_alpha: int = setting(
        32,
        help="The adapter's output is scaled by alpha / rank.",
        group="adapter",
        advanced=True,
        depends_on=("method", ADAPTED),
        ge=1,
        le=4096,
    )
    lora_dropout: float = setting(
        0.05,
        help="Share of the adapter's inputs that are dropped at each step.",
        group="adapter",
        advanced=True,
        depends_on=("method", ADAPTED),
        ge=0.0,
        lt=1.0,
    )
    target_modules: str = setting(
        "all-linear",
        help="Which layers get an adapter: all-linear, or names with commas (q_proj, v_proj).",
        group="adapter",
        advanced=True,
        depends_on=("method", ADAPTED),
        max_length=500,
    )
    quantization_bits: Bits = setting(
        "4",
        help="Bits per frozen weight: 4 is smaller, 8 is closer to the original.",
        group="adapter",
        advanced=True,
        depends_on=("method", QUANTIZED),
    )
    quantization_type: Literal["nf4", "fp4"] = setting(
        "nf4",
        help="The 4-bit number format; nf4 fits weights better (Dettmers et al. 2023).",
        group="adapter",
        advanced=True,
        depends_on=("quantization_bits", ("4",)),
    )
    double_quantization: bool = setting(
        True,
        help="Quantizes the 4-bit scales too, which saves another 0.4 bits per weight.",
        group="adapter",
        advanced=True,
        depends_on=("quantization_bits", ("4",)),
    )
    compute_dtype: Literal["auto", "fp32", "bf16", "fp16"] = setting(
        "auto",
        help="The format that 4-bit weights are multiplied in; 'auto' takes bf16 where the run "
        "computes in bf16, else fp32.",
        group="adapter",
        advanced=True,
        depends_on=("quantization_bits", ("4",)),
    )
