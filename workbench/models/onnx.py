"""Models as ONNX graphs: computed by ONNX Runtime instead of torch, everything around them (words
to numbers, pooling, projection, scaling) as ever. Imports torch: worker processes only.

sentence-transformers loads such models through ``optimum-onnx``, which cannot be installed beside
current transformers; the one function it calls for that is put in its place here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.modules import transformer

from workbench.errors import ModelUnusable
from workbench.models.weights import ONNX_FILE

_MISSING = "The model is an ONNX graph, and onnxruntime is not installed."


class OnnxForward(torch.nn.Module):
    """Stands where the transformer stood: the same inputs by name, the same output by name."""

    def __init__(self, path: Path, config: Any) -> None:
        super().__init__()
        self.session = session_for(path)
        self.config = config
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        given = {name: features[name].numpy() for name in self.inputs}
        found = self.session.run(self.outputs, given)
        return {name: torch.from_numpy(one) for name, one in zip(self.outputs, found, strict=True)}


def session_for(path: Path) -> Any:
    """The graph, ready to compute with as many threads as torch would take."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelUnusable(_MISSING, "Install it with: pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Only errors: it warns of every node that it leaves as it is.
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextmanager
def computed_by_onnx() -> Iterator[None]:
    """While it lasts, sentence-transformers' ``backend="onnx"`` loads graphs without optimum."""
    before = transformer.load_onnx_model
    transformer.load_onnx_model = _load
    try:
        yield
    finally:
        transformer.load_onnx_model = before


def _load(model_name_or_path: str, config: Any, **_about: Any) -> OnnxForward:
    return OnnxForward(Path(model_name_or_path) / ONNX_FILE, config)
