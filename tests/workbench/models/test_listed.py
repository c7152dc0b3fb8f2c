"""What the catalogue knows of a hub model fills in where the model's own files are silent."""

from pathlib import Path

from tests.workbench.models.fakes import write_modules, write_plain
from workbench.models.contract import Contract
from workbench.models.inspect import inspect_folder
from workbench.models.resolve import listed_contract


def test_a_plain_checkpoint_takes_what_is_listed(tmp_path: Path) -> None:
    found = inspect_folder(write_plain(tmp_path))
    contract = listed_contract("BAAI/bge-base-zh-v1.5", found)
    assert (contract.pooling, contract.kind) == ("cls", "embedding")
    assert contract.query_prompt.startswith("为这个句子")
    assert listed_contract("somebody/else", found) == found.contract


def test_a_whole_model_takes_missing_prompts_only(tmp_path: Path) -> None:
    found = inspect_folder(write_modules(tmp_path))
    contract = listed_contract("BAAI/bge-base-zh-v1.5", found)
    assert contract.pooling == found.contract.pooling
    assert contract.query_prompt.startswith("为这个句子")


def test_a_listed_reranker_is_one_although_its_files_say_language_model(tmp_path: Path) -> None:
    write_plain(tmp_path, architectures=["Qwen3ForCausalLM"], model_type="qwen3")
    contract = listed_contract("Qwen/Qwen3-Reranker-0.6B", inspect_folder(tmp_path))
    assert (contract.kind, contract.architecture) == ("reranker", "llm")
    assert contract.yes_token == "yes"


def test_a_contract_of_its_own_wins(tmp_path: Path) -> None:
    write_plain(tmp_path)
    Contract(query_prompt="mine: ").write(tmp_path)
    found = inspect_folder(tmp_path)
    assert listed_contract("BAAI/bge-base-zh-v1.5", found).query_prompt == "mine: "
