"""How a model's weights are kept in memory: fp32, bf16, or quantized under an adapter.

Imports torch: worker processes only.
"""

from dataclasses import dataclass
from typing import Any

import torch

from workbench.errors import ModelUnusable
from workbench.models.contract import Contract

#: Heads stay out of the quantization: they are small, often fresh, and trained in full.
HEADS = ["classifier", "pooler", "score", "lm_head"]


@dataclass(frozen=True, slots=True)
class Keeping:
    """``quantization`` is '', 'nf4', 'fp4' or 'int8'; ``dtype`` is that of all other weights."""

    dtype: torch.dtype = torch.float32
    quantization: str = ""
    double_quantization: bool = False
    compute_dtype: torch.dtype = torch.float32

    @property
    def whole(self) -> bool:
        """Full precision: such weights can take an adapter's changes into themselves."""
        return not self.quantization and self.dtype == torch.float32

    def model_kwargs(self, device: str) -> dict[str, Any]:
        """What transformers' ``from_pretrained`` is told."""
        if not self.quantization:
            return {"dtype": self.dtype}
        from transformers import BitsAndBytesConfig

        if self.quantization == "int8":
            config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=HEADS)
        else:
            config = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type=self.quantization,
                bnb_4bit_use_double_quant=self.double_quantization,
                bnb_4bit_compute_dtype=self.compute_dtype,
                llm_int8_skip_modules=HEADS,
            )
        return {"dtype": self.dtype, "quantization_config": config, "device_map": {"": device}}


FULL = Keeping()


def keeping_of(contract: Contract, precision: str) -> Keeping:
    """How the frozen weights under an adapter are kept, as its contract says.

    Kept as in training, the scores are those of training. ``precision`` decides in which format
    4-bit weights are multiplied where all others are in fp32.
    """
    dtype = torch.bfloat16 if contract.dtype == "bfloat16" else torch.float32
    if contract.quantization:
        compute = torch.bfloat16 if precision == "bf16" else dtype
        return Keeping(dtype, contract.quantization, contract.double_quantization, compute)
    return Keeping(dtype)


def steady(model: torch.nn.Module) -> None:
    """Keep bitsandbytes from repacking 4-bit weights on a CPU, in place.

    It does so at the first evaluation: the scales are rounded to bf16, for good, so training would
    go on over other weights than it began with, and a saved adapter would meet others again. And
    it fails where a layer's width is no multiple of the block.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def quiet_quantization() -> None:
    """bitsandbytes writes a line per layer in 8 bits, and a complaint about optional kernels."""
    import logging

    for name in ("bitsandbytes", "bitsandbytes.autograd._functions"):
        logging.getLogger(name).setLevel(logging.ERROR)


def refuse_unquantizable(keeping: Keeping) -> None:
    """Raise :class:`ModelUnusable` where bitsandbytes is not installed."""
    if not keeping.quantization:
        return
    try:
        import bitsandbytes  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise ModelUnusable(
            "The model's weights are kept in 4 or 8 bits, and bitsandbytes is not installed.",
            "Install it with: pip install bitsandbytes",
        ) from error
