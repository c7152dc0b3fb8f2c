"""The ways to quantize a model: how its weights are kept, what that may cost, what it needs.
Torch-free; the half that computes is imported in workers."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from workbench.extensions import Registry
from workbench.models.contract import Contract

#: What cannot be, and what to do instead.
Refusal = tuple[str, str]


class Quantizer(Protocol):
    """The half of a method that computes, of which
    :class:`workbench.quantization.quantizers.Bf16` is one to begin from.

    ``loading`` and ``stored`` are a :class:`workbench.models.assemble.WeightFormat`: how the
    original is loaded to be quantized, and how what was written is loaded to be used.
    """

    @property
    def loading(self) -> Any: ...
    @property
    def stored(self) -> Any: ...

    def quantize(self, model: Any) -> None:
        """Change the loaded model in place, before it is written."""
        ...

    def finish(self, model: Any, folder: Path, stop: Callable[[], None]) -> None:
        """Change the written folder, where saving the model is not all."""
        ...


def _suits(_name: str, _contract: Contract) -> Refusal | None:
    return None


@dataclass(frozen=True, slots=True)
class QuantizationMethod:
    """A way to quantize a model: what a recipe's ``method`` chooses, and the ``weights`` of its
    contract.

    ``how``: the sentence of the model's card. ``bound``: how much MAP@100 it may lose against full
    precision. ``quantizer``: makes its :class:`Quantizer`, or where what does so is
    ('module:class'). ``packages``: those that must be installed. ``refuses``: why it cannot be for
    a model of this name and contract, and what to do. ``graph``: whether it is computed by ONNX
    Runtime, on a CPU; ``quick_on_cpu``: whether that is often quicker than the original.
    ``allowed``: how far its numbers may be from the original's; None does not say.
    """

    name: str
    label: str
    how: str
    bound: float
    quantizer: "str | Callable[[], Quantizer]"
    packages: tuple[str, ...] = ()
    refuses: Callable[[str, Contract], Refusal | None] = _suits
    graph: bool = False
    quick_on_cpu: bool = False
    allowed: float | None = None

    def refusal(self, name: str, contract: Contract) -> Refusal | None:
        """Why a model cannot be kept like this here, and what to do; None where it can."""
        if contract.weights:
            return (
                f"The weights of '{name}' are already stored in {contract.weights}.",
                "Quantize the original model.",
            )
        if contract.pictures_by:
            return (
                f"'{name}' reads texts and pictures with two models, which are not quantized here.",
                "Its embeddings can be: build an index of the type small.",
            )
        if missing := [one for one in self.packages if find_spec(one) is None]:
            return (
                f"{self.name} needs {' and '.join(missing)}, which this machine does not have.",
                f"Install what is missing with: pip install {' '.join(missing)}",
            )
        return self.refuses(name, contract)

    def load(self) -> Quantizer:
        """What computes it; torch comes with those of ours."""
        if not isinstance(self.quantizer, str):
            return self.quantizer()
        module, _, name = self.quantizer.partition(":")
        made: Quantizer = getattr(import_module(module), name)()
        return made


def _no_graph(name: str, contract: Contract) -> Refusal | None:
    if contract.model_kind.reads_pictures:
        return (
            f"'{name}' reads texts and pictures with two towers: one graph does not hold both.",
            "Choose bf16, fp16, int8 or nf4.",
        )
    if contract.architecture == "llm":
        return (
            f"'{name}' answers with one word of a language model: as a graph it would compute the "
            "whole vocabulary for every token.",
            "Choose bf16, int8 or nf4.",
        )
    return None


_QUANTIZERS = "workbench.quantization.quantizers"
_BITSANDBYTES = ("bitsandbytes",)
_ONNX = ("onnx", "onnxruntime")

#: All ways to quantize a model: recipes' choices, the lab, bounds and cards follow from it.
QUANTIZATION_METHODS = Registry(
    "quantization method",
    [
        QuantizationMethod(
            "bf16",
            "bf16",
            "Its weights are kept in bfloat16.",
            0.005,
            f"{_QUANTIZERS}:Bf16",
        ),
        QuantizationMethod(
            "fp16",
            "fp16",
            "Its weights are kept in float16.",
            0.005,
            f"{_QUANTIZERS}:Fp16",
        ),
        QuantizationMethod(
            "int8",
            "int8 (bitsandbytes)",
            "Its linear layers are kept in 8 bits by bitsandbytes, all else in bfloat16.",
            0.01,
            f"{_QUANTIZERS}:Int8",
            _BITSANDBYTES,
        ),
        QuantizationMethod(
            "nf4",
            "nf4 (4 bits)",
            "Its linear layers are kept in 4 bits (nf4) by bitsandbytes, all else in bfloat16.",
            0.03,
            f"{_QUANTIZERS}:Nf4",
            _BITSANDBYTES,
        ),
        QuantizationMethod(
            "fp4",
            "fp4 (4 bits)",
            "Its linear layers are kept in 4 bits (fp4) by bitsandbytes, all else in bfloat16.",
            0.03,
            f"{_QUANTIZERS}:Fp4",
            _BITSANDBYTES,
        ),
        QuantizationMethod(
            "onnx",
            "ONNX, full precision",
            "It is an ONNX graph in full precision.",
            0.005,
            f"{_QUANTIZERS}:Onnx",
            _ONNX,
            _no_graph,
            graph=True,
            # A graph in full precision computes what the model computes.
            allowed=1e-3,
        ),
        QuantizationMethod(
            "onnx-int8",
            "ONNX int8, for CPUs",
            "It is an ONNX graph whose weights are kept in 8 bits, for CPUs.",
            0.01,
            f"{_QUANTIZERS}:OnnxInt8",
            _ONNX,
            _no_graph,
            graph=True,
            quick_on_cpu=True,
        ),
    ],
)


def is_graph(contract: Contract | None) -> bool:
    """Whether ONNX Runtime computes the model, on a CPU."""
    weights = contract.weights if contract is not None else ""
    return weights in QUANTIZATION_METHODS and QUANTIZATION_METHODS.get(weights).graph
