"""A way to quantize a model: weights in 16 bits, of which only the first four of the mantissa."""

from typing import Any

from workbench.models.contract import Contract
from workbench.models.quantized import (
    QUANTIZATION_METHODS,
    QuantizationMethod,
    Quantizer,
    Refusal,
)


def refuses(name: str, contract: Contract) -> Refusal | None:
    if contract.normalize:
        return None
    return f"Lengths of vectors of '{name}' would be rounded.", "Choose bf16."


def quantizer() -> Quantizer:
    """Made in workers only, so torch is imported here."""
    import torch

    from workbench.models.assemble import WeightFormat
    from workbench.quantization.quantizers import Bf16

    class Rounded(Bf16):
        loading = WeightFormat(torch.float32)
        stored = WeightFormat(torch.float16)

        def quantize(self, model: Any) -> None:
            for weights in model.parameters():
                mantissa, exponent = torch.frexp(weights.data)
                weights.data = torch.ldexp((mantissa * 16).round() / 16, exponent)
            model.half()

    return Rounded()


ROUNDED = QuantizationMethod(
    "rounded",
    "Rounded (16 bits)",
    "Its weights are float16, rounded to four bits of mantissa.",
    bound=0.5,
    quantizer=quantizer,
    refuses=refuses,
)

QUANTIZATION_METHODS.register(ROUNDED)
