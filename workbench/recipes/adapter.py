"""The fields of an adapter (LoRA: Hu et al. 2021) and of quantized weights below one (QLoRA)."""

from functools import partial
from typing import Annotated, Literal

from pydantic import BeforeValidator

from workbench.recipes.base import Recipe, advanced

ADAPTED = ("lora", "qlora")
QUANTIZED = ("qlora",)
_adapter = partial(advanced, group="adapter", depends_on=("method", ADAPTED))
#: A choice of numbers is kept as text: so the form, the command line and JSON all can give it.
Bits = Annotated[Literal["4", "8"], BeforeValidator(str)]


class AdapterFields(Recipe):
    """Read where ``method`` is one of those above."""

    lora_r: int = _adapter(
        16, help="The adapter's rank: higher learns more and is larger.", ge=1, le=1024
    )
    lora_alpha: int = _adapter(
        32, help="The adapter's output is scaled by alpha / rank.", ge=1, le=4096
    )
    lora_dropout: float = _adapter(
        0.05, help="Dropout rate of the adapter's inputs.", ge=0.0, lt=1.0
    )
    target_modules: str = _adapter(
        "all-linear",
        help="Which layers get an adapter: all-linear, or names separated by commas (q_proj, "
        "v_proj).",
        max_length=500,
    )
    quantization_bits: Bits = _adapter(
        "4",
        help="Bits per frozen weight: 4 is smaller, 8 is closer to the original.",
        depends_on=("method", QUANTIZED),
    )
    quantization_type: Literal["nf4", "fp4"] = _adapter(
        "nf4",
        help="The 4-bit number format; nf4 fits weights better (Dettmers et al. 2023).",
        depends_on=("quantization_bits", ("4",)),
    )
    double_quantization: bool = _adapter(
        True,
        help="Quantizes the quantization constants too, which saves another 0.4 bits per weight.",
        depends_on=("quantization_bits", ("4",)),
    )
    compute_dtype: Literal["auto", "fp32", "bf16", "fp16"] = _adapter(
        "auto",
        help="The data type in which 4-bit weights are multiplied; 'auto' takes bf16 if the run "
        "computes in bf16, else fp32.",
        depends_on=("quantization_bits", ("4",)),
    )
