"""What cannot be quantized is said at the click, without torch."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.merging.test_prepare import save_weights
from workbench.errors import BadInput, DatasetNotFound, ModelNotFound, NameTaken
from workbench.models import quantized
from workbench.models.contract import Contract
from workbench.models.quantized import QUANTIZATION_METHODS, Refusal
from workbench.models.registry import new_model
from workbench.models.resolve import resolve
from workbench.prepare import prepare
from workbench.quantization.prepare import formats
from workbench.recipes.quantize import QuantizeLabRecipe, QuantizeRecipe, VectorFormat
from workbench.training.prepare import _refuse_quantized
from workbench.workspace import Workspace


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    """With the packaged model, and an adapter 'mine' on it."""
    opened = Workspace.open(home)
    base = opened.models.ensure_packaged()
    id, folder = opened.models.new_folder()
    config = {"base_model_name_or_path": base.name, "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_weights(folder / "adapter_model.safetensors")
    opened.models.add(new_model(id, "mine", contract={}, summary={"base_id": base.id}))
    yield opened
    opened.close()


def lab(**values: Any) -> QuantizeLabRecipe:
    return QuantizeLabRecipe.read({"model": "all-MiniLM-L6-v2", "dataset": "none", **values})


def test_a_free_name_is_made(workspace: Workspace) -> None:
    recipe = QuantizeRecipe(model="all-MiniLM-L6-v2", method="nf4")
    assert prepare(recipe, workspace).name == "all-MiniLM-L6-v2-nf4"
    with pytest.raises(NameTaken):
        prepare(recipe.model_copy(update={"name": "mine"}), workspace)


def test_adapters_and_unknown_models_are_refused(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="adapter") as refused:
        prepare(QuantizeRecipe(model="mine"), workspace)
    assert "merge mine" in refused.value.hint
    with pytest.raises(ModelNotFound):
        prepare(QuantizeRecipe(model="no-such"), workspace)
    # Another job may make it.
    assert prepare(QuantizeRecipe(model="no-such"), workspace, True).name == "no-such-bf16"


def refusal(method: str, name: str, contract: Contract) -> Refusal | None:
    return QUANTIZATION_METHODS.get(method).refusal(name, contract)


@pytest.mark.parametrize("method", QUANTIZATION_METHODS.names())
def test_what_was_quantized_is_not_quantized_again(method: str) -> None:
    said = refusal(method, "small", Contract(weights="nf4"))
    assert said is not None and "'small' are already stored in nf4" in said[0]
    assert refusal(method, "whole", Contract()) is None


def test_a_language_model_is_no_graph_here() -> None:
    llm = Contract(kind="reranker", architecture="llm")
    assert "vocabulary" in (refusal("onnx-int8", "judge", llm) or ("",))[0]
    assert refusal("nf4", "judge", llm) is None
    clip = Contract(kind="image-text")
    assert refusal("bf16", "clip", clip) is None and refusal("int8", "clip", clip) is None
    graph = refusal("onnx", "clip", clip)
    assert graph is not None and "two towers" in graph[0]
    pair = refusal("bf16", "pair", clip.model_copy(update={"pictures_by": "other"}))
    assert pair is not None and "two models" in pair[0]


@pytest.mark.parametrize(
    ("package", "method"),
    [("bitsandbytes", "nf4"), ("onnxruntime", "onnx-int8"), ("onnx", "onnx")],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, method: str
) -> None:
    def find(name: str) -> Any:
        return None if name == package else importlib.util.find_spec(name)

    monkeypatch.setattr(quantized, "find_spec", find)
    said = refusal(method, "any", Contract())
    assert said is not None and package in said[0] and f"pip install {package}" in said[1]


def test_the_lab_checks_everything_at_the_click(workspace: Workspace) -> None:
    with pytest.raises(DatasetNotFound):
        prepare(lab(), workspace)
    with pytest.raises(BadInput, match="at least 8 dimensions, not 4"):
        prepare(lab(dimensions="100, 4"), workspace)
    with pytest.raises(BadInput, match="384 dimensions"):
        prepare(lab(dimensions="512"), workspace)
    with pytest.raises(BadInput, match="Nothing was chosen"):
        prepare(lab(methods=[], vectors=[]), workspace)
    with pytest.raises(BadInput, match="methods"):
        lab(methods=["int3"])


def test_formats_are_every_method_in_every_length() -> None:
    found = formats(lab(vectors=["int8", "binary", "int8"], dimensions="128"), 384)
    assert [one.name for one in found] == ["int8", "binary", "int8 128", "binary 128"]
    assert formats(lab(vectors=[], dimensions="128"), 384) == [VectorFormat("float32", 128)]
    assert formats(lab(vectors=[]), 384) == []
    assert [one.bound for one in found] == [0.01, 0.03, 0.03, 0.03]


def test_a_quantized_model_is_no_start_of_training(workspace: Workspace) -> None:
    base = workspace.models.get("all-MiniLM-L6-v2")
    folder = workspace.models.folder(base.name)
    contract = Contract.model_validate(base.contract).model_copy(update={"weights": "bf16"})
    contract.write(folder)
    with pytest.raises(BadInput, match="stored in bf16, for inference only"):
        _refuse_quantized(resolve(workspace, base.name))
