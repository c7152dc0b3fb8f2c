"""The halves of our quantization methods that compute. Imports torch: worker processes only."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from workbench.errors import ModelUnusable
from workbench.models.architecture import ONNX_FILE
from workbench.models.assemble import FULL, WeightFormat, as_kept
from workbench.models.inspect import read_list
from workbench.models.precision import cpu_adds_bytes


class Bf16:
    """All weights in bfloat16; a base for the others."""

    #: How the original is loaded to be quantized.
    loading = WeightFormat(torch.bfloat16)
    #: How what was written is loaded to be used.
    stored = WeightFormat(torch.bfloat16)

    def quantize(self, model: Any) -> None:
        """Give the loaded model's modules this format, in place."""
        as_kept(model, self.loading)

    def finish(self, model: Any, folder: Path, stop: Callable[[], None]) -> None:
        """Nothing more: the model was saved as it is."""


class Fp16(Bf16):
    """All weights in float16."""

    loading = stored = WeightFormat(torch.float16)


class Nf4(Bf16):
    """Linear layers in bitsandbytes' normal floats of 4 bits. What is not quantized (embeddings,
    norms, heads) is kept in 16 bits too; bf16 reaches as far as fp32."""

    loading = WeightFormat(torch.bfloat16, "nf4", compute_dtype=torch.bfloat16)
    stored = WeightFormat(torch.bfloat16, "nf4", stored=True)


class Fp4(Bf16):
    """The same in plain floats of 4 bits."""

    loading = WeightFormat(torch.bfloat16, "fp4", compute_dtype=torch.bfloat16)
    stored = WeightFormat(torch.bfloat16, "fp4", stored=True)


class Int8(Bf16):
    """The same in 8 bits."""

    loading = WeightFormat(torch.bfloat16, "int8", compute_dtype=torch.bfloat16)
    stored = WeightFormat(torch.bfloat16, "int8", stored=True)


class Onnx(Bf16):
    """The transformer as a graph for ONNX Runtime, in full precision."""

    loading = stored = FULL
    eight_bits = False

    def finish(self, model: Any, folder: Path, stop: Callable[[], None]) -> None:
        """Put the transformer's graph in the place of its weights."""
        _as_graph(model, folder, stop, eight_bits=self.eight_bits)


class OnnxInt8(Onnx):
    """The graph with weights in 8 bits, for CPUs."""

    eight_bits = True


# Writes a model's transformer as an ONNX graph, and a graph in 8 bits.
#
# ``torch.onnx.export`` by tracing (``dynamo=False``): it takes positional inputs only, while
# current transformers name theirs, so a small module stands between.

OPSET = 17
_TRIAL = ["A short text.", "Another text, which is a little longer than the first one."]


class Named(torch.nn.Module):
    """Hands inputs on by their names and returns one output."""

    def __init__(self, inner: torch.nn.Module, inputs: list[str], output: str) -> None:
        super().__init__()
        self.inner = inner
        self.inputs = inputs
        self.output = output

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        named = dict(zip(self.inputs, values, strict=True))
        found: torch.Tensor = self.inner(**named, return_dict=True)[self.output]
        return found


def export(model: Any, target: Path) -> None:
    """Write the transformer of a sentence-transformers model; batch and tokens stay free."""
    transformer = model[0]
    output = transformer.modality_config["text"]["method_output_name"]
    if not isinstance(output, str):
        raise ModelUnusable("The model gives more than one output, which a graph here has not.")
    inner = transformer.model.eval()
    given = _trial(model, transformer)
    names = list(given)
    free = {name: {0: "batch", 1: "tokens"} for name in names}
    free[output] = {0: "batch", 1: "tokens"} if output == "last_hidden_state" else {0: "batch"}
    with torch.inference_mode(False), torch.no_grad():
        torch.onnx.export(
            Named(inner, names, output),
            tuple(given.values()),
            str(target),
            input_names=names,
            output_names=[output],
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )


def _trial(model: Any, transformer: Any) -> dict[str, torch.Tensor]:
    """A batch as the transformer gets it: its tensors by name."""
    texts: Any = _TRIAL
    if type(model).__name__ == "CrossEncoder":
        texts = [(text, _TRIAL[0]) for text in _TRIAL]
    features = model.preprocess(texts)
    known = transformer.model_forward_params
    return {
        name: value.cpu()
        for name, value in features.items()
        if isinstance(value, torch.Tensor)
        and name in ("input_ids", "attention_mask", "token_type_ids")
        and (known is None or name in known)
    }


def in_eight_bits(whole: Path, target: Path) -> None:
    """Quantize a graph for CPUs: weights once, what flows through as it comes ("dynamic").

    Plain settings lost .015 MAP@100 on the packaged model and sample (mean cosine .94 to .99). What
    helps, measured one by one: a scale for each channel of a weight instead of one for all; layers
    that narrow (the second of each feed-forward block) left in full precision, since a few large
    values follow an activation function and drown the others on one scale; products of two
    activations (attention) too, as they have no weight to make smaller.
    """
    from onnxruntime.quantization import quantize_dynamic

    quantize_dynamic(
        whole,
        target,
        per_channel=True,
        # Weights of 7 bits where sums of products would overflow the 16 bits they are added in.
        reduce_range=not cpu_adds_bytes(),
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        nodes_to_exclude=_narrowing(whole),
        extra_options={"MatMulConstBOnly": True},
    )


def _narrowing(whole: Path) -> list[str]:
    """The names of products with a weight that has more inputs than outputs."""
    import onnx

    graph = onnx.load(str(whole), load_external_data=False).graph
    shapes = {one.name: list(one.dims) for one in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul"
        and len(shape := shapes.get(node.input[1], [])) == 2
        and shape[0] > shape[1]
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer tells the root logger of every node it looks at."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def _as_graph(model: Any, folder: Path, stop: Callable[[], None], *, eight_bits: bool) -> None:
    place = folder / str(read_list(folder / "modules.json")[0].get("path", ""))
    target = place / ONNX_FILE
    target.parent.mkdir()
    with warnings.catch_warnings():
        # The tracer warns of every shape it looks at; whether the graph is right is measured.
        warnings.simplefilter("ignore")
        export(model, target)
        stop()
        if eight_bits:
            whole = target.with_name("whole.onnx")
            target.replace(whole)
            with _quiet():
                in_eight_bits(whole, target)
            for path in target.parent.iterdir():
                if path.name != target.name:
                    path.unlink()
    for path in place.glob("model*.safetensors*"):
        path.unlink()
