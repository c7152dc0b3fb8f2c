"""A model's folder in another format, written to disk. Imports torch: worker processes only."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from workbench.errors import WorkbenchError
from workbench.merging.save import write_model
from workbench.models.contract import Contract
from workbench.models.inspect import read_list
from workbench.models.keeping import Keeping, as_kept
from workbench.models.load import explain, load_model
from workbench.models.resolve import ResolvedModel
from workbench.models.weights import ONNX_FILE
from workbench.quantization.graph import export, in_eight_bits

_KEPT = {
    "bf16": Keeping(torch.bfloat16),
    "fp16": Keeping(torch.float16),
    **{
        # What is not quantized is kept in 16 bits too; bf16 reaches as far as fp32.
        name: Keeping(torch.bfloat16, name, compute_dtype=torch.bfloat16)
        for name in ("nf4", "fp4", "int8")
    },
}


def convert(
    resolved: ResolvedModel,
    method: str,
    folder: Path,
    *,
    device: str = "auto",
    trust_remote_code: bool = False,
    stop: Callable[[], None] | None = None,
) -> Contract:
    """Write the model as ``method`` says into an empty folder, with its contract and a card.

    ``stop`` is called between the steps and may raise. Raises :class:`ModelUnusable` in a sentence
    where the library that does it cannot do it with this model.
    """
    check = stop or (lambda: None)
    graph = method.startswith("onnx")
    check()
    loaded: Any = load_model(
        resolved,
        device="cpu" if graph else device,
        precision="fp32",
        trust_remote_code=trust_remote_code,
        keeping=None if graph else _KEPT[method],
    )
    contract: Contract = loaded.contract.model_copy(
        update={"weights": method, "base_model": resolved.name}
    )
    check()
    try:
        if not graph:
            as_kept(loaded.model, _KEPT[method])
        write_model(loaded.model, contract, folder)
        if graph:
            check()
            _as_graph(loaded.model, folder, method, check)
    except WorkbenchError:
        raise
    except Exception as error:
        raise explain(resolved.name, error) from error
    return contract


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


def _as_graph(model: Any, folder: Path, method: str, check: Callable[[], None]) -> None:
    """Put the transformer's graph in the place of its weights."""
    place = folder / str(read_list(folder / "modules.json")[0].get("path", ""))
    target = place / ONNX_FILE
    target.parent.mkdir()
    with warnings.catch_warnings():
        # The tracer warns of every shape it looks at; whether the graph is right is measured.
        warnings.simplefilter("ignore")
        export(model, target)
        check()
        if method == "onnx-int8":
            whole = target.with_name("whole.onnx")
            target.replace(whole)
            with _quiet():
                in_eight_bits(whole, target)
            for path in target.parent.iterdir():
                if path.name != target.name:
                    path.unlink()
    for path in place.glob("model*.safetensors*"):
        path.unlink()
