"""How a model's weights are kept in memory: fp32, bf16, or quantized under an adapter.

Imports torch: worker processes only.
"""

from dataclasses import dataclass
from typing import Any

import torch

from workbench.errors import ModelUnusable
from workbench.models.contract import Contract
from workbench.models.precision import dtype_of

#: Heads stay out of the quantization: they are small, often fresh, and trained in full.
HEADS = ["classifier", "pooler", "score", "lm_head"]
#: SigLIP 2 gives its pictures the format of this layer's weights: as bytes, they would be nothing.
_NOT_QUANTIZED = [*HEADS, "patch_embedding"]


@dataclass(frozen=True, slots=True)
class Keeping:
    """``quantization`` is '', 'nf4', 'fp4' or 'int8'; ``dtype`` is that of all other weights."""

    dtype: torch.dtype = torch.float32
    quantization: str = ""
    double_quantization: bool = False
    compute_dtype: torch.dtype = torch.float32
    #: True where the folder holds the weights as they are kept: nothing is quantized on loading.
    stored: bool = False

    @property
    def whole(self) -> bool:
        """Full precision: such weights can take an adapter's changes into themselves."""
        return not self.quantization and self.dtype == torch.float32

    def model_kwargs(self, device: str) -> dict[str, Any]:
        """What transformers' ``from_pretrained`` is told."""
        if not self.quantization:
            return {"dtype": self.dtype}
        if self.stored:
            return {"dtype": self.dtype, "device_map": {"": device}}
        from transformers import BitsAndBytesConfig

        if self.quantization == "int8":
            config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=_NOT_QUANTIZED)
        else:
            config = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type=self.quantization,
                bnb_4bit_use_double_quant=self.double_quantization,
                bnb_4bit_compute_dtype=self.compute_dtype,
                llm_int8_skip_modules=_NOT_QUANTIZED,
            )
        return {"dtype": self.dtype, "quantization_config": config, "device_map": {"": device}}


FULL = Keeping()


def stored_keeping(contract: Contract) -> Keeping:
    """How a model's own weights lie in its folder, as its contract says."""
    if contract.weights in ("nf4", "fp4", "int8"):
        # What is not quantized (embeddings, norms, heads) is kept in bf16.
        return Keeping(torch.bfloat16, contract.weights, stored=True)
    halves = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return Keeping(halves[contract.weights]) if contract.weights in halves else FULL


def as_kept(model: Any, keeping: Keeping) -> Any:
    """The model, all of whose modules have the format of its transformer, in place: a projection
    or a head that stayed in fp32 could not take what comes from weights in 16 bits."""
    if keeping.quantization:
        for module in list(model)[1:]:
            module.to(keeping.dtype)
        return model
    return model.to(keeping.dtype)


def keeping_of(contract: Contract, precision: str) -> Keeping:
    """How the frozen weights under an adapter are kept, as its contract says.

    Kept as in training, the scores are those of training. ``precision`` decides in which format
    4-bit weights are multiplied where training was not told another one and all others are in fp32.
    """
    dtype = torch.bfloat16 if contract.dtype == "bfloat16" else torch.float32
    if contract.quantization:
        compute = compute_dtype(contract.compute_dtype, precision, dtype)
        return Keeping(dtype, contract.quantization, contract.double_quantization, compute)
    return Keeping(dtype)


def compute_dtype(wanted: str, precision: str, others: torch.dtype) -> torch.dtype:
    """The format that 4-bit weights are multiplied in: the wanted one, else bf16 where that is
    computed in, else that of the ``others``, which are not quantized."""
    if wanted in ("", "auto"):
        return torch.bfloat16 if precision == "bf16" else others
    return dtype_of(wanted)  # type: ignore[arg-type]


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
