"""The list of models people start from."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.workbench.cli.test_main import document, workbench
from workbench.models.contract import Contract, chat_template
from workbench.models.resolve import CatalogueModel, catalogue, contract_for, find

WANTED = {
    "moka-ai/m3e-base", "BAAI/bge-m3", "sentence-transformers/all-MiniLM-L6-v2",
    *(f"BAAI/bge-{size}-zh-v1.5" for size in ("small", "base", "large")),
    *(f"BAAI/bge-{size}-en-v1.5" for size in ("small", "base", "large")),
    *(f"intfloat/multilingual-e5-{size}" for size in ("small", "base", "large")),
    "intfloat/e5-mistral-7b-instruct", "Alibaba-NLP/gte-Qwen2-1.5B-instruct",
    "Qwen/Qwen2-1.5B-Instruct", "Qwen/Qwen3-Embedding-0.6B", "BAAI/bge-reranker-base",
    "BAAI/bge-reranker-large", "BAAI/bge-reranker-v2-m3", "BAAI/bge-reranker-v2-gemma",
    "Qwen/Qwen3-Reranker-0.6B", "colbert-ir/colbertv2.0", "sentence-transformers/clip-ViT-B-32",
    "sentence-transformers/clip-ViT-B-32-multilingual-v1",
}  # fmt: skip


def test_every_model_people_ask_for_is_there_once_per_use() -> None:
    assert {model.id for model in catalogue()} >= WANTED
    uses = [(model.id, model.kind) for model in catalogue()]
    assert len(uses) == len(set(uses))
    assert {model.kind for model in catalogue("reranker")} == {"reranker"}


def test_what_is_said_of_a_model_fits_its_kind() -> None:
    for model in catalogue():
        assert model.remark.endswith(".")
        if model.kind == "embedding":
            assert model.dimensions
            assert "pooling" in model.contract
        if model.kind == "reranker":
            assert model.contract["architecture"] in ("cross-encoder", "llm")
        if template := model.contract.get("prompt_template"):
            assert chat_template(template, instruction="i", yes="y", no="n")


def test_the_contract_of_a_hub_model() -> None:
    e5 = Contract().model_copy(update=contract_for("intfloat/multilingual-e5-base"))
    assert (e5.query_prompt, e5.document_prompt, e5.dimensions) == ("query: ", "passage: ", 768)
    assert contract_for("BAAI/bge-m3", "late-interaction")["kind"] == "late-interaction"
    assert contract_for("baai/bge-m3")["kind"] == "embedding"
    assert contract_for("BAAI/bge-m3", "reranker") == {}
    assert contract_for("somebody/bge-base-zh-v1.5") == {}
    assert contract_for("sentence-transformers/clip-ViT-B-32") == {}


def test_a_copy_in_a_folder_is_found_by_its_name() -> None:
    found = find("/models/bge-base-zh-v1.5/")
    assert found is not None
    assert found.contract["query_prompt"]
    assert find("my-own-model") is None
    late = find("BAAI/bge-m3", "late-interaction")
    assert late is not None
    assert late.kind == "late-interaction"


def test_a_slip_in_the_file_is_told() -> None:
    row = {"id": "a/b", "kind": "embedding", "languages": "x", "remark": "y."}
    with pytest.raises(ValidationError, match="no field"):
        CatalogueModel.model_validate({**row, "contract": {"polling": "cls"}})


def test_the_command_line_lists_a_kind(home: Path) -> None:
    found = document(workbench(home, "models", "catalogue", "--kind", "reranker", "--json"))
    assert {model["kind"] for model in found} == {"reranker"}
    words = workbench(home, "models", "catalogue").stdout
    assert "BAAI/bge-m3" in words
    assert "not known" in words
