"""What can compute an embedding model's vectors: torch as the model was loaded, torch over a copy
of its weights in bf16, torch in fp32, or OpenVINO; :mod:`.engine_choice` finds the fastest.
Imports torch: workers only.
"""

import copy
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
import torch
from sentence_transformers.base.modules import Transformer

from workbench.jobs.runner import free_memory
from workbench.models.precision import BF16_WEIGHTS, FP32, OPENVINO, TORCH, dtype_of
from workbench.quantization.quantizers import export

#: An ONNX graph is one file of less than 2 GB; in it attention takes memory for each pair of a
#: text's tokens, which torch's does not.
_LARGEST_GRAPH, LONGEST_IN_GRAPH = 1_900_000_000, 1024

#: 'texts': many at once. 'questions': one at a time, where its own time counts.
Use = Literal["texts", "questions"]


def _openvino() -> Any:
    """The library, without its package that reports each import to its maker: nothing here calls
    anyone unasked."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return import_module("openvino")


class OpenVinoForward(torch.nn.Module):
    """Stands where the transformer stood: the same inputs by name, the same output by name."""

    def __init__(self, transformer: Any, graph: Path, precision: str, use: Use) -> None:
        super().__init__()
        core = _openvino().Core()
        options = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" else precision,
            # A core for each of several batches waits less than all cores for one.
            "PERFORMANCE_HINT": "THROUGHPUT" if use == "texts" else "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        compiled = core.compile_model(core.read_model(str(graph)), "CPU", options)
        self.config = transformer.config
        self.workers = int(compiled.get_property("NUM_STREAMS")) if use == "texts" else 1
        self.inputs = [one.get_any_name() for one in compiled.inputs]
        self.output = compiled.outputs[0].get_any_name()
        #: Requests that compute nothing now; another thread waits for one.
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.workers):
            self._free.put(compiled.create_infer_request())

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        given = {name: features[name].numpy() for name in self.inputs}
        request = self._free.get()
        try:
            found = request.infer(given, share_inputs=True)[0]
        finally:
            self._free.put(request)
        return {self.output: torch.from_numpy(found)}


class Bf16Forward(torch.nn.Module):
    """A copy of the transformer with weights in 16 bits, whose output is fp32 again: what comes
    behind it (pooling, a projection) is computed as ever. So are its buffers: frequencies of
    rotary positions in 16 bits would put a text's thousandth token several tokens off."""

    def __init__(self, transformer: torch.nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner = copy.deepcopy(transformer).eval()
        for weights in self.inner.parameters():
            weights.data = weights.data.to(dtype)
        self.config = transformer.config

    @property
    def device(self) -> torch.device:
        return next(self.inner.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        found = self.inner(**features)
        return {
            name: value.float() if torch.is_tensor(value) else value
            for name, value in found.items()
        }


def with_forward(model: Any, forward: torch.nn.Module) -> Any:
    """The same sentence-transformers model, all else shared, computed by ``forward``."""
    first, whole = copy.copy(model[0]), copy.copy(model)
    first._modules = {**first._modules, "model": forward}
    name = next(iter(model._modules))
    whole._modules = {**whole._modules, name: first}
    # Once, and not around each batch: several threads may compute.
    return whole.eval()


def _by_bf16(loaded: Any, _use: Use) -> Any:
    forward = Bf16Forward(loaded.model[0].model, dtype_of(loaded.precision))
    return replace(loaded, model=with_forward(loaded.model, forward), precision="fp32")


def _by_openvino(loaded: Any, use: Use) -> Any:
    transformer = loaded.model[0].model
    with tempfile.TemporaryDirectory(prefix="graph-") as folder:
        graph = Path(folder) / "model.onnx"
        with _written_out(transformer):
            export(loaded.model, graph)
        forward = OpenVinoForward(transformer, graph, loaded.precision, use)
    model = with_forward(loaded.model, forward)
    return replace(loaded, model=model, precision="fp32", workers=forward.workers)


@contextmanager
def _written_out(transformer: Any) -> Iterator[None]:
    """While it lasts attention is computed step by step: as a graph that is 6% quicker than torch's
    own function, which is exported with checks for rows that attend to nothing."""
    before = transformer.config._attn_implementation
    transformer.set_attn_implementation("eager")
    try:
        with warnings.catch_warnings():
            # The tracer warns of every shape it looks at; whether the graph is right is measured.
            warnings.simplefilter("ignore")
            yield
    finally:
        transformer.set_attn_implementation(before)


MAKE: dict[str, Callable[[Any, Use], Any]] = {
    TORCH: lambda loaded, _use: loaded,
    FP32: lambda loaded, _use: replace(loaded, precision="fp32"),
    BF16_WEIGHTS: _by_bf16,
    OPENVINO: _by_openvino,
}


def usable(loaded: Any) -> list[str]:
    """The engines that could compute this model where it is; torch is one always.

    Others make a copy of fp32 weights, which must have room in memory.
    """
    model = loaded.model
    first = model[0]
    if loaded.contract.weights or not isinstance(first, Transformer):
        return [TORCH]
    weights = [one for one in first.parameters() if one.is_floating_point()]
    size = sum(one.nbytes for one in weights)
    if {one.dtype for one in weights} != {torch.float32} or loaded.precision == "fp16":
        return [TORCH]
    found = [TORCH]
    on_cpu = loaded.device == "cpu"
    room = not on_cpu or size < free_memory() / 2
    if room and loaded.precision == "bf16":
        found.append(BF16_WEIGHTS)
    short = loaded.contract.longest <= LONGEST_IN_GRAPH
    if room and on_cpu and short and size < _LARGEST_GRAPH:
        found.append(OPENVINO)
    return found


# Texts by which they are compared where too few are at hand.

#: Texts of usual lengths, and words of the longest text.
_USUAL, _LONGEST_TRIED = 48, 512
_WORDS = (
    "which of the two methods finds more of the documents that people judged relevant when their "
    "words differ from those of the question and how long does one search take on this machine"
)


def usual(use: Use) -> list[str]:
    """Texts of usual lengths: questions of 3 to 25 words, or texts of 5 to 200."""
    words = _WORDS.split()
    lengths = np.geomspace(*((3, 25) if use == "questions" else (5, 200)), _USUAL).astype(int)
    return [" ".join((words * 6)[at : at + length]) for at, length in enumerate(lengths.tolist())]


def longest(loaded: Any) -> str:
    """A text as long as the model reads, or of some hundred words where it reads more."""
    words = _WORDS.split()
    count = min(loaded.contract.longest, _LONGEST_TRIED)
    return " ".join((words * (count // len(words) + 1))[:count])
